"""The figures: each is made by a function from a data frame and nothing else.

Every curve over epochs is the mean over folds; its band is the mean +- 1.96 standard errors over
folds, the 95 % interval of a normal mean. Folds stop training at different epochs: beyond the
shortest of them, mean and band are those of the folds still running, so a curve may step there; one
fold alone has no band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from freeconv import catalogue, illustrations
from freeconv.errors import InputError
from freeconv.style import STYLE, letter_panels, panels, save, say_if_empty
from freeconv.summary import CELL, accuracies, levels_of

__all__ = ["draw", "level_colour", "mean_over_folds", "save"]

FEW_EPOCHS = 20
"""Up to this many epochs each has a marker."""

# Okabe and Ito's palette, safe for colour-blind readers; line style and marker tell them apart too.
_MODEL_LOOKS = {
    "fcn": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    "cnn": {"color": "#0072B2", "linestyle": (0, (4, 1.5)), "marker": "s"},
}
_TRAINING_LOOKS = {
    "none": {"color": "black", "linestyle": "-", "marker": "o"},
    "translation": {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
    "rotation": {"color": "#0072B2", "linestyle": (0, (3, 1, 1, 1)), "marker": "^"},
    "noise": {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "D"},
    "edge_noise": {"color": "#CC79A7", "linestyle": (0, (6, 1.5, 1, 1.5)), "marker": "v"},
}

# Verdict -> how the marker of a compared number is filled.
_VERDICT_FILLS = {"agrees": "full", "undecided": "bottom", "differs": "none"}

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


def draw(name: str, frame: pd.DataFrame, dataset: str) -> Figure:
    """Draws a figure.

    Args:
        name: The figure's name, see `freeconv.catalogue.FIGURES`.
        frame: The frame that figure is drawn from, see `freeconv.catalogue.Figure`.
        dataset: The data set shown.

    Returns:
        The figure. A panel without data says so.

    Raises:
        InputError: If there is no such figure, or the frame has no row of the data set.

    Example:
        >>> from pathlib import Path
        >>> history = pd.DataFrame({
        ...     "dataset": "mnist", "model": ["cnn", "fcn"], "augmentation": "translation",
        ...     "level": 0.3, "vcp": 0.0, "fold": 0, "epoch": 1, "accuracy": [0.97, 0.96],
        ...     "val_accuracy": [0.99, 0.98], "val_translation": [0.97, 0.95],
        ... })
        >>> save(draw("translation_curves", history, "mnist"), Path("translation_curves.png"))
    """
    entry = catalogue.figure(name)
    rows = frame[frame["dataset"] == dataset]
    if rows.empty:
        known = ", ".join(sorted(set(frame["dataset"]))) or "no row at all"
        raise InputError(
            f"`dataset` must be one of the frame's ({known}) to draw {name!r}. "
            f"Received: {dataset!r}"
        )
    with matplotlib.rc_context(STYLE):
        return _DRAWINGS[entry.kind](rows, entry)


def level_colour(level: float) -> tuple[float, float, float]:
    """Returns the colour of a level or probability: blue at 0 through grey to red at 0.99.

    The scale is fixed, so that a level has the same colour in every figure of every study. It is
    matplotlib's `coolwarm`, its pale middle darkened to stand out from white paper.

    Args:
        level: From 0 to 0.99.
    """
    position = level / 0.99
    rgb = np.array(matplotlib.colormaps["coolwarm"](position)[:3])
    return tuple(rgb * (0.72 + 0.28 * abs(2 * position - 1)))


def mean_over_folds(rows: pd.DataFrame, metric: str, by: str = "epoch") -> pd.DataFrame:
    """Averages a metric over folds.

    Args:
        rows: One row per fold and value of `by`. Rows whose metric is null are left out.
        metric: The column averaged.
        by: The column of the horizontal axis.

    Returns:
        A row a value of `by` (the index, increasing) with `mean`, and `low` and `high`, the mean
        -+ 1.96 standard errors over folds, NaN where there is one fold alone.
    """
    folds = rows.dropna(subset=metric).groupby(by)[metric]
    mean, margin = folds.mean(), 1.96 * folds.sem()
    return pd.DataFrame({"mean": mean, "low": mean - margin, "high": mean + margin})


def _translation_curves(history: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    rows = _trained(levels_of(history, "translation"))
    figure, axes = panels(3, 2, height=180, sharex=True, sharey="row")
    for row, (metric, title) in zip(axes, catalogue.METRICS.items(), strict=True):
        for ax, model in zip(row, ("fcn", "cnn"), strict=True):
            _level_curves(ax, rows[rows["model"] == model], metric, "level")
        _accuracy_axis(row[0], title)
    letter_panels(axes.flat, ("FCN", "CNN"))
    _epoch_axis(axes[-1])
    _level_legend(figure, rows, "level", "Translation\nlevel")
    return figure


def _filter_distance(history: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    augmentation = entry.needs.augmentation
    rows = levels_of(history, augmentation)
    rows = rows[rows["model"] == "fcn"]
    figure, axes = panels(1, 2, height=75, sharex=True, sharey=True)
    for ax, metric in zip(axes.flat, ("distance_1", "distance_4"), strict=True):
        _level_curves(ax, rows, metric, "level")
    axes[0, 0].set_ylabel("Euclidean distance between filters")
    letter_panels(axes.flat, ("Radius 1", "Radius 4"))
    _epoch_axis(axes[-1])
    _level_legend(figure, rows, "level", f"{catalogue.augmentation_title(augmentation)}\nlevel")
    return figure


def _quadrant_swap(history: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    rows = _trained(history[(history["augmentation"] == "none") & (history["vcp"] == 0)])
    figure, axes = panels(1, 1, height=72, width=120)
    (ax,) = axes.flat
    for model, look in _MODEL_LOOKS.items():
        curve = mean_over_folds(rows[rows["model"] == model], "val_quadrant_swap")
        _curve(ax, curve, catalogue.MODELS[model], **look | _epoch_marker(curve, look["marker"]))
    say_if_empty(ax)
    _accuracy_axis(ax, "Quadrant-swap accuracy")
    _epoch_axis(axes[-1])
    _legend(figure, ax.get_lines())
    return figure


def _vcp_curves(history: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    rows = _variable_connections(history)
    return _six_panels(rows, "vcp", "translation", "FCN", "Absent\nconnections")


def _augmentation_panels(history: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    augmentation, model = entry.needs.augmentation, entry.needs.model
    rows = levels_of(history, augmentation)
    legend = f"{catalogue.augmentation_title(augmentation)}\nlevel"
    rows = rows[rows["model"] == model]
    return _six_panels(rows, "level", augmentation, catalogue.MODELS[model], legend)


def _six_panels(
    rows: pd.DataFrame, key: str, augmentation: str, network: str, legend: str
) -> Figure:
    """Training, validation, and validation under each perturbation; a line a value of `key`."""
    rows = _trained(rows)
    titles = {
        "accuracy": f"Training, {_SUFFERED.get(augmentation, augmentation.replace('_', ' '))}",
        "val_accuracy": "Validation",
        **{f"val_{kind}": f"Validation, {words}" for kind, words in _SUFFERED.items()},
    }
    figure, axes = panels(3, 2, height=180, sharex=True)
    for ax, metric in zip(axes.flat, titles, strict=True):
        _level_curves(ax, rows, metric, key)
        _accuracy_axis(ax, "Accuracy" if ax in axes[:, 0] else "")
    letter_panels(axes.flat, titles.values())
    names = [network, *map(catalogue.dataset_title, set(rows["dataset"]))]
    figure.suptitle(", ".join(names), x=0.01, ha="left", size=9)
    _epoch_axis(axes[-1])
    _level_legend(figure, rows, key, legend)
    return figure


def _perturbation_strength(evaluation: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    folds = accuracies(evaluation[evaluation["vcp"] == 0], by=(*CELL, "fold"))
    training = _training_conditions(folds)
    figure, axes = panels(2, 4, height=105, sharex="col", sharey=True)
    for row, model in zip(axes, ("fcn", "cnn"), strict=True):
        of_model = folds[folds["model"] == model]
        for ax, perturbation in zip(row, _STRENGTH_AXES, strict=True):
            _strength_curves(ax, of_model, perturbation, training)
        row[0].set_ylabel(f"{catalogue.MODELS[model]} accuracy")
    for ax, (_, steps, label) in zip(axes[-1], _STRENGTH_AXES.values(), strict=True):
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=steps))
        ax.set_xlabel(label)
    axes[0, 0].set_ylim(0, 1.03)
    letter_panels(axes.flat, (catalogue.AUGMENTATIONS[kind] for kind in _STRENGTH_AXES))
    drawn = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    _legend(figure, [drawn[t] for t in training.values() if t in drawn], "Trained with", below=True)
    return figure


def _published_numbers(comparison: pd.DataFrame, entry: catalogue.Figure) -> Figure:
    figure, axes = panels(2, 3, height=115, sharex="col", height_ratios=(3, 2))
    for column, (metric, title) in zip(axes.T, catalogue.METRICS.items(), strict=True):
        _ours_and_published(*column, comparison[comparison["metric"] == metric])
        column[1].set_xlabel(f"{title}, published")
    axes[0, 0].set_ylabel("Ours")
    axes[1, 0].set_ylabel("Ours minus published")
    letter_panels(axes.flat, (title.split()[0] for title in catalogue.METRICS.values()))
    grey = {"color": "0.3", "marker": "D", "linestyle": "", "markerfacecoloralt": "white"}
    _legend(
        figure,
        [
            *(
                Line2D([], [], **_MODEL_LOOKS[model] | {"linestyle": ""}, label=title)
                for model, title in catalogue.MODELS.items()
            ),
            *(
                Line2D([], [], **grey, fillstyle=fill, label=verdict)
                for verdict, fill in _VERDICT_FILLS.items()
            ),
        ],
        below=True,
    )
    return figure


def _ours_and_published(against: Axes, difference: Axes, rows: pd.DataFrame) -> None:
    """A point a number in both panels; the lower one has the tolerances, and fits its points."""
    rows = rows[rows["folds"] > 0]
    for (model, verdict), numbers in rows.groupby(["model", "verdict"]):
        look = _MODEL_LOOKS[model] | {"linestyle": "", "markeredgewidth": 0.8}
        look |= {"fillstyle": _VERDICT_FILLS[verdict], "markerfacecoloralt": "white"}
        against.plot(numbers["published"], numbers["ours"], **look)
        difference.plot(numbers["published"], numbers["difference"], **look)
    for ax in (against, difference):
        say_if_empty(ax)
    if rows.empty:
        return
    against.axline((rows["published"].iloc[0],) * 2, slope=1, color="0.6", linewidth=0.6, zorder=0)
    difference.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    limits = difference.get_ylim()
    for model, numbers in rows.dropna(subset="tolerance").groupby("model"):
        bars = {"ecolor": _MODEL_LOOKS[model]["color"], "elinewidth": 0.6, "alpha": 0.4}
        points = numbers["published"], numbers["difference"]
        difference.errorbar(*points, numbers["tolerance"], fmt="none", **bars)
    difference.set_ylim(limits)


_DRAWINGS: dict[str, Callable[[pd.DataFrame, catalogue.Figure], Figure]] = {
    "translation_curves": _translation_curves,
    "filter_distance": _filter_distance,
    "quadrant_swap": _quadrant_swap,
    "six_panels": _augmentation_panels,
    "vcp_curves": _vcp_curves,
    "perturbation_strength": _perturbation_strength,
    "published_numbers": _published_numbers,
    "free_convolution": illustrations.free_convolution,
    "examples": illustrations.augmentation_examples,
    "quadrant_swap_example": illustrations.quadrant_swap_example,
    "filter_rings": illustrations.filter_rings,
}


def _trained(history: pd.DataFrame) -> pd.DataFrame:
    """Leaves out epoch 0, whose chance level would flatten every curve of accuracies."""
    return history[history["epoch"] >= 1]


def _variable_connections(history: pd.DataFrame) -> pd.DataFrame:
    """The FCN's cells with absent connections, and those without at the same augmentation."""
    fcn = history[history["model"] == "fcn"]
    training = ["augmentation", "level"]
    with_absent = fcn.loc[fcn["vcp"] > 0, training].drop_duplicates()
    return fcn.merge(with_absent, on=training)


def _training_conditions(folds: pd.DataFrame) -> dict[tuple[str, float], str]:
    """Without augmentation, and of each augmentation the level in the middle of its grid.

    All levels would be too many lines to read. Of an even number of levels above 0 the lower of the
    two in the middle is taken.
    """
    conditions = {}
    for augmentation in _TRAINING_LOOKS:
        levels = sorted(set(folds.loc[folds["augmentation"] == augmentation, "level"]))
        if levels:
            level = levels[(len(levels) - 1) // 2]
            title = catalogue.AUGMENTATIONS.get(augmentation, "No augmentation")
            conditions[augmentation, level] = f"{title} {level:g}" if level else title
    return conditions


def _strength_curves(
    ax: Axes, folds: pd.DataFrame, perturbation: str, training: dict[tuple[str, float], str]
) -> None:
    """Accuracy against the strength of one perturbation; clean images are its strength 0."""
    unit, _, _ = _STRENGTH_AXES[perturbation]
    perturbed = folds[(folds["perturbation"] == perturbation) & (folds["strength"] > 0)]
    if not perturbed.empty:
        rows = pd.concat([folds[folds["perturbation"] == "clean"], perturbed])
        rows = rows.assign(strength=rows["strength"] * unit)
        for (augmentation, level), title in training.items():
            trained = (rows["augmentation"] == augmentation) & (rows["level"] == level)
            curve = mean_over_folds(rows[trained], "accuracy", by="strength")
            _curve(ax, curve, title, **_TRAINING_LOOKS[augmentation])
    say_if_empty(ax)


def _level_curves(ax: Axes, rows: pd.DataFrame, metric: str, key: str) -> None:
    for level, cell in rows.groupby(key):
        curve = mean_over_folds(cell, metric)
        _curve(ax, curve, f"{level:g}", color=level_colour(level), **_epoch_marker(curve, "o"))
    say_if_empty(ax)


def _curve(ax: Axes, curve: pd.DataFrame, label: str, **look) -> None:
    if curve.empty:
        return
    x, mean = curve.index.to_numpy(), curve["mean"].to_numpy()
    ax.plot(x, mean, label=label, **look)
    if curve["low"].notna().any():
        band = {"color": look["color"], "alpha": 0.18, "linewidth": 0}
        ax.fill_between(x, curve["low"], curve["high"], **band)


def _epoch_marker(curve: pd.DataFrame, marker: str) -> dict[str, str]:
    return {"marker": marker if len(curve) <= FEW_EPOCHS else ""}


def _epoch_axis(axes: Iterable[Axes]) -> None:
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        left, right = ax.get_xlim()
        if right - left < 1:
            ax.set_xlim(left - 0.5, right + 0.5)
        ax.set_xlabel("Epoch")


def _accuracy_axis(ax: Axes, label: str) -> None:
    """Labels an axis of accuracies; a band may reach beyond 0 or 1, the axis does not."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, -0.03), min(top, 1 + 0.04 * (1 - max(bottom, 0))))
    ax.set_ylabel(label)


def _level_legend(figure: Figure, rows: pd.DataFrame, key: str, title: str) -> None:
    levels = sorted(set(rows[key]))
    _legend(figure, [Line2D([], [], color=level_colour(v), label=f"{v:g}") for v in levels], title)


def _legend(
    figure: Figure, handles: list[Line2D], title: str | None = None, below: bool = False
) -> None:
    """One legend for the figure, outside the panels."""
    if not handles:
        return
    if below:
        figure.legend(handles=handles, title=title, loc="outside lower center", ncols=len(handles))
    else:
        figure.legend(handles=handles, title=title, loc="outside right center", alignment="left")
    figure.align_ylabels()
