"""Weights of `LocallyConnected1D` and `LocallyConnected2D`, which Keras had up to version 2.

They are read as configurations and arrays, or from model files, so that neither Keras 2 nor
tf_keras is needed here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from freeconv.layers import legacy_hard_sigmoid
from freeconv.layers.conversion import CONVOLUTION_ARGUMENTS
from freeconv.layers.locally_connected import settings
from freeconv.layers.locally_connected.h5_files import read_layers
from freeconv.layers.locally_connected.kernels import implementation_of
from freeconv.layers.locally_connected.structure import LegacyLayer, Node, nodes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import keras
    import numpy as np

__all__ = ["from_locally_connected", "legacy_hard_sigmoid", "load_locally_connected"]


def from_locally_connected(
    config: Mapping[str, Any], weights: Sequence[np.ndarray], input_shape: Sequence[int] | None
) -> keras.layers.Layer:
    """Makes the free convolution that computes what a `LocallyConnected1D` or `2D` does.

    Args:
        config: the legacy layer's `get_config()`. Its `hard_sigmoid` becomes `legacy_hard_sigmoid`,
            its mixed-precision `Policy` a policy of Keras 3.
        weights: its `get_weights()`, `[kernel, bias]` or `[kernel]`, of any of its three
            implementations (which the configuration names):

            1. kernel `(positions, kernel_size * channels, filters)`, with the channels of a patch
               outermost for `"channels_first"`;
            2. kernel `(*image, *positions, filters)`, a weight for every pair of an input and an
               output, in the order of the data format, where those of no connection are ignored;
            3. kernel `(connections,)`, in the order of (output, input), both counted in the order
               of the data format.

            The bias is `(*positions, filters)`, which the legacy layer reads in the order
            `(filters, *positions)` with `"channels_first"`.
        input_shape: shape of its inputs, with the batch, which may be `None`.

    Returns:
        A built `FreeConv1D` or `FreeConv2D` with those weights, of the legacy layer's name and
        arguments.

    Raises:
        ValueError: for arrays that do not fit the configuration; for `"same"` padding that the
            legacy layer centred otherwise than any convolution of Keras 3 (kernels of even size,
            and some strides above 1); and for constraints and regularizers of a weight that had
            other axes (kernels of implementations 2 and 3, biases of `"channels_first"`), except
            `NonNeg`, `L1`, `L2` and `L1L2`, which treat each element in the same way.

    Example:
    >>> import numpy as np
    >>> config = {"filters": 2, "kernel_size": (3,), "strides": (1,), "padding": "valid",
    ...           "data_format": "channels_last", "use_bias": False, "implementation": 1}
    >>> layer = from_locally_connected(config, [np.ones((6, 3 * 4, 2))], (None, 8, 4))
    >>> type(layer).__name__, tuple(layer.kernel.shape)
    ('FreeConv1D', (6, 12, 2))
    """
    legacy = LegacyLayer.of(config, list(weights))
    layer = settings.free_layer(legacy.class_name, legacy.config, CONVOLUTION_ARGUMENTS)
    layer.build(tuple(input_shape))
    node = Node(layer, legacy, layer.name, trainable=True)
    node.take(legacy.weights, saved=False)
    settings.check_axes(layer, implementation_of(layer, legacy.config, legacy.weights[0]))
    node.assign()
    return layer


def load_locally_connected(model: keras.Model, layers: Any) -> None:
    """Copies the weights of a Keras 2 model into one that has free convolutions in its place.

    Layers with weights are paired by their names where both models have the same ones, otherwise in
    order, in models and wrappers inside the model as well. A free convolution takes the weights of
    a `LocallyConnected1D` or `2D` as `from_locally_connected` does, every other layer takes its
    partner's as they are.

    What the configurations tell is checked: classes, and every argument that matters to outputs
    (activations, strides, padding, data formats, axes, epsilons, ...), in layers without weights,
    too, if both models have as many. `hard_sigmoid` of Keras 2 is `legacy_hard_sigmoid` here.
    Where they tell nothing, only shapes are checked. Functions of `Lambda` layers, and vocabularies
    and statistics that a layer learnt and does not hold as weights, cannot be checked.

    Args:
        model: a built Keras 3 model. An error leaves it unchanged.
        layers: (configuration, weights) of the legacy model's layers:
            `[(layer.get_config(), layer.get_weights()) for layer in legacy.layers]`; or the path of
            the whole model as Keras 2 saves it to HDF5 (`.h5`).

    Raises:
        ValueError: where numbers of layers, shapes, classes or arguments differ, with the path of
            the layer, and for a file that is none of Keras 2.
        OSError: for a file that cannot be opened.

    Example:
    >>> import keras, numpy as np
    >>> from freeconv import FreeConv1D
    >>> model = keras.Sequential([keras.Input((8, 4)), FreeConv1D(2, 3, use_bias=False)])
    >>> config = {"filters": 2, "kernel_size": (3,), "strides": (1,), "padding": "valid",
    ...           "data_format": "channels_last", "use_bias": False, "implementation": 1}
    >>> load_locally_connected(model, [(config, [np.ones((6, 3 * 4, 2))])])
    >>> float(model.layers[0].kernel[0, 0, 0])
    1.0
    """
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has no weights yet; build it, or call it on inputs, first."
        )
    if isinstance(layers, (str, os.PathLike)):
        legacy = read_layers(layers)
    else:
        legacy = [LegacyLayer.of(config, list(weights)) for config, weights in layers]
    nodes = nodes_of(model, legacy)
    for node in nodes:
        for inner in node.all():
            inner.assign()
