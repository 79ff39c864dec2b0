"""The paper's tables from a summary: one row per level of an augmentation, best values bold.

Tables 1 and 2 (translation), B.1 (edge noise), B.2 (noise) and B.3 (rotation) of Ott et al. (2020),
as CSV for programs, Markdown for reading, LaTeX for a paper and HTML for a report; Table A.2, the
networks; and the trials of the hyperparameter search, whose grid is Table A.1.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from freeconv import catalogue
from freeconv.errors import InputError
from freeconv.pages import TextTable, render_tables
from freeconv.search import PAPERS_CHOICE
from freeconv.summary import levels_of

FORMATS = ("csv", "md", "tex", "html")
"""The formats of `render`, named by their file endings."""

DIGITS = 5
"""Digits shown after the point: one image of 14,000 is 0.00007."""

LATEX_ESCAPES = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}"})
"""For `str.translate`: plain text as LaTeX shows it."""

_ARCHITECTURES_CAPTION = (
    "Architectures of the networks. Convolutions: (kernel size, filters, stride). All layers but "
    "the output use ReLU. Counterpart of Table A.2 of Ott et al. (2020), which does not count "
    "parameters."
)

_SEARCH_CAPTION = (
    "Hyperparameter search: the highest validation accuracy of every trial, and the epoch that "
    "reached it. Bold: best of a data set and network. Diverged: the loss became infinite or no "
    "number; such a trial is never best, and its accuracy is that of the epochs before. The grid "
    "is Table A.1 of Ott et al. (2020), who chose three layers, and learning rates of 0.001 on "
    "MNIST and 0.0001 on CIFAR-10 (Table A.2)."
)

_LAYER_TEXTS = {
    "input": "Image ({rows} x {columns} x {units})",
    "convolution": "Convolutional ({kernel_size} x {kernel_size}, {units}, {stride})",
    "free_convolution": "Free convolutional ({kernel_size} x {kernel_size}, {units}, {stride})",
    "dense": "Fully connected ({units})",
    "softmax": "Softmax ({units})",
    "other": "{layer} ({rows} x {columns} x {units})",
}


def table(name: str, summary: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Makes a table.

    Args:
        name: The table's name, see `freeconv.catalogue`, e.g. `translation_mnist` or `rotation`.
        summary: See `freeconv.summary.summarise`.
        statistic: `pooled_median` (the paper's), `best_median` or `last_median`.

    Returns:
        A row a level in increasing order (index `level`; level 0 is the network trained without
        augmentation), a column per (dataset, metric, model) in the order of the paper. Accuracies
        from 0 to 1, NaN where the summary has no such cell.

    Raises:
        InputError: If there is no such table or statistic, or the summary has no row for it.

    Example:
        >>> summary = pd.DataFrame({
        ...     "dataset": "mnist", "model": ["cnn", "fcn"], "augmentation": "translation",
        ...     "level": 0.3, "vcp": 0.0, "statistic": "pooled_median", "accuracy": [0.97, 0.96],
        ...     "val_accuracy": [0.99, 0.98], "val_translation": [0.97, 0.95],
        ... })
        >>> table("translation_mnist", summary, "pooled_median")["mnist", "val_accuracy", "fcn"]
        level
        0.3    0.98
        Name: (mnist, val_accuracy, fcn), dtype: float64
    """
    entry = catalogue.table(name)
    if statistic not in catalogue.STATISTICS:
        known = ", ".join(catalogue.STATISTICS)
        raise InputError(f"`statistic` must be one of {known}. Received: {statistic!r}")
    rows = levels_of(summary, entry.needs.augmentation)
    rows = rows[rows["statistic"] == statistic]
    if entry.dataset is not None:
        rows = rows[rows["dataset"] == entry.dataset]
    if rows.empty:
        raise InputError(f"The summary has no row for table {name!r}, statistic {statistic!r}.")
    columns = pd.MultiIndex.from_product(
        [
            catalogue.ordered(rows["dataset"], catalogue.DATASETS),
            entry.metrics,
            catalogue.ordered(rows["model"], catalogue.MODELS),
        ],
        names=["dataset", "metric", "model"],
    )
    values = rows.pivot(
        index="level", columns=["dataset", "model"], values=list(entry.metrics)
    ).reorder_levels([1, 0, 2], axis="columns")
    return values.reindex(columns=columns).sort_index()


def render(name: str, summary: pd.DataFrame, statistic: str, file_format: str) -> str:
    """Renders a table as the text of a file.

    - `csv`: numbers in full precision, empty where there is none; columns `level` and
      `<dataset>_<metric>_<model>`.
    - `md`: a caption and a GitHub-flavoured table.
    - `tex`: a `table` environment; needs the LaTeX package booktabs.
    - `html`: a page that also holds the CSV, to download.

    The latter three show 5 decimals, the best of each column bold (all of equals) and a dash where
    the study has no such cell.

    Args:
        name: The table's name, see `freeconv.catalogue`.
        summary: See `freeconv.summary.summarise`.
        statistic: `pooled_median`, `best_median` or `last_median`.
        file_format: `csv`, `md`, `tex` or `html`.

    Raises:
        InputError: If there is no such table, statistic or format, or nothing to show.
    """
    _check_format(file_format)
    renderers = dict(zip(FORMATS, (_csv, _markdown, _latex, _html), strict=True))
    return renderers[file_format](name, table(name, summary, statistic), statistic)


def render_architectures(networks: pd.DataFrame, file_format: str) -> str:
    """Renders Table A.2, the networks of a study, with the parameters of each layer.

    - `csv`: the frame as it is.
    - `md`, `tex`, `html`: as the paper has it, data set by data set, the networks side by side; the
      format of a convolution is (kernel size, filters, stride).

    Args:
        networks: By `freeconv.history.NETWORKS_SCHEMA`, of one or more data sets.
        file_format: `csv`, `md`, `tex` or `html`.

    Raises:
        InputError: If there is no such format.
    """
    _check_format(file_format)
    if file_format == "csv":
        return networks.to_csv(index=False)
    cells = _architecture_cells(networks)
    if file_format == "html":
        part = TextTable(_ARCHITECTURES_CAPTION, cells)
        file = f"{catalogue.ARCHITECTURES}.csv"
        return render_tables("Architectures", [part], file, networks.to_csv(index=False))
    if file_format == "md":
        alignment = ["left", *["left", "right"] * (len(cells.columns) // 2)]
        text = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
        return f"{_ARCHITECTURES_CAPTION}\n\n{text}\n"
    cells = cells.map(lambda text: text.translate(LATEX_ESCAPES).replace(" x ", r" $\times$ "))
    column_format = "l" + "lr" * (len(cells.columns) // 2)
    return _latex_of_texts(cells, column_format, _ARCHITECTURES_CAPTION, catalogue.ARCHITECTURES)


def render_search(records: pd.DataFrame, file_format: str) -> str:
    """Renders every trial of the hyperparameter search.

    - `csv`: the frame as it is.
    - `md`, `tex`, `html`: a row a (data set, layers, learning rate) in the order given, the
      networks side by side: highest validation accuracy, its epoch, and whether the trial diverged.
      The best of a data set and network is bold (all of equals). A last column marks what the paper
      chose, where the records have a data set of the paper.

    Args:
        records: See `freeconv.search.search_records`.
        file_format: `csv`, `md`, `tex` or `html`.

    Raises:
        InputError: If there is no such format.
    """
    _check_format(file_format)
    if file_format == "csv":
        return records.to_csv(index=False)
    if file_format == "html":
        cells = _search_cells(records, "{}", dash="—")
        part = TextTable(_SEARCH_CAPTION, cells, _search_cells(records, "**{}**", "—") != cells)
        csv = records.to_csv(index=False)
        return render_tables("Hyperparameter search", [part], f"{catalogue.SEARCH}.csv", csv)
    if file_format == "md":
        cells = _search_cells(records, "**{}**", dash="—")
        alignment = _search_alignment(cells, "left", "right")
        text = cells.to_markdown(index=False, disable_numparse=True, colalign=alignment)
        return f"{_SEARCH_CAPTION}\n\n{text}\n"
    cells = _search_cells(records, r"\textbf{{{}}}", dash="---")
    cells["Data set"] = cells["Data set"].str.translate(LATEX_ESCAPES)
    column_format = "".join(_search_alignment(cells, "l", "r"))
    return _latex_of_texts(cells, column_format, _SEARCH_CAPTION, catalogue.SEARCH)


def best(values: pd.DataFrame) -> pd.DataFrame:
    """Marks the highest value of each column, all of those that read the same as shown.

    Args:
        values: A table of numbers.

    Returns:
        Booleans of the same shape; a missing value is never marked.
    """
    shown = values.round(DIGITS)
    return shown.eq(shown.max()) & shown.notna()


def caption(name: str, statistic: str) -> str:
    """Returns the caption of a table as plain text."""
    entry = catalogue.table(name)
    paper = entry.paper.replace(", ", " and ")
    of_dataset = f", {catalogue.dataset_title(entry.dataset)}" if entry.dataset else ""
    return (
        f"{entry.title}{of_dataset}: {catalogue.STATISTICS[statistic]}. "
        "Translation accuracy is measured on a translated copy of the validation fold. "
        "Bold: best of a column."
        + (f" Counterpart of {paper} of Ott et al. (2020)." if paper else "")
    )


def _architecture_cells(networks: pd.DataFrame) -> pd.DataFrame:
    """The text of Table A.2: a column for the data set, and two for each network."""
    parts = []
    for dataset in catalogue.ordered(networks["dataset"], catalogue.DATASETS):
        columns = {}
        for model in catalogue.ordered(networks["model"], catalogue.MODELS):
            here = (networks["dataset"] == dataset) & (networks["model"] == model)
            title = catalogue.model_title(model)
            columns |= _network_cells(title, networks[here].to_dict("records"))
        part = pd.DataFrame(columns)
        part.insert(0, "Data set", [catalogue.dataset_title(dataset), *[""] * (len(part) - 1)])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _network_cells(title: str, layers: list[dict]) -> dict[str, list[str]]:
    """Two columns of Table A.2: what the layers of a network are, and their parameters."""
    texts = [_LAYER_TEXTS[layer["kind"]].format(**layer) for layer in layers]
    counts = [layer["parameters"] for layer in layers[1:]]
    return {
        title: [*texts, "All layers", f"Learning rate: {layers[0]['learning_rate']:g}"],
        f"{title} parameters": ["", *(f"{count:,}" for count in [*counts, sum(counts)]), ""],
    }


def _search_cells(records: pd.DataFrame, bold: str, dash: str) -> pd.DataFrame:
    """The texts of the search's table; `bold` is a format that marks the best."""
    keys = ["dataset", "layers", "learning_rate"]
    by_trial = records.set_index([*keys, "model"])
    settings = records[keys].drop_duplicates()
    columns = {
        "Data set": settings["dataset"].map(catalogue.dataset_title),
        "Layers": settings["layers"].map(str),
        "Learning rate": settings["learning_rate"].map("{:g}".format),
    }
    for model in catalogue.ordered(records["model"], catalogue.MODELS):
        trials = [by_trial.loc[(*setting, model)] for setting in settings.itertuples(index=False)]
        title = catalogue.model_title(model)
        columns[f"{title} accuracy"] = [_trial_text(trial, bold) for trial in trials]
        columns[f"{title} epoch"] = [
            dash if pd.isna(trial["best_epoch"]) else str(int(trial["best_epoch"]))
            for trial in trials
        ]
    if set(settings["dataset"]) & set(PAPERS_CHOICE):
        columns["Paper"] = [
            "chosen" if PAPERS_CHOICE.get(dataset) == (layers, learning_rate) else ""
            for dataset, layers, learning_rate in settings.itertuples(index=False)
        ]
    return pd.DataFrame(columns)


def _trial_text(trial: pd.Series, bold: str) -> str:
    """The accuracy of a trial, and what is to be said about it."""
    if pd.isna(trial["val_accuracy"]):
        return "diverged"
    text = f"{trial['val_accuracy']:.{DIGITS}f}"
    if trial["diverged"]:
        return f"{text} (diverged)"
    return bold.format(text) if trial["best"] else text


def _search_alignment(cells: pd.DataFrame, left: str, right: str) -> list[str]:
    return [left if title in ("Data set", "Paper") else right for title in cells]


def _csv(name: str, values: pd.DataFrame, statistic: str) -> str:
    return values.set_axis(["_".join(c) for c in values.columns], axis="columns").to_csv()


def _texts(name: str, values: pd.DataFrame) -> pd.DataFrame:
    """The values as they are read, under one line of titles."""
    cells = values.map(lambda value: "—" if pd.isna(value) else f"{value:.{DIGITS}f}")
    cells.columns = [", ".join(titles) for titles in _titles(name, values)]
    cells.index = pd.Index([f"{level:.2f}" for level in cells.index], name="Level")
    return cells


def _html(name: str, values: pd.DataFrame, statistic: str) -> str:
    cells = _texts(name, values)
    bold = best(values).set_axis(cells.index).set_axis(cells.columns, axis="columns")
    bold.insert(0, "Level", False)
    part = TextTable(caption(name, statistic), cells.reset_index(), bold)
    file = f"{name}_{statistic}.csv"
    title = catalogue.table(name).title
    return render_tables(title, [part], file, _csv(name, values, statistic))


def _markdown(name: str, values: pd.DataFrame, statistic: str) -> str:
    cells = _texts(name, values)
    cells = cells.mask(best(values).to_numpy(), "**" + cells + "**")
    alignment = ["right"] * (len(cells.columns) + 1)
    text = cells.to_markdown(disable_numparse=True, colalign=alignment)
    return f"{caption(name, statistic)}\n\n{text}\n"


def _latex(name: str, values: pd.DataFrame, statistic: str) -> str:
    titles = [
        tuple(title.translate(LATEX_ESCAPES) for title in head) for head in _titles(name, values)
    ]
    level = ("",) * (len(titles[0]) - 1) + ("Level",)
    columns = pd.MultiIndex.from_tuples([level, *titles])
    cells = values.reset_index().set_axis(columns, axis="columns")
    bold = np.where(best(values), "textbf:--rwrap", "")
    style = cells.style.hide(axis="index").format(precision=DIGITS, na_rep="---")
    style.format("{:.2f}", subset=[level])
    style.apply(lambda _: bold, axis=None, subset=titles)
    text = style.to_latex(
        hrules=True,
        multicol_align="c",
        column_format="r" * len(cells.columns),
        position="tbp",
        position_float="centering",
        caption=caption(name, statistic).translate(LATEX_ESCAPES),
        label=f"tab:{name}:{statistic}",
    )
    return "% Needs \\usepackage{booktabs}.\n" + _rule_groups(text)


def _titles(name: str, values: pd.DataFrame) -> list[tuple[str, ...]]:
    """The head of each column; a table of one data set says which in its caption instead."""
    heads = [
        (catalogue.dataset_title(dataset), catalogue.METRICS[metric], catalogue.model_title(model))
        for dataset, metric, model in values.columns
    ]
    return [head[1:] for head in heads] if catalogue.table(name).dataset else heads


def _latex_of_texts(cells: pd.DataFrame, column_format: str, caption: str, name: str) -> str:
    """A `table` environment of cells and a caption that are LaTeX already."""
    text = cells.style.hide(axis="index").to_latex(
        hrules=True,
        column_format=column_format,
        position="tbp",
        position_float="centering",
        caption=caption,
        label=f"tab:{name}",
    )
    return f"% Needs \\usepackage{{booktabs}}.\n{text}"


def _check_format(file_format: str) -> None:
    if file_format not in FORMATS:
        raise InputError(
            f"`file_format` must be one of {', '.join(FORMATS)}. Received: {file_format!r}"
        )


def _rule_groups(latex: str) -> str:
    """Underlines the groups of columns in the head of a LaTeX table."""
    lines = []
    for line in latex.splitlines():
        lines.append(line)
        if r"\multicolumn" not in line:
            continue
        column, rules = 1, []
        for cell in line.split(" & "):
            span = re.search(r"\\multicolumn\{(\d+)\}", cell)
            width = int(span.group(1)) if span else 1
            if span:
                rules.append(rf"\cmidrule(lr){{{column}-{column + width - 1}}}")
            column += width
        lines.append(" ".join(rules))
    return "\n".join(lines) + "\n"
