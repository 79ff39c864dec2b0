"""Figures that set the networks of a study side by side, where they differ in one choice.

Accuracies are those of the best epoch of each fold (`summary.best_epochs`), drawn as the mean over
folds with a bar of its 95 % interval (`summary.mean_over_folds`).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from freeconv.analysis.summary import best_epochs, fold_means, levels_of, variable_connections
from freeconv.plots.style import (
    accuracy_axis,
    draw_curve,
    epoch_axis,
    letter_panels,
    level_curves,
    level_legend,
    level_looks,
    level_title,
    model_looks,
    network_legend,
    panels,
    place_among,
    say_if_empty,
)
from freeconv.study import labels, outputs


def by_level(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the level of an augmentation, one line per network."""
    augmentation = entry.needs.augmentation
    title = labels.augmentation_title(augmentation)
    metrics = {
        "accuracy": f"Training, {title.lower()}",
        "val_accuracy": "Validation",
        f"val_{augmentation}": f"Validation, {title.lower()}",
    }
    rows = levels_of(history, augmentation)
    return _side_by_side(rows, "level", metrics, f"{title} in training", entry)


def by_vcp(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the probability of masked connections, one line per network."""
    metrics = {
        "accuracy": "Training",
        "val_accuracy": "Validation",
        "val_translation": "Validation, translated",
    }
    label = "Masked connections"
    return _side_by_side(variable_connections(history), "vcp", metrics, label, entry)


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
            of_model = rows[rows["model"] == model]
            level_curves(ax, of_model, f"distance_{radius}", "level", looks, first_epoch=0)
    for row, radius in zip(axes, (1, 4), strict=True):
        row[0].set_ylabel(f"Euclidean distance, radius {radius}")
    letter_panels(axes.flat, map(entry.network_title, models))
    epoch_axis(axes[-1])
    level_legend(figure, looks, level_title(augmentation))
    return figure


def _side_by_side(
    rows: pd.DataFrame, by: str, metrics: dict[str, str], label: str, entry: outputs.Figure
) -> Figure:
    """Accuracies at the best epoch against a column, one line per network, and their differences.

    Differences are those of variants from the plain network, or of the network that the figure is
    of from the one beside it, fold by fold: what folds have in common is then not in their
    intervals.
    """
    model, beside = entry.needs.model, entry.needs.beside
    rows = rows[rows["model"].isin([model, beside])] if beside else rows
    best, looks = best_epochs(rows), model_looks(rows["model"])
    if beside:
        plain = {model: beside}
        difference = f"{labels.MODEL_TITLES[model]} minus {labels.MODEL_TITLES[beside]}"
    else:
        plain, difference = _plain_networks(looks), "Difference from\nplain network"
    figure, axes = panels(
        2, len(metrics), height=125, sharex=True, sharey="row", height_ratios=(3, 2)
    )
    for (above, below), metric in zip(axes.T, metrics, strict=True):
        for model in looks:
            _curve_beside(above, best[best["model"] == model], metric, by, model, looks)
        below.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        for model, other in plain.items():
            differences = _paired_differences(best, metric, by, model, other)
            _curve_beside(below, differences, metric, by, model, looks)
        say_if_empty(above)
        below.set_xlabel(label)
    if rows[by].nunique() == 1:
        # Around a single value an axis would count hundredths that nothing stands for.
        (value,) = set(rows[by])
        axes[1, 0].set(xticks=[value], xlim=(value - 0.1, value + 0.1))
    accuracy_axis(axes[0, 0], "Accuracy")
    axes[1, 0].set_ylabel(difference)
    letter_panels(axes.flat, metrics.values())
    network_legend(figure, looks, entry)
    return figure


def _curve_beside(ax, rows, metric, by, model, looks):
    """A network's accuracies with their bars, beside those of the others."""
    beside = rows.assign(**{by: rows[by] + 0.012 * place_among(model, looks)})
    draw_curve(ax, beside, metric, model, by=by, bars=True, **looks[model])


def _plain_networks(models) -> dict[str, str]:
    """Variant -> the network of the paper that it is named after, or else the first one."""
    first, *_ = models
    plain = {model: model.split("_")[0] for model in models}
    plain = {model: name if name in models else first for model, name in plain.items()}
    return {model: name for model, name in plain.items() if name != model}


def _paired_differences(best, metric, by, model, plain):
    """The metric of a network minus that of another one, of the same fold and condition."""
    keys = [by, "fold", "fold_count"]
    sides = [
        fold_means(best[best["model"] == name], metric, by).set_index(keys)[metric]
        for name in (model, plain)
    ]
    return (sides[0] - sides[1]).dropna().reset_index()
