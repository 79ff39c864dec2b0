"""The hyperparameter search: what each trial came to, and which of them are best.

Source: Ott et al. (2020), section A.1 and Tables A.1 and A.2.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
import pyarrow as pa

from freeconv.results.best_epoch import best_epoch, finite_epochs
from freeconv.results.schemas import ARROW_TYPES, TRIAL_COLUMNS
from freeconv.study.settings import Trial

# One row per trial of the hyperparameter search: see `search.search_records`.
SEARCH_SCHEMA = pa.schema(
    [
        *((item.name, ARROW_TYPES[item.type]) for item in dataclasses.fields(Trial)),
        ("seed", pa.int64()),
        ("epochs", pa.int64()),
        ("best_epoch", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("loss", pa.float64()),
        ("diverged", pa.bool_()),
        ("best", pa.bool_()),
        ("seconds", pa.float64()),
    ]
)

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
        trials: Of every trial the settings (fields of `settings.RunSettings`) and the
            history of its epochs (by `schemas.HISTORY_SCHEMA`).

    Returns:
        One row per trial by `search.SEARCH_SCHEMA`, in the order given. `epochs` counts
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
