"""The paper's tables.

Tables 1 and 2 (translation), B.1 (edge noise), B.2 (noise) and B.3 (rotation) of Ott et al. (2020):
one row per level of an augmentation, best values bold; Table A.2, the networks; and the trials of
the hyperparameter search, whose grid is Table A.1.
"""

from __future__ import annotations

import pandas as pd

from freeconv.analysis.search import PAPERS_CHOICE
from freeconv.analysis.summary import levels_of
from freeconv.errors import InputError
from freeconv.report.render import DIGITS, Document, TextTable, number
from freeconv.study import labels
from freeconv.study.outputs import Table

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


def accuracies(summary: pd.DataFrame, entry: Table) -> Document:
    """Makes a table of accuracies: 5 decimals, the best of each column bold (all of equals).

    Args:
        summary: See `summary.summarise`.
        entry: The table, whose data set and statistic are named.
    """
    values = values_of(summary, entry)
    cells = values.map(number)
    heads = _titles(values, entry)
    cells.columns = pd.MultiIndex.from_tuples(heads)
    level = ("",) * (len(heads[0]) - 1) + ("Level",)
    cells.insert(0, level, [f"{value:.2f}" for value in values.index])
    bold = best(values)
    bold.insert(0, ("level",) * bold.columns.nlevels, False)
    name, columns = f"{entry.name}:{entry.statistic}", "r" * len(cells.columns)
    data = values.set_axis(["_".join(c) for c in values.columns], axis="columns").reset_index()
    text = TextTable(name, accuracies_caption(entry), cells.reset_index(drop=True), columns, bold)
    return Document(entry.title, [text], data)


def values_of(summary: pd.DataFrame, entry: Table) -> pd.DataFrame:
    """Takes the accuracies of a table from a summary.

    Args:
        summary: See `summary.summarise`.
        entry: The table, whose data set and statistic are named.

    Returns:
        One row per level in increasing order (index `level`; level 0 is the network trained without
        augmentation), one column per (dataset, metric, model) in the order of the paper. Accuracies
        from 0 to 1, NaN where the summary has no such run.

    Raises:
        InputError: If the summary has no row for the table.

    Example:
        >>> summary = pd.DataFrame({
        ...     "dataset": "mnist", "model": ["cnn", "fcn"], "augmentation": "translation",
        ...     "level": 0.3, "vcp": 0.0, "training_share": 1.0,
        ...     "statistic": "pooled_median", "accuracy": [0.97, 0.96],
        ...     "val_accuracy": [0.99, 0.98], "val_translation": [0.97, 0.95],
        ... })
        >>> from freeconv.study.outputs import table
        >>> values = values_of(summary, table("pooled_median/translation_mnist"))
        >>> values["mnist", "val_accuracy", "fcn"]
        level
        0.3    0.98
        Name: (mnist, val_accuracy, fcn), dtype: float64
    """
    rows = levels_of(summary, entry.needs.augmentation)
    rows = rows[rows["statistic"] == entry.statistic]
    if entry.dataset is not None:
        rows = rows[rows["dataset"] == entry.dataset]
    if rows.empty:
        raise InputError(
            f"The summary has no row for table {entry.name!r}, statistic {entry.statistic!r}."
        )
    columns = pd.MultiIndex.from_product(
        [
            labels.ordered(rows["dataset"], labels.DATASET_TITLES),
            entry.metrics,
            labels.ordered(rows["model"], labels.MODEL_TITLES),
        ],
        names=["dataset", "metric", "model"],
    )
    values = rows.pivot(
        index="level", columns=["dataset", "model"], values=list(entry.metrics)
    ).reorder_levels([1, 0, 2], axis="columns")
    return values.reindex(columns=columns).sort_index()


def accuracies_caption(entry: Table) -> str:
    """Returns the caption of a table of accuracies as plain text."""
    paper = entry.paper.replace(", ", " and ")
    of_dataset = f", {labels.dataset_title(entry.dataset)}" if entry.dataset else ""
    return (
        f"{entry.title}{of_dataset}: {labels.STATISTICS[entry.statistic]}. "
        "Translation accuracy is measured on a translated copy of the validation fold. "
        "Bold: best of a column."
        + (f" Counterpart of {paper} of Ott et al. (2020)." if paper else "")
    )


def architectures(networks: pd.DataFrame, entry: Table) -> Document:
    """Makes Table A.2, the networks of a study, with the parameters of each layer.

    Data set by data set, the networks side by side; the format of a convolution is (kernel size,
    filters, stride).

    Args:
        networks: By `schemas.NETWORKS_SCHEMA`, of one or more data sets.
        entry: The table.
    """
    cells = _architecture_cells(networks)
    columns = "l" + "lr" * (len(cells.columns) // 2)
    text = TextTable(entry.name, _ARCHITECTURES_CAPTION, cells, columns)
    return Document("Architectures", [text], networks)


def search(records: pd.DataFrame, entry: Table) -> Document:
    """Makes the table of all trials of the hyperparameter search.

    One row per (data set, layers, learning rate) in the order given, the networks side by side:
    highest validation accuracy, its epoch, and whether the trial diverged. The best of a data set
    and network is bold (all of equals). A last column marks what the paper chose, where the records
    have a data set of the paper.

    Args:
        records: See `search.search_records`.
        entry: The table.
    """
    cells, bold = _search_cells(records)
    columns = "".join("l" if title in ("Data set", "Paper") else "r" for title in cells)
    text = TextTable(entry.name, _SEARCH_CAPTION, cells, columns, bold)
    return Document(entry.title, [text], records)


def best(values: pd.DataFrame) -> pd.DataFrame:
    """Marks the highest value of each column, all of those that read the same as shown.

    Args:
        values: A table of numbers.

    Returns:
        Booleans of the same shape; a missing value is never marked.
    """
    shown = values.round(DIGITS)
    return shown.eq(shown.max()) & shown.notna()


def _architecture_cells(networks: pd.DataFrame) -> pd.DataFrame:
    """The text of Table A.2: a column for the data set, and two for each network."""
    parts = []
    for dataset in labels.ordered(networks["dataset"], labels.DATASET_TITLES):
        columns = {}
        for model in labels.ordered(networks["model"], labels.MODEL_TITLES):
            here = (networks["dataset"] == dataset) & (networks["model"] == model)
            title = labels.model_title(model)
            columns |= _network_cells(title, networks[here].to_dict("records"))
        part = pd.DataFrame(columns)
        part.insert(0, "Data set", [labels.dataset_title(dataset), *[""] * (len(part) - 1)])
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


def _search_cells(records: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The texts of the search's table, and which of them are bold."""
    keys = ["dataset", "layers", "learning_rate"]
    by_trial = records.set_index([*keys, "model"])
    settings = records[keys].drop_duplicates(ignore_index=True)
    cells = pd.DataFrame(
        {
            "Data set": settings["dataset"].map(labels.dataset_title),
            "Layers": settings["layers"].map(str),
            "Learning rate": settings["learning_rate"].map("{:g}".format),
        }
    )
    bold = pd.DataFrame(False, cells.index, cells.columns)
    for model in labels.ordered(records["model"], labels.MODEL_TITLES):
        trials = [by_trial.loc[(*setting, model)] for setting in settings.itertuples(index=False)]
        title = labels.model_title(model)
        cells[f"{title} accuracy"] = list(map(_trial_text, trials))
        bold[f"{title} accuracy"] = [bool(trial["best"]) for trial in trials]
        cells[f"{title} epoch"] = [number(trial["best_epoch"], digits=0) for trial in trials]
        bold[f"{title} epoch"] = False
    if set(settings["dataset"]) & set(PAPERS_CHOICE):
        cells["Paper"] = [
            "chosen" if PAPERS_CHOICE.get(dataset) == (layers, learning_rate) else ""
            for dataset, layers, learning_rate in settings.itertuples(index=False)
        ]
        bold["Paper"] = False
    return cells, bold


def _trial_text(trial: pd.Series) -> str:
    """The accuracy of a trial, and what is to be said about it."""
    if pd.isna(trial["val_accuracy"]):
        return "diverged"
    return number(trial["val_accuracy"]) + (" (diverged)" if trial["diverged"] else "")


def _titles(values: pd.DataFrame, entry: Table) -> list[tuple[str, ...]]:
    """The head of each column; a table of one data set says which in its caption instead."""
    heads = [
        (labels.dataset_title(dataset), labels.METRIC_TITLES[metric], labels.model_title(model))
        for dataset, metric, model in values.columns
    ]
    return [head[1:] for head in heads] if entry.dataset else heads
