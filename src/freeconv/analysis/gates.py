"""Which runs a verdict may rest on: those that learned something, and were trained long enough.

The thresholds are ours; the paper states none.
"""

from __future__ import annotations

import pandas as pd

from freeconv.analysis.summary import IDENTITY, best_epochs

PLATEAU = 5
"""Epochs at the end of a run, over whose mean it is judged."""

FLAT = 0.01
"""By how much validation accuracy may differ between the plateau and as many epochs before it."""

MARGIN = 0.1
"""How far validation accuracy must lie above that of naming the most frequent class."""

MOST_MASKED = 0.9
"""Share of masked connections beyond which a network need not learn: its failure is a finding."""


def chance_levels(evaluation: pd.DataFrame) -> dict[str, float]:
    """Returns for every data set the accuracy of naming its most frequent class, always.

    Args:
        evaluation: See `schemas.EVALUATION_SCHEMA`.
    """
    clean = evaluation[evaluation["perturbation"] == "clean"].drop_duplicates(
        ["dataset", "fold", "label"]
    )
    counts = clean.groupby(["dataset", "label"])["count"].sum()
    shares = counts / counts.groupby("dataset").transform("sum")
    return shares.groupby("dataset").max().to_dict()


def plateaus(history: pd.DataFrame, epochs: int = PLATEAU) -> pd.DataFrame:
    """Returns the last trained epochs of every run.

    Args:
        history: See `schemas.HISTORY_SCHEMA`.
        epochs: How many.
    """
    trained = history[history["epoch"] >= 1].sort_values("epoch", kind="stable")
    return trained.groupby(list(IDENTITY), sort=False).tail(epochs)


def untrained(history: pd.DataFrame) -> pd.Series:
    """Says of every row of a history whether its run learned nothing.

    As `states_of_runs`, but without the images that were named: chance is taken to be what the
    networks of that data set get right before any training, on average.

    Args:
        history: See `schemas.HISTORY_SCHEMA`.

    Returns:
        Boolean, by the index of the history.
    """
    run = list(IDENTITY)
    start = history[history["epoch"] == 0].groupby("dataset")["val_accuracy"].mean()
    end = plateaus(history).groupby(run)["val_accuracy"].mean().dropna()
    end = end[end.index.get_level_values("dataset").isin(start.index)]
    failed = end.index[~_have_learned(end, start.to_dict())]
    return pd.Series(pd.MultiIndex.from_frame(history[run]).isin(failed), index=history.index)


def _have_learned(ends: pd.Series, chance: dict[str, float]) -> pd.Series:
    """Says of accuracies on plateaus, by `IDENTITY`, whether they are above chance, or need not."""
    by_chance = ends.index.get_level_values("dataset").map(chance).astype(float)
    learned = ends >= by_chance + MARGIN
    return learned | (ends.index.get_level_values("vcp") > MOST_MASKED)


def states_of_runs(
    history: pd.DataFrame, settings: pd.DataFrame, chance: dict[str, float]
) -> pd.Series:
    """Says of every run whether a verdict may rest on it.

    Args:
        history: See `schemas.HISTORY_SCHEMA`.
        settings: One row per run of the history, see `schemas.SETTINGS_SCHEMA`.
        chance: Data set -> accuracy of naming the most frequent class.

    Returns:
        One row per run, by `IDENTITY`:

        - `not trained`: validation accuracy on the plateau is not `MARGIN` above chance, with up to
          `MOST_MASKED` masked connections;
        - `too short`: neither was the patience reached, nor is the plateau `FLAT`, for which twice
          as many epochs are needed;
        - `ended`: neither of these, since the patience was reached;
        - `settled`: neither of these, since the plateau is flat.
    """
    run = list(IDENTITY)
    ends = plateaus(history, 2 * PLATEAU).groupby(run)
    end = ends["val_accuracy"].apply(lambda values: values.iloc[-PLATEAU:].mean())
    before = ends["val_accuracy"].apply(lambda values: values.iloc[:PLATEAU].mean())
    flat = (ends.size() == 2 * PLATEAU) & ((end - before).abs() <= FLAT)
    since_best = ends["epoch"].max() - best_epochs(history).set_index(run)["epoch"]
    over = since_best >= settings.set_index(run)["patience"].reindex(since_best.index)

    states = pd.Series("settled", index=end.index).mask(~flat, "too short").mask(over, "ended")
    return states.mask(~_have_learned(end, chance), "not trained")
