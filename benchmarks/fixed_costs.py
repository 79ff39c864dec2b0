"""What a cell of the demo takes before and after its epochs, and where that time goes."""

import json
import logging
import shlex
import tempfile
import time
from dataclasses import replace

import pandas as pd

from benchmarks import processes
from benchmarks.harness import measurement
from freeconv.command_line import format_arguments
from freeconv.study import config
from freeconv.study.settings import format_value

log = logging.getLogger(__name__)

CASE = "a cell of the demo"
TRAINING = "train.py"
EVALUATION = "evaluate.py"

EPOCHS = 4
"""Epochs that a cell is given; all but the first run at the usual pace."""


def measure(options):
    """Seconds of a cell's jobs without their epochs, seconds of each phase, and memory."""
    log.info("fixed costs: %s", CASE)
    study = read_study(processes.ROOT / "config/demo.yaml")
    cell = next(cell for cell in study.cells() if (cell.model, cell.level) == ("fcn", 0.1))
    settings = replace(study.settings_of(cell), epochs=EPOCHS, patience=EPOCHS)
    samples = {}
    with tempfile.TemporaryDirectory() as folder:
        runner = processes.Runner(folder, options.log)
        _prepare(runner)
        for _ in range(options.choose(5, 1)):
            for name, seconds in {
                TRAINING: _train(runner, settings),
                EVALUATION: _evaluate(runner, study),
                **_phases(runner, settings),
            }.items():
                samples.setdefault(name, []).append(seconds)
        memory = runner.peak_memory()
    notes = {
        TRAINING: f"process of {EPOCHS} epochs, less {EPOCHS} times the median of the later ones",
        EVALUATION: "the whole process",
    }
    rows = [
        measurement("fixed_costs", CASE, name, "time", seconds, "s", notes.get(name, ""))
        for name, seconds in samples.items()
    ]
    return rows + memory_rows("fixed_costs", CASE, memory, [TRAINING, EVALUATION])


def memory_rows(subject, case, memory, scripts):
    """Rows of the peak memory, MiB, of scripts that `Runner.peak_memory` tells of."""
    rows = []
    for script in scripts:
        peaks = [peak / 2**20 for peak in memory[script]]
        note = f"largest {max(peaks):,.0f} MiB"
        rows.append(measurement(subject, case, script, "peak memory", peaks, "MiB", note))
    return rows


def read_study(path):
    """The study of a configuration file."""
    root = processes.ROOT
    schema = root / "workflow/schemas/config.schema.yaml"
    return config.read_study([root / "config/datasets.yaml", path], schema)


def strength_arguments(study):
    """The sweep of a study's evaluation, as arguments of its script."""
    words = []
    for kind, strengths in study.evaluation.items():
        words += ["--strengths", kind, *map(format_value, strengths)]
    return words


def _prepare(runner):
    runner.script("prepare.py", "--format", "digits", "--output", "digits.npy")
    folds = ["--count", 5, "--method", "contiguous", "--seed", 0, "--source", "made up"]
    folds += ["--output", "folds.parquet"]
    runner.script("folds.py", "--data", "digits.npy", *folds)


def _train(runner, settings):
    """Seconds of a training job besides its epochs."""
    whole = runner.script(
        TRAINING,
        *shlex.split(format_arguments(settings)),
        *["--data", "digits.npy", "--folds", "folds.parquet", "--device", "cpu"],
        *["--history", "history.parquet", "--model-file", "model.keras"],
    )
    history = pd.read_parquet(runner.folder / "history.parquet")
    # The first epoch traces the graph, which is part of the fixed cost.
    return whole.seconds - EPOCHS * history["seconds"][2:].median()


def _evaluate(runner, study):
    """Seconds of the evaluation of the trained network."""
    files = ["--history", "history.parquet", "--model-file", "model.keras", "--data", "digits.npy"]
    files += ["--folds", "folds.parquet", "--output", "evaluation.parquet"]
    sweep = [*strength_arguments(study), "--seed", study.seed]
    return runner.script(EVALUATION, *files, *sweep, "--device", "cpu").seconds


def _phases(runner, settings):
    """Phase -> seconds of a training job, of one that was taken apart."""
    arguments = [time.time(), format_arguments(settings), "digits.npy", "folds.parquet"]
    return json.loads(runner.python("-m", "benchmarks.phases", *arguments).output)
