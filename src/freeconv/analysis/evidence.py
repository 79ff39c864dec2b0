"""What several studies say of the paper together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from freeconv.analysis.comparison import COMPARISON_SCHEMA, published_values
from freeconv.analysis.summary import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBER = ["table", "dataset", "model", "augmentation", "level", "metric"]
"""What tells a published number from the others."""


def best_supported(comparisons: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Puts beside every published number that of the study which can say most of it.

    That is a study trained for as many epochs as the paper's before any other, then the one with
    most folds, then with most epochs. How near its number comes does not bear on the choice.

    Args:
        comparisons: Study -> its numbers beside the published ones, see `comparison.compare`.

    Returns:
        One row for each of the 396 published numbers, by the columns of `comparison.compare` and
        `study`, which is null where none has such a run.
    """
    columns = [name for name in COMPARISON_SCHEMA.names if name not in ("published", "repeated")]
    of_studies = [frame[columns].assign(study=study) for study, frame in comparisons.items()]
    ran = pd.concat(of_studies).query("verdict != 'not run'")
    ran = ran.assign(same_pace=ran["verdict"] != "not comparable")
    ran = ran.sort_values(["same_pace", "folds", "epochs"], ascending=False, kind="stable")
    published = published_values().rename(columns={"value": "published"})
    best = published.merge(ran.drop_duplicates(NUMBER), how="left", on=NUMBER)
    best = best.fillna({"verdict": "not run", "folds": 0, "epochs": 0})
    best = best.astype({"folds": int, "epochs": int})
    return best[[*COMPARISON_SCHEMA.names, "study"]]


def effort(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Counts what studies trained.

    Args:
        histories: Study -> its epochs, see `schemas.HISTORY_SCHEMA`.

    Returns:
        One row per study: `study`, `datasets` (a list), `runs`, `folds`, `epochs` of all runs, the
        fewest and the most of one, and `hours` that these took, validation included; those of a
        run that several studies share count for the first of them. Starting, evaluation and
        drawing are not counted.
    """
    # Two trainings of the same run take other times: equal ones are of copies.
    own = pd.concat(history.assign(study=study) for study, history in histories.items())
    own = own.drop_duplicates([*IDENTITY, "epoch", "seconds"])
    seconds = own.groupby("study")["seconds"].sum()
    rows = []
    for study, history in histories.items():
        runs = history.groupby(list(IDENTITY))["epoch"].max()
        rows.append(
            {
                "study": study,
                "datasets": list(history["dataset"].unique()),
                "runs": len(runs),
                "folds": history["fold"].nunique(),
                "epochs": int(runs.sum()),
                "fewest_epochs": int(runs.min()),
                "most_epochs": int(runs.max()),
                "hours": seconds.get(study, 0.0) / 3600,
            }
        )
    return pd.DataFrame(rows)
