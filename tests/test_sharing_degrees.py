"""Degrees of weight sharing beside their accuracies, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import run_script

from freeconv.analysis.frames import SCHEMAS
from freeconv.analysis.sharing_degrees import SHARING_SCHEMA, degrees_of_sharing
from freeconv.io import read_parquet, write_parquet
from freeconv.report.render import render
from freeconv.results.schemas import NETWORKS_SCHEMA, RUN_COLUMNS, SETTINGS_SCHEMA
from freeconv.study.grid import Study

MODELS = ["cnn", "fcn", "shared", "tiles"]


@pytest.fixture
def settings(read_config):
    config = read_config(".test/config/config.yaml")
    config["models"], config["vcp"] = MODELS, {"probabilities": [0.5], "translation": 0.3}
    config["variants"] = {
        "shared": {"kind": "fcn", "sharing": "all", "glorot_fans": "per_location"},
        "tiles": {"kind": "fcn", "sharing": 2},
    }
    study = Study.from_config(config)
    return pd.DataFrame([vars(study.settings_of(cell)) for cell in study.runs()])


@pytest.fixture
def history(settings):
    """Of each run two epochs: the second is the best but where its loss is infinite."""
    cells = settings[list(RUN_COLUMNS)]
    rows = cells.merge(pd.DataFrame({"epoch": [0, 1, 2]}), how="cross")
    rows = rows.reindex(columns=SCHEMAS["history"].names).assign(fold_count=4)
    order = rows["model"].map(MODELS.index)
    rows["val_accuracy"] = 0.1 * order + 0.2 * rows["epoch"] + 0.01 * (rows["vcp"] > 0)
    rows["val_translation"] = rows["val_accuracy"] - 0.1 * rows["level"]
    rows[["loss", "val_loss"]] = 1.0
    rows.loc[(rows["model"] == "tiles") & (rows["epoch"] == 2), "val_loss"] = np.inf
    return rows


@pytest.fixture
def networks():
    """Two convolutions and a dense layer each; only convolutions count."""
    layers = {"cnn": (1, 1), "fcn": (169, 36), "shared": (1, 1), "tiles": (49, 9)}
    rows = [
        ("digits", model, 0.1, f"conv{n}", "any", 3, 2, 9, 9, 8, 100 * kernels, kernels)
        for model, counts in layers.items()
        for n, kernels in enumerate(counts, start=1)
    ]
    dense = [("digits", m, 0.1, "hidden", "dense", 0, 0, 1, 1, 9, 7777, 0) for m in layers]
    return pd.DataFrame(rows + dense, columns=NETWORKS_SCHEMA.names)


@pytest.fixture
def evaluation(history):
    """Two classes of 30 and 10 images, under two perturbations."""
    runs = history[history["epoch"] == 1]
    conditions = [("clean", 0.0, 0, 30), ("clean", 0.0, 1, 10), ("noise", 0.1, 0, 30)]
    counts = pd.DataFrame(conditions, columns=["perturbation", "strength", "label", "count"])
    rows = runs.merge(counts, how="cross").assign(correct=1)
    return rows[SCHEMAS["evaluation"].names]


def test_accuracies_beside_numbers_of_kernels(history, settings, networks, evaluation):
    records = degrees_of_sharing(history, settings, networks, evaluation)
    assert list(records.columns) == SHARING_SCHEMA.names
    assert records["kernels"].tolist() == [205, 205, 58, 58, 2, 2, 2, 2]
    assert (records["parameters"] == 100 * records["kernels"]).all()
    by_model = records.groupby("model").first()
    assert by_model["sharing"].dropna().to_dict() == {"fcn": "1", "shared": "all", "tiles": "2"}
    assert by_model["glorot_fans"]["shared"] == "per_location"
    assert by_model["glorot_fans"]["tiles"] == "kernel_shape"
    unaugmented = records[records["level"] == 0].set_index("model")["val_accuracy"]
    # The second epoch, but the first of the network whose loss became infinite.
    expected = {"cnn": 0.4, "fcn": 0.5, "shared": 0.6, "tiles": 0.5}
    assert unaugmented.to_dict() == pytest.approx(expected)
    translated = records[records["level"] == 0.3].set_index("model")["val_translation"]
    assert translated["cnn"] == pytest.approx(0.4 - 0.03)


def test_the_table(history, settings, networks, evaluation):
    records = degrees_of_sharing(history, settings, networks, evaluation)
    heads, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in render("sharing", records, "md").splitlines()
        if line.startswith("|")
    ]
    assert heads[:6] == [
        *("Data set", "Network", "Sharing", "Initial weights", "Kernels", "Parameters")
    ]
    assert heads[6:] == [
        *("No augmentation: validation", "No augmentation: translated"),
        *("Translation 0.3: validation", "Translation 0.3: translated"),
    ]
    assert rows[0] == [
        *("Digits", "FCN", "1", "kernel_shape", "205", "20,500"),
        *("0.50000", "0.50000", "0.50000", "0.47000"),
    ]
    assert [row[1] for row in rows] == ["FCN", "Tiles", "CNN", "Shared"]
    assert rows[2][2:5] == ["—", "—", "2"]
    page = render("sharing", records, "html")
    assert "20,500" in page
    assert "longtable" in render("sharing", records, "tex")
    assert render("sharing", records, "csv").count("\n") == len(records) + 1


def test_the_script(history, settings, networks, evaluation, tmp_path):
    files = {}
    for name, frame, schema in [
        ("history", history.astype({"epoch": int}), SCHEMAS["history"]),
        ("settings", settings, SETTINGS_SCHEMA),
        ("networks", networks, NETWORKS_SCHEMA),
        ("evaluation", evaluation, SCHEMAS["evaluation"]),
    ]:
        files[name] = tmp_path / f"{name}.parquet"
        write_parquet(frame, files[name], schema)
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    records = tmp_path / "sharing.parquet"
    run = run_script("analyse", "sharing", *words, "--output", records)
    assert run.returncode == 0, run.stderr
    expected = degrees_of_sharing(history, settings, networks, evaluation).reset_index(drop=True)
    found = read_parquet(records, SHARING_SCHEMA)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_images_and_the_common_share(read_config, history, settings, networks, evaluation):
    """40 images a fold, of four folds; a network not released yet is a convolution."""
    settings["release"] = settings["model"].map({"tiles": 1, "fcn": 1}).fillna(-1).astype(int)
    history["common_share"] = history["model"].map({"fcn": 0.25, "shared": 0.5})
    small = history[history["model"] == "cnn"].assign(training_share=0.1)
    few = settings[settings["model"] == "cnn"].assign(training_share=0.1)
    tested = evaluation[evaluation["model"] == "cnn"].assign(training_share=0.1)
    records = degrees_of_sharing(
        *(pd.concat(pair) for pair in ((history, small), (settings, few))),
        networks,
        pd.concat([evaluation, tested]),
    )
    assert records.groupby("training_share")["images"].unique().to_dict() == {0.1: [12], 1.0: [120]}
    shares = records.groupby("model")["common_share"].unique().map(list).to_dict()
    # The best epoch of tiles is its first one, before the release; that of the FCN is behind it.
    assert shares == {"cnn": [1.0], "fcn": [0.25], "shared": [0.5], "tiles": [1.0]}
