"""Activations of Keras 2 whose names mean other functions today."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="freeconv")
def legacy_hard_sigmoid(x: keras.KerasTensor) -> keras.KerasTensor:
    """Computes what Keras 2 called `hard_sigmoid`, `clip(0.2 * x + 0.5, 0, 1)`.

    Keras 3 has another function of that name, `relu6(x + 3) / 6`.

    Args:
        x: tensor.

    Returns:
        A tensor of the same shape and type.

    Example:
    >>> import keras
    >>> bool(abs(legacy_hard_sigmoid(keras.ops.ones(())) - 0.7) < 1e-6)
    True
    """
    return ops.clip(0.2 * x + 0.5, 0, 1)
