"""Ours beside the authors' own records, epoch by epoch: MNIST without augmentation.

Medians over epochs that differ in number are of different things; the same epoch of the same
experiment is not. The authors' records are of up to 25 runs a network (five folds, five repeats),
fewer at the epochs that not all reached.
"""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from freeconv.analysis.summary import on_all_images
from freeconv.results.schemas import METRICS
from freeconv.study.settings import UNAUGMENTED

DATASET = "mnist"
"""The data set of the authors' records."""

FEWEST_RUNS = 5
"""Runs of the authors that an epoch must have."""


def authors_curves() -> pd.DataFrame:
    """Returns the authors' records.

    Returns:
        One row per (`model`, `metric`, `epoch`) with `mean` and `std` over `runs`; metrics are
        named and epochs counted as in a history: distances after epoch 0 are those before training.
    """
    with (files("freeconv.analysis") / "authors_mnist_plain.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def match_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Sets a study beside the authors' records.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.

    Returns:
        One row per (`model`, `metric`, `epoch`) that both have, in the order of `METRICS`: `ours`,
        a mean over `folds`; the authors' `mean`, `std` and `runs`; and `z`, the difference in their
        standard deviations: how far a mean of ours lies from theirs, measured by what sets single
        runs apart. Empty for a study without MNIST or without augmentation-free networks.
    """
    history = on_all_images(history)
    plain = (history["augmentation"] == UNAUGMENTED) & (history["vcp"] == 0)
    rows = history[plain & (history["dataset"] == DATASET)]
    values = rows.melt(["model", "fold", "epoch"], list(METRICS), "metric").dropna()
    by_fold = values.groupby(["model", "metric", "epoch", "fold"])["value"].mean()
    ours = by_fold.groupby(["model", "metric", "epoch"]).agg(ours="mean", folds="size")
    theirs = authors_curves().query("runs >= @FEWEST_RUNS and std > 0")
    matched = ours.reset_index().merge(theirs, on=["model", "metric", "epoch"])
    matched["z"] = (matched["ours"] - matched["mean"]) / matched["std"]
    return matched.sort_values(
        ["model", "metric", "epoch"],
        key=lambda column: column.map(METRICS.index) if column.name == "metric" else column,
        ignore_index=True,
    )


def summarise_matches(matched: pd.DataFrame) -> pd.DataFrame:
    """Returns one row per (`model`, `metric`) of matched epochs.

    Args:
        matched: By `match_epochs`.

    Returns:
        `folds` and `epochs` behind the row; `z`: the median over epochs; `first` and `last`: that
        of the first and the last of them; `within`: the share of epochs with |z| of at most 2.
    """
    groups = matched.groupby(["model", "metric"], sort=False)
    return pd.DataFrame(
        {
            "folds": groups["folds"].max(),
            "epochs": groups["epoch"].nunique(),
            "z": groups["z"].median(),
            "first": groups["z"].first(),
            "last": groups["z"].last(),
            "within": groups["z"].agg(lambda z: (z.abs() <= 2).mean()),
        }
    ).reset_index()
