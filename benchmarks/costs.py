"""What whole processes cost: a small run, memory by image size, the workflow, the demo.

Everything is started as the workflow or a user starts it. The system counts processor time and
peak memory of a process; those of Snakemake include its jobs' processor time.
"""

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import layers, stacks
from benchmarks.harness import Aim, measurement, missing
from benchmarks.machine import ROOT
from freeconv.data.formats import pack
from freeconv.study import config
from freeconv.study.memory import memory_of_run

log = logging.getLogger(__name__)

RUN = "a run of the demo"
TRAINING, EVALUATION = "train.py", "evaluate.py"
PAPER = "the paper's study, 920 runs"
DRAWING = "the digits study, precomputed runs"
DEMO = "the demo, without installation"

# Network, kind, shape and number of images, batch: what is trained for an epoch, and evaluated.
MEMORY = {
    "mnist fcn, 28 x 28 x 1, batch 256": ("mnist", "fcn", (28, 28, 1), 14_000, 256),
    "cifar10 fcn, 32 x 32 x 3, batch 128": ("cifar10", "fcn", (32, 32, 3), 6_000, 128),
    "mnist fcn, 64 x 64 x 3, batch 64": ("mnist", "fcn", (64, 64, 3), 2_000, 64),
    "mnist cnn, 224 x 224 x 3, batch 8": ("mnist", "cnn", (224, 224, 3), 100, 8),
}
ASKED = "mem_mb"

LAYERS = [case for case, stack in stacks.LARGE.items() if stack.layers[0].sharing == 1]
HELD = "activations, weights, gradients"

EPOCHS = 4
"""Epochs that a run is given; all but the first run at the usual pace."""


class Usage(NamedTuple):
    """What a process took: seconds from start to end, seconds of processors, peak MiB."""

    seconds: float
    processor_seconds: float
    memory: float


def measure(options):
    """Rows of all cases; a quick run leaves the demo and the drawing out."""
    rows = _run_of_the_demo(options)
    if not options.quick:
        for case, sizes in MEMORY.items():
            rows += _memory(case, *sizes, options)
        for case in LAYERS:
            rows += _memory_of_layer(case, options)
    dry, rounds = ["--dry-run"], options.choose(3, 1)
    rows += _workflow(options, PAPER, "config/config.yaml", dry, rounds)
    for case, study in ((DRAWING, "config/digits.yaml"), (DEMO, "config/demo.yaml")):
        if options.quick:
            rows.append(missing("costs", case, "snakemake", "time", "s", "not in a quick run"))
        else:
            rows += _workflow(options, case, study, [], 1)
    return rows


def aims(options):
    """What is aimed at, a list of `harness.Aim`."""
    snakemake = ("snakemake",)
    memory = [
        Aim(case, f"peak / mem_mb, {side}", (TRAINING,), (ASKED,), side, limit, "peak memory")
        for case in MEMORY
        for side, limit in (("at most", 1.3), ("at least", 0.7))
    ]
    memory += [
        Aim(
            case, f"peak of a step / {HELD}", (layers.OURS,), (HELD,), "at most", 1.3, "peak memory"
        )
        for case in LAYERS
    ]
    return [
        *memory,
        Aim(RUN, "fixed cost of training", (TRAINING,), side="at most", limit=6.0),
        Aim(RUN, "evaluation", (EVALUATION,)),
        Aim(PAPER, "dry run", snakemake, side="at most", limit=5.0),
        Aim(DRAWING, "all tables and figures", snakemake, side="at most", limit=60.0),
        Aim(DEMO, "wall time", snakemake),
        Aim(DEMO, "processor time", snakemake, metric="processor time"),
    ]


def _run_of_the_demo(options):
    """Training without its epochs, and evaluation."""
    log.info("costs: %s", RUN)
    study = read_study("config/demo.yaml")
    run = next(run for run in study.runs() if (run.model, run.level) == ("fcn", 0.1))
    settings = replace(study.settings_of(run), epochs=EPOCHS, patience=EPOCHS)
    taken = {TRAINING: [], EVALUATION: []}
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(folder, options)
        runner.make_folds(settings, ["--format", "digits"])
        for _ in range(options.choose(5, 1)):
            usage = runner.train(settings)
            # The first epoch traces the graph, which is part of the fixed cost.
            epochs = EPOCHS * runner.seconds_of_epochs()[2:].median()
            taken[TRAINING].append(usage._replace(seconds=usage.seconds - epochs))
            taken[EVALUATION].append(runner.evaluate(study.evaluation_settings()))
    notes = {TRAINING: f"of {EPOCHS} epochs; time without {EPOCHS} times the median of the later"}
    return [
        row
        for script, usages in taken.items()
        for row in usage_rows(RUN, script, usages, notes.get(script, ""))
    ]


def _memory(case, network, kind, shape, images, batch, options):
    """Peaks of training and evaluating, and what the workflow asks for."""
    log.info("costs: memory of %s", case)
    study = read_study("config/config.yaml")
    run = next(r for r in study.runs() if (r.dataset, r.model) == (network, kind) and r.level > 0)
    settings = replace(study.settings_of(run), epochs=1, batch_size=batch)
    taken = {TRAINING: [], EVALUATION: []}
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(folder, options)
        runner.make_images(shape, images)
        runner.make_folds(settings)
        for _ in range(3):
            taken[TRAINING].append(runner.train(settings))
            taken[EVALUATION].append(runner.evaluate(study.evaluation_settings()))
    asked = [float(memory_of_run(settings, shape, images, "cpu"))]
    return [
        *(
            measurement("costs", case, script, "peak memory", [u.memory for u in usages], "MiB")
            for script, usages in taken.items()
        ),
        measurement("costs", case, ASKED, "peak memory", asked, "MiB", "asked for by the rules"),
    ]


def _memory_of_layer(case, options):
    """Peaks of steps of a free and an ordinary layer, and what they cannot do without."""
    log.info("costs: memory of %s", case)
    rows = []
    for kind, name in {"fcn": layers.OURS, "cnn": layers.CONV}.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.layer_memory", case, kind, "peak.json"]
            run_process(command, folder, options.log)
            peak, held = json.loads(Path(folder, "peak.json").read_text())
        rows.append(measurement("costs", case, name, "peak memory", [peak], "MiB"))
        if kind == "fcn":
            rows.append(measurement("costs", case, HELD, "peak memory", [held], "MiB"))
    return rows


def usage_rows(case, name, usages, note=""):
    """Rows of a list of `Usage`: time, processor time and peak memory."""
    kinds = (("time", "s"), ("processor time", "s"), ("peak memory", "MiB"))
    return [
        measurement("costs", case, name, metric, list(values), unit, note)
        for (metric, unit), values in zip(kinds, zip(*usages, strict=True), strict=True)
    ]


def read_study(path):
    """The study of a configuration file of this project."""
    schema = ROOT / "workflow/schemas/config.schema.yaml"
    return config.read_study([ROOT / "config/datasets.yaml", ROOT / path], schema)


class Runner:
    """Runs scripts in a folder that holds one data set.

    Args:
        folder: where they run and write.
        options: `harness.Options`.
    """

    def __init__(self, folder, options):
        self._folder, self._options = Path(folder), options

    def make_images(self, shape, count, classes=10):
        """Write a data set of random images."""
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (count, *shape), np.uint8)
        np.save(self._folder / "data.npy", pack(pixels, (np.arange(count) % classes).astype("u1")))

    def make_folds(self, settings, prepare=()):
        """Prepare a data set, if asked to, and assign its images to folds."""
        if prepare:
            self.script("data.py", "prepare", *prepare, "--output", "data.npy")
        folds = ["--count", settings.fold_count, "--method", settings.fold_method]
        folds += ["--seed", settings.fold_seed, "--source", settings.source]
        self.script("data.py", "folds", *folds, "--data", "data.npy", "--output", "folds.parquet")

    def train(self, settings, threads=1):
        """Train a run; its `Usage`."""
        settings = json.dumps(dataclasses.asdict(settings))
        return self.script(TRAINING, "--settings", settings, *_FILES, "--threads", threads)

    def evaluate(self, settings, threads=1):
        """Evaluate the trained model; its `Usage`."""
        settings = json.dumps(dataclasses.asdict(settings))
        output = ["--output", "evaluation.parquet", "--threads", threads]
        return self.script(EVALUATION, "--settings", settings, *_FILES, *output)

    def seconds_of_epochs(self):
        """Seconds of each epoch of the last training, `pandas.Series`."""
        import pandas as pd

        return pd.read_parquet(self._folder / "history.parquet")["seconds"]

    def script(self, name, *arguments):
        """Run a script of the project; its `Usage`."""
        command = [sys.executable, ROOT / "scripts" / name, *arguments]
        return run_process(command, self._folder, self._options.log)


_FILES = ["--data", "data.npy", "--folds", "folds.parquet", "--device", "cpu"]
_FILES += ["--history", "history.parquet", "--model-file", "model.keras"]


def _workflow(options, case, study, arguments, rounds):
    """Rows of a run of the workflow in a new folder, which has the study's precomputed runs."""
    log.info("costs: %s", case)
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--configfile", ROOT / study, "--cores", options.threads, "--quiet", "all"]
    precomputed = ROOT / "results" / read_study(study).name
    usages = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            if (precomputed / "runs").exists():
                shutil.copytree(precomputed, Path(folder, "results", precomputed.name))
            usages.append(run_process([*command, *arguments], folder, options.log))
    return usage_rows(case, "snakemake", usages, f"{options.threads} cores")


# A process counts the memory of the one that starts it as its own: this one is small.
_STARTER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, used = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss]))
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def run_process(command, folder, log_file):
    """Run a command to its end; its `Usage`.

    Args:
        command: words.
        folder: where it runs.
        log_file: file that its output is appended to.

    Raises:
        RuntimeError: if it fails, with the end of its output.
    """
    path = [str(ROOT), str(ROOT / "src")]
    words = list(map(str, command))
    ended = subprocess.run(
        [sys.executable, "-S", "-c", _STARTER, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        text=True,
        capture_output=True,
        check=False,
    )
    with log_file.open("a") as file:
        file.write(ended.stderr)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words[:5])} ... failed:\n{ended.stderr[-3000:]}")
    seconds, processor_seconds, memory = json.loads(ended.stdout)
    return Usage(
        seconds, processor_seconds, memory / (2**20 if sys.platform == "darwin" else 2**10)
    )
