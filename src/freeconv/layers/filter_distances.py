"""How far the filters of a free convolution have drifted apart.

Source: Ott et al. (2020), Figs. 5, B.5, B.6 and B.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class FilterDistance(NamedTuple):
    """Mean distances between the filters of a free convolution at a given radius."""

    euclidean: float
    cosine: float


def filter_distances(kernel: np.ndarray, grid: Sequence[int], radius: int) -> FilterDistance:
    """Compares the filters of every position with those on the square ring around it.

    The whole kernel is divided by its Frobenius norm. Every position at least `radius` from the
    border is compared with each of the `8 * radius` positions at Chebyshev distance exactly
    `radius` (Fig. B.5); a position's filters are taken together, as one vector.

    Two cases the paper leaves open: where the kernel is zero throughout it is left undivided, so
    that the Euclidean distance is 0; and the cosine distance to a position whose filters are all
    zero is 1, as in scikit-learn.

    Args:
        kernel: Kernel of a free convolution, positions in row-major order.
        grid: `(out_h, out_w)`, rows and columns of positions.
        radius: Chebyshev distance of the positions compared, a positive integer.

    Input shape:
        `(out_h * out_w, kh * kw * channels, filters)`

    Returns:
        `FilterDistance(euclidean, cosine)`: the means over all pairs of the Euclidean distance,
        and of the cosine distance `1 - cos`, in 0 to 2. Both are NaN where no position is
        `radius` from the border, and where the kernel is not finite.

    Raises:
        ValueError: If `kernel` does not have three axes, its positions do not fill `grid`, or
            `radius` is not positive.

    Example:
        >>> filter_distances(np.ones((169, 9, 32)), grid=(13, 13), radius=4)
        FilterDistance(euclidean=0.0, cosine=0.0)
    """
    vectors = _normalised(as_grid(kernel, grid))
    pairs = ring_pairs(vectors.shape[:2], radius)
    if not pairs or not np.isfinite(vectors).all():
        return FilterDistance(np.nan, np.nan)
    lengths = _length(vectors)
    # A zero vector then has cosine 0 with every other.
    directions = vectors / np.where(lengths > 0, lengths, 1.0)[..., None]

    euclidean, cosine = [], []
    for here, there in pairs:
        euclidean.append(_length(vectors[here] - vectors[there]).mean())
        # Half the squared distance of unit vectors is 1 - cos, without the cancellation.
        half_square = np.square(directions[here] - directions[there]).sum(axis=-1) / 2
        missing = (lengths[here] == 0) | (lengths[there] == 0)
        cosine.append(np.where(missing, 1.0, half_square).mean())
    return FilterDistance(float(np.mean(euclidean)), float(np.mean(cosine)))


def ring(radius: int) -> list[tuple[int, int]]:
    """Returns the `8 * radius` offsets (down, right) at Chebyshev distance exactly `radius`.

    Args:
        radius: A positive integer.

    Example:
        >>> ring(1)
        [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    """
    span = range(-radius, radius + 1)
    return [(down, right) for down in span for right in span if radius in (abs(down), abs(right))]


def ring_pairs(grid: Sequence[int], radius: int) -> list[tuple[tuple[slice, slice], ...]]:
    """Returns the pairs of positions that `filter_distances` compares, as slices of the grid.

    Args:
        grid: `(out_h, out_w)`, rows and columns of positions.
        radius: Chebyshev distance of the positions compared, a positive integer.

    Returns:
        For every offset of `ring(radius)`, the positions at least `radius` from the border, and
        those at that offset from them; none where no position is `radius` from the border.

    Raises:
        ValueError: If `radius` is not positive.
    """
    if radius != int(radius) or radius < 1:
        raise ValueError(f"`radius` must be a positive integer. Received: radius={radius!r}.")
    if min(grid) <= 2 * radius:
        return []
    height, width = grid

    def at(down, right):
        return (
            slice(radius + down, height - radius + down),
            slice(radius + right, width - radius + right),
        )

    return [(at(0, 0), at(*offset)) for offset in ring(radius)]


def as_grid(kernel: np.ndarray, grid: Sequence[int]) -> np.ndarray:
    """Returns a kernel as (out_h, out_w, weights, filters), float64.

    Args:
        kernel: Kernel of a free convolution, (out_h * out_w, weights, filters).
        grid: `(out_h, out_w)`, rows and columns of positions.

    Raises:
        ValueError: If `kernel` does not have three axes, or its positions do not fill `grid`.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    height, width = grid
    if kernel.ndim != 3 or len(kernel) != height * width:
        raise ValueError(
            "`kernel` must have shape (positions, weights, filters) with "
            f"positions = {height} * {width}. Received: shape={kernel.shape}, grid={tuple(grid)}."
        )
    return kernel.reshape(height, width, *kernel.shape[1:])


def _normalised(kernel):
    """Returns a kernel of Frobenius norm 1 (or 0) as (out_h, out_w, all weights of a position)."""
    norm = _length(kernel.ravel())
    if np.isfinite(norm) and norm > 0:
        kernel = kernel / norm
    return kernel.reshape(*kernel.shape[:2], -1)


def _length(vectors):
    """Returns the Euclidean length along the last axis.

    `numpy.linalg.norm` sums by BLAS, whose last bits depend on its number of threads.
    """
    return np.sqrt(np.square(vectors).sum(axis=-1))
