"""What it favours a network to choose its best epoch on the images that it is then reported on."""

from __future__ import annotations

import pandas as pd

from freeconv.analysis.summary import IDENTITY, best_epochs
from freeconv.results.best_epoch import finite_epochs


def unbiased_accuracies(history: pd.DataFrame) -> pd.DataFrame:
    """Sets the accuracy of every run's best epoch beside one that its choice does not favour.

    The best epoch is chosen on one half of the validation fold, every other image, and reported on
    the other half; then the other way round.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.

    Returns:
        One row per run whose halves were measured, with its identity (`summary.IDENTITY`);
        `favoured`, the validation accuracy of its best epoch (`summary.best_epochs`); and
        `unbiased`, the mean over both ways. Of equally good epochs the earliest is taken.
    """
    run, halves = list(IDENTITY), ["val_even", "val_odd"]
    trained = finite_epochs(history.dropna(subset=halves))
    best = {by: best_epochs(trained, by).set_index(run) for by in ("val_accuracy", *halves)}
    unbiased = (best["val_even"]["val_odd"] + best["val_odd"]["val_even"]) / 2
    favoured = best["val_accuracy"]["val_accuracy"]
    return pd.DataFrame({"favoured": favoured, "unbiased": unbiased}).reset_index()
