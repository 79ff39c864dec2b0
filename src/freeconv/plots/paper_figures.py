"""The paper's figures, and those drawn in the same way.

Every curve is the mean over folds; its band is the 95 % interval of
`summary.mean_over_folds`, which fewer than three folds do not have. Folds stop training at
different epochs: beyond the first to stop the curve is fainter, the mean of those still trained,
and may step.
"""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from freeconv.analysis.authors_curves import match_epochs
from freeconv.analysis.summary import (
    IDENTITY,
    accuracies,
    levels_of,
    variable_connections,
)
from freeconv.plots.style import (
    MODEL_LOOKS,
    MOST_BANDS,
    WIDTH,
    accuracy_axis,
    draw_curve,
    epoch_axis,
    epoch_marker,
    legend,
    letter_panels,
    level_curves,
    level_legend,
    level_looks,
    level_title,
    model_looks,
    panels,
    say_if_empty,
)
from freeconv.study import labels, outputs

# Of the palette of `curves`.
_TRAINING_LOOKS = {
    "none": {"color": "black", "linestyle": "-", "marker": "o"},
    "translation": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "rotation": {"color": "#0072B2", "linestyle": (0, (3, 1, 1, 1)), "marker": "^"},
    "noise": {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "D"},
    "edge_noise": {"color": "#CC79A7", "linestyle": (0, (6, 1.5, 1, 1.5)), "marker": "v"},
}

# Verdict -> how the marker of a compared number is filled.
_VERDICT_LOOKS = {
    "agrees": {"fillstyle": "full"},
    "inconclusive": {"fillstyle": "bottom"},
    "differs": {"fillstyle": "none"},
    "not comparable": {"fillstyle": "full", "alpha": 0.4, "markeredgewidth": 0},
}

# Of the axes of Fig. 5.
_DISTANCES_OF_THE_PAPER = (0.05, 0.12)

# Augmentation or perturbation -> what has happened to the images.
_SUFFERED = {
    "translation": "translated",
    "rotation": "rotated",
    "noise": "noise",
    "edge_noise": "edge noise",
}

# Perturbation -> unit of its axis, steps between round ticks, label.
_STRENGTH_AXES = {
    "translation": (1, [1, 2, 5, 10], "Shift up to\n(share of the image)"),
    "rotation": (360, [1, 3, 4.5, 9, 10], "Angle up to\n(degrees)"),
    "noise": (1, [1, 2, 5, 10], "Standard deviation\n(pixels from 0 to 1)"),
    "edge_noise": (1, [1, 2, 5, 10], "Standard deviation\n(pixels from 0 to 1)"),
}


def translation_curves(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies over epochs by level of translation (Figs. 3 and 4)."""
    rows = levels_of(history, "translation")
    models = [model for model in MODEL_LOOKS if model in set(rows["model"])]
    width = WIDTH if len(models) > 1 else WIDTH / 1.7
    figure, axes = panels(3, len(models), 180, width, sharex=True, sharey="row")
    looks = level_looks(rows["level"])
    for row, (metric, title) in zip(axes, labels.METRIC_TITLES.items(), strict=True):
        for ax, model in zip(row, models, strict=True):
            level_curves(ax, rows[rows["model"] == model], metric, "level", looks)
        accuracy_axis(row[0], title)
    letter_panels(axes.flat, [labels.MODEL_TITLES[model] for model in models])
    epoch_axis(axes[-1])
    level_legend(figure, looks, level_title("translation"))
    return figure


def filter_distance(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws the distance between filters over epochs by level (Figs. 5, B.6 and B.7)."""
    augmentation = entry.needs.augmentation
    rows = levels_of(history, augmentation)
    rows = rows[rows["model"] == "fcn"]
    figure, axes = panels(1, 2, height=75, sharex=True, sharey=True)
    looks = level_looks(rows["level"])
    for ax, metric in zip(axes.flat, ("distance_1", "distance_4"), strict=True):
        level_curves(ax, rows, metric, "level", looks, first_epoch=0)
    _at_least(axes[0, 0], *_DISTANCES_OF_THE_PAPER)
    axes[0, 0].set_ylabel("Euclidean distance between filters")
    letter_panels(axes.flat, ("Radius 1", "Radius 4"))
    epoch_axis(axes[-1])
    level_legend(figure, looks, level_title(augmentation))
    return figure


def filter_similarity(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws how alike single filters are over epochs: in pairs of equal number, and matched.

    Epoch 0, the untrained network, has random filters, with which all later ones compare.
    """
    augmentation = entry.needs.augmentation
    rows = levels_of(history, augmentation)
    rows = rows[rows["model"] == "fcn"]
    measures = {
        "similarity_1": "Cosine, radius 1",
        "similarity_4": "Cosine, radius 4",
        "matched_similarity_1": "Matched, radius 1",
        "matched_similarity_4": "Matched, radius 4",
        "unit_distance_1": "Unit filters, radius 1",
        "norm_variation": "Norms of filters",
    }
    figure, axes = panels(3, 2, height=170, sharex=True)
    looks = level_looks(rows["level"])
    for ax, metric in zip(axes.flat, measures, strict=True):
        level_curves(ax, rows, metric, "level", looks, first_epoch=0)
        random = rows.loc[rows["epoch"] == 0, metric].mean()
        if pd.notna(random):
            ax.axhline(random, color="0.4", linewidth=0.8, linestyle=(0, (1, 1)), zorder=0)
    for row in axes[:2]:
        low, high = np.transpose([ax.get_ylim() for ax in row])
        for ax in row:
            ax.set_ylim(low.min(), high.max())
        row[0].set_ylabel("Mean cosine of filters")
    axes[2, 0].set_ylabel("Mean Euclidean distance")
    axes[2, 1].set_ylabel("Standard deviation by mean")
    letter_panels(axes.flat, measures.values())
    epoch_axis(axes[-1])
    level_legend(figure, looks, level_title(augmentation))
    return figure


def quadrant_swap(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws the accuracy on quadrant-swapped images over epochs, a line a network (Fig. 6)."""
    plain = (history["augmentation"] == "none") & (history["vcp"] == 0)
    rows = history[plain & (history["epoch"] >= 1)]
    figure, axes = panels(1, 1, height=72, width=120)
    (ax,) = axes.flat
    looks = model_looks(rows["model"])
    for model, look in looks.items():
        run, title = rows[rows["model"] == model], entry.network_title(model)
        look = look | epoch_marker(run, look["marker"])
        bands = len(looks) <= MOST_BANDS
        draw_curve(ax, run, "val_quadrant_swap", title, bands=bands, **look)
    say_if_empty(ax)
    accuracy_axis(ax, "Quadrant-swap accuracy")
    epoch_axis(axes[-1])
    legend(figure, ax.get_legend_handles_labels()[0])
    return figure


def vcp_curves(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies over epochs by probability of masked connections (Figs. C.1 and C.2)."""
    rows = variable_connections(history[history["model"] == "fcn"])
    return _six_panels(rows, "vcp", "translation", "FCN", "Masked\nconnections")


def augmentation_panels(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws all accuracies of one network over epochs by level of an augmentation."""
    augmentation, model = entry.needs.augmentation, entry.needs.model
    rows = levels_of(history, augmentation)
    rows = rows[rows["model"] == model]
    network, key_title = labels.MODEL_TITLES[model], level_title(augmentation)
    return _six_panels(rows, "level", augmentation, network, key_title)


def _six_panels(
    rows: pd.DataFrame, key: str, augmentation: str, network: str, key_title: str
) -> Figure:
    """Training, validation, and validation under each perturbation; one line per value of `key`.

    On one scale, so that what differs between panels is seen.
    """
    titles = {
        "accuracy": f"Training, {_SUFFERED.get(augmentation, augmentation.replace('_', ' '))}",
        "val_accuracy": "Validation",
        **{f"val_{kind}": f"Validation, {words}" for kind, words in _SUFFERED.items()},
    }
    figure, axes = panels(3, 2, height=180, sharex=True, sharey=True)
    looks = level_looks(rows[key])
    for ax, metric in zip(axes.flat, titles, strict=True):
        level_curves(ax, rows, metric, key, looks)
    for row in axes:
        accuracy_axis(row[0], "Accuracy")
    letter_panels(axes.flat, titles.values())
    names = [network, *map(labels.dataset_title, set(rows["dataset"]))]
    figure.suptitle(", ".join(names), x=0.01, ha="left", size=9)
    epoch_axis(axes[-1])
    level_legend(figure, looks, key_title)
    return figure


def perturbation_strength(evaluation: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the strength of each perturbation, a row a network."""
    rows = accuracies(evaluation[evaluation["vcp"] == 0], by=(*IDENTITY, "fold_count"))
    training = _training_conditions(rows, dict(entry.shown_levels))
    models = labels.ordered(rows["model"], MODEL_LOOKS)
    figure, axes = panels(len(models), 4, 30 + 38 * len(models), sharex="col", sharey=True)
    for row, model in zip(axes, models, strict=True):
        for ax, perturbation in zip(row, _STRENGTH_AXES, strict=True):
            _strength_curves(ax, rows[rows["model"] == model], perturbation, training)
        title = entry.network_title(model).replace(", ", "\n")
        row[0].set_ylabel(f"{title}\naccuracy" if "\n" in title else f"{title} accuracy")
    for ax, (_, steps, label) in zip(axes[-1], _STRENGTH_AXES.values(), strict=True):
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=steps))
        ax.set_xlabel(label)
    axes[0, 0].set_ylim(0, 1.03)
    letter_panels(axes.flat, (labels.AUGMENTATION_TITLES[kind] for kind in _STRENGTH_AXES))
    drawn = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    legend(figure, [drawn[t] for t in training.values() if t in drawn], "Trained with", below=True)
    return figure


def published_numbers(comparison: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws our numbers against the published ones, and their differences."""
    figure, axes = panels(2, 3, height=115, sharex="col", height_ratios=(3, 2))
    for column, (metric, title) in zip(axes.T, labels.METRIC_TITLES.items(), strict=True):
        _ours_and_published(*column, comparison[comparison["metric"] == metric])
        column[1].set_xlabel(f"{title}, published")
    axes[0, 0].set_ylabel("Ours")
    axes[1, 0].set_ylabel("Ours minus published")
    letter_panels(axes.flat, (title.split()[0] for title in labels.METRIC_TITLES.values()))
    grey = {"color": "0.3", "marker": "D", "markersize": 5, "markeredgewidth": 0.8}
    grey |= {"linestyle": "", "markerfacecoloralt": "white"}
    legend(
        figure,
        [
            *(
                Line2D([], [], **MODEL_LOOKS[model] | {"linestyle": ""}, label=title)
                for model, title in labels.MODEL_TITLES.items()
            ),
            *(
                Line2D([], [], **grey | look, label=verdict)
                for verdict, look in _VERDICT_LOOKS.items()
            ),
        ],
        below=True,
    )
    return figure


def _ours_and_published(against: Axes, difference: Axes, rows: pd.DataFrame) -> None:
    """A point a number in both panels; the lower one has the tolerances."""
    rows = rows[(rows["folds"] > 0) & ~rows["repeated"]]
    for (model, verdict), numbers in rows.groupby(["model", "verdict"]):
        look = MODEL_LOOKS[model] | {"linestyle": "", "markeredgewidth": 0.8}
        look |= {"markerfacecoloralt": "white"} | _VERDICT_LOOKS[verdict]
        against.plot(numbers["published"], numbers["ours"], **look)
        difference.plot(numbers["published"], numbers["difference"], **look)
    for ax in (against, difference):
        say_if_empty(ax)
    if rows.empty:
        return
    # The same on both axes, so that the line of equal numbers is the diagonal.
    numbers = rows[["published", "ours"]].to_numpy()
    beside = 0.05 * max(np.ptp(numbers), 0.01)
    sides = (numbers.min() - beside, numbers.max() + beside)
    against.set(xlim=sides, ylim=sides)
    against.plot(sides, sides, color="0.6", linewidth=0.6, marker="", zorder=0)
    against.xaxis.set_major_locator(MaxNLocator(4))
    difference.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    for model, numbers in rows.dropna(subset="tolerance").groupby("model"):
        bars = {"ecolor": MODEL_LOOKS[model]["color"], "elinewidth": 0.6, "alpha": 0.4}
        points = numbers["published"], numbers["difference"]
        difference.errorbar(*points, numbers["tolerance"], fmt="none", **bars)


def authors_curves(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws z-scores of every metric against the authors' records over epochs, by network."""
    matched = match_epochs(history)
    counts = [matched.loc[matched["model"] == m, "metric"].nunique() for m in MODEL_LOOKS]
    figure, axes = panels(
        2, 1, height=35 + 5 * sum(counts), sharex=True, height_ratios=[max(n, 1) for n in counts]
    )
    edges = [-4, -3, -2, -1, 1, 2, 3, 4]
    colours = matplotlib.colormaps["coolwarm"].resampled(len(edges) + 1)
    scale = BoundaryNorm(edges, colours.N, extend="both")
    # The same epochs in both panels, however long their networks were trained; few are named.
    epochs = range(matched["epoch"].min(), matched["epoch"].max() + 1) if len(matched) else range(0)
    every = max(1, -(-len(epochs) // 16))
    for ax, model in zip(axes.flat, MODEL_LOOKS, strict=True):
        rows = matched[matched["model"] == model]
        if rows.empty:
            say_if_empty(ax)
            ax.set(xticks=[], yticks=[])
            continue
        z = rows.pivot(index="metric", columns="epoch", values="z").loc[rows["metric"].unique()]
        z = z.rename(index=labels.MEASURE_TITLES).reindex(columns=epochs)
        ax.grid(visible=False)
        bar = {"label": "z"}
        seaborn.heatmap(z, ax=ax, cmap=colours, norm=scale, cbar_kws=bar, xticklabels=every)
        ax.set(xlabel="", ylabel="")
        ax.tick_params("both", length=0, labelrotation=0)
    letter_panels(axes.flat, (labels.MODEL_TITLES[model] for model in MODEL_LOOKS))
    axes[-1, 0].set_xlabel("Epoch")
    return figure


def _at_least(ax: Axes, low: float, high: float) -> None:
    """Makes a vertical axis span at least from `low` to `high`."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(min(bottom, low), max(top, high))


def _training_conditions(
    rows: pd.DataFrame, shown: dict[str, float]
) -> dict[tuple[str, float], str]:
    """Without augmentation, and one level of each: that chosen, or the one in the middle.

    All levels would be too many lines to read. Of an even number of levels above 0 the lower of the
    two in the middle is taken.
    """
    conditions = {}
    for augmentation in _TRAINING_LOOKS:
        levels = sorted(set(rows.loc[rows["augmentation"] == augmentation, "level"]))
        if levels:
            level = shown.get(augmentation, levels[(len(levels) - 1) // 2])
            title = labels.AUGMENTATION_TITLES.get(augmentation, "No augmentation")
            conditions[augmentation, level] = f"{title} {level:g}" if level else title
    return conditions


def _strength_curves(
    ax: Axes, rows: pd.DataFrame, perturbation: str, training: dict[tuple[str, float], str]
) -> None:
    """Accuracy against the strength of one perturbation; clean images are its strength 0.

    Two points alone are not joined, as what lies between them is not known.
    """
    unit, _, _ = _STRENGTH_AXES[perturbation]
    perturbed = rows[(rows["perturbation"] == perturbation) & (rows["strength"] > 0)]
    if not perturbed.empty:
        rows = pd.concat([rows[rows["perturbation"] == "clean"], perturbed])
        rows = rows.assign(strength=rows["strength"] * unit)
        alone = {"linestyle": ""} if perturbed["strength"].nunique() == 1 else {}
        for (augmentation, level), title in training.items():
            run = rows[(rows["augmentation"] == augmentation) & (rows["level"] == level)]
            look = _TRAINING_LOOKS[augmentation] | alone
            draw_curve(ax, run, "accuracy", title, by="strength", bars=True, **look)
    say_if_empty(ax)
