"""A look at one run, against a history of which every number is known."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import run_script

from freeconv.errors import InputError
from freeconv.io import write_parquet
from freeconv.plots.single_run import curves_as_text, describe_run, draw_run, read_run
from freeconv.results.schemas import HISTORY_SCHEMA, RUN_COLUMNS

NAN = np.nan
IDENTITY = ("digits", "fcn", "translation", 0.1, 0.5, 1.0, 3, 0, 7)
ACCURACY = [NAN, 0.5, 0.75, 1.0]
VAL_ACCURACY = [0.1, 0.6, 0.9, 0.8]
RUN = {
    "settings": dict(zip(RUN_COLUMNS, IDENTITY, strict=True))
    | {"network": "mnist", "learning_rate": 0.001, "epochs": 5, "backend": "jax"},
    "device": "cpu, 1 thread",
}


@pytest.fixture
def history():
    frame = pd.DataFrame([IDENTITY] * 4, columns=RUN_COLUMNS).assign(epoch=range(4))
    frame["loss"], frame["val_loss"] = [NAN, 3.0, 2.0, 1.0], 1.0
    frame["accuracy"], frame["val_accuracy"] = ACCURACY, VAL_ACCURACY
    frame["seconds"] = [NAN, 3.0, 2.0, 2.0]
    return frame.reindex(columns=HISTORY_SCHEMA.names)


@pytest.fixture
def file(history, tmp_path):
    write_parquet(history.iloc[::-1], tmp_path / "history.parquet", HISTORY_SCHEMA, RUN)
    return tmp_path / "history.parquet"


def test_a_run_is_read_in_the_order_of_its_epochs(file):
    history, run = read_run(file)
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert run == RUN


def test_only_one_run_is_shown(history, tmp_path):
    path = tmp_path / "history.parquet"
    write_parquet(pd.concat([history, history.assign(fold=4)]), path, HISTORY_SCHEMA, RUN)
    with pytest.raises(InputError, match=r"history.parquet: holds 2 runs"):
        read_run(path)
    write_parquet(history, path, HISTORY_SCHEMA)
    with pytest.raises(InputError, match="holds 1 runs and no settings"):
        read_run(path)


def test_the_description_by_hand(history):
    text = describe_run(history, RUN)
    assert text.splitlines() == [
        "dataset digits, model fcn, augmentation translation, level 0.1, vcp 0.5, "
        "training_share 1, fold 3, repeat 0",
        "network mnist",
        "learning_rate 0.001, epochs 5, seed 7",
        "backend jax",
        "device cpu, 1 thread",
        "best epoch 2 of 3, 7 s in all",
        "",
        "epoch                 best 2    last 3",
        "loss                  2.0000    1.0000",
        "accuracy              0.7500    1.0000",
        "val_loss              1.0000    1.0000",
        "val_accuracy          0.9000    0.8000",
    ]


def points(text, letter):
    """Columns and lines of a letter in the area between the axes, the lowest line being 0."""
    area = re.findall(r"^ *\d\.\d{3} \| ?(.*)$", text, re.MULTILINE)
    return [
        (column, len(area) - 1 - number)
        for number, line in enumerate(area)
        for column, sign in enumerate(line)
        if sign == letter
    ]


def test_the_terminal_s_curves_are_at_their_places(history, monkeypatch):
    """Lines are 0.5, 0.6, ..., 1; columns, epochs 1, 1.1, ..., 3. The later curve is on top."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = curves_as_text(history.assign(accuracy=[NAN, 0.5, 0.7, 1.0]), width=21, height=6)
    assert sorted(points(text, "t")) == [(0, 0), (10, 2), (20, 5)]
    assert sorted(points(text, "v")) == [(0, 1), (10, 4), (20, 3)]
    assert re.findall(r"^ *(\d\.\d{3}) \|", text, re.MULTILINE) == [
        f"{tenths / 10:.3f}" for tenths in (10, 9, 8, 7, 6, 5)
    ]
    assert re.search(r"\| 1\.0 +2\.0 +3\.0", text)


@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
def test_colours_are_left_to_the_terminal(history, variable, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "1")
    assert ("\x1b[" in curves_as_text(history)) == (variable == "FORCE_COLOR")


def test_curves_without_a_range_are_drawn(history):
    one = history[history["epoch"] <= 1].assign(accuracy=0.5, val_accuracy=0.5)
    assert "training" in curves_as_text(one)
    assert draw_run(one).axes[0].get_lines()[0].get_xydata().tolist() == [[1, 0.5]]


def test_the_picture_by_hand(history):
    (ax,) = draw_run(history).axes
    training, validation, best = ax.get_lines()
    assert training.get_xydata().tolist() == [[1, 0.5], [2, 0.75], [3, 1]]
    assert validation.get_xydata().tolist() == [[1, 0.6], [2, 0.9], [3, 0.8]]
    assert set(best.get_xdata()) == {2}
    title = ax.get_title(loc="left")
    assert title == "Digits, FCN, translation 0.1, 0.5 masked, fold 3"


def show(*words):
    return run_script("status", "show", *words, PYTHONIOENCODING="ascii")


def test_the_script(file, tmp_path):
    """Also in a terminal that knows no dots."""
    run = show(file, "--picture", tmp_path / "run.png")
    assert run.returncode == 0, run.stderr
    assert "best epoch 2 of 3" in run.stdout
    assert len(points(run.stdout, "v")) == 3
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    wrong = show(tmp_path / "none.parquet")
    assert wrong.returncode == 1
    assert "none.parquet" in wrong.stderr
    assert "Traceback" not in wrong.stderr
