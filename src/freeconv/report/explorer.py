"""A page on which the curves of a study are chosen, drawn and compared by clicking.

The page holds the records, the library that draws (Vega-Lite) and its own script; it needs no
network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import vl_convert

from freeconv.analysis import summary
from freeconv.analysis.inference import margin, overlap
from freeconv.report.render import render_template
from freeconv.results.schemas import ACCURACIES
from freeconv.study import labels
from freeconv.study.settings import UNAUGMENTED

RUN = list(summary.IDENTITY)
"""The columns that name a run."""

MOST_ROWS = 40_000
"""Epochs of all runs together that a page holds; of more, every run keeps the same share."""

FEWEST_EPOCHS = 12
"""That a run keeps, however many runs there are."""

DIGITS = 4
"""Significant digits of the numbers."""


def render_explorer(study: str, history: pd.DataFrame, network_titles: Mapping[str, str]) -> str:
    """Renders the page of a study.

    Args:
        study: Its name.
        history: One row per epoch and run, see `frames.SCHEMAS`.
        network_titles: Model -> title.
    """
    return render_template(
        "explorer.html.jinja",
        title=f"Explorer of the study {study}",
        # `vegaEmbed` is the one name that the page's script uses.
        library=_inline(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        records=_inline(json.dumps(_records(study, history, network_titles), allow_nan=False)),
    )


def _inline(text: str) -> str:
    """A text as it may stand in an element `script`, which the text itself must not end."""
    return re.sub("</(script)", r"<\\/\1", text, flags=re.IGNORECASE)


def _records(study: str, history: pd.DataFrame, network_titles: Mapping[str, str]) -> dict:
    """What the page knows: titles, runs, and the thinned columns of their epochs."""
    measured = [
        name for name in labels.MEASURE_TITLES if name in history and history[name].notna().any()
    ]
    best = summary.best_epochs(history).set_index(RUN)
    runs = history[[*RUN, "seed"]].drop_duplicates(ignore_index=True)
    kept = _thinned(history, best)
    number = pd.MultiIndex.from_frame(runs[RUN])
    return {
        "study": study,
        "datasets": _titled(history["dataset"], labels.dataset_title),
        "models": {
            model: network_titles.get(model) or labels.model_title(model)
            for model in labels.ordered(history["model"], labels.MODEL_TITLES)
        },
        "augmentations": {
            kind: labels.augmentation_title(kind)
            for kind in labels.ordered(history["augmentation"], labels.AUGMENTATION_TITLES)
            if kind != UNAUGMENTED
        },
        "measures": {name: labels.MEASURE_TITLES[name] for name in measured},
        "accuracies": ACCURACIES,
        "runs": runs.assign(
            best=best.loc[number, "epoch"].to_numpy(),
            epochs=history.groupby(RUN)["epoch"].max().loc[number].to_numpy(),
        ).to_dict("list"),
        "epochs": {
            "run": number.get_indexer(pd.MultiIndex.from_frame(kept[RUN])).tolist(),
            "epoch": kept["epoch"].tolist(),
            **{name: _rounded(kept[name]) for name in measured},
        },
        # Half a 95 % interval by the standard deviation over so many folds; null for too few.
        "margins": _rounded(_margins(history["fold"].nunique(), history["fold_count"].max())),
    }


def _titled(names: pd.Series, title) -> dict[str, str]:
    return {name: title(name) for name in names.unique()}


def _margins(folds: int, fold_count: int) -> pd.Series:
    return pd.Series(margin(pd.Series(range(folds + 1)), 1.0, overlap(fold_count)))


def _thinned(history: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """The epochs shown: at even distances, and of every run the first, the best and the last."""
    runs = history.groupby(RUN)["epoch"]
    share = max(FEWEST_EPOCHS, MOST_ROWS // runs.ngroups)
    step = max(1, int(np.ceil((history["epoch"].max() + 1) / share)))
    is_best = history["epoch"].to_numpy() == (
        best["epoch"].reindex(pd.MultiIndex.from_frame(history[RUN])).to_numpy()
    )
    ends = history["epoch"].isin([0, 1]) | (history["epoch"] == runs.transform("max"))
    return history[ends | is_best | (history["epoch"] % step == 0)]


def _rounded(column: pd.Series) -> list[float | None]:
    """Numbers of few digits; null where there is none."""
    return [
        float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
        for value in column.astype(float)
    ]
