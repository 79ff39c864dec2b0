"""Low-rank weight sharing: a few kernels that every position mixes in its own way.

Source: Elsayed, Ramachandran, Shlens, Kornblith, "Revisiting spatial invariance with low-rank local
connectivity" (2020): shares by softmax, so that one bank is a convolution.
"""

from __future__ import annotations

import math

import keras
from keras import ops


def initial_mixing(seed: int) -> keras.initializers.Initializer:
    """Returns the initializer of the logits of the shares: standard normal."""
    # Another stream than that of connection patterns and kernels, which may have the same seed.
    return keras.initializers.RandomNormal(stddev=1.0, seed=(seed + 1) % 2**31)


def shares_of_banks(mixing: keras.KerasTensor) -> keras.KerasTensor:
    """Returns how much of each bank a position has, in 0 to 1 and of sum 1.

    Args:
        mixing: logits, `(*output_grid, banks)`.
    """
    return ops.softmax(mixing, axis=-1)


def mixed_variance(mixing: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the variance of the weights of a mixture, by that of the banks' own.

    The sum of squared shares, as independent weights have it; the mean over positions.

    Args:
        mixing: logits, `(*output_grid, banks)`.
    """
    return ops.mean(ops.sum(ops.square(shares_of_banks(mixing)), axis=-1))


def mix(mixing: keras.KerasTensor, weights: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the weights of each position as it mixes them from those of the banks.

    Args:
        mixing: logits, `(*output_grid, banks)`.
        weights: kernels `(banks, patch, filters)` or biases `(banks, filters)`.

    Returns:
        `(positions, patch, filters)` or `(*output_grid, filters)`.
    """
    *grid, banks = mixing.shape
    shares = ops.reshape(shares_of_banks(mixing), (-1, banks))
    mixed = ops.matmul(shares, ops.reshape(weights, (banks, -1)))
    places = grid if len(weights.shape) == 2 else [math.prod(grid)]
    return ops.reshape(mixed, (*places, *weights.shape[1:]))
