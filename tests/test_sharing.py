"""Free convolutions along one to three axes, and their degree of weight sharing.

Against NumPy loops and Keras' convolutions, with the backend of the process: `test_backends.py`
runs this module with the others.
"""

import math

import keras
import numpy as np
import pytest
from references import (
    assert_equal_to_largest,
    forward_backward,
    from_format,
    loop_reference,
    output_grid,
    random_array,
    tiles,
    to_format,
)

from freeconv import FreeConv1D, FreeConv2D, FreeConv3D

FREE = {1: FreeConv1D, 2: FreeConv2D, 3: FreeConv3D}
SHARED = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
DATA_FORMATS = ["channels_last", "channels_first"]
FILTERS = 4

# Shape of an image, kernel_size, strides, padding, sharing; the tiles of a grid of 5 x 4 by 2 are
# ragged along its rows, and one of 9 is more than there is.
CASES = [
    ((9, 3), 3, 2, "valid", 1),
    ((9, 3), (4,), 1, "same", 1),
    ((7, 6, 3), 3, 1, "valid", 1),
    ((9, 7, 2), (2, 4), (3, 1), "same", 1),
    ((4, 5, 3, 2), 2, 1, "valid", 1),
    ((5, 4, 6, 2), (2, 3, 3), (2, 1, 2), "same", 1),
    ((9, 3), 3, 1, "valid", 3),
    ((9, 3), 3, 1, "same", "all"),
    ((7, 6, 3), 3, 1, "valid", 2),
    ((7, 6, 3), 3, 1, "valid", (1, 9)),
    ((9, 7, 2), (2, 4), (3, 1), "same", (2, 3)),
    ((8, 9, 2), 2, 3, "valid", "all"),
    ((4, 5, 3, 2), 2, 1, "valid", 2),
    ((5, 4, 6, 2), (2, 3, 3), (2, 1, 2), "same", (1, 3, 2)),
    ((5, 4, 6, 2), 3, 1, "same", "all"),
]
SHARING = [case for case in CASES if case[-1] != 1]


def free_layer(shape, data_format="channels_last", **arguments):
    """A built layer with random kernel and bias."""
    layer = FREE[len(shape) - 1](FILTERS, data_format=data_format, **arguments)
    layer.build(to_format(np.empty((1, *shape)), data_format).shape)
    layer.kernel.assign(random_array(layer.kernel.shape, seed=1))
    layer.bias.assign(random_array(layer.bias.shape, seed=2))
    return layer


def weights(layer):
    return [keras.ops.convert_to_numpy(weight) for weight in layer.weights]


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding", "sharing"), CASES)
@pytest.mark.parametrize(
    ("data_format", "connection_dropout"), [("channels_last", 0.0), ("channels_first", 0.4)]
)
def test_equals_loop(
    shape, kernel_size, strides, padding, sharing, data_format, connection_dropout
):
    arguments = {
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "sharing": sharing,
    }
    layer = free_layer(shape, data_format, connection_dropout=connection_dropout, **arguments)
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    outputs, to_input, to_kernel, to_bias = forward_backward(
        layer, to_format(images, data_format), to_format(upstream, data_format)
    )

    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in (layer.kernel, layer.bias))
    present = np.ones(kernel.shape, bool)
    if connection_dropout > 0:
        present = keras.ops.convert_to_numpy(layer.connection_mask)
        assert 0 < present.sum() < present.size
    expected = loop_reference(images, kernel * present, bias, upstream, **arguments)
    assert_equal_to_largest(from_format(outputs, data_format), expected[0])
    assert_equal_to_largest(from_format(to_input, data_format), expected[1])
    assert_equal_to_largest(to_kernel, expected[2] * present)
    assert_equal_to_largest(to_bias, expected[3])
    assert layer.compute_output_shape(to_format(images, data_format).shape) == outputs.shape


@pytest.mark.parametrize(("shape", "kernel_size", "strides", "padding", "sharing"), SHARING)
def test_equals_free_layer_with_repeated_kernels(shape, kernel_size, strides, padding, sharing):
    """Outputs; and gradients, which are those of the repeated kernels added up by tile."""
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = free_layer(shape, sharing=sharing, **arguments)
    repeated = free_layer(shape, **arguments)
    assert repeated.sharing == (1,) * (len(shape) - 1)
    tile = tiles(layer.output_grid, sharing)
    kernel, bias = weights(layer)
    repeated.kernel.assign(kernel[tile.ravel()])
    repeated.bias.assign(bias.reshape(-1, FILTERS)[tile])
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    *alike, to_kernel, to_bias = forward_backward(layer, images, upstream)
    *others, to_each, to_each_bias = forward_backward(repeated, images, upstream)
    for ours, theirs in zip(alike, others, strict=True):
        assert_equal_to_largest(ours, theirs)
    for number in range(len(kernel)):
        mine = tile == number
        assert_equal_to_largest(to_kernel[number], to_each[mine.ravel()].sum(axis=0))
        assert_equal_to_largest(to_bias.reshape(-1, FILTERS)[number], to_each_bias[mine].sum(0))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "kernel_size", "strides"),
    [((9, 3), 3, 2), ((7, 6, 3), (3, 2), 2), ((5, 4, 6, 2), (2, 3, 3), (2, 1, 2))],
)
def test_one_kernel_for_all_is_a_convolution(shape, kernel_size, strides, padding):
    """Outputs and gradients are those of Keras' own layer, with its very weights."""
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    convolution = SHARED[len(shape) - 1](
        FILTERS, **arguments, data_format="channels_last", bias_initializer="glorot_uniform"
    )
    convolution.build((None, *shape))
    layer = free_layer(shape, sharing="all", **arguments)
    kernel, bias = weights(convolution)
    assert layer.count_params() == convolution.count_params()
    layer.set_weights([kernel.reshape(layer.kernel.shape), bias.reshape(layer.bias.shape)])
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, FILTERS), seed=4)
    actual = forward_backward(layer, images, upstream)
    expected = forward_backward(convolution, images, upstream)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_equal_to_largest(ours, theirs.reshape(ours.shape))


def test_tiles_of_one_position_are_the_default():
    """To the last bit: output, gradients, and the weights drawn."""
    default, tiled = (
        FreeConv2D(
            *(FILTERS, 3, 2, "same"),
            kernel_initializer=keras.initializers.GlorotUniform(seed=3),
            connection_dropout=0.3,
            seed=1,
            **arguments,
        )
        for arguments in ({}, {"sharing": (1, 1)})
    )
    images, upstream = random_array((3, 7, 6, 2)), random_array((3, 4, 3, FILTERS))
    for layer in (default, tiled):
        layer.build(images.shape)
    for ours, theirs in zip(weights(default), weights(tiled), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pairs = (forward_backward(layer, images, upstream) for layer in (default, tiled))
    for ours, theirs in zip(*pairs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("sharing", [2, "all"])
def test_activation_sees_the_image_layout(sharing, data_format):
    layer = free_layer((6, 5, 2), data_format, kernel_size=2, activation="softmax", sharing=sharing)
    images = to_format(random_array((2, 6, 5, 2)), data_format)
    # Keras' softmax is over the last axis, whichever it is.
    probabilities = keras.ops.convert_to_numpy(layer(images))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


# Grid 13 x 13 (28 x 28 pixels, 3 x 3 kernels, strides 2), 9 inputs a patch, 32 filters.
@pytest.mark.parametrize(
    ("sharing", "tile", "tile_grid"),
    [
        (1, (1, 1), (13, 13)),
        (2, (2, 2), (7, 7)),
        ((13, 1), (13, 1), (1, 13)),
        ((3, 5), (3, 5), (5, 3)),
        (12, (12, 12), (2, 2)),
        (13, (13, 13), (1, 1)),
        (99, (13, 13), (1, 1)),
        ("all", (13, 13), (1, 1)),
    ],
)
def test_numbers_of_parameters(sharing, tile, tile_grid):
    layer = FreeConv2D(32, 3, strides=2, sharing=sharing)
    assert layer.tile is None
    assert layer.tile_grid is None
    layer.build((None, 28, 28, 1))
    assert (layer.output_grid, layer.tile, layer.tile_grid) == ((13, 13), tile, tile_grid)
    count = math.prod(tile_grid)
    assert tuple(layer.kernel.shape) == (count, 9, 32)
    assert tuple(layer.bias.shape) == (*tile_grid, 32)
    assert layer.count_params() == count * (9 + 1) * 32


def test_every_tile_has_its_own_pattern():
    layer = FreeConv2D(16, 3, connection_dropout=0.5, seed=5, sharing=3)
    layer.build((None, 8, 8, 4))
    present = keras.ops.convert_to_numpy(layer.connection_mask)
    assert present.shape == (4, 36, 16)
    patterns = present.transpose(0, 2, 1).reshape(-1, 36)
    assert len(np.unique(patterns, axis=0)) == len(patterns)


def test_absent_weights_of_a_tile_stay_zero():
    layer = FreeConv2D(FILTERS, 3, connection_dropout=0.4, seed=0, sharing=2)
    model = keras.Sequential([keras.Input((7, 6, 2)), layer])
    before = keras.ops.convert_to_numpy(layer.kernel).copy()
    model.compile("adam", "mse")
    model.fit(random_array((8, 7, 6, 2)), random_array((8, 5, 4, FILTERS)), verbose=0)
    after = keras.ops.convert_to_numpy(layer.kernel)
    present = keras.ops.convert_to_numpy(layer.connection_mask)
    np.testing.assert_array_equal(after[~present], 0)
    assert (before != after)[present].all()


# A grid of 3 x 3 in tiles of 2: four tiles, patches of 36, 16 filters.
@pytest.mark.parametrize(
    ("glorot_fans", "sharing", "fans"),
    [
        ("kernel_shape", 1, 9 * (36 + 16)),
        ("kernel_shape", 2, 4 * (36 + 16)),
        ("kernel_shape", "all", 36 + 16),
        ("per_location", 1, 36 + 9 * 16),
        ("per_location", 2, 36 + 9 * 16),
        ("per_location", "all", 36 + 9 * 16),
    ],
)
def test_fans(glorot_fans, sharing, fans):
    keras.utils.set_random_seed(0)
    layer = FreeConv2D(16, 3, glorot_fans=glorot_fans, sharing=sharing)
    layer.build((None, 5, 5, 4))
    limit = np.abs(keras.ops.convert_to_numpy(layer.kernel)).max()
    assert limit == pytest.approx(math.sqrt(6 / fans), rel=0.02)
    assert limit <= math.sqrt(6 / fans) * (1 + 1e-6)


@pytest.mark.parametrize(("rank", "sharing"), [(1, 2), (2, (2, 3)), (2, "all"), (3, 2), (3, 1)])
def test_save_and_load(tmp_path, rank, sharing):
    shape = (7, 6, 5, 2)[-rank - 1 :]
    layer = FREE[rank](
        FILTERS, 3, padding="same", sharing=sharing, connection_dropout=0.3, name="free"
    )
    model = keras.Sequential([keras.Input(shape), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("free")) is FREE[rank]
    assert loaded.get_layer("free").sharing == layer.sharing
    for ours, theirs in zip(weights(layer), weights(loaded.get_layer("free")), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = random_array((3, *shape))
    outputs = (keras.ops.convert_to_numpy(each(images)) for each in (model, loaded))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("sharing", "expected"), [(1, (1, 1)), ([2, 3], (2, 3)), ("ALL", "all"), (np.int64(2), (2, 2))]
)
def test_config(sharing, expected):
    layer = FreeConv2D(FILTERS, 3, sharing=sharing)
    assert layer.get_config()["sharing"] == expected
    assert FreeConv2D.from_config(layer.get_config()).sharing == expected


def test_unknown_batch_size_and_consecutive_layers():
    inputs = keras.Input((9, 8, 2))
    hidden = FreeConv2D(3, 2, activation="relu", sharing=3)(inputs)
    outputs = FreeConv2D(FILTERS, 3, padding="same", sharing=2)(hidden)
    assert outputs.shape == (None, *output_grid((8, 7, 3), 3, 1, "same"), FILTERS)
    model = keras.Model(inputs, outputs)
    images = random_array((5, 9, 8, 2))
    together = model.predict(images, batch_size=5, verbose=0)
    assert_equal_to_largest(model.predict(images, batch_size=2, verbose=0), together)


@pytest.mark.parametrize("sharing", [1, 2, "all"])
def test_mixed_precision(sharing):
    full = FreeConv2D(FILTERS, 3, sharing=sharing)
    mixed = FreeConv2D(FILTERS, 3, sharing=sharing, dtype="mixed_bfloat16")
    images = random_array((3, 6, 7, 2))
    expected = keras.ops.convert_to_numpy(full(images))
    mixed.build(images.shape)
    mixed.set_weights(weights(full))
    outputs = mixed(images)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert_equal_to_largest(
        keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")), expected, 3e-2
    )


@pytest.mark.parametrize(
    ("rank", "arguments", "message"),
    [
        (2, {"sharing": 0}, "`sharing` must be 'all', an integer of at least 1 or a pair.*=0"),
        (2, {"sharing": (2, 2, 2)}, r"`sharing` .*\(rows, columns\).*\(2, 2, 2\)"),
        (2, {"sharing": "none"}, "`sharing` .*'none'"),
        (2, {"sharing": None}, "`sharing` .*None"),
        (2, {"sharing": 1.5}, r"`sharing` .*1\.5"),
        (1, {"sharing": (2, 2)}, r"`sharing` .*a tuple of one of them \(steps\).*\(2, 2\)"),
        (1, {"kernel_size": (3, 3)}, r"`kernel_size` .*\(steps\).*\(3, 3\)"),
        (3, {"strides": (1, 2)}, r"`strides` .*a triple.*\(planes, rows, columns\).*\(1, 2\)"),
    ],
)
def test_bad_arguments(rank, arguments, message):
    with pytest.raises(ValueError, match=message):
        FREE[rank](**{"filters": 2, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("rank", "input_shape", "message"),
    [
        (1, (None, 5, 5, 1), r"FreeConv1D takes 3D inputs.*\(None, 5, 5, 1\).*'free'"),
        (1, (None, None, 1), r"steps and channels .*must be known.*\(None, None, 1\)"),
        (1, (None, 2, 1), r"'free' are too small.*steps \(2,\).*kernel_size=\(3,\)"),
        (3, (None, 5, 5, 1), r"FreeConv3D takes 5D inputs.*\(None, 5, 5, 1\).*'free'"),
        (3, (None, 5, 2, 5, 1), r"planes and rows and columns \(5, 2, 5\)"),
    ],
)
def test_bad_input_shapes(rank, input_shape, message):
    layer = FREE[rank](2, 3, name="free")
    for method in (layer.build, layer.compute_output_shape):
        with pytest.raises(ValueError, match=message):
            method(input_shape)
