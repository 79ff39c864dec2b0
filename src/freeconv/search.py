"""The hyperparameter search: what each trial came to, and which of them are best.

Source: Ott et al. (2020), section A.1 and Tables A.1 and A.2.
"""

from __future__ import annotations

import pandas as pd

from freeconv.history import SEARCH_SCHEMA, TRIAL_COLUMNS
from freeconv.selection import best_epoch, finite_epochs

PAPERS_CHOICE = {"mnist": (3, 1e-3), "cifar10": (3, 1e-4)}
"""Data set -> layers and learning rate that the paper's search ended with (Table A.2)."""


def search_records(trials: list[tuple[dict, pd.DataFrame]]) -> pd.DataFrame:
    """Reduces the history of every trial to a row.

    - `diverged`: whether the training or validation loss of a trained epoch is not finite. The
      accuracies of such an epoch say nothing (a network of NaNs names the first class for every
      image), and are left out of what follows.
    - `best_epoch`, `val_accuracy`: the epoch of highest validation accuracy, the earliest of
      equals, and that accuracy (0 to 1); null where the first epoch diverged already.
    - `best`: whether its `val_accuracy` is the highest of its data set and model, true of all
      equals. A diverged trial is never best, however good it was before: a rate at which training
      breaks down is no setting to train on with.

    Args:
        trials: Of every trial the settings (fields of `freeconv.study.CellSettings`) and the
            history of its epochs (by `freeconv.history.HISTORY_SCHEMA`).

    Returns:
        One row per trial by `freeconv.history.SEARCH_SCHEMA`, in the order given. `epochs` counts
        the trained ones, `loss` is the training loss of the last of them (nats; null where it is
        not a number), `seconds` are those of all of them.
    """
    records = pd.DataFrame([_record(settings, history) for settings, history in trials])
    records["best_epoch"] = records["best_epoch"].astype("Int64")
    eligible = records["val_accuracy"].mask(records["diverged"])
    highest = eligible.groupby([records["dataset"], records["model"]]).transform("max")
    return records.assign(best=eligible.eq(highest))[SEARCH_SCHEMA.names]


def _record(settings: dict, history: pd.DataFrame) -> dict:
    trained = history[history["epoch"] >= 1].sort_values("epoch")
    measured = finite_epochs(history)
    return {
        **{name: settings[name] for name in TRIAL_COLUMNS},
        "epochs": len(trained),
        "best_epoch": None if measured.empty else best_epoch(measured),
        "val_accuracy": measured["val_accuracy"].max(),
        "loss": trained["loss"].iloc[-1],
        "diverged": len(measured) < len(trained),
        "seconds": trained["seconds"].sum(),
    }
