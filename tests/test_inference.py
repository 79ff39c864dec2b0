"""Verdicts and intervals over folds: by hand, and their error rates by simulation."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from freeconv.analysis.inference import interval, judge

FOLDS = 5
SIMULATIONS = 1000
STATED = 0.025


def at_most(share, rate=STATED):
    """Whether a share of the simulations is within what chance allows above the rate."""
    return share <= rate + 3 * sqrt(rate * (1 - rate) / SIMULATIONS)


def simulated(rng, folds, means, correlation=1 / FOLDS):
    """Values of folds that share four fifths of what they are trained on: standard deviation 1.

    The training sets of two of five folds overlap, and their values correlate, by about 1/5 of the
    variance (Nadeau and Bengio): the part that all folds share does not show in their spread.
    """
    shared = rng.normal(size=len(means)) * sqrt(correlation)
    own = rng.normal(size=(folds, len(means))) * sqrt(1 - correlation)
    return pd.DataFrame(means + shared + own, columns=[f"level {n}" for n in range(len(means))])


def shares(folds, means, side="above"):
    """Verdict -> its share of the simulated studies."""
    rng = np.random.default_rng(22)
    verdicts = [
        judge(simulated(rng, folds, np.asarray(means, float)), side, 0.0, FOLDS).verdict
        for _ in range(SIMULATIONS)
    ]
    return {
        verdict: verdicts.count(verdict) / SIMULATIONS
        for verdict in ("reproduced", "not reproduced", "undecided")
    }


@pytest.mark.parametrize(
    ("values", "fold_count", "margin"),
    [
        # Quantiles of Student's t at 0.975 with 2 and 4 degrees of freedom, from a printed table.
        ([0.1, 0.2, 0.3], 5, 4.30265 * 0.1 * sqrt(1 / 3 + 1 / 4)),
        ([0.1, 0.2, 0.3], 10, 4.30265 * 0.1 * sqrt(1 / 3 + 1 / 9)),
        ([1, 2, 3, 4, 5], 5, 2.77645 * sqrt(2.5) * sqrt(1 / 5 + 1 / 4)),
    ],
)
def test_intervals_by_hand(values, fold_count, margin):
    low, high = interval(pd.Series(values), fold_count)
    mean = np.mean(values)
    np.testing.assert_allclose([low, high], [mean - margin, mean + margin], rtol=1e-3)


@pytest.mark.parametrize("values", [[0.5], [0.4, 0.6]])
def test_one_or_two_folds_have_no_interval_and_decide_nothing(values):
    assert np.isnan(interval(pd.Series(values), FOLDS)).all()
    assert judge(pd.DataFrame({"": values}), "above", 0.0, FOLDS).verdict == "undecided"


@pytest.mark.parametrize("folds", [3, 5])
def test_intervals_cover_what_they_say(folds):
    """95 %; without the correction for what folds share, fewer."""
    rng = np.random.default_rng(21)
    covered = naive = 0
    for _ in range(SIMULATIONS):
        values = simulated(rng, folds, np.zeros(1))["level 0"]
        low, high = interval(values, FOLDS)
        covered += low <= 0 <= high
        margin = stats.t.ppf(0.975, folds - 1) * stats.sem(values)
        naive += abs(values.mean()) <= margin
    assert abs(covered / SIMULATIONS - 0.95) <= 3 * sqrt(0.95 * 0.05 / SIMULATIONS)
    assert naive < covered - 20


@pytest.mark.parametrize("folds", [3, 5])
def test_a_true_effect_at_all_levels_is_not_refuted(folds):
    """Of one standard deviation at eleven levels; extremes over levels refuted 38 to 87 %."""
    assert shares(folds, [1.0] * 11)["not reproduced"] <= 0.01


@pytest.mark.parametrize("folds", [3, 5])
@pytest.mark.parametrize("levels", [1, 4, 11])
def test_without_an_effect_either_verdict_is_rare(folds, levels):
    found = shares(folds, [0.0] * levels, side="below")
    assert at_most(found["not reproduced"])
    assert at_most(found["reproduced"])


def test_one_level_without_the_effect_is_enough_to_err_as_rarely_as_stated():
    found = shares(5, [9.0, 9.0, 0.0])
    assert at_most(found["reproduced"])
    assert found["reproduced"] > 0.01  # no more cautious than need be


def test_a_level_on_the_wrong_side_is_found():
    found = shares(5, [5.0, 5.0, -5.0])
    assert found["not reproduced"] > 0.9
    assert found["reproduced"] == 0


def test_the_part_that_decides():
    parts = pd.DataFrame(
        {"far": [3.0, 3.1, 3.2], "near": [0.9, 1.0, 1.1], "across": [-9.0, -9.1, -8.9]}
    )
    assert judge(parts[["far", "near"]], "above", 0.0, FOLDS) == ("reproduced", "near")
    assert judge(parts, "above", 0.0, FOLDS) == ("not reproduced", "across")
    assert judge(parts[["far", "near"]], "above", 1.0, FOLDS) == ("undecided", "near")
