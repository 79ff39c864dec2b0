"""Tables of how weights are shared, and of how many images stand in for it."""

from __future__ import annotations

import pandas as pd

from freeconv.analysis.data_efficiency import images_needed
from freeconv.analysis.summary import on_all_images
from freeconv.report.render import DASH, Document, TextTable, number
from freeconv.study import labels
from freeconv.study.outputs import Table


def sharing(frame: pd.DataFrame, entry: Table) -> Document:
    """Makes the table of accuracies by degree of weight sharing, means over folds of each level.

    Args:
        frame: See `sharing_degrees.degrees_of_sharing`.
        entry: The table.
    """
    return Document("Sharing", [_sharing_part(on_all_images(frame))], frame)


def _sharing_part(records: pd.DataFrame) -> TextTable:
    network = ["dataset", "model", "sharing", "glorot_fans", "kernels", "parameters"]
    condition = ["augmentation", "level"]
    filled = records.fillna({"sharing": DASH, "glorot_fans": DASH})
    metrics = {"val_accuracy": "validation", "val_translation": "translated"}
    means = filled.groupby([*network, *condition], sort=False)[list(metrics)].mean()
    wide = means.unstack(condition).reorder_levels([1, 2, 0], axis="columns")
    cells = wide.index.to_frame(index=False)
    cells["dataset"] = cells["dataset"].map(labels.dataset_title)
    cells["model"] = cells["model"].map(labels.model_title)
    for count in ("kernels", "parameters"):
        cells[count] = cells[count].map("{:,}".format)
    cells.columns = ["Data set", "Network", "Sharing", "Initial weights", "Kernels", "Parameters"]
    conditions = {(augmentation, level) for augmentation, level, _ in wide}
    for augmentation, level in sorted(conditions, key=_unaugmented_first):
        trained = _trained(augmentation, level).capitalize()
        for metric, word in metrics.items():
            values = wide[augmentation, level, metric]
            cells[f"{trained}: {word}"] = values.map(number).to_numpy()
    folds = records["fold"].nunique()
    caption = (
        "Accuracy by the degree of weight sharing: side of the tile of positions that have one "
        "kernel, all for one kernel a layer; networks with ordinary convolutions have none to "
        f"choose. Means over {folds} folds of the epoch with the highest validation accuracy, on "
        "clean and on translated validation images. Kernels and parameters: of all convolutions."
    )
    return TextTable(
        "sharing", caption, cells, "llllrr" + "r" * (len(cells.columns) - 6), long=True
    )


def _trained(augmentation: str, level: float) -> str:
    return f"{augmentation.replace('_', ' ')} {level:g}" if level else "no augmentation"


def _unaugmented_first(condition: tuple[str, float]) -> tuple:
    augmentation, level = condition
    return level > 0, augmentation, level


def training_images(frame: pd.DataFrame, entry: Table) -> Document:
    """Makes the table of the images that networks need to be as accurate as the CNN.

    Args:
        frame: See `sharing_degrees.degrees_of_sharing`.
        entry: The table.
    """
    needed = images_needed(frame)
    return Document(entry.title, [_images_part(needed)], needed)


def _images_part(needed: pd.DataFrame) -> TextTable:
    cells = pd.DataFrame(
        {
            "Data set": needed["dataset"].map(labels.dataset_title),
            "Trained with": [_trained(row.augmentation, row.level) for row in needed.itertuples()],
            "Network": needed["model"].map(labels.model_title),
            "Images of the CNN": needed["reference"].map("{:,.0f}".format),
            "Its accuracy": needed["accuracy"].map(number),
            "Images needed": [_count(row) for row in needed.itertuples()],
            "Times as many": [_ratio(row) for row in needed.itertuples()],
            "Folds": [f"{row.reached} of {row.folds}" for row in needed.itertuples()],
        }
    )
    caption = (
        "Images that networks need to be as accurate on the validation fold as the CNN is by "
        "fewer: geometric mean over folds and its corrected 95 % interval, between numbers of "
        "images by interpolation. Folds: how many reach that accuracy at all; where some do not, "
        "more than all images are needed."
    )
    return TextTable("training_images", caption, cells, "lllrrrrr", long=True)


def _count(row) -> str:
    if row.reached < row.folds:
        return f"more than {row.most:,.0f}"
    return f"{row.needed:,.0f}" + _between(row, 1, ",.0f")


def _ratio(row) -> str:
    if row.reached < row.folds:
        return f"more than {row.most / row.reference:.1f}"
    return f"{row.needed / row.reference:.1f}" + _between(row, row.reference, ".1f")


def _between(row, unit, form) -> str:
    if pd.isna(row.low):
        return ""
    return f" ({row.low / unit:{form}} to {row.high / unit:{form}})"
