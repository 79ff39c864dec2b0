"""How every figure looks, how its panels are laid out, and the files it becomes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from string import ascii_lowercase

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from freeconv.analysis.gates import untrained
from freeconv.analysis.inference import FEWEST_FOLDS, interval
from freeconv.analysis.summary import fold_means, mean_over_folds
from freeconv.errors import InputError
from freeconv.study import labels, outputs

MM = 1 / 25.4
"""A millimetre in inches."""

WIDTH = 180
"""Width of a full-width figure, millimetres."""

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same bytes everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 2.8,
    "svg.hashsalt": "freeconv",
}


def save(figure: Figure, path: str | Path) -> None:
    """Writes a figure as PNG (200 dots an inch) or SVG; the same figure gives the same bytes.

    Args:
        figure: The figure.
        path: The file, ending in `.png` or `.svg`.

    Raises:
        InputError: If the path ends otherwise.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise InputError(f"a picture must end in .png or .svg. Received: '{path.suffix}'")
    with matplotlib.rc_context(STYLE):
        if path.suffix == ".png":
            figure.savefig(path, metadata={"Software": None})
        else:
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
            path.write_text(_compact_paths(text.getvalue()), encoding="utf-8")


def _compact_paths(svg: str) -> str:
    """Rewrites polygons and polylines in steps of 0.01 points, in a third of the bytes.

    That is 4 micrometres on paper, and errors do not add up: what is rounded are the points, not
    the steps between them.
    """
    return re.sub(r'(?<= d=")M[^"A-KN-Ya-y]+(?=")', lambda path: _compact_path(path[0]), svg)


def _compact_path(path: str) -> str:
    """Rewrites a path of the commands M, L and z alone."""
    words, x, y = [], 0, 0
    for command, arguments in re.findall(r"([MLz])([^MLz]*)", path):
        if command == "z":
            words.append("z")
            continue
        was_x, was_y = x, y
        x, y = (round(float(number) * 100) for number in arguments.split())
        if command == "M":
            words.append(f"M{x / 100:g} {y / 100:g}")
        else:
            words.append(f"l{(x - was_x) / 100:g} {(y - was_y) / 100:g}")
    return "".join(words)


def panels(
    rows: int, columns: int, height: float, width: float = WIDTH, **kwargs
) -> tuple[Figure, np.ndarray]:
    """A figure of lettered panels; sizes in millimetres."""
    figure = Figure(figsize=(width * MM, height * MM), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def letter_panels(axes: Iterable[Axes], titles: Iterable[str]) -> None:
    """Letters all panels; the titles go to the first ones, which head the columns."""
    titles = iter(titles)
    for letter, ax in zip(ascii_lowercase, axes, strict=False):
        ax.set_title(f"({letter}) {next(titles, '')}".strip())


def say_if_empty(ax: Axes, words: str = "not in this study") -> None:
    """Says in a panel without lines why it has none."""
    if not any(np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in ax.get_lines()):
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", color="0.4")


# Okabe and Ito's palette, safe for colour-blind readers; line style and marker tell them apart too.
MODEL_LOOKS = {
    "fcn": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    "cnn": {"color": "#0072B2", "linestyle": (0, (4, 1.5)), "marker": "s"},
}
"""Colour, line and marker of the paper's networks."""

# The rest of the palette, for what is not the paper's.
VARIANT_LOOKS = (
    {"color": "#009E73", "linestyle": (0, (1, 1)), "marker": "^"},
    {"color": "#CC79A7", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"},
    {"color": "#E69F00", "linestyle": (0, (6, 1.5, 1, 1.5)), "marker": "v"},
    {"color": "#56B4E9", "linestyle": "-", "marker": "P"},
    {"color": "black", "linestyle": (0, (5, 1.5)), "marker": "X"},
)


def model_looks(models: Iterable[str]) -> dict[str, dict]:
    """Returns how each network is drawn: the paper's as everywhere, variants by their names' order.

    With more than five variants, looks repeat.
    """
    names = labels.ordered(models, MODEL_LOOKS)
    variants = [name for name in names if name not in MODEL_LOOKS]
    looks = {
        name: VARIANT_LOOKS[position % len(VARIANT_LOOKS)] for position, name in enumerate(variants)
    }
    return {name: (MODEL_LOOKS | looks)[name] for name in names}


FEW_EPOCHS = 20
"""Up to this many epochs each has a marker."""


MOST_BANDS = 6
"""More lines than this have no bands, which would hide one another."""


def level_looks(levels: Iterable[float]) -> dict[float, dict]:
    """Returns how the levels of a figure are drawn: from blue through grey to red, in three dashes.

    Colours are spread over the levels shown, however near these are to one another; neighbours
    differ in their dashes, too. The scale is matplotlib's `coolwarm`, its pale middle darkened to
    stand out from white paper.

    Args:
        levels: Levels or probabilities, in any order, repeated or not.
    """
    levels = sorted(set(levels))
    looks = {}
    for number, level in enumerate(levels):
        position = number / max(len(levels) - 1, 1)
        rgb = np.array(matplotlib.colormaps["coolwarm"](position)[:3])
        colour = tuple(rgb * (0.72 + 0.28 * abs(2 * position - 1)))
        looks[level] = {"color": colour, "linestyle": _DASHES[number % len(_DASHES)]}
    return looks


_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))


def level_curves(
    ax: Axes,
    rows: pd.DataFrame,
    metric: str,
    key: str,
    looks: dict[float, dict],
    first_epoch: int = 1,
) -> None:
    """Draws a metric over epochs, one line per value of `key`; says so where there is none.

    Args:
        ax: The panel.
        rows: Of a history, epoch 0 included.
        metric: The column drawn.
        key: The column whose values have a line each.
        looks: Of all values in the figure, by `level_looks`.
        first_epoch: Where curves begin. At chance, epoch 0 would flatten those of accuracies.
    """
    for level, run in rows[rows["epoch"] >= first_epoch].groupby(key):
        look = looks[level] | epoch_marker(run, "o")
        draw_curve(ax, run, metric, f"{level:g}", bands=len(looks) <= MOST_BANDS, **look)
    _mark_untrained(ax, rows, metric, key, looks)
    say_if_empty(ax, "not in this study" if rows.empty else "not measured")


FAINT = 0.4
"""Opacity of the mean of the runs still trained, once one of them has ended."""


def draw_curve(
    ax: Axes,
    rows: pd.DataFrame,
    metric: str,
    label: str,
    by: str = "epoch",
    bands: bool = True,
    bars: bool = False,
    **look,
) -> None:
    """Draws the mean over folds, with its corrected 95 % interval; nothing if there is no value.

    The interval is that of `summary.mean_over_folds`, which fewer than three folds do not have.
    From the epoch on where the first run of several ends the line is fainter and has no band: what
    is left is the mean of those still trained, whose number and kind change.

    Args:
        ax: The panel.
        rows: One row per run and value of `by`, with `fold` and `repeat`.
        metric: The column drawn.
        label: Of the line.
        by: The column of the horizontal axis.
        bands: Whether the interval is drawn.
        bars: Whether it is drawn as a bar at each point instead of a band: points are few, bands
            would hide one another.
        **look: Colour, line and marker.
    """
    folds = fold_means(rows, metric, by)
    if folds.empty:
        return
    several, fold_count = folds["fold"].nunique() >= FEWEST_FOLDS, folds["fold_count"].max()
    # Seaborn's own markers have white edges, which would hide thin lines.
    look = {"markeredgewidth": 0} | look
    if by == "epoch":
        first_end = rows.dropna(subset=metric).groupby(["fold", "repeat"])["epoch"].max().min()
        rest = folds[folds["epoch"] >= first_end].groupby("epoch")[metric].mean()
        folds = folds[folds["epoch"] <= first_end]
        if len(rest) > 1:
            ax.plot(rest.index, rest, **look | {"alpha": FAINT, "label": "_still trained"})
    seaborn.lineplot(
        folds,
        x=by,
        y=metric,
        ax=ax,
        label=label,
        legend=False,
        errorbar=(lambda values: interval(values, fold_count)) if bands and several else None,
        err_style="bars" if bars else "band",
        err_kws={"elinewidth": 0.7} if bars else {"linewidth": 0, "alpha": 0.18},
        **look,
    )
    ax.set(xlabel="", ylabel="")


_CROSS = {"marker": "x", "markersize": 5, "linestyle": ""}


def _mark_untrained(ax, rows, metric, key, looks):
    """Puts a cross at the end of curves of networks that learned nothing (`gates.untrained`)."""
    for level, run in rows[untrained(rows)].groupby(key):
        end = mean_over_folds(run, metric)["mean"].tail(1)
        if end.isna().all():
            continue
        ax.plot(end.index, end, **_CROSS, markeredgewidth=1.2, color=looks[level]["color"])


def epoch_marker(rows: pd.DataFrame, marker: str) -> dict[str, str]:
    """Returns the marker of a curve over epochs: none where they are many."""
    return {"marker": marker if rows["epoch"].nunique() <= FEW_EPOCHS else ""}


def epoch_axis(axes: Iterable[Axes]) -> None:
    """Labels axes of epochs, with ticks at whole ones."""
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        left, right = ax.get_xlim()
        if right - left < 1:
            ax.set_xlim(left - 0.5, right + 0.5)
        ax.set_xlabel("Epoch")


LEAST_SPAN = 0.1
"""An axis of accuracies spans at least so much: one per cent is never to look dramatic."""


def accuracy_axis(ax: Axes, label: str) -> None:
    """Labels an axis of accuracies; a band may reach beyond 0 or 1, the axis does not."""
    bottom, top = ax.get_ylim()
    bottom, top = max(bottom, -0.03), min(top, 1 + 0.04 * (1 - max(bottom, 0)))
    if top - bottom < LEAST_SPAN:
        top = min((bottom + top + LEAST_SPAN) / 2, 1.004)
        bottom = top - LEAST_SPAN
    ax.set_ylim(bottom, top)
    ax.set_ylabel(label)


def level_legend(figure: Figure, looks: dict[float, dict], title: str) -> None:
    """Adds a legend of all levels, as `level_looks` has them drawn, and of the cross if any."""
    handles = [Line2D([], [], **look, label=f"{level:g}") for level, look in looks.items()]
    crosses = [line for ax in figure.axes for line in ax.get_lines() if line.get_marker() == "x"]
    if crosses:
        handles.append(Line2D([], [], **_CROSS, color="0.3", label="learned\nnothing"))
    legend(figure, handles, title)


def network_legend(figure: Figure, looks: dict[str, dict], entry: outputs.Figure) -> None:
    """Adds a legend of all networks, by their titles in a study."""
    handles = [
        Line2D([], [], **look, label=entry.network_title(model)) for model, look in looks.items()
    ]
    legend(figure, handles)


def level_title(augmentation: str) -> str:
    """Returns the title of a legend of the levels of an augmentation."""
    return f"{labels.augmentation_title(augmentation)}\nlevel"


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


def place_among(name, names) -> float:
    """Returns where something stands among others side by side, in steps from their middle."""
    return list(names).index(name) - (len(names) - 1) / 2
