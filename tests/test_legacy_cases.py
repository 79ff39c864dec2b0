"""The cases that LocallyConnected1D and 2D were tested by in Keras 2, for the free layers.

Of its `locally_connected_test.py`: the general test of a layer over data formats, paddings and
strides, regularizers and constraints, too small inputs, and its three implementations, which here
are layers of tf_keras whose weights are read. Runs with any backend.
"""

import json

import keras
import numpy as np
import pytest
import tf_keras
from references import (
    assert_equal_to_largest,
    connected_pixels,
    output_grid,
    random_array,
    to_format,
)

from freeconv import FreeConv1D, FreeConv2D, from_locally_connected, load_locally_connected

DATA_FORMATS = ["channels_last", "channels_first"]
IMPLEMENTATIONS = [1, 2, 3]
LEGACY = {1: tf_keras.layers.LocallyConnected1D, 2: tf_keras.layers.LocallyConnected2D}
FREE = {1: FreeConv1D, 2: FreeConv2D}
# The sizes of the legacy tests: 8 steps of 5 channels, 6 x 10 pixels of 4.
IMAGES = {1: (8, 5), 2: (6, 10, 4)}
FILTERS, KERNEL_SIZE = 3, 3


def batch(rank, data_format, count=4, seed=0):
    return to_format(random_array((count, *IMAGES[rank]), seed), data_format)


def outputs(layer, images):
    return keras.ops.convert_to_numpy(layer(images))


# --- the general test of a layer -------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_layer_in_a_model(rank, data_format, padding, strides):
    """Shapes, configuration and weights go through; a step of training changes the weights."""
    arguments = {"strides": strides, "padding": padding, "data_format": data_format}
    layer = FREE[rank](FILTERS, KERNEL_SIZE, **arguments, activation="relu")
    images = batch(rank, data_format)
    grid = output_grid(IMAGES[rank], KERNEL_SIZE, strides, padding)
    shape = (*grid, FILTERS) if data_format == "channels_last" else (FILTERS, *grid)
    symbolic = layer(keras.Input(images.shape[1:]))
    assert symbolic.shape == (None, *shape) == layer.compute_output_shape((None, *images.shape[1:]))
    assert symbolic.dtype == "float32"

    copy = FREE[rank].from_config(json.loads(json.dumps(layer.get_config())))
    copy.build(images.shape)
    copy.set_weights(layer.get_weights())
    expected = outputs(layer, images)
    assert expected.shape == (len(images), *shape)
    np.testing.assert_array_equal(outputs(copy, images), expected)

    model = keras.Sequential([keras.Input(images.shape[1:]), copy])
    assert_equal_to_largest(model.predict(images, verbose=0), expected)
    model.compile("rmsprop", "mse")
    model.train_on_batch(images, expected + 1)
    for before, after in zip(layer.get_weights(), copy.get_weights(), strict=True):
        assert (before != after).any()


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("data_format", DATA_FORMATS)
def test_regularizers(rank, data_format):
    layer = FREE[rank](
        *(FILTERS, KERNEL_SIZE),
        data_format=data_format,
        kernel_regularizer="l2",
        bias_regularizer="l2",
        activity_regularizer="l2",
        bias_initializer="ones",
    )
    images = batch(rank, data_format)
    layer.build(images.shape)
    assert len(layer.losses) == 2
    seen = outputs(layer, images)
    kernel, bias = layer.get_weights()
    # Outputs count by batch or by image, as the version of Keras has it.
    counted = keras.layers.ActivityRegularization(l2=0.01)
    counted(seen)
    expected = [0.01 * (kernel**2).sum(), 0.01 * (bias**2).sum(), *map(float, counted.losses)]
    actual = sorted(float(keras.ops.convert_to_numpy(loss)) for loss in layer.losses)
    assert actual == pytest.approx(sorted(expected), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 2])
def test_constraints_are_kept(rank):
    kernel, bias = keras.constraints.MaxNorm(0.01), keras.constraints.MaxNorm(0.02)
    layer = FREE[rank](FILTERS, KERNEL_SIZE, kernel_constraint=kernel, bias_constraint=bias)
    layer.build((None, *IMAGES[rank]))
    assert layer.kernel.constraint is kernel
    assert layer.bias.constraint is bias


@pytest.mark.parametrize("rank", [1, 2])
def test_an_output_below_one_position(rank):
    """The legacy cases: a kernel of 10 on 5 steps, and on 5 x 5 pixels."""
    layer = FREE[rank](2, 10, name="free")
    for shape in [(None, *(5,) * rank, 2), (None, *(9,) * rank, 2)]:
        with pytest.raises(ValueError, match=r"'free' are too small for its kernel"):
            layer.build(shape)
    layer.build((None, *(10,) * rank, 2))
    assert layer.output_grid == (1,) * rank


# --- weights of the legacy layers ------------------------------------------------------------


def legacy_layer(rank, implementation, data_format, padding="valid", strides=1, **arguments):
    layer = LEGACY[rank](
        *(FILTERS, arguments.pop("kernel_size", KERNEL_SIZE)),
        strides=strides,
        padding=padding,
        data_format=data_format,
        implementation=implementation,
        **arguments,
    )
    layer.build(batch(rank, data_format).shape)
    layer.set_weights(
        [random_array(weight.shape, seed) for seed, weight in enumerate(layer.get_weights())]
    )
    return layer


def imported(layer, images):
    return from_locally_connected(layer.get_config(), layer.get_weights(), images.shape)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize(
    ("implementation", "padding", "strides"),
    [(i, "valid", s) for i in IMPLEMENTATIONS for s in (1, 2)]
    # Strides of 2 centre patches otherwise: see `test_padding_that_no_convolution_has`.
    + [(2, "same", 1), (3, "same", 1)],
)
def test_weights_are_imported(rank, data_format, implementation, padding, strides):
    legacy = legacy_layer(rank, implementation, data_format, padding, strides, activation="tanh")
    images = batch(rank, data_format)
    layer = imported(legacy, images)
    assert type(layer) is FREE[rank]
    assert (layer.name, layer.padding, layer.data_format) == (legacy.name, padding, data_format)
    assert_equal_to_largest(outputs(layer, images), legacy(images).numpy())


def test_weights_of_paddings_are_zero():
    """The legacy layers have none for pixels beyond the image."""
    legacy = legacy_layer(2, 3, "channels_last", "same")
    layer = imported(legacy, batch(2, "channels_last"))
    kernel = keras.ops.convert_to_numpy(layer.kernel).reshape(6, 10, 3, 3, 4, FILTERS)
    inside = np.zeros(kernel.shape, bool)
    for position, offset, _ in connected_pixels(IMAGES[2], KERNEL_SIZE, 1, "same"):
        inside[(*position, *offset)] = True
    np.testing.assert_array_equal(kernel != 0, inside)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_kernels_that_are_no_squares(data_format, implementation):
    legacy = legacy_layer(
        *(2, implementation, data_format), strides=(1, 2), kernel_size=(2, 5), use_bias=False
    )
    images = batch(2, data_format)
    layer = imported(legacy, images)
    assert layer.bias is None
    assert_equal_to_largest(outputs(layer, images), legacy(images).numpy())


def test_arguments_are_imported():
    legacy = legacy_layer(
        *(2, 1, "channels_last"),
        activation="relu",
        kernel_initializer=tf_keras.initializers.HeNormal(seed=3),
        kernel_regularizer=tf_keras.regularizers.L2(0.1),
        bias_regularizer="l1",
        activity_regularizer=tf_keras.regularizers.L1(0.3),
        kernel_constraint=tf_keras.constraints.MaxNorm(2),
        bias_constraint="non_neg",
        trainable=False,
        name="local",
    )
    layer = imported(legacy, batch(2, "channels_last"))
    assert layer.name == "local"
    assert layer.trainable_weights == []
    assert layer.activation is keras.activations.relu
    assert layer.kernel_initializer.seed == 3
    assert float(layer.kernel_regularizer.l2) == pytest.approx(0.1)
    assert isinstance(layer.bias_regularizer, keras.regularizers.L1)
    assert float(layer.activity_regularizer.l1) == pytest.approx(0.3)
    assert layer.kernel_constraint.max_value == 2
    assert isinstance(layer.bias_constraint, keras.constraints.NonNeg)


def networks(implementation, data_format):
    """Two local layers, batch normalization and a dense one, in tf_keras and in Keras."""

    def build(library, local, normalization, **arguments):
        return library.Sequential(
            [
                library.layers.InputLayer(batch(2, data_format).shape[1:]),
                local(4, 3, activation="relu", data_format=data_format, **arguments),
                normalization,
                local(2, (2, 3), strides=2, data_format=data_format, **arguments),
                library.layers.Flatten(),
                library.layers.Dense(3, activation="softmax"),
            ]
        )

    # The fused form of tf_keras estimates variances otherwise than Keras does.
    normalization = tf_keras.layers.BatchNormalization(fused=False)
    legacy = build(tf_keras, LEGACY[2], normalization, implementation=implementation)
    for seed, weight in enumerate(legacy.weights):
        weight.assign(np.abs(random_array(weight.shape, seed)) / 4 + 0.1)
    return legacy, build(keras, FreeConv2D, keras.layers.BatchNormalization())


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_models_train_alike(implementation, data_format):
    """From the weights of one on, through two epochs, and back to equal weights."""
    legacy, model = networks(implementation, data_format)

    def layers():
        return [(layer.get_config(), layer.get_weights()) for layer in legacy.layers]

    load_locally_connected(model, layers())
    images = batch(2, data_format, count=16)
    expected = legacy(images).numpy()
    assert_equal_to_largest(outputs(model, images), expected, 1e-4)

    labels = np.random.default_rng(1).integers(0, 3, len(images))
    for library, network in ((tf_keras, legacy), (keras, model)):
        network.compile(library.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        network.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    trained = model.get_weights()
    assert np.abs(legacy(images).numpy() - expected).max() > 1e-2
    assert_equal_to_largest(outputs(model, images), legacy(images).numpy(), 1e-3)
    load_locally_connected(model, layers())
    for ours, theirs in zip(trained, model.get_weights(), strict=True):
        assert_equal_to_largest(ours, theirs, 1e-3)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_imported_models_are_saved_and_loaded(tmp_path, implementation, data_format):
    legacy, model = networks(implementation, data_format)
    load_locally_connected(
        model, [(layer.get_config(), layer.get_weights()) for layer in legacy.layers]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = batch(2, data_format)
    np.testing.assert_array_equal(outputs(loaded, images), outputs(model, images))
    assert_equal_to_largest(outputs(loaded, images), legacy(images).numpy(), 1e-4)


# --- what cannot be imported -----------------------------------------------------------------


@pytest.mark.parametrize("implementation", [2, 3])
@pytest.mark.parametrize(("kernel_size", "strides"), [(2, 1), (3, 2)])
def test_padding_that_no_convolution_has(implementation, kernel_size, strides):
    legacy = legacy_layer(
        *(2, implementation, "channels_last", "same", strides), kernel_size=kernel_size
    )
    with pytest.raises(ValueError, match=r"pads otherwise than the legacy layer.*\(6, 10\) pixels"):
        imported(legacy, batch(2, "channels_last"))


CONFIG = {
    "name": "local",
    "filters": 3,
    "kernel_size": (2, 2),
    "strides": (1, 1),
    "padding": "valid",
    "data_format": "channels_last",
    "use_bias": True,
    "implementation": 1,
}


@pytest.mark.parametrize(
    ("changes", "kernel", "bias", "message"),
    [
        ({}, (9, 4, 3), (3, 3, 3), r"'local' must have shape \(9, 8, 3\).*\(9, 4, 3\)"),
        ({}, (9, 8, 3), (3,), r"'local' must have shape \(3, 3, 3\).*\(3,\)"),
        ({"implementation": 2}, (9, 8, 3), (3, 3, 3), r"shape \(4, 4, 2, 3, 3, 3\).*\(9, 8, 3\)"),
        ({"implementation": 3}, (9,), (3, 3, 3), r"shape \(216,\).*\(9,\)"),
        ({"implementation": 4}, (9,), (3, 3, 3), r"`implementation` must be one of .*4"),
    ],
)
def test_arrays_that_do_not_fit(changes, kernel, bias, message):
    with pytest.raises(ValueError, match=message):
        from_locally_connected(
            {**CONFIG, **changes}, [np.ones(kernel), np.ones(bias)], (1, 4, 4, 2)
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 3}, r"`kernel_size` of layer 'free' .*\(3, 3\), of the legacy.*\(2, 2\)"),
        ({"use_bias": False}, r"`use_bias` of layer 'free'"),
        ({"sharing": 2}, r"'free' must have a kernel for every position.*\(2, 2\)"),
    ],
)
def test_layers_that_do_not_match(arguments, message):
    layer = FreeConv2D(**{"filters": 3, "kernel_size": 2, "name": "free", **arguments})
    model = keras.Sequential([keras.Input((4, 4, 2)), layer], name="model")
    weights = [np.ones((9, 8, 3)), np.ones((3, 3, 3))]
    with pytest.raises(ValueError, match=message):
        load_locally_connected(model, [(CONFIG, weights)])
    with pytest.raises(ValueError, match=r"2 layers with weights, where model 'model' has 1"):
        load_locally_connected(model, [(CONFIG, weights), ({}, []), ({}, weights)])
