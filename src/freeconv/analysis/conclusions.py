"""The paper's seven conclusions, each put to the test on a study's own numbers.

A conclusion has one or more criteria. A criterion is a statistic of one fold, with a part for each
level that it speaks of, and a threshold which the paper's text puts it above or below. It is judged
on the folds in which all runs that it needs learned something and were trained long enough
(`gates.states_of_runs`), by `inference.judge`, and is

- `reproduced` where every part is significantly on the paper's side of the threshold,
- `not reproduced` where a part is significantly on the other side, whatever their number,
- `undecided` where it is neither, and with fewer than three folds,
- `not trained` or `too short` where fewer than three folds are left because a run learned nothing,
  or was not trained long enough; and `too short` where filters, which move on long after accuracies
  have settled, would come to the other side by as many epochs again at their last pace,
- `not covered` where no fold ran all the runs needed.

What makes a fold hard for both sides of a difference cancels out.

`criteria` says where thresholds are from.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from freeconv.analysis.comparison import protocol_of
from freeconv.analysis.criteria import CRITERIA, STATEMENTS, Criterion
from freeconv.analysis.gates import PLATEAU, states_of_runs
from freeconv.analysis.inference import FEWEST_FOLDS, Finding, interval, judge
from freeconv.analysis.summary import IDENTITY, on_all_images

# One row per (data set, criterion of a conclusion): see `conclusions.conclude`.
CONCLUSIONS_SCHEMA = pa.schema(
    [
        ("conclusion", pa.int64()),
        ("statement", pa.string()),
        ("dataset", pa.string()),
        ("statistic", pa.string()),
        ("part", pa.string()),
        ("parts", pa.int64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("side", pa.string()),
        ("threshold", pa.float64()),
        ("basis", pa.string()),
        ("source", pa.string()),
        ("folds", pa.int64()),
        ("fewest_epochs", pa.int64()),
        ("most_epochs", pa.int64()),
        ("protocol", pa.string()),
        ("verdict", pa.string()),
        ("conclusion_verdict", pa.string()),
    ]
)

UNFIT = ("not trained", "too short")
"""Verdicts that runs unfit for one leave, the graver first."""


def conclude(
    history: pd.DataFrame, settings: pd.DataFrame, chance: dict[str, float]
) -> pd.DataFrame:
    """Judges the seven conclusions on every data set of a study.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.
        settings: One row per run of the history, see `schemas.SETTINGS_SCHEMA`.
        chance: Data set -> accuracy of naming the most frequent class, see `gates.chance_levels`.

    Returns:
        One row per (data set, criterion), data set by data set in the order of `CRITERIA`:

        - `part`: the level that decided the verdict, of `parts` levels; the one nearest to the
          other side, or on it. Empty where a statistic has one part;
        - `value`: the mean over folds of that part, `low` and `high` its interval;
        - `side`, `threshold`, `source`: what the paper states, and `basis`, where the threshold is
          from: the paper's words, its tables, or us;
        - `folds` behind the value, and the `fewest_epochs` and `most_epochs` that networks of the
          data set were trained for;
        - `protocol`: which side ours took where the paper and its published code disagree;
        - `verdict` of the criterion, one of `labels.CONCLUSION_VERDICTS`, and
          `conclusion_verdict` of all criteria of the conclusion together, see `together`.
    """
    history, settings = on_all_images(history), on_all_images(settings)
    states = states_of_runs(history, settings, chance)
    known = history.join(states.rename("state"), on=list(IDENTITY))
    rows = [
        {**_judge(criterion, dataset, rows, here), **_background(rows, here)}
        for dataset, rows in known.groupby("dataset", sort=False)
        for here in [settings[settings["dataset"] == dataset]]
        for criterion in CRITERIA
        if criterion.threshold(dataset) is not None
    ]
    frame = pd.DataFrame(rows)
    verdicts = frame.groupby(["dataset", "conclusion"])["verdict"]
    return frame.assign(conclusion_verdict=verdicts.transform(together))[CONCLUSIONS_SCHEMA.names]


def together(verdicts: pd.Series) -> str:
    """Returns the verdict of a conclusion from those of its criteria.

    One that is not reproduced decides, and then one whose runs are unfit. Else all must be
    reproduced, or all be not covered; anything between is undecided.
    """
    found = set(verdicts)
    for decisive in ("not reproduced", *UNFIT):
        if decisive in found:
            return decisive
    return found.pop() if len(found) == 1 else "undecided"


def _judge(
    criterion: Criterion, dataset: str, history: pd.DataFrame, settings: pd.DataFrame
) -> dict:
    threshold, basis = criterion.threshold(dataset)
    fold_count = int(settings["fold_count"].max())
    parts, unfit = _fit_parts(criterion, history)
    if parts.empty:
        parts, found = pd.DataFrame(), Finding("not covered", "")
    else:
        found = judge(parts, criterion.side, threshold, fold_count)
    if criterion.of_filters and _would_change_side(criterion, history, found.part, threshold):
        unfit = unfit or "too short"
    values = parts.get(found.part, pd.Series(dtype=float))
    low, high = interval(values, fold_count)
    return {
        "conclusion": criterion.conclusion,
        "statement": STATEMENTS[criterion.conclusion],
        "dataset": dataset,
        "statistic": criterion.statistic,
        "part": found.part,
        "parts": parts.shape[1],
        "value": values.mean(),
        "low": low,
        "high": high,
        "side": criterion.side,
        "threshold": threshold,
        "basis": basis,
        "source": criterion.source,
        "folds": len(values),
        "verdict": unfit or found.verdict,
    }


def _fit_parts(criterion, history):
    """Returns the parts of the folds that a verdict may rest on, and why none may, or `None`.

    A fold that lacks a part is left out. Where too few folds are left for a verdict, the parts are
    those of all folds that ran.
    """
    ran = criterion.measure(history).dropna()
    left = ran
    for number, state in enumerate(UNFIT, 1):
        fit = criterion.measure(history[~history["state"].isin(UNFIT[:number])])
        fit = fit.reindex(index=ran.index, columns=ran.columns).dropna()
        if len(fit) < min(FEWEST_FOLDS, len(left)):
            return ran, state
        left = fit
    return left, None


def _would_change_side(criterion, history, part, threshold):
    """Whether as many epochs again, at the pace of the last ones, would bring a value across.

    Of runs that their patience has ended there are no more epochs.
    """
    runs = history[history["state"] == "settled"]
    last = runs.groupby(list(IDENTITY))["epoch"].transform("max")
    before, now = (
        criterion.measure(rows).get(part) for rows in (runs[runs["epoch"] <= last - PLATEAU], runs)
    )
    if before is None or now is None:
        return False
    ahead = now.mean() + (now.mean() - before.mean()) * last.max() / PLATEAU
    return bool((now.mean() > threshold) != (ahead > threshold))


def _background(history: pd.DataFrame, settings: pd.DataFrame) -> dict:
    epochs = history.groupby(list(IDENTITY))["epoch"].max()
    return {
        "fewest_epochs": epochs.min(),
        "most_epochs": epochs.max(),
        "protocol": protocol_of(settings),
    }
