"""Refuses records that are not what they should be, before they are joined with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from freeconv.errors import InputError
from freeconv.results.best_epoch import best_epoch
from freeconv.results.schemas import ACCURACIES, RUN_COLUMNS
from freeconv.results.staleness import training_identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    import pandas as pd

_AGAIN = "delete it and run again"


def check_history(path: Path, history: pd.DataFrame, origin: Mapping[str, Any]) -> None:
    """Check the history of one run of a grid.

    Args:
        path: its file, for messages.
        history: `pandas.DataFrame` by `schemas.HISTORY_SCHEMA`.
        origin: what its file keeps beside the rows (`provenance.describe_origin`).

    Raises:
        InputError: if the file does not say where its rows come from, they are of another run,
            epochs are missing, an accuracy is no share, or a loss is no finite number.
    """
    _check_identity(path, history, origin)
    epochs = history["epoch"].tolist()
    if len(epochs) < 2 or epochs != list(range(len(epochs))):
        raise InputError(
            f"{path}: its epochs are {_shortened(epochs)}, expected 0, 1, 2 and so on; {_AGAIN}"
        )
    trained = history[history["epoch"] >= 1]
    diverged = trained["epoch"][~np.isfinite(trained[["loss", "val_loss"]]).all(axis=1)]
    if len(diverged):
        raise InputError(
            f"{path}: training diverged, the loss of epoch {diverged.iloc[0]} is not a finite "
            "number; lower the learning_rate of its data set in the configuration, or take the "
            "run out of the study"
        )
    for name in ACCURACIES:
        # A validation fold of one image has none at odd places.
        measured = trained[name].dropna() if name == "val_odd" else trained[name]
        if not measured.between(0, 1).all():
            raise InputError(f"{path}: {name} must lie in [0, 1]; {_AGAIN}")


def check_evaluation(
    path: Path,
    evaluation: pd.DataFrame,
    origin: Mapping[str, Any],
    history: pd.DataFrame,
    trained: Mapping[str, Any],
) -> None:
    """Check the evaluation of one run.

    Args:
        path: its file, for messages.
        evaluation: `pandas.DataFrame` by `schemas.EVALUATION_SCHEMA`.
        origin: what its file keeps beside the rows.
        history: checked history of the run.
        trained: what the file of the history keeps beside the rows.

    Raises:
        InputError: if the rows are of another run, another training or another epoch than the
            best one, or count more images correct than there are.
    """
    _check_identity(path, evaluation, origin)
    if origin.get("training") != training_identity(trained):
        raise InputError(f"{path}: evaluates another training than its history records; {_AGAIN}")
    best = best_epoch(history)
    if set(evaluation["epoch"]) != {best}:
        raise InputError(
            f"{path}: evaluates epoch {_shortened(sorted(set(evaluation['epoch'])))}, but the best "
            f"one is {best}; {_AGAIN}"
        )
    if not evaluation["correct"].between(0, evaluation["count"]).all():
        raise InputError(f"{path}: counts more images correct than there are; {_AGAIN}")


def check_mixture(origins: Mapping[Path, Mapping[str, Any]]) -> None:
    """Check that runs may be joined: each is there once, on the same images, by the same code.

    Args:
        origins: mapping, path of a history -> what it keeps beside its rows.

    Raises:
        InputError: naming two files that do not belong together.
    """
    first = {}
    for path, origin in origins.items():
        settings = origin["settings"]
        run = tuple(settings[name] for name in RUN_COLUMNS[:-1])
        facts = {
            ("run", run): path,
            ("the images of fold", settings["dataset"], settings["fold"]): origin["data"],
            **{("the code of", module): digest for module, digest in origin["code"].items()},
        }
        for fact, value in facts.items():
            other, expected = first.setdefault(fact, (path, value))
            if expected == value:
                continue
            if fact[0] == "run":
                raise InputError(f"{path}: the same run as {other}; leave one of them out")
            name = " ".join(map(str, fact))
            raise InputError(
                f"{path}: {name} changed since {other} was computed; they do not mix. "
                "Run the study again, which retrains the stale one"
            )


def _check_identity(path, rows, origin):
    settings = origin.get("settings", {})
    if not {"settings", "data", "code"} <= origin.keys() or not set(RUN_COLUMNS) <= settings.keys():
        raise InputError(f"{path}: does not say what it was computed from; {_AGAIN}")
    for name in RUN_COLUMNS:
        found = rows[name].unique().tolist()
        if found != [settings[name]]:
            raise InputError(
                f"{path}: its rows are of {name} {_shortened(found)}, but the file says "
                f"{settings[name]}; {_AGAIN}"
            )


def _shortened(values):
    shown = ", ".join(map(str, values[:5]))
    return shown + (", ..." if len(values) > 5 else "")
