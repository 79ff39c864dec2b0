"""How alike the single filters of a free convolution are, whatever their norms and their order.

`filter_distances` is the paper's measure: one norm divides the whole kernel, so that filters of
unequal norms come nearer to each other by that alone, and filter `k` of a position is compared with
filter `k` of another, although nothing ties their order. Both are undone here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from freeconv.layers.filter_distances import as_grid, ring_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class FilterSimilarity(NamedTuple):
    """Means over all pairs of filters at two positions of a ring; NaN without such a pair.

    Attributes:
        cosine: Cosine of the angle between the two, -1 to 1; 0 with a filter that is zero.
        distance: Euclidean distance after each is divided by its own norm, 0 to 2.
        matched_cosine: The same where the filters of two positions are paired so that the sum of
            their cosines is as large as it can be.
        matched_distance: The distance of these pairs.
    """

    cosine: float
    distance: float
    matched_cosine: float
    matched_distance: float


def filter_similarity(
    kernel: np.ndarray,
    grid: Sequence[int],
    radius: int,
    assign: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> FilterSimilarity:
    """Compares single filters of every position with those on the square ring around it.

    Positions are paired as by `filter_distances`. The matched measures are upper bounds of what any
    order of the filters gives, and well above 0 for random filters, too: the untrained network says
    how much.

    Args:
        kernel: Kernel of a free convolution, positions in row-major order.
        grid: `(out_h, out_w)`, rows and columns of positions.
        radius: Chebyshev distance of the positions compared, a positive integer.
        assign: Solves the assignment problem: from costs `(filters, filters)` to the rows and
            columns of the pairs of the least sum, such as `scipy.optimize.linear_sum_assignment`.

    Input shape:
        `(out_h * out_w, kh * kw * channels, filters)`

    Returns:
        `FilterSimilarity`, NaN throughout where no position is `radius` from the border, and where
        the kernel is not finite.

    Raises:
        ValueError: If `kernel` does not have three axes, its positions do not fill `grid`, or
            `radius` is not positive.

    Example:
        >>> from scipy.optimize import linear_sum_assignment
        >>> alike = filter_similarity(np.ones((169, 9, 32)), (13, 13), 4, linear_sum_assignment)
        >>> round(alike.cosine, 6), round(alike.matched_distance, 6)
        (1.0, 0.0)
    """
    filters = np.swapaxes(as_grid(kernel, grid), 2, 3)
    pairs = ring_pairs(grid, radius)
    if not pairs or not np.isfinite(filters).all():
        return FilterSimilarity(*[np.nan] * 4)
    norms = _norms(filters)
    directions = filters / np.where(norms > 0, norms, 1.0)[..., None]

    own, matched = [], []
    for here, there in pairs:
        cosines = directions[here] @ np.swapaxes(directions[there], 2, 3)
        cosines = cosines.reshape(-1, *cosines.shape[2:])
        own.append(np.diagonal(cosines, axis1=1, axis2=2))
        matched.append([table[assign(-table)] for table in cosines])
    return FilterSimilarity(*_means(own), *_means(matched))


def norm_variation(kernel: np.ndarray, grid: Sequence[int]) -> float:
    """Returns the coefficient of variation of the norms of all single filters.

    Their standard deviation by their mean: 0 where all are equally long, NaN where all are zero or
    any is not finite.

    Args:
        kernel: See `filter_similarity`.
        grid: Likewise.

    Raises:
        ValueError: As `filter_similarity`.
    """
    norms = _norms(np.swapaxes(as_grid(kernel, grid), 2, 3))
    mean = norms.mean()
    return float(norms.std() / mean) if np.isfinite(mean) and mean > 0 else np.nan


def common_share(kernel: np.ndarray, counts: Sequence[int]) -> float:
    """Returns how much of the kernels of all positions is their mean, as a share of squares.

    The squared norm of the mean kernel over the mean of the squared norms: 1 where all are the
    same, as in a convolution; about 1 / positions for independent ones of mean zero. One minus it
    is the share that `to_shared` would lose. NaN where all are zero or any is not finite.

    Args:
        kernel: Kernels of the tiles of a free convolution, of any shape `(tiles, ...)`.
        counts: Positions of each tile.

    Example:
        >>> common_share(np.array([[1.0, 1.0], [1.0, -1.0]]), [1, 1])
        0.5
    """
    kernel = np.asarray(kernel, dtype=np.float64).reshape(len(counts), -1)
    weights = np.asarray(counts, dtype=np.float64) / np.sum(counts)
    squares = weights @ np.square(kernel).sum(axis=1)
    if not (np.isfinite(squares) and squares > 0):
        return np.nan
    return float(np.square(weights @ kernel).sum() / squares)


def _means(cosines):
    """Returns the mean cosine, and the mean distance of unit vectors at such cosines."""
    cosines = np.clip(cosines, -1.0, 1.0)
    return float(cosines.mean()), float(np.sqrt(2 - 2 * cosines).mean())


def _norms(filters):
    return np.sqrt(np.square(filters).sum(axis=-1))
