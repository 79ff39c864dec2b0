"""Weights of one locally connected layer of Keras 2, as those of a free convolution."""

import math
from typing import NamedTuple

import numpy as np

from freeconv.layers.patches import zero_margins

# Implementation -> axes of its kernel, by the axes of an image. No two agree.
_KERNEL_AXES = {1: lambda rank: 3, 2: lambda rank: 2 * rank + 2, 3: lambda rank: 1}


def converted(layer, config, weights):
    """Returns the weights with which a free convolution computes what a legacy layer does.

    Args:
        layer: a built free convolution of one kernel for every position.
        config: the legacy layer's configuration. Without an `implementation` it is the one whose
            kernel has as many axes.
        weights: `[kernel, bias]` or `[kernel]`.

    Raises:
        ValueError: for arrays that do not fit, and padding that `layer` does not have.
    """
    forms = {1: _from_patches, 2: _from_dense, 3: _from_sparse}
    kernel, *bias = map(np.asarray, weights)
    implementation = implementation_of(layer, config, kernel)
    if implementation not in forms:
        raise ValueError(
            f"`implementation` must be one of {tuple(forms)}. Received: "
            f"implementation={implementation!r} of layer '{layer.name}'."
        )
    kernel = forms[implementation](kernel, layer).reshape(layer.kernel.shape)
    return [kernel, *(_bias(values, layer) for values in bias)]


def implementation_of(layer, config, kernel):
    """Returns which of the three implementations a kernel is of; arguments as in `converted`."""
    rank = len(layer.axes)
    by_axes = [number for number, axes in _KERNEL_AXES.items() if axes(rank) == np.ndim(kernel)]
    return config.get("implementation", by_axes[0] if by_axes else 1)


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
        outputs: int, the output that it adds to, counted in the same way.
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
