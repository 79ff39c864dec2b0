"""Curves that figures have in common: means over folds with bands, their axes and legends."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from freeconv import catalogue
from freeconv.style import say_if_empty

# Okabe and Ito's palette, safe for colour-blind readers; line style and marker tell them apart too.
MODEL_LOOKS = {
    "fcn": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    "cnn": {"color": "#0072B2", "linestyle": (0, (4, 1.5)), "marker": "s"},
}
"""Colour, line and marker of the paper's networks."""

FEW_EPOCHS = 20
"""Up to this many epochs each has a marker."""


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
        One row per value of `by` (the index, increasing) with `mean`, and `low` and `high`, the
        mean -+ 1.96 standard errors over folds, NaN where there is one fold alone.
    """
    folds = rows.dropna(subset=metric).groupby(by)[metric]
    mean, margin = folds.mean(), 1.96 * folds.sem()
    return pd.DataFrame({"mean": mean, "low": mean - margin, "high": mean + margin})


def level_curves(ax: Axes, rows: pd.DataFrame, metric: str, key: str) -> None:
    """Draws a metric over epochs, one line per value of `key`; says so where there is none."""
    for level, cell in rows.groupby(key):
        curve = mean_over_folds(cell, metric)
        draw_curve(ax, curve, f"{level:g}", color=level_colour(level), **epoch_marker(curve, "o"))
    say_if_empty(ax)


def draw_curve(ax: Axes, curve: pd.DataFrame, label: str, bars: bool = False, **look) -> None:
    """Draws a mean with its band, see `mean_over_folds`; nothing if it is empty.

    Args:
        ax: The panel.
        curve: By `mean_over_folds`.
        label: Of the line.
        bars: Whether to draw a bar at each point instead of a band: points are few, bands would
            hide one another.
        **look: Colour, line and marker.
    """
    if curve.empty:
        return
    x, mean = curve.index.to_numpy(), curve["mean"].to_numpy()
    ax.plot(x, mean, label=label, **look)
    if curve["low"].isna().all():
        return
    if bars:
        bar = {"color": look["color"], "alpha": 0.6, "linewidth": 0.7}
        ax.vlines(x, curve["low"], curve["high"], **bar)
    else:
        band = {"color": look["color"], "alpha": 0.18, "linewidth": 0}
        ax.fill_between(x, curve["low"], curve["high"], **band)


def epoch_marker(curve: pd.DataFrame, marker: str) -> dict[str, str]:
    """Returns the marker of a curve over epochs: none where they are many."""
    return {"marker": marker if len(curve) <= FEW_EPOCHS else ""}


def epoch_axis(axes: Iterable[Axes]) -> None:
    """Labels axes of epochs, with ticks at whole ones."""
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        left, right = ax.get_xlim()
        if right - left < 1:
            ax.set_xlim(left - 0.5, right + 0.5)
        ax.set_xlabel("Epoch")


def accuracy_axis(ax: Axes, label: str) -> None:
    """Labels an axis of accuracies; a band may reach beyond 0 or 1, the axis does not."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, -0.03), min(top, 1 + 0.04 * (1 - max(bottom, 0))))
    ax.set_ylabel(label)


def level_legend(figure: Figure, rows: pd.DataFrame, key: str, title: str) -> None:
    """Adds a legend of all values of `key`, in their colours."""
    levels = sorted(set(rows[key]))
    legend(figure, [Line2D([], [], color=level_colour(v), label=f"{v:g}") for v in levels], title)


def level_title(augmentation: str) -> str:
    """Returns the title of a legend of the levels of an augmentation."""
    return f"{catalogue.augmentation_title(augmentation)}\nlevel"


def legend(
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
