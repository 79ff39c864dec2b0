"""Tables of what follows from a study: the comparison with the paper, its conclusions, sharing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from freeconv.analysis.authors_curves import match_epochs, summarise_matches
from freeconv.report.render import (
    Document,
    TextTable,
    interval,
    number,
    signed,
    statistic_and_part,
    whole_range,
)
from freeconv.study import labels
from freeconv.study.outputs import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def comparison(frame: pd.DataFrame, entry: Table) -> Document:
    """Makes the table of our numbers beside the published ones.

    Args:
        frame: See `comparison.compare`; may be empty.
        entry: The table.
    """
    return Document("Comparison", [_comparison_part(frame)], frame)


def authors_curves(frame: pd.DataFrame, entry: Table) -> Document:
    """Makes the table of z-scores against the authors' records, a row per network and metric.

    Args:
        frame: The history of a study.
        entry: The table.
    """
    summary = summarise_matches(match_epochs(frame))
    cells = pd.DataFrame(
        {
            "Network": summary["model"].map(labels.MODEL_TITLES),
            "Metric": summary["metric"].map(labels.MEASURE_TITLES),
            "Folds": summary["folds"].map(str),
            "Epochs": summary["epochs"].map(str),
            "Median z": summary["z"].map("{:+.2f}".format),
            "First epoch": summary["first"].map("{:+.2f}".format),
            "Last epoch": summary["last"].map("{:+.2f}".format),
            "Within 2": summary["within"].map("{:.0%}".format),
        }
    )
    within = int((summary["z"].abs() <= 2).sum())
    caption = (
        "MNIST without augmentation, epoch by epoch: our mean over folds minus the mean of the "
        "authors' own records (up to 25 runs), in standard deviations of their runs (z). Of "
        f"{len(summary)} median z-scores, {within} are within 2. Within 2: share of epochs."
    )
    return Document(entry.title, [TextTable("authors", caption, cells, "llrrrrrr")], summary)


def conclusions(frame: pd.DataFrame, entry: Table) -> Document:
    """Makes the tables of verdicts on the paper's conclusions: an overview, then every criterion.

    Args:
        frame: See `conclusions.conclude`.
        entry: The table.
    """
    return Document("Conclusions", [_overview_part(frame), _criteria_part(frame)], frame)


def _comparison_part(comparison: pd.DataFrame) -> TextTable:
    notes = numbered_departures(comparison)
    caption = _comparison_caption(comparison, notes)
    cells = comparison_cells(comparison, notes)
    return TextTable("comparison", caption, cells, "llllrlrrrrrrll", long=True)


def numbered_departures(comparison: pd.DataFrame) -> dict[str, str]:
    """Returns the departures from the published runs that occur, each with the number of a note."""
    departures = filter(None, comparison["departures"].dropna().unique())
    return {text: str(number) for number, text in enumerate(departures, start=1)}


def legend_of(notes: Mapping[str, str]) -> str:
    """Writes what the numbers of notes stand for, see `numbered_departures`."""
    return "".join(f" {number}: {text}." for text, number in notes.items()) or " None."


def comparison_cells(comparison: pd.DataFrame, notes: Mapping[str, str]) -> pd.DataFrame:
    """Writes published numbers and ours as texts.

    Args:
        comparison: See `comparison.compare`.
        notes: Departures -> what stands for them in the last column.
    """
    return pd.DataFrame(
        {
            "Table": comparison["table"].str.removeprefix("Table "),
            "Data set": comparison["dataset"].map(labels.dataset_title),
            "Network": comparison["model"].map(labels.MODEL_TITLES),
            "Trained with": comparison["augmentation"].map(labels.AUGMENTATION_TITLES),
            "Level": comparison["level"].map("{:.2f}".format),
            "Accuracy": comparison["metric"].map(_short_metric),
            "Published": comparison["published"].map(number),
            "Ours": comparison["ours"].map(number),
            "Difference": comparison["difference"].map(signed),
            "Tolerance": comparison["tolerance"].map(number),
            "Folds": comparison["folds"].map(str),
            "Epochs": comparison["epochs"].map(str),
            "Verdict": comparison["verdict"],
            "Notes": comparison["departures"].map(lambda text: notes.get(text, "")),
        }
    )


def _comparison_caption(comparison: pd.DataFrame, notes: dict[str, str]) -> str:
    if comparison.empty:
        return "Comparison with Ott et al. (2020): they have no number of this study's data sets."
    distinct = comparison[~comparison["repeated"]]
    counts = distinct["verdict"].value_counts()
    verdicts = "; ".join(
        f"{verdict} ({meaning}): {counts.get(verdict, 0)}"
        for verdict, meaning in labels.COMPARISON_VERDICTS.items()
    )
    protocols = " or ".join(
        f"({text})" for text in sorted(comparison["protocol"].dropna().unique())
    )
    return (
        f"Published and our medians over all epochs of all folds, {len(comparison)} numbers of Ott "
        f"et al. (2020), {len(distinct)} of them distinct, as level 0 stands in every table. Of "
        f"these, {verdicts}. Tolerance: half the 95 % interval of the difference, from the spread "
        "over our folds. Epochs: those of all folds together. "
        + (f"Ours ran under the protocol {protocols}. " if protocols else "")
        + "Notes: how ours departs from the published run, which the tolerance does not allow for."
        + legend_of(notes)
    )


def _overview_part(conclusions: pd.DataFrame) -> TextTable:
    verdicts = conclusions.drop_duplicates(["conclusion", "dataset"]).pivot(
        index=["conclusion", "statement"], columns="dataset", values="conclusion_verdict"
    )
    verdicts = verdicts[conclusions["dataset"].unique()]
    verdicts.columns = [labels.dataset_title(dataset) for dataset in verdicts]
    cells = verdicts.reset_index().rename(columns={"conclusion": "No.", "statement": "Conclusion"})
    meanings = "; ".join(
        f"{name}: {meaning}" for name, meaning in labels.CONCLUSION_VERDICTS.items()
    )
    caption = (
        "The conclusions of Ott et al. (2020) on this study's data. Of a criterion, "
        f"{meanings}. A conclusion is reproduced if all of its criteria are, and not reproduced if "
        "one is not; then networks that are not trained, or too short, decide; if only some are "
        "covered or decided it is undecided."
    )
    widths = "rp{10cm}" + "l" * verdicts.shape[1]
    return TextTable("conclusions", caption, cells.astype(str), widths, long=True)


def _criteria_part(conclusions: pd.DataFrame) -> TextTable:
    cells = pd.DataFrame(
        {
            "No.": conclusions["conclusion"].map(str),
            "Data set": conclusions["dataset"].map(labels.dataset_title),
            "Statistic": [
                statistic_and_part(row.statistic, row.part, row.parts)
                for row in conclusions.itertuples()
            ],
            "Value": conclusions["value"].map(signed),
            "95 % interval": list(map(interval, conclusions["low"], conclusions["high"])),
            "Paper": [f"{row.side} {row.threshold:g}" for row in conclusions.itertuples()],
            "Verdict": conclusions["verdict"],
            "Folds": conclusions["folds"].map(str),
            "Epochs": [
                whole_range(row.fewest_epochs, row.most_epochs) for row in conclusions.itertuples()
            ],
            "Source": conclusions["source"] + ". Threshold: " + conclusions["basis"],
        }
    )
    protocols = " or ".join(f"({text})" for text in sorted(conclusions["protocol"].unique()))
    caption = (
        "Criteria of the conclusions. Value: mean over folds of the level that decides the "
        "verdict, with the interval of a t-distribution, corrected for the training images that "
        "folds share. Accuracies of a fold are means over its last five epochs. Epochs: fewest to "
        f"most of the data set's networks. Levels: those of the study. Protocol: {protocols}."
    )
    return TextTable("criteria", caption, cells, "rlp{5cm}rllp{1.8cm}rrp{7cm}", long=True)


def _short_metric(metric: str) -> str:
    return labels.METRIC_TITLES[metric].removesuffix(" accuracy")
