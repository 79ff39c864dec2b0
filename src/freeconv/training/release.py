"""From a trained convolutional network to the free one that it goes on as.

Source: d'Ascoli, Sagun, Bruna, Biroli, "Finding the needle in the haystack with convolutions"
(2019): a locally connected network that starts where a convolutional one was stopped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras


def release(free: keras.Model, state: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Gives a free network the weights of a convolutional one: now every position learns by itself.

    It computes what the convolutional network does. Adam goes on: steps, and the moments of all
    other weights, stay as they are. A kernel that served n positions had the sum of their
    gradients; each of its copies goes on with the n-th part of both of its moments: the first one
    is the mean of what the positions had, the second one the mean of their squares if gradients of
    different positions are uncorrelated.

    Args:
        free: `keras.Model` with free convolutions, one kernel a position, in the places of
            ordinary ones.
        state: of the trainer of the convolutional network, see `engine.base.BaseTrainer.state`:
            the model's variables, then steps and first and second moments of Adam.

    Returns:
        The state of a trainer of the free network.
    """
    count = len(free.variables)
    weights = spread_weights(state[:count], free)
    free.set_weights(weights)
    steps, *moments = state[count:]
    trained = [variable.shape for variable in free.trainable_variables]
    moments = [
        spread(moment, shape) / (math.prod(shape) // moment.size)
        for moment, shape in zip(moments, [*trained, *trained], strict=True)
    ]
    return [*weights, steps, *moments]


def spread_weights(weights: Sequence[np.ndarray], free: keras.Model) -> list[np.ndarray]:
    """Returns the weights of a convolutional network as those of the free one in its place.

    Args:
        weights: in the order of the model's variables, which is that of the free one's.
        free: see `release`.
    """
    pairs = zip(weights, free.variables, strict=True)
    return [spread(weight, variable.shape) for weight, variable in pairs]


def spread(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns a convolution's kernel or bias at every position; all others as they are."""
    array, shape = np.asarray(array), tuple(shape)
    if array.shape == shape:
        return array
    copies = math.prod(shape) // array.size
    return np.tile(array.reshape(1, -1), (copies, 1)).reshape(shape)
