"""Epochs matched with the authors' records: z-scores worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from test_conclusions import run as of_run

from freeconv.analysis.authors_curves import authors_curves, match_epochs, summarise_matches
from freeconv.plots.figures import draw
from freeconv.report.render import render

# CNN, validation accuracy: mean and standard deviation after epochs 1 and 2, as recorded.
FIRST, SECOND = (0.975394, 0.003544), (0.982971, 0.002379)


@pytest.fixture
def history():
    """Three folds of a CNN whose mean is 2 standard deviations above theirs, then 1 below."""
    rows = of_run("cnn", folds=(0, 1, 2)).query("epoch <= 2").sort_values(["fold", "epoch"])
    for epoch, mean in ((1, FIRST[0] + 2 * FIRST[1]), (2, SECOND[0] - SECOND[1])):
        for fold, shift in enumerate((-0.01, 0.0, 0.01)):
            chosen = (rows["epoch"] == epoch) & (rows["fold"] == fold)
            rows.loc[chosen, "val_accuracy"] = mean + shift
    others = [
        of_run("cnn", "translation", 0.1),
        of_run("fcn", vcp=0.5),
        of_run("fcn", dataset="digits"),
    ]
    return pd.concat([rows, *others])


def test_records_of_the_authors():
    curves = authors_curves().set_index(["model", "metric", "epoch"])
    assert curves.loc[("cnn", "val_accuracy", 1), ["mean", "std"]].tolist() == list(FIRST)
    assert curves.loc[("cnn", "val_accuracy", 2), ["mean", "std"]].tolist() == list(SECOND)
    assert curves["runs"].max() == 25
    # The untrained network's filters are the same in all its epochs' records.
    assert curves.loc[("fcn", "distance_1"), "mean"].index.min() == 0


def test_z_scores_by_hand(history):
    matched = match_epochs(history)
    assert set(matched["metric"]) == {"val_accuracy"}
    assert matched["folds"].tolist() == [3, 3]
    np.testing.assert_allclose(matched["z"], [2, -1], rtol=1e-6)
    row = summarise_matches(matched).iloc[0]
    assert row[["model", "metric", "folds", "epochs"]].tolist() == ["cnn", "val_accuracy", 3, 2]
    np.testing.assert_allclose(row[["z", "first", "last"]].astype(float), [0.5, 2, -1], rtol=1e-6)


def test_share_within_two(history):
    history["val_accuracy"] += 3 * SECOND[1]
    assert summarise_matches(match_epochs(history))["within"].tolist() == [0.5]


def test_the_table(history):
    text = render("authors_curves", history, "md")
    assert "Of 1 median z-scores, 1 are within 2." in text
    row = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert row == ["CNN", "Validation accuracy", "3", "2", "+0.50", "+2.00", "-1.00", "100%"]


def test_the_figure(history):
    figure = draw("authors_curves", history, "mnist")
    (cells,) = figure.axes[1].collections
    np.testing.assert_allclose(cells.get_array(), [[2, -1]], rtol=1e-6)
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["1", "2"]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == [
        "Validation accuracy"
    ]
    assert [text.get_text() for text in figure.axes[0].texts] == ["not in this study"]
