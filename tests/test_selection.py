"""The best epoch chosen on one half of the fold and reported on the other, by hand."""

import numpy as np
import pytest
from test_conclusions import run as of_run

from freeconv.analysis.selection import unbiased_accuracies


@pytest.fixture
def history():
    """A run of two folds; the second is as good at all epochs, but for the untrained one."""
    rows = of_run("fcn", folds=(0, 1)).query("epoch <= 3").sort_values(["fold", "epoch"])
    rows[["loss", "val_loss"]] = 1.0
    rows["val_even"], rows["val_odd"] = 0.8, 0.8
    first = rows["fold"] == 0
    # The untrained network is not chosen; of two equally good epochs it is the earlier one.
    rows.loc[first, "val_even"] = [0.99, 0.9, 0.7, 0.9]
    rows.loc[first, "val_odd"] = [0.99, 0.5, 0.8, 0.6]
    rows["val_accuracy"] = rows[["val_even", "val_odd"]].mean(axis=1)
    return rows.sample(frac=1, random_state=0)


def test_by_hand(history):
    found = unbiased_accuracies(history).set_index("fold")
    # Fold 0: epoch 1 is best on even places, 0.5 on odd ones; epoch 2 the other way, 0.7.
    assert found.loc[0, "unbiased"] == pytest.approx((0.5 + 0.7) / 2)
    assert found.loc[0, "favoured"] == pytest.approx(0.75)
    assert found.loc[1, ["favoured", "unbiased"]].tolist() == [0.8, 0.8]


def test_epochs_that_diverged_are_not_chosen(history):
    history.loc[history["epoch"] == 2, "val_loss"] = np.inf
    found = unbiased_accuracies(history).set_index("fold")
    assert found.loc[0, "unbiased"] == pytest.approx((0.5 + 0.9) / 2)  # epoch 3 on odd places


def test_runs_without_halves_are_left_out(history):
    history.loc[history["fold"] == 1, ["val_even", "val_odd"]] = np.nan
    assert unbiased_accuracies(history)["fold"].tolist() == [0]
    history[["val_even", "val_odd"]] = np.nan
    assert unbiased_accuracies(history).empty
