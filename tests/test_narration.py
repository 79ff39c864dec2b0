"""What is said of a study while it runs, by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from freeconv.io import write_parquet
from freeconv.results.narration import Narration, of_interest
from freeconv.results.schemas import HISTORY_SCHEMA
from freeconv.study.labels import run_title
from freeconv.study.settings import Run

RUNS = [
    Run("digits", model, "translation", 0.3, 0.0, 1.0, fold, 0)
    for model in ("cnn", "fcn")
    for fold in (0, 1)
]


@pytest.fixture
def finish(tmp_path):
    """Let a run of a narration end after so many seconds, with these validation accuracies."""

    def finish_(narration, run, seconds, accuracies, now):
        epochs = len(accuracies)
        history = pd.DataFrame({name: [np.nan] * epochs for name in HISTORY_SCHEMA.names})
        history = history.assign(**vars(run), seed=0, epoch=range(epochs), loss=1.0, val_loss=1.0)
        history = history.assign(val_accuracy=accuracies, seconds=seconds / epochs)
        path = tmp_path / "history.parquet"
        write_parquet(history, path, HISTORY_SCHEMA)
        return narration.finish(run, path, tmp_path / "none.tsv", now)

    return finish_


def test_a_line_a_training_and_the_time_left(finish):
    """Of the FCNs nothing is known at first: they count as the CNN that has ended."""
    narration = Narration({run: run_title(**vars(run)) for run in RUNS}, 12, at_a_time=2)
    assert narration.plan() == "4 networks to train, 12 other jobs"
    narration.start(RUNS[0], 1000)
    narration.start(RUNS[1], 1000)
    # Of the other CNN 60 - 20 s are left; two FCNs of 60 s in two places add 60 s.
    assert finish(narration, RUNS[0], 60, [0.1, 0.7, 0.9, 0.9], 1020) == (
        "1 of 4  Digits, CNN, translation 0.3, fold 0: accuracy 0.9000 at epoch 2, 1 min; "
        "about 2 min left"
    )
    assert finish(narration, RUNS[1], 60, [0.1, 0.5], 1060).startswith("2 of 4  Digits, CNN")
    narration.start(RUNS[2], 1060)
    narration.start(RUNS[3], 1060)
    line = finish(narration, RUNS[2], 300, [0.1, 0.4], 1360)
    assert line.endswith("accuracy 0.4000 at epoch 1, 5 min; about 0 s left")
    line = finish(narration, RUNS[3], 300, [0.1, 0.4], 1360)
    assert line.endswith("5 min; all networks are trained")


def test_nothing_to_train():
    assert Narration({}, 1, 2).plan() == "nothing to train; 1 other job"


@pytest.mark.parametrize(
    ("title", "run"),
    [
        ("Digits, FCN, fold 1", Run("digits", "fcn", "none", 0.0, 0.0, 1.0, 1, 0)),
        (
            "MNIST, Tiles 2, edge noise 0.3, 0.5 masked, fold 0, repeat 2",
            Run("mnist", "tiles_2", "edge_noise", 0.3, 0.5, 1.0, 0, 2),
        ),
    ],
)
def test_titles_of_runs(title, run):
    assert run_title(**vars(run)) == title


def test_routine_is_left_out():
    assert not of_interest("Building DAG of jobs...")
    assert not of_interest("  Provided cores: 2")
    assert of_interest("Nothing to be done (all requested files are present and up to date).")
    assert of_interest("device: cpu (as the study says), 2 trainings at a time, 1 thread each")


def test_the_terminal_of_the_smoke_study(smoke):
    """A line a training, and nothing of any other job; the log has all of them."""
    lines = (smoke / "terminal.txt").read_text().splitlines()
    told = [line for line in lines if " of 5  Digits, " in line]
    assert [line.split()[0] for line in told] == list("12345")
    assert any(re.fullmatch(r"5 networks to train, \d\d other jobs", line) for line in lines)
    assert not any("rule" in line or "wildcards" in line or "jobid" in line for line in lines)
    assert len(lines) < 30
    log, *_ = sorted((smoke / ".snakemake/log").glob("*.log"))  # of other tests, later ones
    assert log.read_text().count("rule train_run:") == 5
    (opened,) = (line for line in lines if line.startswith("Open file://"))
    assert opened.endswith("/results/smoke/overview.html first.")
    assert any(line.startswith("Study smoke, finished in ") for line in lines)
