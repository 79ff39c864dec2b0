"""Variable connection patterns: what removes connections of a free convolution for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops
from keras.src.backend.common.stateless_scope import in_stateless_scope

from freeconv.layers import argument_validation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


@keras.saving.register_keras_serializable(package="freeconv")
class ConnectionMask(keras.layers.Layer):
    """Sets a fixed random set of its inputs to zero, the same for every example and for good.

    Variable connection patterns as the published code of Ott et al. 2020 has them: one mask on the
    inputs of a free convolution, shared by all its filters, where the paper's text and
    `FreeConv2D(connection_dropout=...)` remove weights. Unlike dropout the pattern never changes,
    holds in training and testing, and the remaining inputs are not scaled.

    Args:
        rate: float in [0, 1), the probability that an input is masked.
        seed: int >= 0, seed of the pattern, which is the same with every backend; `None` draws one
            when the layer is made.

    Input shape:
        Any, `(batch, ...)`; only `batch` may be unknown.

    Output shape:
        Same as the input.

    Attributes:
        connection_mask: boolean non-trainable weight of the input's shape without the batch, true
            where the input passes.

    Raises:
        ValueError: for a rate or a seed outside the stated range, and when the layer is built on a
            shape with an unknown size other than the batch.

    Example:
    >>> import keras
    >>> layer = ConnectionMask(0.5, seed=1)
    >>> outputs = layer(keras.ops.ones((8, 2, 3)))
    >>> tuple(outputs.shape), tuple(layer.connection_mask.shape)
    ((8, 2, 3), (2, 3))
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = argument_validation.share(rate, "rate")
        self.seed = argument_validation.seed_or_new(seed)
        self.connection_mask = None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Draws the mask for inputs of `input_shape`."""
        shape = tuple(input_shape[1:])
        if None in shape:
            raise ValueError(
                "ConnectionMask has a mask of the input's shape, so that all sizes but the batch "
                f"must be known. Received: input_shape={tuple(input_shape)} of layer "
                f"'{self.name}'."
            )
        present = draw_connections(shape, self.rate, self.seed)
        self.connection_mask = add_connection_mask(self, present)
        self.input_spec = keras.layers.InputSpec(shape=(None, *shape))
        self.built = True

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Returns `inputs` with the masked ones set to zero."""
        inputs = argument_validation.images_of_shape(inputs, self.connection_mask.shape)
        return without_masked(inputs, self.connection_mask)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        """Returns `input_shape`."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make the same layer, pattern included."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class PresentWeightsConstraint(keras.constraints.Constraint):
    """Applies a constraint, if any, and sets masked weights to zero.

    Optimizers that mix the weights of a matrix (Muon), and constraints, move weights that have no
    gradient. Whatever is stored in their places has no effect; this keeps it zero where it can: in
    a stateless scope, as in training with JAX, the mask's current value is not known here.

    Args:
        constraint: of the kernel, or None.
        connection_mask: the weight that says which are present. It is read at every call, as it
            may be loaded or set at any time.
    """

    def __init__(self, constraint, connection_mask):
        self.constraint = constraint
        self.connection_mask = connection_mask

    def __call__(self, w):
        """Returns the weight as it should be after a step."""
        if self.constraint is not None:
            w = self.constraint(w)
        return w if in_stateless_scope() else without_masked(w, self.connection_mask)


class PresentWeightsRegularizer(keras.regularizers.Regularizer):
    """Applies a regularizer to a kernel with zeros in the places of masked weights.

    Args:
        regularizer: of the kernel.
        connection_mask: the weight that says which are present, read at every call.
    """

    def __init__(self, regularizer, connection_mask):
        self.regularizer = regularizer
        self.connection_mask = connection_mask

    def __call__(self, x):
        """Returns the loss of a kernel."""
        return self.regularizer(without_masked(x, self.connection_mask))


def without_masked(x: keras.KerasTensor, present: keras.KerasTensor) -> keras.KerasTensor:
    """Returns `x` with zeros where `present`, a boolean array or weight of its shape, is false."""
    # A selection, as a product would turn an infinite gradient of a masked weight into NaN.
    x = ops.convert_to_tensor(x)
    # JAX takes no `keras.Variable` for a condition.
    return ops.where(ops.convert_to_tensor(present, "bool"), x, ops.zeros((), x.dtype))


def draw_connections(shape: Sequence[int], rate: float, seed: int) -> np.ndarray:
    """Returns a boolean array, false (masked) with probability `rate`."""
    # NumPy's generator, as each Keras backend draws its own numbers from a seed.
    return np.random.default_rng(seed).random(shape, dtype="float32") >= rate


def add_connection_mask(layer: keras.layers.Layer, present: np.ndarray) -> None:
    """Gives `layer` a non-trainable weight that holds the boolean array `present`."""
    return layer.add_weight(
        name="connection_mask",
        shape=present.shape,
        dtype="bool",
        initializer=lambda shape, dtype=None: present,
        trainable=False,
    )
