"""Drawings that explain rather than measure: free convolutions, augmentations, filter rings.

Source: Ott et al. (2020), Figs. 1, 2 and B.1 to B.5.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from freeconv.plots.style import letter_panels, panels
from freeconv.study import outputs

MASKED = 12
"""Masked connections of Fig. 1, of 81; the paper's caption says of 91, which 9 x 9 are not."""

RADII = (1, 4)

# Okabe and Ito's palette and a grey: a colour for each of the nine kernels of Fig. 1.
_KERNEL_COLOURS = (
    ("#E69F00", "#56B4E9", "#009E73"),
    ("#CC79A7", "0.55", "#0072B2"),
    ("#D55E00", "#B8A800", "#5B4EA3"),
)
_MARK = "#D55E00"
_RING_COLOURS = ListedColormap(["white", "#56B4E9", _MARK])
_OUTPUT_HEIGHT = 5.6


def free_convolution(networks: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws the 9 x 9 example of Fig. 1, which is the same for all networks.

    Left, each 3 x 3 region of the input has a separate kernel, whose output is the square above
    it; right, the same with `MASKED` connections masked, marked by crosses.
    """
    figure, axes = panels(1, 2, height=72)
    random = np.random.default_rng(0)
    weights = random.uniform(0.25, 1, (9, 9))
    masked = np.zeros(81, bool)
    masked[random.choice(81, MASKED, replace=False)] = True
    _stack(axes[0, 0], weights, np.zeros((9, 9), bool))
    _stack(axes[0, 1], weights, masked.reshape(9, 9))
    titles = (
        "A separate kernel at each location",
        f"{MASKED} of {masked.size} connections masked",
    )
    letter_panels(axes.flat, titles)
    return figure


def augmentation_examples(examples: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws one image at every level of an augmentation, level 0 first."""
    augmentation = entry.needs.augmentation
    shown = examples[examples["perturbation"].isin(["clean", augmentation])]
    shown = shown.sort_values("strength")
    figure, axes = panels(2, -(-len(shown) // 2), height=68)
    for ax, (_, row) in zip(axes.flat, shown.iterrows(), strict=False):
        _show(ax, image_of(row))
    titles = [_level_title(augmentation, level) for level in shown["strength"]]
    letter_panels(axes.flat[: len(shown)], titles)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    return figure


def quadrant_swap_example(examples: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws an image before and after its top right and bottom left quadrants are exchanged."""
    figure, axes = panels(1, 2, height=62, width=110)
    for ax, perturbation in zip(axes.flat, ("clean", "quadrant_swap"), strict=True):
        (row,) = examples[examples["perturbation"] == perturbation].itertuples()
        _show(ax, image_of(row))
        ax.axhline(row.height / 2 - 0.5, color=_MARK, linewidth=0.8)
        ax.axvline(row.width / 2 - 0.5, color=_MARK, linewidth=0.8)
    for ax, (top_right, bottom_left) in zip(axes.flat, (("I", "III"), ("III", "I")), strict=True):
        look = {
            "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            "transform": ax.transAxes,
        }
        ax.text(0.97, 0.97, top_right, ha="right", va="top", **look)
        ax.text(0.03, 0.03, bottom_left, ha="left", va="bottom", **look)
    letter_panels(axes.flat, ("Original", "Quadrants I and III exchanged"))
    return figure


def filter_rings(networks: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws the positions of the first free layer, and the rings that one of them is compared with.

    The position is the one in the middle; of an even number, the lower right of those.
    """
    first = networks[networks["kind"] == "free_convolution"].iloc[0]
    figure, axes = panels(1, 2, height=68, width=120)
    for ax, radius in zip(axes.flat, RADII, strict=True):
        _ring(ax, first["rows"], first["columns"], radius)
    letter_panels(axes.flat, [f"Radius {radius}" for radius in RADII])
    return figure


def image_of(row) -> np.ndarray:
    """Returns the image, uint8 (height, width, channels), that a row of examples holds."""
    shape = (row.height, row.width, row.channels)
    return np.frombuffer(row.pixels, np.uint8).reshape(shape)


def _show(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="none")
    ax.set_axis_off()


def _level_title(augmentation: str, level: float) -> str:
    return f"{level:g}, {level * 360:.0f}°" if augmentation == "rotation" else f"{level:g}"


def _ring(ax: Axes, rows: int, columns: int, radius: int) -> None:
    row, column = rows // 2, columns // 2
    down, right = np.indices((rows, columns))
    looks = (np.maximum(abs(down - row), abs(right - column)) == radius).astype(int)
    looks[row, column] = 2
    ax.pcolormesh(looks, cmap=_RING_COLOURS, vmin=0, vmax=2, edgecolors="0.6", linewidth=0.5)
    middle = {"ha": "center", "va": "center_baseline"}
    ax.text(column + 0.5, row + 0.5, "X", color="white", weight="bold", fontsize=7, **middle)
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set_axis_off()


def _stack(ax: Axes, weights: np.ndarray, masked: np.ndarray) -> None:
    """A 9 x 9 input in perspective, and above each 3 x 3 region its output."""
    cells = [(row, column) for row in range(9) for column in range(9)]
    colours = [_tint(cell, weights[cell] * ~masked[cell]) for cell in cells]
    squares = [_square(*cell, 1, 0) for cell in cells]
    ax.add_collection(PolyCollection(squares, facecolor=colours, edgecolor="0.6", linewidth=0.4))
    crosses = [_square(*cell, 1, 0, shrink=0.25) for cell in cells if masked[cell]]
    strokes = [diagonal for c in crosses for diagonal in (c[[0, 2]], c[[1, 3]])]
    ax.add_collection(LineCollection(strokes, color="black", linewidth=1.1))
    for row, column in [(row, column) for row in (0, 3, 6) for column in (0, 3, 6)]:
        region = _square(row, column, 3, 0)
        output = _square(row, column, 3, _OUTPUT_HEIGHT, shrink=0.27)
        colour = _KERNEL_COLOURS[row // 3][column // 3]
        edges = [[low, high] for low, high in zip(region, output, strict=True)]
        ax.add_collection(LineCollection(edges, color=colour, linewidth=0.6, alpha=0.7))
        ax.add_collection(PolyCollection([region], facecolor="none", edgecolor="0.15"))
        ax.add_collection(PolyCollection([output], facecolor=colour, edgecolor="0.15"))
    ax.text(*_project(9, -0.3, 0), "9 x 9\ninput", ha="right", va="bottom", color="0.3")
    ax.text(
        *_project(9, -0.3, _OUTPUT_HEIGHT), "3 x 3\noutput", ha="right", va="bottom", color="0.3"
    )
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.set_axis_off()


def _tint(cell: tuple[int, int], strength: float) -> np.ndarray:
    """The colour of a cell's kernel, the paler the weaker; white at strength 0."""
    row, column = cell
    return 1 - strength * (1 - np.array(to_rgb(_KERNEL_COLOURS[row // 3][column // 3])))


def _square(row: float, column: float, side: float, height: float, shrink: float = 0) -> np.ndarray:
    """The corners of a square lying in the drawing; `shrink` cuts that share off each side."""
    low, high = shrink * side, side - shrink * side
    corners = [(low, low), (low, high), (high, high), (high, low)]
    return np.array([_project(row + down, column + right, height) for down, right in corners])


def _project(row: float, column: float, height: float) -> tuple[float, float]:
    """Where a point is drawn, seen from the front and above; rows recede."""
    return column + 0.45 * (9 - row), 0.5 * (9 - row) + height
