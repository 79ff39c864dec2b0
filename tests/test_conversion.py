"""Trained convolutions become free, and free ones ordinary again; with any backend."""

import keras
import numpy as np
import pytest
from references import WEIGHT_ARGUMENTS, assert_equal_to_largest, random_array, tiles

import freeconv
from freeconv import FreeConv1D, FreeConv2D, FreeConv3D, to_free, to_shared

FREE = {1: FreeConv1D, 2: FreeConv2D, 3: FreeConv3D}
SHARED = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


def outputs(model, images):
    return keras.ops.convert_to_numpy(model(images))


def kernel(layer):
    return keras.ops.convert_to_numpy(layer.kernel)


def randomized(model):
    """The model with other biases, moving means and variances than at the start, too."""
    for number, weight in enumerate(model.weights):
        weight.assign(np.abs(random_array(weight.shape, seed=number)) / 3)
    return model


def sequential():
    return keras.Sequential(
        [
            keras.Input((11, 10, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv1"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(5, (2, 3), padding="same", use_bias=False, name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ],
        name="stack",
    )


def branched():
    """A layer used twice, and a model inside the model."""
    image = keras.Input((8, 8, 4))
    twice = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="twice")
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), keras.layers.Conv2D(2, 2, name="inside")], name="inner"
    )
    x = keras.layers.Dropout(0.5)(twice(image))
    x = keras.layers.Add()([twice(x), image])
    return keras.Model(image, [inner(x), keras.layers.GlobalAveragePooling2D()(x)])


@pytest.mark.parametrize("sharing", [1, 2, (1, 3), "all"])
def test_free_copy_computes_the_same(sharing):
    model = randomized(sequential())
    before = [weight.copy() for weight in model.get_weights()]
    copy = to_free(model, sharing=sharing)
    images = random_array((4, 11, 10, 3))
    assert_equal_to_largest(outputs(copy, images), outputs(model, images))
    assert copy.name == "stack"
    for name in ("conv1", "conv2"):
        layer, ordinary = copy.get_layer(name), model.get_layer(name)
        assert type(layer) is FreeConv2D
        count = len(np.unique(tiles(layer.output_grid, sharing)))
        assert layer.count_params() == count * ordinary.count_params()
        np.testing.assert_array_equal(
            kernel(layer), np.stack([kernel(ordinary).reshape(kernel(layer).shape[1:])] * count)
        )
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("sharing", [1, 2, "all"])
def test_there_and_back_to_the_last_bit(sharing):
    model = randomized(sequential())
    back = to_shared(to_free(model, sharing))
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    for ours, theirs in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("sharing", [1, 2])
def test_functional_models(sharing):
    model = randomized(branched())
    copy = to_free(model, sharing)
    assert type(copy.get_layer("twice")) is FreeConv2D
    assert type(copy.get_layer("inner").get_layer("inside")) is FreeConv2D
    assert len(copy.weights) == len(model.weights)
    images = random_array((3, 8, 8, 4))
    for ours, theirs in zip(copy(images), model(images), strict=True):
        assert_equal_to_largest(*map(keras.ops.convert_to_numpy, (ours, theirs)))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_along_one_to_three_axes(rank, padding):
    shape = (7, 6, 5)[:rank]
    layer = SHARED[rank](4, 3, strides=2, padding=padding, name="conv")
    model = randomized(keras.Sequential([keras.Input((*shape, 2)), layer]))
    copy = to_free(model)
    assert type(copy.get_layer("conv")) is FREE[rank]
    images = random_array((3, *shape, 2))
    assert_equal_to_largest(outputs(copy, images), outputs(model, images))
    back = to_shared(copy)
    assert type(back.get_layer("conv")) is SHARED[rank]
    np.testing.assert_array_equal(kernel(back.get_layer("conv")), kernel(layer))


def free_model(**arguments):
    layer = FreeConv2D(2, 2, name="free", **arguments)
    model = keras.Sequential([keras.Input((4, 6, 3)), layer])
    layer.kernel.assign(random_array(layer.kernel.shape, seed=1) * (kernel(layer) != 0))
    layer.bias.assign(random_array(layer.bias.shape, seed=2))
    return model


def test_mean_over_positions():
    model = free_model()
    layer, ordinary = model.get_layer("free"), to_shared(model).get_layer("free")
    np.testing.assert_allclose(
        kernel(ordinary).reshape(12, 2), kernel(layer).mean(axis=0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ordinary.bias),
        keras.ops.convert_to_numpy(layer.bias).mean(axis=(0, 1)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_tiles_count_as_often_as_they_have_positions():
    """A grid of 3 x 5 in tiles of 2: of 4, 4, 2 positions in the first row, 2, 2, 1 below."""
    model = free_model(sharing=2)
    weights = kernel(model.get_layer("free"))
    expected = np.average(weights, axis=0, weights=[4, 4, 2, 2, 2, 1])
    actual = kernel(to_shared(model).get_layer("free"))
    np.testing.assert_allclose(actual.reshape(12, 2), expected, rtol=1e-4, atol=1e-6)


def test_absent_connections_count_as_zeros():
    """Whatever is stored for them."""
    model = free_model(connection_dropout=0.5, seed=3)
    layer = model.get_layer("free")
    layer.kernel.assign(random_array(layer.kernel.shape, seed=1))
    weights = kernel(layer) * keras.ops.convert_to_numpy(layer.connection_mask)
    assert (weights == 0).any()
    actual = kernel(to_shared(model).get_layer("free")).reshape(12, 2)
    np.testing.assert_allclose(actual, weights.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_another_degree_of_sharing():
    model = free_model(connection_dropout=0.5, seed=3)
    copy = to_free(model, sharing=(3, 2))
    layer, weights = copy.get_layer("free"), kernel(model.get_layer("free")).reshape(3, 5, 12, 2)
    assert layer.connection_mask is None
    expected = [weights[:, a:b].mean(axis=(0, 1)) for a, b in [(0, 2), (2, 4), (4, 5)]]
    np.testing.assert_allclose(kernel(layer), np.stack(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sharing", [1, 2])
def test_the_same_degree_changes_nothing(sharing):
    """Connection patterns are kept, too."""
    model = free_model(connection_dropout=0.5, seed=3, sharing=sharing)
    copy = to_free(model, sharing)
    assert len(model.weights) == len(copy.weights) == 3
    for ours, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_arguments_are_kept():
    arguments = {
        "filters": 4,
        "kernel_size": (3, 2),
        "strides": (2, 1),
        "padding": "same",
        "data_format": "channels_last",
        "activation": "elu",
        **WEIGHT_ARGUMENTS,
        "dtype": "mixed_bfloat16",
        "trainable": False,
        "name": "conv",
    }
    layer = keras.layers.Conv2D(**arguments)
    model = keras.Sequential([keras.Input((6, 5, 2)), layer])
    free = to_free(model).get_layer("conv")
    # That of the kernel is of an axis that a free kernel does not have: `test_copies.py`.
    for other, names in (
        (free, arguments.keys() - {"kernel_constraint"}),
        (to_shared(to_free(model)).get_layer("conv"), arguments),
    ):
        config = other.get_config()
        assert {name: config[name] for name in names} == {
            name: value for name, value in layer.get_config().items() if name in names
        }
    assert free.trainable_weights == []


def test_compiled_copy_learns_kernels_of_its_own():
    model = keras.Sequential([keras.Input((6, 5, 2)), keras.layers.Conv2D(3, 2, name="conv")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    copy = to_free(model)
    copy.fit(random_array((8, 6, 5, 2)), random_array((8, 5, 4, 3), seed=1), verbose=0)
    kernels = kernel(copy.get_layer("conv"))
    assert len(np.unique(kernels, axis=0)) == len(kernels) == 20


class Own(keras.layers.Conv2D):
    """Computes something else."""


class OwnFree(FreeConv2D):
    """Computes something else."""


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.Conv2D(2, 2, dilation_rate=2, name="c"), r"'c' .*dilation_rate=\(2, 2\)"),
        (keras.layers.Conv2D(2, 2, groups=2, name="c"), "'c' cannot become free.*groups=2"),
        (Own(2, 2, name="c"), r"'c' cannot be converted.*class Own\."),
    ],
)
def test_convolutions_without_a_free_counterpart(layer, message):
    model = keras.Sequential([keras.Input((6, 5, 2)), layer])
    with pytest.raises(ValueError, match=message):
        to_free(model)


def test_causal_padding_has_no_free_counterpart():
    layer = keras.layers.Conv1D(2, 2, padding="causal", name="c")
    with pytest.raises(ValueError, match=r"'c' cannot become free.*padding='causal'"):
        to_free(keras.Sequential([keras.Input((6, 2)), layer]))


def test_models_that_cannot_be_converted():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(2, 2)

        def call(self, images):
            return self.conv(images)

    model = Subclassed()
    model(random_array((1, 4, 4, 1)))
    for convert in (to_free, to_shared):
        with pytest.raises(ValueError, match="Sequential"):
            convert(model)
        with pytest.raises(ValueError, match="'new' has no weights yet"):
            convert(keras.Sequential([keras.layers.Conv2D(2, 2)], name="new"))
    any_size = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 2, name="c")])
    with pytest.raises(ValueError, match=r"must be known.*'c'"):
        to_free(any_size)
    with pytest.raises(ValueError, match=r"`sharing` must be .*'none'"):
        to_free(sequential(), sharing="none")
    with pytest.raises(ValueError, match=r"'free' cannot be converted.*class OwnFree\."):
        to_shared(keras.Sequential([keras.Input((6, 5, 2)), OwnFree(2, 2, name="free")]))


def test_a_model_built_by_its_first_images():
    model = keras.Sequential([keras.layers.Conv2D(2, 2), keras.layers.Flatten()])
    images = random_array((2, 4, 5, 1))
    expected = outputs(model, images)
    assert_equal_to_largest(outputs(to_free(model), images), expected)


def test_public_names():
    assert {"FreeConv2D", "to_free", "from_locally_connected"} <= set(dir(freeconv))
    for name in freeconv.__all__:
        assert getattr(freeconv, name)
    with pytest.raises(AttributeError, match="'FreeConv4D'"):
        freeconv.FreeConv4D  # noqa: B018
