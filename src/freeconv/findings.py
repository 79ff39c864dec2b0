"""What follows from the records of a study as files: CSV, Markdown, LaTeX and HTML.

The comparison with the paper, its conclusions, and the degrees of weight sharing.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from freeconv import catalogue
from freeconv.comparison import VERDICTS as COMPARISON_VERDICTS
from freeconv.conclusions import VERDICTS as CONCLUSION_VERDICTS
from freeconv.errors import InputError
from freeconv.pages import TextTable, render_tables
from freeconv.tables import FORMATS, LATEX_ESCAPES

DASH = "-"
"""Shown where there is no number."""


@dataclass(frozen=True)
class _Part:
    """A table of texts with its caption; `widths` are LaTeX column types."""

    name: str
    caption: str
    cells: pd.DataFrame
    widths: str


def render_comparison(comparison: pd.DataFrame, file_format: str) -> str:
    """Renders the comparison with the published numbers as the text of a file.

    Args:
        comparison: See `freeconv.comparison.compare`; may be empty.
        file_format: `csv` (the frame as it is), `md`, `html` (a page), or `tex` (needs the LaTeX
            packages booktabs, longtable and pdflscape).

    Raises:
        InputError: If there is no such format.
    """
    return _render(comparison, [_comparison_part(comparison)], file_format)


def render_conclusions(conclusions: pd.DataFrame, file_format: str) -> str:
    """Renders the verdicts on the paper's conclusions: an overview, then every criterion.

    Args:
        conclusions: See `freeconv.conclusions.conclude`.
        file_format: `csv` (the frame as it is), `md`, `html` (a page), or `tex` (needs the LaTeX
            packages booktabs, longtable and pdflscape).

    Raises:
        InputError: If there is no such format.
    """
    parts = [_overview_part(conclusions), _criteria_part(conclusions)]
    return _render(conclusions, parts, file_format)


def render_sharing(records: pd.DataFrame, file_format: str) -> str:
    """Renders accuracies by the degree of weight sharing, the mean over folds of each level.

    Args:
        records: See `freeconv.sharing.degrees_of_sharing`.
        file_format: `csv` (the frame as it is), `md`, `html` (a page), or `tex` (needs the LaTeX
            packages booktabs, longtable and pdflscape).

    Raises:
        InputError: If there is no such format.
    """
    return _render(records, [_sharing_part(records)], file_format)


def _sharing_part(records: pd.DataFrame) -> _Part:
    network = ["dataset", "model", "sharing", "glorot_fans", "kernels", "parameters"]
    condition = ["augmentation", "level"]
    filled = records.fillna({"sharing": DASH, "glorot_fans": DASH})
    metrics = {"val_accuracy": "validation", "val_translation": "translated"}
    means = filled.groupby([*network, *condition], sort=False)[list(metrics)].mean()
    wide = means.unstack(condition).reorder_levels([1, 2, 0], axis="columns")
    cells = wide.index.to_frame(index=False)
    cells["dataset"] = cells["dataset"].map(catalogue.dataset_title)
    cells["model"] = cells["model"].map(catalogue.model_title)
    for count in ("kernels", "parameters"):
        cells[count] = cells[count].map("{:,}".format)
    cells.columns = ["Data set", "Network", "Sharing", "Initial weights", "Kernels", "Parameters"]
    conditions = {(augmentation, level) for augmentation, level, _ in wide}
    for augmentation, level in sorted(conditions, key=_unaugmented_first):
        trained = f"{augmentation.replace('_', ' ')} {level:g}" if level else "no augmentation"
        for metric, word in metrics.items():
            values = wide[augmentation, level, metric]
            cells[f"{trained.capitalize()}: {word}"] = values.map(_number).to_numpy()
    folds = records["fold"].nunique()
    caption = (
        "Accuracy by the degree of weight sharing: side of the tile of positions that have one "
        "kernel, all for one kernel a layer; networks with ordinary convolutions have none to "
        f"choose. Means over {folds} folds of the epoch with the highest validation accuracy, on "
        "clean and on translated validation images. Kernels and parameters: of all convolutions."
    )
    return _Part(catalogue.SHARING, caption, cells, "llllrr" + "r" * (len(cells.columns) - 6))


def _unaugmented_first(condition: tuple[str, float]) -> tuple:
    augmentation, level = condition
    return level > 0, augmentation, level


def _comparison_part(comparison: pd.DataFrame) -> _Part:
    departures = filter(None, comparison["departures"].dropna().unique())
    notes = {text: str(number) for number, text in enumerate(departures, start=1)}
    cells = pd.DataFrame(
        {
            "Table": comparison["table"].str.removeprefix("Table "),
            "Data set": comparison["dataset"].map(catalogue.dataset_title),
            "Network": comparison["model"].map(catalogue.MODELS),
            "Trained with": comparison["augmentation"].map(catalogue.AUGMENTATIONS),
            "Level": comparison["level"].map("{:.2f}".format),
            "Accuracy": comparison["metric"].map(_short_metric),
            "Published": comparison["published"].map(_number),
            "Ours": comparison["ours"].map(_number),
            "Difference": comparison["difference"].map(_signed),
            "Tolerance": comparison["tolerance"].map(_number),
            "Folds": comparison["folds"].map(str),
            "Epochs": comparison["epochs"].map(str),
            "Verdict": comparison["verdict"],
            "Notes": comparison["departures"].map(lambda text: notes.get(text, "")),
        }
    )
    caption = _comparison_caption(comparison, notes)
    return _Part("comparison", caption, cells, "llllrlrrrrrrll")


def _comparison_caption(comparison: pd.DataFrame, notes: dict[str, str]) -> str:
    if comparison.empty:
        return "Comparison with Ott et al. (2020): they have no number of this study's data sets."
    counts = comparison["verdict"].value_counts()
    verdicts = "; ".join(
        f"{verdict} ({meaning}): {counts.get(verdict, 0)}"
        for verdict, meaning in COMPARISON_VERDICTS.items()
    )
    protocols = " or ".join(
        f"({text})" for text in sorted(comparison["protocol"].dropna().unique())
    )
    legend = "".join(f" {number}: {text}." for text, number in notes.items())
    return (
        f"Published and our medians over all epochs of all folds, {len(comparison)} numbers of Ott "
        f"et al. (2020). {verdicts}. Tolerance: 95 % prediction interval of the difference from "
        "the spread over our folds. Epochs: those of all folds together. "
        + (f"Ours ran under the protocol {protocols}. " if protocols else "")
        + "Notes: how ours departs from the published run, which the tolerance does not allow for."
        + (legend or " None.")
    )


def _overview_part(conclusions: pd.DataFrame) -> _Part:
    verdicts = conclusions.drop_duplicates(["conclusion", "dataset"]).pivot(
        index=["conclusion", "statement"], columns="dataset", values="conclusion_verdict"
    )
    verdicts = verdicts[conclusions["dataset"].unique()]
    verdicts.columns = [catalogue.dataset_title(dataset) for dataset in verdicts]
    cells = verdicts.reset_index().rename(columns={"conclusion": "No.", "statement": "Conclusion"})
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in CONCLUSION_VERDICTS.items())
    caption = (
        "The conclusions of Ott et al. (2020) on this study's data. Of a criterion, "
        f"{meanings}. A conclusion is reproduced if all of its criteria are, and not reproduced if "
        "one is not; if only some are covered or decided it is undecided."
    )
    widths = "rp{10cm}" + "l" * verdicts.shape[1]
    return _Part("conclusions", caption, cells.astype(str), widths)


def _criteria_part(conclusions: pd.DataFrame) -> _Part:
    cells = pd.DataFrame(
        {
            "No.": conclusions["conclusion"].map(str),
            "Data set": conclusions["dataset"].map(catalogue.dataset_title),
            "Statistic": conclusions["statistic"],
            "Value": conclusions["value"].map(_signed),
            "95 % interval": [_interval(row) for row in conclusions.itertuples()],
            "Paper": [f"{row.side} {row.threshold:g}" for row in conclusions.itertuples()],
            "Verdict": conclusions["verdict"],
            "Folds": conclusions["folds"].map(str),
            "Epochs": [_epochs(row) for row in conclusions.itertuples()],
            "Source": conclusions["source"],
        }
    )
    protocols = " or ".join(f"({text})" for text in sorted(conclusions["protocol"].unique()))
    caption = (
        "Criteria of the conclusions. Value: mean over folds, with the interval of a "
        "t-distribution. Accuracies of a fold are medians over its epochs. Epochs: fewest to most "
        f"of the data set's networks. Levels: those of the study. Protocol: {protocols}."
    )
    return _Part("criteria", caption, cells, "rlp{5cm}rllp{1.8cm}rrp{7cm}")


def _render(frame: pd.DataFrame, parts: list[_Part], file_format: str) -> str:
    if file_format not in FORMATS:
        raise InputError(
            f"`file_format` must be one of {', '.join(FORMATS)}. Received: {file_format!r}"
        )
    if file_format == "csv":
        return frame.to_csv(index=False)
    if file_format == "md":
        return "\n".join(map(_markdown, parts))
    if file_format == "html":
        name = parts[0].name
        tables = [TextTable(part.caption, part.cells) for part in parts]
        return render_tables(name.capitalize(), tables, f"{name}.csv", frame.to_csv(index=False))
    packages = "booktabs, longtable, pdflscape"
    return f"% Needs the packages {packages}.\n" + "\n".join(map(_latex, parts))


def _markdown(part: _Part) -> str:
    if part.cells.empty:
        return f"{part.caption}\n"
    return f"{part.caption}\n\n{part.cells.to_markdown(index=False, disable_numparse=True)}\n"


def _latex(part: _Part) -> str:
    caption = part.caption.translate(LATEX_ESCAPES)
    if part.cells.empty:
        return f"{caption}\n"
    cells = part.cells.map(lambda text: text.translate(LATEX_ESCAPES))
    cells.columns = [title.translate(LATEX_ESCAPES) for title in cells]
    table = cells.style.hide(axis="index").to_latex(
        environment="longtable",
        hrules=True,
        column_format=part.widths,
        caption=caption,
        label=f"tab:{part.name}",
    )
    return f"\\begin{{landscape}}\n\\scriptsize\n{table}\\end{{landscape}}\n"


def _short_metric(metric: str) -> str:
    return catalogue.METRICS[metric].removesuffix(" accuracy")


def _number(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.5f}"


def _signed(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:+.5f}"


def _interval(row) -> str:
    return DASH if pd.isna(row.low) else f"{row.low:+.5f} to {row.high:+.5f}"


def _epochs(row) -> str:
    fewest, most = row.fewest_epochs, row.most_epochs
    return str(most) if fewest == most else f"{fewest} to {most}"
