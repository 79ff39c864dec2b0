"""What several studies say of the paper, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from freeconv.analysis.evidence import best_supported, effort
from freeconv.report.comparison_tables import comparison_cells, legend_of, numbered_departures
from freeconv.report.overview import sentence
from freeconv.report.render import Document, TextTable, whole_range
from freeconv.study import labels

if TYPE_CHECKING:
    from collections.abc import Mapping


def evidence(
    comparisons: Mapping[str, pd.DataFrame],
    conclusions: Mapping[str, pd.DataFrame],
    histories: Mapping[str, pd.DataFrame],
) -> Document:
    """Makes the tables of verdicts on the paper's conclusions, of its numbers, and of the effort.

    Args:
        comparisons: Study -> its numbers beside the published ones, see `comparison.compare`.
        conclusions: Study -> its verdicts, see `conclusions.conclude`.
        histories: Study -> its epochs, see `schemas.HISTORY_SCHEMA`.
    """
    numbers = best_supported(comparisons)
    tables = [
        _conclusions_part(conclusions),
        _counts_part(numbers),
        _numbers_part(numbers),
        _effort_part(effort(histories)),
    ]
    return Document("Evidence", tables, numbers)


def _conclusions_part(conclusions: Mapping[str, pd.DataFrame]) -> TextTable:
    frames = [frame.assign(study=study) for study, frame in conclusions.items()]
    covered = pd.concat(frames).query("conclusion_verdict != 'not covered'")
    groups = covered.groupby(["conclusion", "dataset", "study"], sort=False)
    rows = [
        {
            "No.": str(number),
            "Conclusion": criteria["statement"].iloc[0],
            "Data set": labels.dataset_title(dataset),
            "Study": study,
            "Verdict": criteria["conclusion_verdict"].iloc[0],
            "What it rests on": sentence(criteria),
        }
        for (number, dataset, study), criteria in groups
    ]
    cells = pd.DataFrame(rows).sort_values("No.", kind="stable")
    # Said once, above what each study has to say of it.
    cells["Conclusion"] = cells["Conclusion"].mask(cells["No."].duplicated(), "")
    caption = (
        "What studies say of the conclusions of Ott et al. (2020). A verdict is that of the "
        "criteria of a conclusion together; beside it stands the first criterion that decides it."
    )
    return TextTable("conclusions", caption, cells, "rp{4cm}lllp{9cm}", long=True)


def _counts_part(numbers: pd.DataFrame) -> TextTable:
    distinct = numbers[~numbers["repeated"]]
    counts = pd.crosstab([distinct["table"], distinct["dataset"]], distinct["verdict"])
    counts = counts.reindex(columns=list(labels.COMPARISON_VERDICTS), fill_value=0)
    cells = counts.reset_index()
    cells["table"] = cells["table"].str.removeprefix("Table ")
    cells["dataset"] = cells["dataset"].map(labels.dataset_title)
    total = {"table": "all", "dataset": "", **counts.sum()}
    cells = pd.concat([cells, pd.DataFrame([total])]).astype(str)
    cells = cells.rename(columns={"table": "Table", "dataset": "Data set"})
    meanings = "; ".join(f"{name}: {text}" for name, text in labels.COMPARISON_VERDICTS.items())
    caption = (
        f"Of the {len(numbers)} numbers that the paper publishes, {len(distinct)} are distinct, as "
        f"level 0 stands in several tables; {(distinct['folds'] > 0).sum()} have a counterpart. "
        f"{meanings}. Of several studies the one decides that was trained for as many epochs as "
        "the paper's, then the one with most folds, then with most epochs; how near its number "
        "comes does not bear on that."
    )
    return TextTable("counts", caption, cells, "ll" + "r" * len(labels.COMPARISON_VERDICTS))


def _numbers_part(numbers: pd.DataFrame) -> TextTable:
    ran = numbers[(numbers["folds"] > 0) & ~numbers["repeated"]]
    notes = numbered_departures(ran)
    cells = comparison_cells(ran, notes)
    cells.insert(len(cells.columns) - 2, "Study", ran["study"])
    caption = (
        "Published numbers with a counterpart: medians over all epochs of all folds. Notes: how "
        f"ours departs from the published run.{legend_of(notes)}"
    )
    return TextTable("numbers", caption, cells, "llllrlrrrrrrlll", long=True)


def _effort_part(rows: pd.DataFrame) -> TextTable:
    cells = pd.DataFrame(
        {
            "Study": rows["study"],
            "Data sets": [
                ", ".join(map(labels.dataset_title, names)) for names in rows["datasets"]
            ],
            "Runs": rows["runs"].map(str),
            "Folds": rows["folds"].map(str),
            "Epochs": rows["epochs"].map(str),
            "Epochs of a run": [
                whole_range(row.fewest_epochs, row.most_epochs) for row in rows.itertuples()
            ],
            "Hours": rows["hours"].map("{:.2f}".format),
        }
    )
    caption = (
        f"What was trained, in {rows['hours'].sum():.1f} hours of epochs and their validation, one "
        "thread a run; starting, evaluation and drawing come on top. Hours of a run that several "
        "studies share stand at the first of them."
    )
    return TextTable("effort", caption, cells, "llrrrrr")
