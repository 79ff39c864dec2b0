"""Figures that set the networks of a study side by side, where they differ in one choice.

Accuracies are those of the best epoch of each fold (`summary.best_epochs`), drawn as the mean over
folds with a bar of its 95 % interval (`summary.mean_over_folds`).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from freeconv.analysis.summary import best_epochs, levels_of, mean_over_folds, variable_connections
from freeconv.plots.style import (
    MODEL_LOOKS,
    accuracy_axis,
    draw_curve,
    epoch_axis,
    legend,
    letter_panels,
    level_curves,
    level_legend,
    level_looks,
    level_title,
    panels,
    say_if_empty,
)
from freeconv.study import labels, outputs
from freeconv.study.settings import UNAUGMENTED

# The rest of the palette of `curves`, for networks that are not the paper's.
_VARIANT_LOOKS = (
    {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "^"},
    {"color": "#CC79A7", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"},
    {"color": "#E69F00", "linestyle": (0, (6, 1.5, 1, 1.5)), "marker": "v"},
    {"color": "#56B4E9", "linestyle": "-", "marker": "P"},
    {"color": "black", "linestyle": (0, (5, 1.5)), "marker": "X"},
)
"""Looks of the variants in the order of their names; with more of them, looks repeat."""


def sharing(records: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the number of kernels: one column per scale of the initial weights.

    Lines are networks of free convolutions, a level of translation each; squares those of ordinary
    ones, which have the fewest kernels there are.
    """
    records = records[records["augmentation"].isin([UNAUGMENTED, "translation"])]
    free = records[records["kind"] == "fcn"]
    scales = sorted(set(free["glorot_fans"]))
    metrics = {"val_accuracy": "Validation accuracy", "val_translation": "Translation accuracy"}
    width = 110 if len(scales) == 1 else 180
    figure, axes = panels(2, len(scales), 120, width, sharex=True, sharey="row")
    level_styles = level_looks(records["level"])
    for column, scale in zip(axes.T, scales, strict=True):
        for ax, metric in zip(column, metrics, strict=True):
            of_scale = free[free["glorot_fans"] == scale]
            _kernel_curves(ax, of_scale, records[records["kind"] == "cnn"], metric, level_styles)
        column[-1].set_xlabel("Kernels of all layers (squares: ordinary convolutions)")
    for row, title in zip(axes, metrics.values(), strict=True):
        accuracy_axis(row[0], title)
    letter_panels(axes.flat, [f"Initial weights: {scale.replace('_', ' ')}" for scale in scales])
    level_legend(figure, level_styles, level_title("translation"))
    return figure


def by_level(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the level of an augmentation, one line per network."""
    augmentation = entry.needs.augmentation
    title = labels.augmentation_title(augmentation).lower()
    metrics = {
        "accuracy": f"Training, {title}",
        "val_accuracy": "Validation",
        f"val_{augmentation}": f"Validation, {title}",
    }
    rows = levels_of(history, augmentation)
    return _side_by_side(rows, "level", metrics, f"Level of {title} in training")


def by_vcp(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the probability of masked connections, one line per network."""
    metrics = {
        "accuracy": "Training",
        "val_accuracy": "Validation",
        "val_translation": "Validation, translated",
    }
    label = "Share of masked connections"
    return _side_by_side(variable_connections(history), "vcp", metrics, label)


def distances(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws the distance between filters over epochs, by radius (rows) and network (columns)."""
    augmentation = entry.needs.augmentation
    rows = levels_of(history, augmentation)
    measured = rows.dropna(subset="distance_1")
    models = labels.ordered((measured if len(measured) else rows)["model"], labels.MODEL_TITLES)
    figure, axes = panels(2, len(models), height=120, sharex=True, sharey="row")
    looks = level_looks(rows["level"])
    for column, model in zip(axes.T, models, strict=True):
        for ax, radius in zip(column, (1, 4), strict=True):
            level_curves(ax, rows[rows["model"] == model], f"distance_{radius}", "level", looks)
    for row, radius in zip(axes, (1, 4), strict=True):
        row[0].set_ylabel(f"Euclidean distance, radius {radius}")
    letter_panels(axes.flat, map(labels.model_title, models))
    epoch_axis(axes[-1])
    level_legend(figure, looks, level_title(augmentation))
    return figure


def _kernel_curves(
    ax: Axes,
    free: pd.DataFrame,
    shared: pd.DataFrame,
    metric: str,
    level_styles: dict[float, dict],
) -> None:
    """Lines of free convolutions, squares of ordinary ones, a colour a level; bars side by side."""
    looks = [
        (free, {"marker": "o"}),
        (shared, {"marker": "s", "markersize": 5, "linestyle": ""}),
    ]
    for records, look in looks:
        for level, runs in records.groupby("level"):
            curve = mean_over_folds(runs, metric, by="kernels")
            curve = curve.set_axis(curve.index * 1.04 ** _place(level, level_styles))
            draw_curve(ax, curve, f"{level:g}", bars=True, **level_styles[level] | look)
    say_if_empty(ax)
    counts = sorted(set(free["kernels"]))
    ax.set_xscale("log")
    ax.set_xticks(counts, [f"{count:,}" for count in counts])
    ax.minorticks_off()


def _side_by_side(rows: pd.DataFrame, by: str, metrics: dict[str, str], label: str) -> Figure:
    """Panels of accuracies at the best epoch against a column, one line per network."""
    best, looks = best_epochs(rows), _looks(rows["model"])
    figure, axes = panels(1, len(metrics), height=75, sharex=True)
    for ax, metric in zip(axes.flat, metrics, strict=True):
        for model, look in looks.items():
            curve = mean_over_folds(best[best["model"] == model], metric, by=by)
            curve = curve.set_axis(curve.index + 0.012 * _place(model, looks))
            draw_curve(ax, curve, labels.model_title(model), bars=True, **look)
        say_if_empty(ax)
        accuracy_axis(ax, "Accuracy" if ax is axes[0, 0] else "")
        ax.set_xlabel(label)
    letter_panels(axes.flat, metrics.values())
    handles = [
        Line2D([], [], **look, label=labels.model_title(model)) for model, look in looks.items()
    ]
    legend(figure, handles)
    return figure


def _place(name, names) -> float:
    """Where something stands among others side by side, in steps from their middle."""
    return list(names).index(name) - (len(names) - 1) / 2


def _looks(models: pd.Series) -> dict[str, dict]:
    """How each network is drawn: the paper's as everywhere."""
    names = labels.ordered(models, labels.MODEL_TITLES)
    variants = [name for name in names if name not in MODEL_LOOKS]
    looks = {
        name: _VARIANT_LOOKS[position % len(_VARIANT_LOOKS)]
        for position, name in enumerate(variants)
    }
    return {name: (MODEL_LOOKS | looks)[name] for name in names}
