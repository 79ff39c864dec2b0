"""Free convolutions one connection at a time in NumPy, and how each backend differentiates."""

import math

import keras
import numpy as np

# None of them a default: what a convolution is told of its weights.
WEIGHT_ARGUMENTS = {
    "kernel_initializer": keras.initializers.HeNormal(seed=3),
    "bias_initializer": "ones",
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "bias_regularizer": keras.regularizers.L1(0.2),
    "activity_regularizer": keras.regularizers.L1(0.3),
    "kernel_constraint": keras.constraints.MaxNorm(2),
    "bias_constraint": "non_neg",
}


def random_array(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def assert_equal_to_largest(actual, expected, relative=1e-5):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= relative * np.abs(expected).max()


def sizes(value, rank):
    return value if isinstance(value, tuple) else (value,) * rank


def to_format(images, data_format):
    return images if data_format == "channels_last" else np.moveaxis(images, -1, 1)


def from_format(images, data_format):
    return images if data_format == "channels_last" else np.moveaxis(images, 1, -1)


def output_grid(shape, kernel_size, strides, padding):
    """Positions along each axis; the last of `shape` is the channels."""
    rank = len(shape) - 1
    each = zip(shape[:-1], sizes(kernel_size, rank), sizes(strides, rank), strict=True)
    if padding == "same":
        return tuple(math.ceil(n / s) for n, _, s in each)
    return tuple(len(range(0, n - k + 1, s)) for n, k, s in each)


def connected_pixels(shape, kernel_size, strides, padding):
    """Yields (position of output, of kernel, of input) for all connections in the image."""
    *pixels, _ = shape
    kernel_size, strides = sizes(kernel_size, len(pixels)), sizes(strides, len(pixels))
    grid = output_grid(shape, kernel_size, strides, padding)
    first = [0] * len(pixels)
    if padding == "same":
        for axis, size in enumerate(pixels):
            zeros = (grid[axis] - 1) * strides[axis] + kernel_size[axis] - size
            first[axis] = -(max(zeros, 0) // 2)
    for place in np.ndindex(*grid, *kernel_size):
        position, offset = place[: len(pixels)], place[len(pixels) :]
        each = zip(position, strides, first, offset, strict=True)
        pixel = tuple(p * stride + start + o for p, stride, start, o in each)
        if all(0 <= at < size for at, size in zip(pixel, pixels, strict=True)):
            yield position, offset, pixel


def tiles(grid, sharing):
    """The number of the tile of every position, counted one position after the other."""
    sharing = grid if sharing == "all" else sizes(sharing, len(grid))
    numbers, seen = np.zeros(grid, int), {}
    for position in np.ndindex(*grid):
        corner = tuple(p // s for p, s in zip(position, sharing, strict=True))
        numbers[position] = seen.setdefault(corner, len(seen))
    # By their first positions in row-major order, which is the row-major order of the tiles.
    order = {corner: number for number, corner in enumerate(sorted(seen))}
    return np.vectorize({seen[corner]: order[corner] for corner in seen}.get)(numbers)


def loop_reference(images, kernel, bias, upstream, kernel_size, strides, padding, sharing=1):
    """Output and gradients, one connected pixel at a time, in float64, channels last."""
    shape = images.shape[1:]
    rank = len(shape) - 1
    grid = output_grid(shape, kernel_size, strides, padding)
    tile = tiles(grid, sharing)
    filters = kernel.shape[-1]
    weights = kernel.astype("float64").reshape(-1, *sizes(kernel_size, rank), shape[-1], filters)
    assert len(weights) == tile.max() + 1
    outputs = np.zeros((len(images), *grid, filters)) + bias.reshape(-1, filters)[tile]
    to_input, to_weights = np.zeros(images.shape), np.zeros(weights.shape)
    for position, offset, pixel in connected_pixels(shape, kernel_size, strides, padding):
        weight, gradient = weights[(tile[position], *offset)], upstream[:, *position]
        outputs[:, *position] += images[:, *pixel] @ weight
        to_input[:, *pixel] += gradient @ weight.T
        to_weights[(tile[position], *offset)] += images[:, *pixel].T @ gradient
    to_bias = np.zeros((len(weights), filters))
    for position in np.ndindex(*grid):
        to_bias[tile[position]] += upstream[:, *position].sum(axis=0)
    return outputs, to_input, to_weights.reshape(kernel.shape), to_bias.reshape(bias.shape)


def forward_backward(layer, inputs, upstream, xla=False):
    """Output and gradients to inputs, kernel and bias, by the backend of this process.

    With TensorFlow, operation by operation or, with `xla`, compiled as a whole.
    """
    differentiate = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    how = {"xla": True} if xla else {}
    tensors = differentiate[keras.backend.backend()](layer, inputs, upstream, **how)
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


def _tensorflow(layer, inputs, upstream, xla=False):
    import tensorflow as tf

    def outputs_and_gradients(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        weights = [variable.value for variable in layer.trainable_weights]
        return [outputs, *tape.gradient(outputs, [inputs, *weights], upstream)]

    if xla:
        outputs_and_gradients = tf.function(outputs_and_gradients, jit_compile=True)
    return outputs_and_gradients(tf.constant(inputs))


def _jax(layer, inputs, upstream):
    import jax

    fixed = [variable.value for variable in layer.non_trainable_variables]

    def apply(inputs, weights):
        return layer.stateless_call(weights, fixed, inputs)[0]

    # Compiled as a whole: one operation after the other, compiling takes several times as long.
    @jax.jit
    def outputs_and_gradients(inputs, weights, upstream):
        outputs, backward = jax.vjp(apply, inputs, weights)
        return outputs, *backward(upstream)

    weights = [variable.value for variable in layer.trainable_variables]
    outputs, to_inputs, to_weights = outputs_and_gradients(inputs, weights, upstream)
    return [outputs, to_inputs, *to_weights]


def _torch(layer, inputs, upstream):
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    outputs = layer(inputs)
    weights = [variable.value for variable in layer.trainable_weights]
    upstream = torch.tensor(upstream)
    return [outputs, *torch.autograd.grad(outputs, [inputs, *weights], upstream)]
