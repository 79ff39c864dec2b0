"""Processes that a framework has to itself.

TensorFlow, JAX and PyTorch keep pools of threads, and each is set up in its own way before its
first computation. Each of them therefore has a process of its own, which waits while another
one takes its turn. Threads are bounded from outside too, by the processors a process may run on.
A contender that takes too long to get ready costs its process, not the run.
"""

import gc
import multiprocessing
import os
import sys
import textwrap
import time
from typing import NamedTuple

from benchmarks.harness import calls_of_a_turn, interleave, measurement, missing, take_turn


class UnavailableError(Exception):
    """Why a contender does not take part."""


class Contender(NamedTuple):
    """Who takes part in a race.

    Attributes:
        name: of the implementation.
        worker: `Worker` that it runs in.
        build: top-level function that returns what is timed, a function without arguments.
        arguments: of `build`.
        required: whether a failure ends the run.
    """

    name: str
    worker: "Worker"
    build: object
    arguments: tuple = ()
    required: bool = False


class Worker:
    """A process that prepares functions and times them when told to.

    Args:
        threads: of computation.
        set_up: top-level function of `threads` that is called once, before anything else.
        patience: seconds that a contender may take to get ready.
        log: file that what the process writes to standard error is appended to.
    """

    def __init__(self, threads, set_up, patience, log):
        self._threads, self._set_up, self._patience, self._log = threads, set_up, patience, log
        self._prepared = {}
        self._process = self._connection = None

    def prepare(self, name, build, arguments, single):
        """Build a function in the process and call it once, untimed.

        Args:
            name: to call it by.
            build: see `Contender`.
            arguments: of `build`.
            single: whether a turn is one call, as it takes long.

        Raises:
            UnavailableError: if that fails, with the reason.
        """
        if self._process is None:
            self._start()
        self._ask("prepare", name, build, arguments, single)
        self._prepared[name] = build, arguments, single

    def turn(self, name):
        """Let a prepared function take a turn; its seconds, a list."""
        if self._process is None:
            self._start()
        return self._ask("turn", name)

    def forget(self):
        """Drop all prepared functions."""
        self._prepared.clear()
        if self._process is not None:
            self._ask("forget")

    def close(self):
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self._threads, self._log)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._ask("set up", self._set_up)
        # After the end of a process, whoever was ready in it gets ready again.
        for name, work in self._prepared.items():
            self._ask("prepare", name, *work)

    def _ask(self, *request):
        try:
            self._connection.send(request)
            if not self._connection.poll(self._patience):
                self.close()
                raise UnavailableError(f"not ready after {self._patience} s")
            answer, value = self._connection.recv()
        except (EOFError, ConnectionError):
            self.close()
            raise UnavailableError("its process ended, for want of memory perhaps") from None
        if answer == "failed":
            raise UnavailableError(value)
        return value


class Workers:
    """The workers of a subject, ended together.

    Args:
        options: `harness.Options`.
    """

    def __init__(self, options):
        self._options = options
        self._workers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            worker.close()

    def start(self, set_up):
        """A new `Worker`; its process starts with the first contender."""
        patience = self._options.choose(300, 60)
        worker = Worker(self._options.threads, set_up, patience, self._options.log)
        self._workers.append(worker)
        return worker

    def forget(self):
        """Let all workers drop what they prepared."""
        for worker in self._workers:
            worker.forget()


def race(contenders, rounds, single=False):
    """Prepare contenders, and let them take turns.

    Args:
        contenders: list of `Contender`.
        rounds: turns of each.
        single: whether a turn is one call, without an untimed one before it.

    Returns:
        (samples, reasons): name -> list of seconds a call, and name -> why there are none.

    Raises:
        RuntimeError: if a required contender fails.
    """
    turns, reasons = {}, {}
    for name, worker, build, arguments, required in contenders:
        try:
            worker.prepare(name, build, arguments, single)
            turns[name] = _turns(worker, name, reasons)
        except UnavailableError as reason:
            if required:
                raise RuntimeError(f"{name}: {reason}") from reason
            reasons[name] = str(reason)
    samples = interleave(turns, rounds)
    return {name: taken for name, taken in samples.items() if name not in reasons}, reasons


def _turns(worker, name, reasons):
    def turn():
        if name in reasons:
            return []
        try:
            return worker.turn(name)
        except UnavailableError as reason:
            reasons[name] = str(reason)
            return []

    return turn


def race_measurements(subject, case, contenders, rounds, single=False, scale=1.0, unit="s"):
    """The measurements of a race: one row per contender, of its `time` a call.

    Args:
        subject: see `harness.Measurement`.
        case: likewise.
        contenders: list of `Contender`.
        rounds: turns of each.
        single: see `race`.
        scale: what seconds are multiplied by.
        unit: of the product.
    """
    samples, reasons = race(contenders, rounds, single)
    rows = []
    for contender in contenders:
        name = contender.name
        if name in samples:
            scaled = [scale * seconds for seconds in samples[name]]
            rows.append(measurement(subject, case, name, "time", scaled, unit))
        else:
            rows.append(missing(subject, case, name, "time", unit, reasons[name]))
    return rows


def _serve(connection, threads, log):
    """Answer requests until the parent ends; every answer is (`done` or `failed`, value)."""
    with log.open("a") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    prepared = {}
    while True:
        try:
            task, *arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("done", _TASKS[task](prepared, threads, *arguments)))
        except ModuleNotFoundError as error:
            package = {"tf_keras": "tf-keras"}.get(error.name, error.name)
            connection.send(("failed", f"not installed (pip install {package})"))
        except UnavailableError as reason:
            connection.send(("failed", str(reason)))
        except Exception as error:
            line = (str(error).strip() or "no message").splitlines()[0]
            connection.send(("failed", textwrap.shorten(f"{type(error).__name__}: {line}", 100)))


def _do_set_up(prepared, threads, set_up):
    set_up(threads)


def _do_prepare(prepared, threads, name, build, arguments, single):
    function = build(*arguments)
    function()
    if single:
        prepared[name] = function, 1, False
        return
    function()
    start = time.perf_counter()
    function()
    prepared[name] = function, calls_of_a_turn(time.perf_counter() - start), True


def _do_turn(prepared, threads, name):
    return take_turn(*prepared[name])


def _do_forget(prepared, threads):
    prepared.clear()
    gc.collect()


_TASKS = {"set up": _do_set_up, "prepare": _do_prepare, "turn": _do_turn, "forget": _do_forget}
