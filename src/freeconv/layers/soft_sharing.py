"""Soft sharing: a penalty that holds the kernels of a free convolution together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


@keras.saving.register_keras_serializable(package="freeconv")
class SoftSharing(keras.regularizers.Regularizer):
    """Penalises differences between the kernels, or biases, of a free convolution.

    `neighbours * sum |w_a - w_b|^2 + mean * sum |w_a - w_mean|^2`: the first sum is over all pairs
    of tiles that lie side by side along an axis of the grid, as in topographic networks, the second
    over all tiles; a tile is a position where nothing is shared. With 0 it is no penalty; the
    larger it is, the nearer the layer comes to a convolution, which pays nothing.

    A regularizer of `FreeConv1D`, `FreeConv2D` and `FreeConv3D` alone, which tell it their grid.

    Args:
        neighbours: float of at least 0, weight of the differences between neighbours.
        mean: float of at least 0, weight of the differences from the mean over all tiles.
        grid: tuple of ints, the grid of tiles; `None`: that of the layer it is given to.

    Raises:
        ValueError: for a weight below 0 or not finite, and when it is called without a grid.

    Example:
    >>> from freeconv import FreeConv2D
    >>> layer = FreeConv2D(4, 3, kernel_regularizer=SoftSharing(neighbours=0.01))
    >>> float(layer(keras.ops.ones((1, 8, 8, 1))).shape[0]), len(layer.losses)
    (1.0, 1)
    """

    def __init__(
        self, neighbours: float = 0.0, mean: float = 0.0, grid: Sequence[int] | None = None
    ):
        for name, weight in (("neighbours", neighbours), ("mean", mean)):
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f"`{name}` must be a finite number of at least 0. Received: {name}={weight!r}."
                )
        self.neighbours, self.mean = float(neighbours), float(mean)
        self.grid = None if grid is None else tuple(grid)

    def on(self, grid: Sequence[int]) -> SoftSharing:
        """Returns the same penalty on a grid of tiles."""
        return SoftSharing(self.neighbours, self.mean, grid)

    def __call__(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the penalty of a kernel `(tiles, patch, filters)` or bias `(*grid, filters)`."""
        if self.grid is None:
            raise ValueError(
                "SoftSharing needs the grid of a free convolution; give it to FreeConv1D, "
                "FreeConv2D or FreeConv3D as kernel_regularizer or bias_regularizer."
            )
        penalty = ops.zeros((), dtype=x.dtype)
        if self.neighbours:
            for axis, size in enumerate(self.grid):
                if size > 1:
                    steps = _differences(x, self.grid, axis)
                    penalty += self.neighbours * ops.sum(ops.square(steps))
        if self.mean:
            weights = ops.reshape(x, (math.prod(self.grid), -1))
            mean = ops.mean(weights, axis=0, keepdims=True)
            penalty += self.mean * ops.sum(ops.square(weights - mean))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make the same object."""
        return {"neighbours": self.neighbours, "mean": self.mean, "grid": self.grid}


def _differences(x, grid, axis):
    """Returns the differences between neighbours along an axis of the grid.

    By a product of matrices: the gradient of slices takes several times as long.
    """
    size, before = grid[axis], math.prod(grid[:axis])
    steps = np.eye(size - 1, size, 1) - np.eye(size - 1, size)
    weights = ops.reshape(x, (before, size, -1))
    return ops.matmul(ops.convert_to_tensor(steps, dtype=x.dtype), weights)


def on_grid(regularizer: Any, grid: Sequence[int]) -> Any:
    """Returns a regularizer as a layer of such a grid of tiles applies it."""
    return regularizer.on(grid) if isinstance(regularizer, SoftSharing) else regularizer
