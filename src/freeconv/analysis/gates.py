"""Which runs a verdict may rest on: those that learned something, and were trained long enough.

The thresholds are ours; the paper states none.
"""

from __future__ import annotations

import pandas as pd

from freeconv.analysis.summary import RUN, best_epochs

PLATEAU = 5
"""Epochs at the end of a run, over whose mean it is judged."""

FLAT = 0.01
"""By how much validation accuracy may differ between the plateau and as many epochs before it."""

MARGIN = 0.1
"""How far validation accuracy must lie above that of naming the most frequent class."""

MOST_MASKED = 0.9
"""Share of masked connections beyond which a network need not learn: its failure is a finding."""

IDENTITY = [*RUN, "fold"]
"""The columns that identify a run."""


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


def plateaus(history: pd.DataFrame) -> pd.DataFrame:
    """Returns the last `PLATEAU` trained epochs of every run.

    Args:
        history: See `schemas.HISTORY_SCHEMA`.
    """
    trained = history[history["epoch"] >= 1].sort_values("epoch", kind="stable")
    return trained.groupby(IDENTITY, sort=False).tail(PLATEAU)


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
        - `settled`: neither of these.
    """
    trained = history[history["epoch"] >= 1].sort_values("epoch", kind="stable")
    runs = trained.groupby(IDENTITY)
    end = plateaus(history).groupby(IDENTITY)["val_accuracy"].mean()
    ends = runs.tail(2 * PLATEAU).groupby(IDENTITY)["val_accuracy"]
    before = ends.apply(lambda values: values.iloc[:PLATEAU].mean())
    flat = (runs.size() >= 2 * PLATEAU) & ((end - before).abs() <= FLAT)
    since_best = runs["epoch"].max() - best_epochs(history).set_index(IDENTITY)["epoch"]
    patience = settings.drop_duplicates(IDENTITY).set_index(IDENTITY)["patience"]
    over = since_best >= patience.reindex(since_best.index)

    datasets = end.index.get_level_values("dataset")
    learned = end >= datasets.map(chance) + MARGIN
    learned |= end.index.get_level_values("vcp") > MOST_MASKED
    states = pd.Series("settled", index=end.index)
    return states.mask(~(flat | over), "too short").mask(~learned, "not trained")
