"""Low-rank weight sharing, with the backend of the process; `test_backends.py` runs it on others.

Against NumPy loops, and at both ends: one bank is Keras' convolution, as many as positions can be
any free convolution.
"""

import keras
import numpy as np
import pytest
from references import (
    assert_equal_to_largest,
    forward_backward,
    from_format,
    loop_reference,
    random_array,
    to_format,
)
from test_sharing import FILTERS, FREE, SHARED, free_layer, weights

from freeconv import FreeConv2D, SoftSharing, build_model, to_free, to_shared
from freeconv.errors import InputError

CASES = [
    ((9, 3), 3, 2, "valid"),
    ((7, 6, 3), (3, 2), 2, "same"),
    ((5, 4, 6, 2), (2, 3, 3), (2, 1, 2), "same"),
]


def layer_of_banks(shape, banks, data_format="channels_last", **arguments):
    layer = free_layer(shape, data_format, banks=banks, **arguments)
    if banks > 1:
        layer.mixing.assign(random_array(layer.mixing.shape, seed=7))
    return layer


def mixed(layer):
    """Kernels and biases of all positions, one position after the other."""
    kernel, bias, mixing = (
        keras.ops.convert_to_numpy(w).astype(float)
        for w in (layer.kernel, layer.bias, layer.mixing)
    )
    kernels, biases = [], []
    for logits in mixing.reshape(-1, layer.banks):
        shares = np.exp(logits) / np.exp(logits).sum()
        kernels.append(sum(share * each for share, each in zip(shares, kernel, strict=True)))
        biases.append(sum(share * each for share, each in zip(shares, bias, strict=True)))
    return np.array(kernels), np.array(biases).reshape(*layer.output_grid, -1)


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding"), CASES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_equals_loop(shape, kernel_size, strides, padding, data_format):
    """Outputs and the gradient to images are those of the mixed kernels, one pixel at a time."""
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = layer_of_banks(shape, 3, data_format, **arguments)
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    outputs, to_input, *_ = forward_backward(
        layer, to_format(images, data_format), to_format(upstream, data_format)
    )
    kernel, bias = mixed(layer)
    expected = loop_reference(images, kernel, bias, upstream, **arguments)
    assert_equal_to_largest(from_format(outputs, data_format), expected[0])
    assert_equal_to_largest(from_format(to_input, data_format), expected[1])
    ours = [keras.ops.convert_to_numpy(weight) for weight in layer.tile_weights()]
    assert_equal_to_largest(ours[0], kernel)
    assert_equal_to_largest(ours[1], bias)
    assert layer.tile_grid == layer.output_grid


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding"), CASES)
def test_gradients_equal_loop(shape, kernel_size, strides, padding):
    """Of banks and shares, by the chain rule from the gradients of each position's kernel."""
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = layer_of_banks(shape, 3, **arguments)
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    gradients = forward_backward(layer, images, upstream)[2:]
    by_shape = {gradient.shape: gradient for gradient in gradients}
    kernel, bias = mixed(layer)
    *_, to_kernel, to_bias = loop_reference(images, kernel, bias, upstream, **arguments)
    logits = keras.ops.convert_to_numpy(layer.mixing).astype(float).reshape(-1, 3)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    banks, biases, _ = (keras.ops.convert_to_numpy(weight) for weight in trainable(layer))
    to_bias = to_bias.reshape(len(shares), -1)
    assert_equal_to_largest(by_shape[banks.shape], np.einsum("pk,pif->kif", shares, to_kernel))
    assert_equal_to_largest(by_shape[biases.shape], shares.T @ to_bias)
    slopes = np.einsum("pif,kif->pk", to_kernel, banks) + to_bias @ biases.T
    to_logits = shares * (slopes - (shares * slopes).sum(axis=1, keepdims=True))
    assert_equal_to_largest(
        by_shape[tuple(layer.mixing.shape)], to_logits.reshape(layer.mixing.shape)
    )


def trainable(layer):
    return layer.kernel, layer.bias, layer.mixing


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding"), CASES)
def test_one_bank_is_a_convolution(shape, kernel_size, strides, padding):
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = layer_of_banks(shape, 1, **arguments)
    convolution = SHARED[len(shape) - 1](FILTERS, **arguments, data_format="channels_last")
    convolution.build((None, *shape))
    kernel, bias = weights(layer)
    assert layer.count_params() == convolution.count_params()
    convolution.set_weights([kernel.reshape(convolution.kernel.shape), bias.ravel()])
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    ours = forward_backward(layer, images, upstream)
    theirs = forward_backward(convolution, images, upstream)
    for one, other in zip(ours, theirs, strict=True):
        assert_equal_to_largest(one.reshape(other.shape), other)


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding"), CASES)
def test_as_many_banks_as_positions_are_a_free_convolution(shape, kernel_size, strides, padding):
    """Whose kernels they are where every position has a bank of its own."""
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    free = free_layer(shape, **arguments)
    positions = int(np.prod(free.output_grid))
    layer = layer_of_banks(shape, positions, **arguments)
    layer.kernel.assign(free.kernel)
    layer.bias.assign(keras.ops.reshape(free.bias, layer.bias.shape))
    layer.mixing.assign(1000 * np.eye(positions).reshape(layer.mixing.shape))
    images = random_array((3, *shape), seed=3)
    actual, expected = (keras.ops.convert_to_numpy(each(images)) for each in (layer, free))
    assert_equal_to_largest(actual, expected)


def test_a_saved_layer_mixes_alike(tmp_path):
    model = keras.Sequential([keras.Input((7, 6, 3)), FreeConv2D(4, 3, banks=2, seed=5)])
    model.layers[0].mixing.assign(random_array(model.layers[0].mixing.shape))
    model.save(tmp_path / "banks.keras")
    loaded = keras.saving.load_model(tmp_path / "banks.keras")
    images = random_array((2, 7, 6, 3))
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))
    assert loaded.layers[0].banks == 2


@pytest.mark.parametrize("banks", [1, 2, 8])
def test_mixed_kernels_begin_with_the_variance_of_a_convolution(banks):
    """With per_location; Glorot's limit for 3 x 3 pixels, 16 channels and 32 filters."""
    layer = FreeConv2D(32, 3, banks=banks, glorot_fans="per_location", seed=1)
    layer.build((None, 34, 34, 16))
    kernel = keras.ops.convert_to_numpy(layer.tile_weights()[0])
    expected = 2 / (9 * 16 + 9 * 32)
    # About 4,600 independent weights a bank.
    assert np.mean(np.square(kernel)) == pytest.approx(expected, rel=0.08)


def test_conversions_keep_what_a_layer_of_banks_computes():
    model = keras.Sequential([keras.Input((7, 6, 3)), FreeConv2D(4, 3, banks=3, name="banks")])
    layer = model.get_layer("banks")
    layer.bias.assign(random_array(layer.bias.shape))
    free, shared = to_free(model), to_shared(model)
    images = random_array((2, 7, 6, 3))
    assert free.get_layer("banks").banks is None
    assert_equal_to_largest(free.predict(images), model.predict(images))
    kernel, bias = mixed(layer)
    convolution = shared.get_layer("banks")
    assert_equal_to_largest(
        keras.ops.convert_to_numpy(convolution.kernel).reshape(kernel.shape[1:]), kernel.mean(0)
    )
    assert_equal_to_largest(weights(convolution)[1], bias.reshape(-1, 4).mean(0))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"banks": 0}, "`banks` must be an integer of at least 1"),
        ({"banks": 2, "sharing": 2}, "another way of sharing weights than `sharing`"),
        ({"banks": 2, "connection_dropout": 0.5}, "than `connection_dropout`"),
        ({"banks": 2, "kernel_regularizer": SoftSharing(mean=1)}, "cannot be SoftSharing"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        FREE[2](4, 3, **arguments)


def test_banks_of_ordinary_networks_are_refused():
    with pytest.raises(InputError, match=r"`banks` .*kind='fcn'"):
        build_model("cnn", "mnist", (28, 28, 1), 10, banks=2)
