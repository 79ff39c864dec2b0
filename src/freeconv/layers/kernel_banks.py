"""Low-rank weight sharing: a few kernels that every position mixes in its own way.

Source: Elsayed, Ramachandran, Shlens, Kornblith, "Revisiting spatial invariance with low-rank local
connectivity" (2020): shares by softmax, so that one bank is a convolution.
"""

from __future__ import annotations

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


def mix(
    outputs: keras.KerasTensor, shares: keras.KerasTensor, channels_last: bool
) -> keras.KerasTensor:
    """Returns the outputs of each position as it mixes them.

    Args:
        outputs: `(batch, *grid, banks * filters)`, of all banks; or `(batch, banks * filters,
            *grid)` with `channels_last=False`.
        shares: `(*grid, banks)`, of `shares_of_banks`.
        channels_last: which of the two.

    Returns:
        `(batch, *grid, filters)`, or `(batch, filters, *grid)`.
    """
    *grid, banks = shares.shape
    if channels_last:
        filters = outputs.shape[-1] // banks
        parts = ops.reshape(outputs, (-1, *grid, banks, filters))
        return ops.sum(parts * shares[..., None], axis=-2)
    filters = outputs.shape[1] // banks
    parts = ops.reshape(outputs, (-1, banks, filters, *grid))
    return ops.sum(parts * ops.moveaxis(shares, -1, 0)[:, None], axis=1)
