"""From the epochs of many runs to one row a run and statistic, and from counts to accuracies."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from freeconv.analysis.inference import margin, overlap
from freeconv.errors import InputError
from freeconv.results.best_epoch import finite_epochs
from freeconv.results.schemas import METRICS, RUN_FIELDS
from freeconv.study.labels import STATISTICS

# One row per run (but for fold and repeat) and statistic: `folds` behind it, and `rows` of the
# history that its medians are taken over.
SUMMARY_SCHEMA = pa.schema(
    [
        *RUN_FIELDS[:6],
        ("statistic", pa.string()),
        *((name, pa.float64()) for name in METRICS),
        ("folds", pa.int64()),
        ("rows", pa.int64()),
    ]
)

RUN = ("dataset", "model", "augmentation", "level", "vcp", "training_share")
"""The columns that identify a run but for its fold and repeat."""

IDENTITY = (*RUN, "fold", "repeat")
"""The columns that identify a run."""


def summarise(history: pd.DataFrame) -> pd.DataFrame:
    """Reduces the epochs of every run to medians.

    Three statistics of every metric by itself, nulls skipped. Epoch 0, the untrained network, is
    left out, but is the best one of a fold whose losses were never finite:

    - `pooled_median`: over all epochs of all folds pooled, which is what the paper's tables call
      "median". A fold that trains longer weighs more.
    - `best_median`: over folds, of the best epoch (`best_epochs`).
    - `last_median`: over folds, of the last epoch.

    Repeats of a fold are averaged first, but for the pooled one.

    Args:
        history: One row per epoch, with the columns `dataset`, `model`, `augmentation`, `level`,
            `vcp`, `training_share`, `fold`, `repeat`, `epoch` and those of `schemas.METRICS`.

    Returns:
        A row per (dataset, model, augmentation, level, vcp, training_share, statistic), sorted by
        these, with a column a metric; `folds`, the number of folds behind the row; and `rows`, the
        number of epochs its medians are taken over. A metric that is null throughout stays null.

    Raises:
        InputError: If the history lacks a column.
    """
    _require(history, "history", (*IDENTITY, "epoch", *METRICS))
    trained = history[history["epoch"] >= 1]
    rows = {
        "pooled_median": trained,
        "best_median": best_epochs(history),
        "last_median": _first_of_each_run(trained.sort_values("epoch", ascending=False)),
    }
    summary = pd.concat(
        [
            _medians(rows[name], pooled=name == "pooled_median").assign(statistic=name)
            for name in STATISTICS
        ]
    )
    summary = summary.sort_values(list(RUN), kind="stable", ignore_index=True)
    return summary[[*RUN, "statistic", *METRICS, "folds", "rows"]]


def best_epochs(history: pd.DataFrame, by: str = "val_accuracy") -> pd.DataFrame:
    """Returns of each run and fold the row of its best epoch, which is `best_epoch.best_epoch`.

    Args:
        history: One row per epoch.
        by: The metric that the best epoch has the highest of; another one gives another epoch.
    """
    # Of equals the earliest stays first; the untrained network comes after all of them.
    ranked = finite_epochs(history).sort_values(by, ascending=False, kind="stable")
    return _first_of_each_run(pd.concat([ranked, history[history["epoch"] == 0]]))


def accuracies(evaluation: pd.DataFrame, by: tuple[str, ...] = RUN) -> pd.DataFrame:
    """Pools the counts of an evaluation into accuracies.

    Args:
        evaluation: A row per (run, fold, perturbation, strength, label), with the number of
            validation images, `count`, and of those recognised, `correct`.
        by: The columns to keep apart besides `perturbation` and `strength`; counts are pooled over
            all others, so that every image weighs the same. `IDENTITY` keeps folds apart.

    Returns:
        A row per (`by`, perturbation, strength) with `count`, `correct` and
        `accuracy = correct / count`.

    Raises:
        InputError: If the evaluation lacks a column.
    """
    keys = [*by, "perturbation", "strength"]
    _require(evaluation, "evaluation", (*keys, "count", "correct"))
    pooled = evaluation.groupby(keys, as_index=False)[["count", "correct"]].sum()
    return pooled.assign(accuracy=pooled["correct"] / pooled["count"])


def on_all_images(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of networks that were trained on all images of their training part."""
    return frame[frame["training_share"] == 1]


def levels_of(frame: pd.DataFrame, augmentation: str) -> pd.DataFrame:
    """Returns the rows of one augmentation at all its levels, without masked connections.

    Networks trained on a share of the images are left out. The networks trained without
    augmentation are included: they are level 0 of every augmentation.

    Args:
        frame: A history, a summary or an evaluation.
        augmentation: `translation`, `rotation`, `noise` or `edge_noise`.
    """
    whole = on_all_images(frame)
    return whole[whole["augmentation"].isin([augmentation, "none"]) & (whole["vcp"] == 0)]


def variable_connections(history: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows with masked connections, and the same training without them.

    Args:
        history: One row per epoch.
    """
    training = [column for column in RUN if column != "vcp"]
    history = on_all_images(history)
    with_absent = history.loc[history["vcp"] > 0, training].drop_duplicates()
    return history.merge(with_absent, on=training)


def _first_of_each_run(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(list(IDENTITY), sort=False).head(1)


def _medians(rows: pd.DataFrame, pooled: bool) -> pd.DataFrame:
    runs, metrics = rows.groupby(list(RUN)), list(METRICS)
    values = rows if pooled else rows.groupby([*RUN, "fold"], as_index=False)[metrics].mean()
    medians = values.groupby(list(RUN))[metrics].median()
    return medians.assign(folds=runs["fold"].nunique(), rows=runs.size()).reset_index()


def _require(frame: pd.DataFrame, name: str, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(
            f"`{name}` lacks the columns {', '.join(missing)}. Received: {', '.join(frame)}"
        )


def fold_means(rows: pd.DataFrame, metric: str, by: str = "epoch") -> pd.DataFrame:
    """Averages the repeats of every fold.

    Args:
        rows: One row per run and value of `by`, with `fold`, and `fold_count`, of how many it is
            one. Rows whose metric is null are left out.
        metric: The column averaged.
        by: The column of the horizontal axis.

    Returns:
        One row per value of `by` and fold, with the columns `by`, `fold`, `fold_count` and
        `metric`.

    Raises:
        InputError: If the rows lack a column.
    """
    keys = [by, "fold", "fold_count"]
    _require(rows, "rows", (*keys, metric))
    return rows.dropna(subset=metric).groupby(keys, as_index=False)[metric].mean()


def mean_over_folds(rows: pd.DataFrame, metric: str, by: str = "epoch") -> pd.DataFrame:
    """Averages a metric over folds.

    Args:
        rows: See `fold_means`.
        metric: Likewise.
        by: Likewise.

    Returns:
        One row per value of `by` (the index, increasing) with `mean`, and `low` and `high`, the
        corrected 95 % interval of `inference.margin`, NaN with fewer than three folds.

    Raises:
        InputError: Likewise.
    """
    folds = fold_means(rows, metric, by).groupby(by)
    mean, deviation = folds[metric].mean(), folds[metric].std(ddof=1)
    half = margin(folds.size(), deviation, overlap(folds["fold_count"].max()))
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
