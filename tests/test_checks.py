"""What aggregation refuses: the message and the status of its script, for each kind of bad file."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import run_script

from freeconv.io import read_metadata, write_parquet
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA

RUNS = ("cnn/none-0/vcp-0/data-1", "fcn/none-0/vcp-0/data-1")
OUTPUTS = ("history", "evaluation", "settings", "provenance", "summary")


@pytest.fixture
def cells(results, tmp_path):
    """Copies of two finished runs of the smoke study."""
    folders = [tmp_path / cell for cell in RUNS]
    for folder, cell in zip(folders, RUNS, strict=True):
        shutil.copytree(results / f"runs/digits/{cell}/fold-1/repeat-0", folder)
    return folders


@pytest.fixture
def aggregate(tmp_path):
    """Run the script of aggregation on runs; (status, standard error)."""

    def run(cells):
        outputs = [(f"--{name}", tmp_path / f"{name}.parquet") for name in OUTPUTS]
        words = [word for pair in outputs for word in pair]
        finished = run_script("analyse", "aggregate", "--runs", *cells, *words)
        return finished.returncode, finished.stderr

    return run


def rewrite(path, change=lambda rows: rows, describe=lambda run: run, schema=None):
    """Change rows of a file, or what it keeps beside them."""
    schema = schema or (EVALUATION_SCHEMA if path.stem == "evaluation" else HISTORY_SCHEMA)
    run = read_metadata(path)
    write_parquet(change(pd.read_parquet(path)), path, schema, describe(run))


def set_values(column, value, first=1):
    """Change a column from a row on."""

    def change(rows):
        rows.loc[first:, column] = value
        return rows

    return change


def without(schema, name):
    return schema.remove(schema.get_field_index(name))


def replace_with_folder(path):
    path.unlink()
    path.mkdir()


BAD = {
    "truncated": (
        lambda h, e: os.truncate(h, h.stat().st_size - 50),
        ["history.parquet: not a Parquet file, or not all of it", "delete it and run again"],
    ),
    "foreign": (
        lambda h, e: h.write_text("epoch,loss\n0,1\n"),
        ["history.parquet: not a Parquet file", "delete it and run again"],
    ),
    "a folder": (
        lambda h, e: replace_with_folder(h),
        ["history.parquet: a folder, expected a Parquet file"],
    ),
    "of an old schema": (
        lambda h, e: rewrite(h, schema=without(HISTORY_SCHEMA, "cosine_4")),
        ["history.parquet: its columns are", "written by another version: delete it"],
    ),
    "without rows": (
        lambda h, e: rewrite(h, lambda rows: rows[:0]),
        ["history.parquet: its rows are of dataset", "delete it and run again"],
    ),
    "with rows of another run": (
        lambda h, e: rewrite(h, set_values("level", 0.3)),
        ["history.parquet: its rows are of level 0.0, 0.3, but the file says 0.0"],
    ),
    "of unknown origin": (
        lambda h, e: rewrite(h, describe=lambda run: {}),
        ["history.parquet: does not say what it was computed from"],
    ),
    "with an epoch missing": (
        lambda h, e: rewrite(h, lambda rows: rows.drop(index=1)),
        ["history.parquet: its epochs are 0, 2, expected 0, 1, 2"],
    ),
    "of a diverged training": (
        lambda h, e: rewrite(h, set_values("loss", np.nan, first=2)),
        ["history.parquet: training diverged, the loss of epoch 2", "lower the learning_rate"],
    ),
    "with an impossible accuracy": (
        lambda h, e: rewrite(h, set_values("val_noise", 1.5)),
        ["history.parquet: val_noise must lie in [0, 1]"],
    ),
    "with an impossible accuracy on half the images": (
        lambda h, e: rewrite(h, set_values("val_odd", -0.5)),
        ["history.parquet: val_odd must lie in [0, 1]"],
    ),
    "an evaluation of another training": (
        lambda h, e: rewrite(e, describe=lambda run: run | {"training": {}}),
        ["evaluation.parquet: evaluates another training than its history records"],
    ),
    "an evaluation of another epoch": (
        lambda h, e: rewrite(e, set_values("epoch", 7, first=0)),
        ["evaluation.parquet: evaluates epoch 7, but the best one is"],
    ),
    "an evaluation of impossible counts": (
        lambda h, e: rewrite(e, set_values("correct", 10_000)),
        ["evaluation.parquet: counts more images correct than there are"],
    ),
    "of other images": (
        lambda h, e: _both(h, e, "data", "0" * 64),
        ["history.parquet: the images of fold digits 1 changed since", "they do not mix"],
    ),
    "of other code": (
        lambda h, e: _both(h, e, "code", read_metadata(h)["code"] | {"networks": "0" * 16}),
        ["history.parquet: the code of networks changed since", "they do not mix"],
    ),
}


def _both(history, evaluation, key, value):
    """Change what a history says, and its evaluation with it."""
    rewrite(history, describe=lambda run: run | {key: value})
    rewrite(evaluation, describe=lambda run: run | {"training": run["training"] | {key: value}})


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_by_name(kind, cells, aggregate, tmp_path):
    spoil, words = BAD[kind]
    spoil(cells[1] / "history.parquet", cells[1] / "evaluation.parquet")
    status, message = aggregate(cells)
    assert status == 1
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert str(cells[1]) in message
    for word in words:
        assert word in message
    assert not list(tmp_path.glob("*.parquet"))


def test_a_run_counts_once(cells, aggregate, tmp_path):
    shutil.copytree(cells[0], tmp_path / "again")
    status, message = aggregate([*cells, tmp_path / "again"])
    assert status == 1
    assert f"again/history.parquet: the same run as {cells[0]}" in message


def test_good_runs_are_joined(cells, aggregate, tmp_path):
    status, message = aggregate(cells)
    assert status == 0, message
    assert len(pd.read_parquet(tmp_path / "settings.parquet")) == 2


def test_accepted_runs_are_valid_and_say_why(cells, study):
    """Of code that is another in form alone."""
    from freeconv.results.staleness import state_of_training

    history, evaluation = (cells[1] / f"{name}.parquet" for name in ("history", "evaluation"))
    before = pd.read_parquet(history)
    _both(history, evaluation, "code", read_metadata(history)["code"] | {"free_layer": "0" * 16})
    (cell,) = (c for c in study.runs() if (c.model, c.level) == ("fcn", 0))
    settings = study.settings_of(cell)
    assert state_of_training(history, settings).reasons == ("the code of free_layer changed",)
    accepted = run_script("status", "accept", "--why", "Renamed a variable.", history, evaluation)
    assert accepted.returncode == 0, accepted.stderr
    assert state_of_training(history, settings).word == "valid"
    (note,) = read_metadata(history)["accepted"]
    assert note["why"] == "Renamed a variable."
    assert note["code"]["free_layer"] == "0" * 16
    assert read_metadata(evaluation)["training"]["code"] == read_metadata(history)["code"]
    pd.testing.assert_frame_equal(pd.read_parquet(history), before)
