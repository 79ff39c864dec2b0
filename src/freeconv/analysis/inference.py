"""What a few folds can tell: intervals, tests, and verdicts on several means together.

The folds of a cross-validation share most of their training images, so that their values vary less
than those of independent experiments would. The variance of a mean of `n` folds out of `k` is
therefore taken as `s^2 * (1 / n + 1 / (k - 1))`: `1 / (k - 1)` is validation images per training
image (Nadeau and Bengio, 2003, "Inference for the generalization error"). Fewer than three folds
tell nothing of their own spread, and have no interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95
"""Of two-sided intervals; a verdict for one side is wrong in half of the rest at most."""

FEWEST_FOLDS = 3
"""Folds that have an interval."""


class Finding(NamedTuple):
    """What means are found to be.

    Attributes:
        verdict: `reproduced`, `not reproduced` or `undecided`.
        part: The one that decided it: the least certain, or the one on the wrong side.
    """

    verdict: str
    part: str


def overlap(fold_count):
    """Returns the share of a variance that folds hide from one another: `1 / (fold_count - 1)`.

    Args:
        fold_count: The folds that the images are divided into, those that did not run included; an
            int or a `pandas.Series`. One fold, which hides nothing and has no interval, counts as
            two.
    """
    return 1 / (np.maximum(fold_count, 2) - 1)


def standard_error(count, deviation, hidden):
    """Returns the standard error of a mean over folds; NaN with fewer than three.

    Args:
        count: Folds that ran, an int or a `pandas.Series` of them.
        deviation: Standard deviation of their values, likewise.
        hidden: Variance that their spread does not show, such as `overlap`, as a share of theirs.
    """
    enough = np.where(np.asarray(count) < FEWEST_FOLDS, np.nan, count)
    return deviation * np.sqrt(1 / enough + hidden)


def margin(count, deviation, hidden):
    """Returns half the t-interval of a mean over folds; NaN with fewer than three.

    Args:
        count: See `standard_error`.
        deviation: Likewise.
        hidden: Likewise.
    """
    freedom = np.maximum(np.asarray(count) - 1, 1)
    return stdtrit(freedom, (1 + CONFIDENCE) / 2) * standard_error(count, deviation, hidden)


def interval(values: pd.Series, fold_count: int) -> tuple[float, float]:
    """Returns the corrected t-interval of the mean over folds; NaN with fewer than three.

    Args:
        values: One per fold that ran.
        fold_count: The folds that the images are divided into.
    """
    half = margin(len(values), values.std(ddof=1), overlap(fold_count))
    return values.mean() - half, values.mean() + half


def judge(parts: pd.DataFrame, side: str, threshold: float, fold_count: int) -> Finding:
    """Judges the claim that all of several means lie on one side of a threshold.

    - `reproduced`: each mean by itself is significantly on that side. Where the claim is false of
      one of them, that one must err, so that no correction is due (an intersection-union test).
    - `not reproduced`: some mean is significantly on the other side, at Holm's first step, the
      smallest p-value times the number of means. Where the claim is true, that has the stated
      chance however many means there are.
    - `undecided`: neither.

    Either error has a chance of at most (1 - `CONFIDENCE`) / 2.

    Args:
        parts: One row per fold, one column per mean: a level, or a level and a radius.
        side: `above` or `below`: where the claim sees them.
        threshold: Of all of them.
        fold_count: The folds that the images are divided into.
    """
    distances = (parts - threshold) * (1 if side == "above" else -1)
    p_wrong = distances.apply(_p_above_zero, fold_count=fold_count)
    p_right = (-distances).apply(_p_above_zero, fold_count=fold_count)
    level = (1 - CONFIDENCE) / 2
    if p_right.min() * len(p_right) <= level:
        verdict, evidence = "not reproduced", -p_right
    elif p_wrong.max() <= level:
        verdict, evidence = "reproduced", p_wrong
    else:
        verdict, evidence = "undecided", p_wrong
    nearest = distances.mean().sort_values(kind="stable").index  # of equals the nearest decides
    return Finding(verdict, evidence[nearest].idxmax())


def _p_above_zero(values: pd.Series, fold_count: int) -> float:
    """Returns the p-value of a mean not above zero, which is small where it is above."""
    error = standard_error(len(values), values.std(ddof=1), overlap(fold_count))
    if not error > 0:  # no interval, or no spread at all
        return float(not (values.mean() > 0 and error == 0))
    return float(stdtr(len(values) - 1, -values.mean() / error))
