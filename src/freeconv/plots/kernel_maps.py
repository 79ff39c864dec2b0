"""What the kernels of a free convolution look like, and where in the layer they are similar.

Every position has separate kernels, so they can be laid out where they are. A position's "bank"
is all of its kernels, over all input channels and filters, taken together as one vector, as in
`distances`: filter k of one position is compared with filter k of another.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from freeconv.errors import InputError
from freeconv.layers.filter_distances import ring
from freeconv.plots.style import STYLE, WIDTH, letter_panels, panels

_GAP, _MASKED = "0.72", "0.3"  # the greys between kernels, and of connections that do not exist
_LEGIBLE = 99.5  # per cent of the weights shown that the colours tell apart


def kernel_mosaic(
    kernel: np.ndarray, grid: Sequence[int], kernel_size: Sequence[int], channel: int, number: int
) -> np.ndarray:
    """One filter of a free convolution: each position's kernel at its position.

    Args:
        kernel: array `(out_rows * out_columns, kernel_rows * kernel_columns * channels, filters)`,
            as `FreeConv2D.kernel`.
        grid: `(out_rows, out_columns)`.
        kernel_size: `(kernel_rows, kernel_columns)`.
        channel: int, the input channel, from 0.
        number: int, the filter, from 0.

    Returns:
        float64 array `(out_rows * (kernel_rows + 1) - 1, out_columns * (kernel_columns + 1) - 1)`;
        kernels are one row and column of NaN apart.
    """
    rows, columns = kernel_size
    weights = np.asarray(kernel, np.float64)[..., number]
    weights = weights.reshape(*grid, rows, columns, -1)[..., channel]
    spaced = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    height, width = grid[0] * (rows + 1), grid[1] * (columns + 1)
    return spaced.transpose(0, 2, 1, 3).reshape(height, width)[:-1, :-1]


def likeness_to_neighbours(kernel: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Cosine similarity of each position's bank and the mean bank of its up to eight neighbours.

    Args:
        kernel: array `(out_rows * out_columns, weights, filters)`.
        grid: `(out_rows, out_columns)`.

    Returns:
        float64 array of the grid's shape, -1 to 1. It is 0 where either bank is zero throughout,
        and NaN without neighbours or with a weight that is not finite.
    """
    banks = _banks(kernel, grid)
    rows, columns = grid
    padded = np.pad(banks, ((1, 1), (1, 1), (0, 0)))
    # The sum points where the mean does.
    sums = sum(
        padded[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
        for down, right in ring(1)
    )
    return _cosine(banks, sums) if rows * columns > 1 else np.full(grid, np.nan)


def likeness_to_centre(kernel: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Cosine similarity of each position's bank and that of the position in the centre.

    The centre is row `out_rows // 2`, column `out_columns // 2`, as in the paper's Fig. B.5.

    Args:
        kernel: array `(out_rows * out_columns, weights, filters)`.
        grid: `(out_rows, out_columns)`.

    Returns:
        float64 array of the grid's shape, -1 to 1; see `likeness_to_neighbours`.
    """
    banks = _banks(kernel, grid)
    return _cosine(banks, banks[grid[0] // 2, grid[1] // 2])


def bank_lengths(kernel: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Euclidean length of each position's bank, as a share of the mean length.

    Args:
        kernel: array `(out_rows * out_columns, weights, filters)`.
        grid: `(out_rows, out_columns)`.

    Returns:
        float64 array of the grid's shape, 0 or more, of mean 1; NaN where all weights are zero.
    """
    lengths = np.sqrt(np.square(_banks(kernel, grid)).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        return lengths / lengths.mean()


def draw_filters(
    kernel: np.ndarray,
    grid: tuple[int, int],
    kernel_size: tuple[int, int],
    numbers: Sequence[int] | None = None,
    channels: Sequence[int] | None = None,
    present: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draws some filters of a free convolution where they are, and maps of how similar they are.

    One column per filter, one row per input channel, all in one scale of colours; below them the
    maps of `likeness_to_neighbours`, `likeness_to_centre` (an X marks it) and `bank_lengths`, of
    all filters and channels.

    Args:
        kernel: As `FreeConv2D.kernel`.
        grid: `(out_rows, out_columns)`.
        kernel_size: `(kernel_rows, kernel_columns)`.
        numbers: The filters shown, from 0; `None` for the first three.
        channels: The input channels shown, from 0; `None` for the first three.
        present: Which connections exist, as `FreeConv2D.connection_mask`; `None` for all.
        title: Of the figure.

    Raises:
        InputError: If there is no such filter or channel.
    """
    kernel = np.asarray(kernel, np.float64)
    depth = kernel.shape[1] // (kernel_size[0] * kernel_size[1])
    numbers = range(min(3, kernel.shape[2])) if numbers is None else numbers
    channels = range(min(3, depth)) if channels is None else channels
    _check_numbers("filters", numbers, kernel.shape[2])
    _check_numbers("channels", channels, depth)
    if present is None:
        present = np.ones(kernel.shape, bool)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        columns = max(3, len(numbers))
        side = WIDTH / columns + 5
        figure, axes = panels(len(channels) + 1, columns, side * (len(channels) + 1) + 25)
        figure.get_layout_engine().set(h_pad=0.07)
        limit = _limit(kernel[..., list(numbers)])
        for row, channel in zip(axes, channels, strict=False):
            for ax, number in zip(row, numbers, strict=False):
                at = (grid, kernel_size, channel, number)
                mosaics = (kernel_mosaic(array, *at) for array in (kernel, present))
                image = _mosaic(ax, *mosaics, limit)
                ax.set_title(f"Filter {number}" + f", channel {channel}" * (depth > 1))
        label = "Weight" if present.all() else "Weight (dark grey: no connection)"
        below = {"location": "bottom", "aspect": 40, "pad": 0.02}
        figure.colorbar(image, ax=axes[:-1], label=label, extend="both", shrink=0.5, **below)
        _maps(figure, axes[-1], kernel, grid)
        _finish(axes)
        figure.suptitle(title, x=0.01, ha="left", size=9)
    return figure


def _check_numbers(name: str, numbers: Sequence[int], count: int) -> None:
    if not numbers or not all(0 <= number < count for number in numbers):
        raise InputError(
            f"`{name}` must be from 0 to {count - 1}, at least one. "
            f"Received: {' '.join(map(str, numbers)) or 'none'}"
        )


def _limit(weights: np.ndarray) -> float:
    """The size of a weight that has the strongest colour, so that few outliers do not pale all."""
    sizes = np.abs(weights[np.isfinite(weights)])
    return (np.percentile(sizes, _LEGIBLE) if sizes.size else 0) or 1.0


def _mosaic(ax: Axes, weights: np.ndarray, present: np.ndarray, limit: float) -> AxesImage:
    """Draws weights around a white 0; gaps between kernels and masked connections are grey."""
    greys = ListedColormap([_MASKED, _GAP])
    ax.imshow(np.isnan(present), cmap=greys, vmin=0, vmax=1, interpolation="none")
    seen = np.ma.masked_array(weights, np.isnan(present) | (present == 0))
    return ax.imshow(seen, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="none")


def _maps(figure: Figure, axes: np.ndarray, kernel: np.ndarray, grid: tuple[int, int]) -> None:
    """Draws the three maps of a layer."""
    centre = grid[0] // 2, grid[1] // 2
    to_centre = likeness_to_centre(kernel, grid)
    # With itself it is 1, which would leave the others no colours.
    to_centre[centre] = np.nan
    # The standard deviation of the cosine of two random directions.
    cosine = f"Cosine (by chance ±{(kernel[0].size) ** -0.5:.2f})"
    maps = {
        "Likeness to neighbours": (likeness_to_neighbours(kernel, grid), cosine),
        "Likeness to X": (to_centre, cosine),
        "Length of all weights": (bank_lengths(kernel, grid), "Share of the mean length"),
    }
    for ax, (title, (values, label)) in zip(axes, maps.items(), strict=False):
        look = {"cmap": "viridis"}
        if label == cosine:
            limit = np.nanmax(np.abs(values), initial=0.01)
            look = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit}
        image = ax.imshow(values, interpolation="none", **look)
        figure.colorbar(image, ax=ax, label=label, location="bottom", shrink=0.8, pad=0.03)
        ax.set_title(title)
    middle = {"ha": "center", "va": "center_baseline"}
    axes[1].text(*centre[::-1], "X", weight="bold", **middle)


def _finish(axes: np.ndarray) -> None:
    """Letters the panels that show something, and removes the others."""
    shown = [ax for ax in axes.flat if ax.images]
    letter_panels(shown, [ax.get_title(loc="left") for ax in shown])
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if ax not in shown:
            ax.remove()


def _banks(kernel, grid):
    """The kernels of each position as one vector: float64 (out_rows, out_columns, weights)."""
    return np.asarray(kernel, np.float64).reshape(*grid, -1)


def _cosine(one, other):
    """Cosine of the angles between vectors along the last axis; 0 where one is zero."""
    products = (one * other).sum(axis=-1)
    squares = np.square(one).sum(axis=-1) * np.square(other).sum(axis=-1)
    # A NaN is no zero, and stays.
    return products / np.sqrt(np.where(squares == 0, 1.0, squares))
