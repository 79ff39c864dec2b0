"""The paper's seven conclusions, each put to the test on a study's own numbers.

A conclusion has one or more criteria. A criterion is a statistic of one fold and a threshold which
the paper's text puts it above or below. The statistic is computed for every fold that ran all the
runs it needs; its mean over folds has the 95 % interval of a t-distribution, and

- the criterion is `reproduced` where the whole interval is on the paper's side of the threshold,
- `not reproduced` where it is wholly on the other side,
- `undecided` where it reaches across the threshold, and with one fold alone, which has no interval,
- `not covered` where no fold ran all the runs needed.

Folds share most of their training images, so the interval is somewhat too narrow (Bengio and
Grandvalet, 2004). What makes a fold hard for both sides of a difference cancels out.

Accuracies of a fold are medians over its trained epochs, as the paper's tables take them. What is
said of all levels, or of those from a level on, is judged on the levels that the study has.

Thresholds are the paper's own figures, and 0 where it only says what is higher. Those it rounds or
gives with "about" stand for whatever rounds to them ("about 0.3 points" is below 0.35).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import stdtrit

from freeconv.analysis.comparison import protocol_of
from freeconv.analysis.criteria import CRITERIA, STATEMENTS, Criterion

# One row per (data set, criterion of a conclusion): see `conclusions.conclude`.
CONCLUSIONS_SCHEMA = pa.schema(
    [
        ("conclusion", pa.int64()),
        ("statement", pa.string()),
        ("dataset", pa.string()),
        ("statistic", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("side", pa.string()),
        ("threshold", pa.float64()),
        ("source", pa.string()),
        ("folds", pa.int64()),
        ("fewest_epochs", pa.int64()),
        ("most_epochs", pa.int64()),
        ("protocol", pa.string()),
        ("verdict", pa.string()),
        ("conclusion_verdict", pa.string()),
    ]
)

CONFIDENCE = 0.95
"""Confidence level of the intervals over folds."""


def conclude(history: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Judges the seven conclusions on every data set of a study.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.
        settings: One row per run of the history, see `schemas.SETTINGS_SCHEMA`.

    Returns:
        One row per (data set, criterion), data set by data set in the order of `CRITERIA`:

        - `value`: the mean over folds of the statistic, `low` and `high` its interval;
        - `side`, `threshold`, `source`: what the paper states;
        - `folds` behind the value, and the `fewest_epochs` and `most_epochs` that networks of the
          data set were trained for;
        - `protocol`: which side ours took where the paper and its published code disagree;
        - `verdict` of the criterion, one of `labels.CONCLUSION_VERDICTS`, and
          `conclusion_verdict` of all criteria of
          the conclusion together, see `together`.
    """
    rows = [
        {**_judge(criterion, dataset, rows), **_background(rows, settings, dataset)}
        for dataset, rows in history.groupby("dataset", sort=False)
        for criterion in CRITERIA
        if criterion.threshold(dataset) is not None
    ]
    frame = pd.DataFrame(rows)
    verdicts = frame.groupby(["dataset", "conclusion"])["verdict"]
    return frame.assign(conclusion_verdict=verdicts.transform(together))[CONCLUSIONS_SCHEMA.names]


def together(verdicts: pd.Series) -> str:
    """Returns the verdict of a conclusion from those of its criteria.

    One that is not reproduced decides. Else all must be reproduced, or all be not covered; anything
    between is undecided.
    """
    found = set(verdicts)
    if "not reproduced" in found:
        return "not reproduced"
    return found.pop() if len(found) == 1 else "undecided"


def interval(values: pd.Series) -> tuple[float, float]:
    """Returns the t-interval of the mean of values; NaN with fewer than two of them."""
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    margin = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / count**0.5
    return values.mean() - margin, values.mean() + margin


def _judge(criterion: Criterion, dataset: str, history: pd.DataFrame) -> dict:
    values = criterion.measure(history).dropna()
    low, high = interval(values)
    threshold = criterion.threshold(dataset)
    above, below = low > threshold, high < threshold
    if values.empty:
        verdict = "not covered"
    elif not above and not below:
        verdict = "undecided"
    else:
        verdict = "reproduced" if above == (criterion.side == "above") else "not reproduced"
    return {
        "conclusion": criterion.conclusion,
        "statement": STATEMENTS[criterion.conclusion],
        "dataset": dataset,
        "statistic": criterion.statistic,
        "value": values.mean(),
        "low": low,
        "high": high,
        "side": criterion.side,
        "threshold": threshold,
        "source": criterion.source,
        "folds": len(values),
        "verdict": verdict,
    }


def _background(history: pd.DataFrame, settings: pd.DataFrame, dataset: str) -> dict:
    runs = ["model", "augmentation", "level", "vcp", "fold"]
    epochs = history.groupby(runs)["epoch"].max()
    return {
        "fewest_epochs": epochs.min(),
        "most_epochs": epochs.max(),
        "protocol": protocol_of(settings[settings["dataset"] == dataset]),
    }
