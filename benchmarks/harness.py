"""Interleaved timing: contenders take turns, so that a busy minute hits all of them equally."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PAUSE = 0.02
"""Seconds between two turns: the threads of whoever was last stop spinning and go to sleep."""

TURN_SECONDS = 0.2
"""How long a turn of many calls lasts, about."""

MOST_CALLS = 20
"""Most timed calls of a turn."""


@dataclass(frozen=True)
class Options:
    """How a run measures.

    Attributes:
        threads: threads of computation, the same for every contender.
        quick: whether few repetitions, and shares of the longest tasks, will do.
        log: file that takes what frameworks and jobs write to standard error.
    """

    threads: int
    quick: bool
    log: Path

    def choose(self, full, quick):
        """The one of two values that fits the run."""
        return quick if self.quick else full


class Measurement(NamedTuple):
    """One row of the result.

    Attributes:
        subject: module that measured it.
        case: the task that all implementations of the case did.
        implementation: who did it.
        metric: what was measured.
        median: of all repetitions; None where there is a reason not to have measured.
        low, high: quartiles.
        repetitions: how many values these are of.
        unit: of median, low and high.
        note: reason, or what a reader has to know.
    """

    subject: str
    case: str
    implementation: str
    metric: str
    median: float | None
    low: float | None
    high: float | None
    repetitions: int
    unit: str
    note: str = ""


class Aim(NamedTuple):
    """A ratio of two medians of a case, or a median by itself, and what is aimed at.

    Attributes:
        case: of the measurements.
        words: what it says.
        above: implementations, of which the least median counts.
        below: those whose least median it is divided by; none for the median itself.
        side: `at most` or `at least`.
        limit: what is aimed at; None where nothing is.
        metric: of the measurements.
    """

    case: str
    words: str
    above: tuple[str, ...]
    below: tuple[str, ...] = ()
    side: str = ""
    limit: float | None = None
    metric: str = "time"


def interleave(contenders, rounds, sleep=time.sleep):
    """Let contenders take turns; every other round in reverse order.

    Args:
        contenders: mapping, name -> function without arguments that takes one turn and
            returns its samples, a list.
        rounds: turns of each.
        sleep: function that waits for a number of seconds.

    Returns:
        Name -> list of the samples of all its turns.
    """
    samples = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in reversed(names) if number % 2 else names:
            sleep(PAUSE)
            samples[name] += contenders[name]()
    return samples


def take_turn(function, calls, lead, clock=time.perf_counter):
    """Time single calls of a function.

    Args:
        function: what is timed, without arguments.
        calls: how many calls are timed.
        lead: whether an untimed call goes first, which fills the caches that the turn of
            another contender has emptied.
        clock: function that gives seconds.

    Returns:
        List of seconds, one a call.
    """
    if lead:
        function()
    seconds = []
    for _ in range(calls):
        start = clock()
        function()
        seconds.append(clock() - start)
    return seconds


def calls_of_a_turn(seconds):
    """How many calls of so many seconds make a turn."""
    return max(1, min(MOST_CALLS, round(TURN_SECONDS / seconds)))


def measurement(subject, case, implementation, metric, samples, unit, note=""):
    """The `Measurement` of a list of samples: their median and quartiles."""
    low, high = quartiles(samples)
    median = statistics.median(samples)
    row = (subject, case, implementation, metric, median, low, high, len(samples), unit, note)
    return Measurement(*row)


def missing(subject, case, implementation, metric, unit, reason):
    """The `Measurement` of what could not be measured."""
    return Measurement(subject, case, implementation, metric, None, None, None, 0, unit, reason)


def quartiles(samples):
    """Lower and upper quartile, linearly interpolated; of one sample, that sample twice."""
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high
