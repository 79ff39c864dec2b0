"""How every figure looks, how its panels are laid out, and the files it becomes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from string import ascii_lowercase

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from freeconv.errors import InputError

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
    if not ax.get_lines():
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", color="0.4")
