"""Weights of `LocallyConnected1D` and `LocallyConnected2D`, which Keras had up to version 2.

They are read as configurations and arrays, so that neither Keras 2 nor tf_keras is needed here.
"""

import math
from typing import NamedTuple

import numpy as np

from freeconv.conversion import CONVOLUTION_ARGUMENTS
from freeconv.layers import FreeConv1D, FreeConv2D
from freeconv.layers.base import BaseFreeConv
from freeconv.patches import zero_margins

__all__ = ["from_locally_connected", "load_locally_connected"]

_FREE = {1: FreeConv1D, 2: FreeConv2D}

# What decides which weight connects what.
_GEOMETRY = ("filters", "kernel_size", "strides", "padding", "data_format", "use_bias")


def from_locally_connected(config, weights, input_shape):
    """Makes the free convolution that computes what a `LocallyConnected1D` or `2D` does.

    Args:
        config: the legacy layer's `get_config()`.
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
        ValueError: for arrays that do not fit the configuration, and for `"same"` padding that the
            legacy layer centred otherwise than any convolution of Keras 3 (kernels of even size,
            and some strides above 1).

    Example:
    >>> import numpy as np
    >>> config = {"filters": 2, "kernel_size": (3,), "strides": (1,), "padding": "valid",
    ...           "data_format": "channels_last", "use_bias": False, "implementation": 1}
    >>> layer = from_locally_connected(config, [np.ones((6, 3 * 4, 2))], (None, 8, 4))
    >>> type(layer).__name__, tuple(layer.kernel.shape)
    ('FreeConv1D', (6, 12, 2))
    """
    arguments = {name: config[name] for name in CONVOLUTION_ARGUMENTS if name in config}
    layer = _FREE[len(config["kernel_size"])].from_config(arguments)
    layer.build(tuple(input_shape))
    layer.set_weights(_converted(layer, config, weights))
    return layer


def load_locally_connected(model, layers):
    """Copies the weights of a Keras 2 model into one that has free convolutions in its place.

    Layers are paired in order, those without weights left out. A free convolution takes the weights
    of a `LocallyConnected1D` or `2D` of the same sizes as `from_locally_connected` does, every
    other layer takes its partner's as they are.

    Args:
        model: a built Keras 3 model.
        layers: (configuration, weights) of the legacy model's layers:
            `[(layer.get_config(), layer.get_weights()) for layer in legacy.layers]`.

    Raises:
        ValueError: where numbers of layers, shapes or arguments differ. Layers before the one that
            the message names have their new weights by then.

    Example:
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((8, 4)), FreeConv1D(2, 3, use_bias=False)])
    >>> config = {"filters": 2, "kernel_size": (3,), "strides": (1,), "padding": "valid",
    ...           "data_format": "channels_last", "use_bias": False, "implementation": 1}
    >>> load_locally_connected(model, [(config, [np.ones((6, 3 * 4, 2))])])
    >>> float(model.layers[0].kernel[0, 0, 0])
    1.0
    """
    targets = [layer for layer in model.layers if layer.weights]
    sources = [(config, weights) for config, weights in layers if weights]
    if len(targets) != len(sources):
        raise ValueError(
            f"`layers` must be those of a model of the same structure. Received: {len(sources)} "
            f"layers with weights, where model '{model.name}' has {len(targets)}."
        )
    for layer, (config, weights) in zip(targets, sources, strict=True):
        free = isinstance(layer, BaseFreeConv)
        layer.set_weights(_converted(layer, config, weights) if free else weights)


def _converted(layer, config, weights):
    """Returns the weights with which a built free convolution computes what a legacy layer does."""
    _check_alike(layer, config)
    forms = {1: _from_patches, 2: _from_dense, 3: _from_sparse}
    implementation = config.get("implementation", 1)
    if implementation not in forms:
        raise ValueError(
            f"`implementation` must be one of {tuple(forms)}. Received: "
            f"implementation={implementation!r} of layer '{layer.name}'."
        )
    kernel, *bias = map(np.asarray, weights)
    kernel = forms[implementation](kernel, layer).reshape(layer.kernel.shape)
    return [kernel, *(_bias(values, layer) for values in bias)]


def _check_alike(layer, config):
    """Raises ValueError where a legacy layer connects or computes otherwise than `layer`."""
    for name in _GEOMETRY:
        value = config.get(name)
        value = tuple(value) if isinstance(value, list) else value
        if value != getattr(layer, name):
            raise ValueError(
                f"`{name}` of layer '{layer.name}' must be that of the legacy layer. Received: "
                f"{name}={getattr(layer, name)!r}, of the legacy layer {value!r}."
            )
    if max(layer.tile) > 1:
        raise ValueError(
            f"Layer '{layer.name}' must have a kernel for every position, as the legacy layer has. "
            f"Received: sharing={layer.sharing!r}."
        )


def _from_patches(kernel, layer):
    """Reads the kernel of implementation 1."""
    _check_shape(kernel, tuple(layer.kernel.shape), layer)
    if layer.data_format == "channels_last":
        return kernel
    *_, channels = _image(layer)
    kernel = kernel.reshape(len(kernel), channels, *layer.kernel_size, layer.filters)
    return np.moveaxis(kernel, 1, -2)


def _from_dense(kernel, layer):
    """Reads the kernel of implementation 2."""
    *size, channels = _image(layer)
    ends = ((*size, channels), (*layer.output_grid, layer.filters))
    if layer.data_format == "channels_first":
        ends = tuple((last, *first) for *first, last in ends)
    _check_shape(kernel, sum(ends, ()), layer)
    wiring = _Wiring.of(layer)
    matrix = kernel.reshape(math.prod(ends[0]), math.prod(ends[1]))
    return np.where(wiring.connected, matrix[wiring.inputs, wiring.outputs], 0)


def _from_sparse(kernel, layer):
    """Reads the kernel of implementation 3."""
    wiring = _Wiring.of(layer)
    count = math.prod(_image(layer))
    connected, places = np.broadcast_arrays(
        wiring.connected, wiring.outputs * count + wiring.inputs
    )
    _check_shape(kernel, (int(connected.sum()),), layer)
    weights = np.zeros(connected.shape, kernel.dtype)
    order = np.argsort(np.argsort(places[connected]))
    weights[connected] = kernel[order]
    return weights


class _Wiring(NamedTuple):
    """What the weights of a free convolution connect in the legacy layer of its arguments.

    Arrays that broadcast to (*positions, *kernel, channels, filters).

    Attributes:
        connected: bool, whether the legacy layer has that weight, too.
        inputs: int, the input that the weight reads, counted in the order of the data format.
        outputs: int, the output that it adds to, counted alike.
    """

    connected: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of(cls, layer):
        """Returns the wiring of a built layer."""
        *size, channels = _image(layer)
        grid, rank = layer.output_grid, len(layer.axes)
        places = np.indices((*grid, *layer.kernel_size), sparse=True)
        positions, offsets = places[:rank], places[rank:]
        margins = zero_margins(size, layer.kernel_size, layer.strides, layer.padding)
        corners = [p * stride for p, stride in zip(positions, layer.strides, strict=True)]
        pixels = [
            corner + offset - before
            for corner, offset, (before, _) in zip(corners, offsets, margins, strict=True)
        ]
        connected = _legacy_connections(layer, size, corners, pixels)

        pixel = np.ravel_multi_index(pixels, size, mode="clip")[..., None, None]
        position = np.ravel_multi_index(positions, grid)[..., None, None]
        channel, filter_ = np.arange(channels)[:, None], np.arange(layer.filters)
        if layer.data_format == "channels_last":
            inputs, outputs = pixel * channels + channel, position * layer.filters + filter_
        else:
            inputs = channel * math.prod(size) + pixel
            outputs = filter_ * math.prod(grid) + position
        return cls(connected[..., None, None], inputs, outputs)


def _legacy_connections(layer, size, corners, pixels):
    """Returns which of the connections of `layer` a legacy layer has.

    Args:
        layer: a built free convolution.
        size: pixels of the image along each axis.
        corners: along each axis, the first pixel of the patches of positions, without padding.
        pixels: along each axis, the pixels of all patches.

    Raises:
        ValueError: where the legacy layer has others besides.
    """
    connected, count = np.array(True), 1
    axes = zip(corners, pixels, size, layer.kernel_size, strict=True)
    for corner, pixel, end, kernel in axes:
        first = corner - kernel // 2 if layer.padding == "same" else corner
        start, stop = np.maximum(first, 0), np.minimum(first + kernel, end)
        connected = connected & (start <= pixel) & (pixel < stop)
        count *= int((stop - start).sum())
    if connected.sum() != count:
        raise ValueError(
            f"Layer '{layer.name}' pads otherwise than the legacy layer, which with padding='same' "
            "had its patches half a kernel before the multiples of the strides. Received: "
            f"kernel_size={layer.kernel_size} and strides={layer.strides} on {tuple(size)} pixels."
        )
    return connected


def _bias(bias, layer):
    """Reads a bias, which the legacy layer reshapes to channels first instead of transposing it."""
    shape = tuple(layer.bias.shape)
    _check_shape(bias, shape, layer)
    if layer.data_format == "channels_last":
        return bias
    return np.moveaxis(bias.reshape(layer.filters, *layer.output_grid), 0, -1)


def _image(layer):
    """Returns the sizes of the axes, and the channels, of a built layer's inputs."""
    _, *shape = layer.input_spec.shape
    return shape if layer.data_format == "channels_last" else [*shape[1:], shape[0]]


def _check_shape(array, shape, layer):
    if array.shape != shape:
        raise ValueError(
            f"A weight of the legacy layer for layer '{layer.name}' must have shape {shape}. "
            f"Received: {array.shape}."
        )
