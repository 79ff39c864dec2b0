"""Which epoch of a run is the best one, whose weights it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# An epoch after which one of them is not finite says nothing by its accuracies: a network of NaNs
# names the first class for every image.
LOSSES = ("loss", "val_loss")


def finite_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """The trained epochs whose losses are finite, in their order.

    Args:
        history: `pandas.DataFrame` of one run or more, by `HISTORY_SCHEMA`.
    """
    trained = history[history["epoch"] >= 1].sort_values("epoch")
    return trained[np.isfinite(trained[list(LOSSES)]).all(axis="columns")]


def best_epoch(history: pd.DataFrame) -> int:
    """The epoch whose weights a run ends with.

    Args:
        history: `pandas.DataFrame` of one run, by `HISTORY_SCHEMA`.

    Returns:
        Of the trained epochs with finite losses the one of highest validation accuracy, the
        earliest of equals; 0, the untrained network, where there is none.
    """
    finite = finite_epochs(history)
    return 0 if finite.empty else int(finite.loc[finite["val_accuracy"].idxmax(), "epoch"])
