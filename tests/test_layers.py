"""The free convolution against tf_keras, NumPy loops and Conv2D, and its connection patterns."""

import inspect
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from references import (
    WEIGHT_ARGUMENTS,
    assert_equal_to_largest,
    connected_pixels,
    from_format,
    loop_reference,
    output_grid,
    random_array,
    sizes,
    to_format,
)
from scipy import stats

from freeconv.layers import ConnectionMask, FreeConv2D

# (rows, columns, channels), kernel_size, strides
SHAPES = [
    ((7, 6, 3), 3, 1),
    ((9, 7, 1), 3, 2),
    ((8, 9, 2), (2, 4), (3, 1)),
    ((5, 6, 4), (5, 1), (1, 2)),
    ((4, 4, 2), 4, 1),
    ((3, 5, 2), 1, 2),
]
# Sizes where tf_keras centres "same" as Conv2D does; elsewhere its peer is Conv2D itself.
SAME_SHAPES = [((7, 6, 3), 3, 1), ((7, 9, 2), (3, 5), 2), ((5, 7, 1), (1, 3), (1, 2))]
DATA_FORMATS = ["channels_last", "channels_first"]


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def free_layer(shape, data_format="channels_last", **arguments):
    """A built layer with random kernel and bias."""
    layer = FreeConv2D(4, data_format=data_format, **arguments)
    layer.build(to_format(np.empty((1, *shape)), data_format).shape)
    layer.kernel.assign(random_array(layer.kernel.shape, seed=1))
    if layer.bias is not None:
        layer.bias.assign(random_array(layer.bias.shape, seed=2))
    return layer


def forward_backward(layer, images, upstream, data_format="channels_last"):
    """Output and gradients to input, kernel and bias; images and gradients channels last."""
    inputs = tf.Variable(to_format(images, data_format))
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
    gradients = tape.gradient(
        outputs, [inputs, *layer.trainable_weights], to_format(upstream, data_format)
    )
    outputs, to_input, *to_weights = (numpy(tensor) for tensor in (outputs, *gradients))
    return from_format(outputs, data_format), from_format(to_input, data_format), *to_weights


class PatchKernel:
    """tf_keras implementation 1: our kernel, patches channel by channel with channels first."""

    def __init__(self, shape, kernel_size, strides, padding, data_format):
        self.patch = (*sizes(kernel_size, 2), shape[-1])
        self.order = (0, 1, 2, 3, 4) if data_format == "channels_last" else (0, 3, 1, 2, 4)

    def to_peer(self, kernel):
        patches = kernel.reshape(len(kernel), *self.patch, -1)
        return patches.transpose(self.order).reshape(kernel.shape)

    def from_peer(self, kernel):
        patch = [(len(kernel), *self.patch, kernel.shape[-1])[axis] for axis in self.order]
        return kernel.reshape(patch).transpose(np.argsort(self.order)).reshape(kernel.shape)


class DenseKernel:
    """tf_keras implementation 2: a weight for every pixel at every position, most unused."""

    def __init__(self, shape, kernel_size, strides, padding, data_format):
        self.grid = output_grid(shape, kernel_size, strides, padding)
        self.shape, self.patch = shape, (*sizes(kernel_size, 2), shape[-1])
        self.connected = list(connected_pixels(shape, kernel_size, strides, padding))
        self.order = range(6) if data_format == "channels_last" else (2, 0, 1, 5, 3, 4)

    def to_peer(self, kernel):
        kernel = kernel.reshape(*self.grid, *self.patch, -1)
        dense = np.zeros((*self.shape, *self.grid, kernel.shape[-1]), "float32")
        for position, pixel, (y, x) in self.connected:
            dense[(y, x, slice(None), *position)] = kernel[(*position, *pixel)]
        return dense.transpose(self.order)

    def from_peer(self, dense):
        dense = dense.transpose(np.argsort(self.order))
        kernel = np.zeros((*self.grid, *self.patch, dense.shape[-1]), "float32")
        for position, pixel, (y, x) in self.connected:
            kernel[(*position, *pixel)] = dense[(y, x, slice(None), *position)]
        return kernel.reshape(math.prod(self.grid), math.prod(self.patch), -1)


def peer_bias(bias, data_format):
    # tf_keras reshapes its bias to channels first where it would have to transpose it.
    if data_format == "channels_last":
        return bias
    return np.moveaxis(bias, -1, 0).reshape(bias.shape)


def bias_from_peer(bias, data_format):
    if data_format == "channels_last":
        return bias
    rows, columns, filters = bias.shape
    return np.moveaxis(bias.reshape(filters, rows, columns), 0, -1)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize(
    ("implementation", "padding", "shape", "kernel_size", "strides"),
    [(1, "valid", *case) for case in SHAPES]
    + [(2, "valid", *case) for case in SHAPES]
    + [(2, "same", *case) for case in SAME_SHAPES],
)
def test_equals_locally_connected(
    implementation, padding, shape, kernel_size, strides, data_format
):
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = free_layer(shape, data_format, activation="relu", **arguments)
    images = random_array((3, *shape), seed=3)
    upstream = random_array((3, *layer.output_grid, 4), seed=4)

    peer = tf_keras.layers.LocallyConnected2D(
        4,
        **arguments,
        data_format=data_format,
        activation="relu",
        implementation=implementation,
    )
    peer.build(to_format(images, data_format).shape)
    layout = (PatchKernel if implementation == 1 else DenseKernel)(
        shape, kernel_size, strides, padding, data_format
    )
    peer.set_weights(
        [layout.to_peer(layer.kernel.numpy()), peer_bias(layer.bias.numpy(), data_format)]
    )
    expected = list(forward_backward(peer, images, upstream, data_format))
    expected[2] = layout.from_peer(expected[2])
    expected[3] = bias_from_peer(expected[3], data_format)

    actual = forward_backward(layer, images, upstream, data_format)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_equal_to_largest(ours, theirs)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("shape", "kernel_size", "strides"), SHAPES)
def test_equals_loop(shape, kernel_size, strides, padding, data_format):
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    layer = free_layer(shape, data_format, **arguments)
    images = random_array((2, *shape), seed=3)
    upstream = random_array((2, *layer.output_grid, 4), seed=4)
    expected = loop_reference(
        images, layer.kernel.numpy(), layer.bias.numpy(), upstream, **arguments
    )
    actual = forward_backward(layer, images, upstream, data_format)
    for ours, reference in zip(actual, expected, strict=True):
        assert_equal_to_largest(ours, reference)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("shape", "kernel_size", "strides"), [*SHAPES, ((6, 8, 2), 5, (2, 3))])
def test_one_kernel_everywhere_is_a_convolution(shape, kernel_size, strides, padding, data_format):
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    convolution = keras.layers.Conv2D(
        4, **arguments, data_format="channels_last", bias_initializer="glorot_uniform"
    )
    images = random_array((3, *shape))
    expected = numpy(convolution(images))
    layer = free_layer(shape, data_format, **arguments)
    kernel, bias = convolution.get_weights()
    layer.set_weights(
        [
            np.tile(kernel.reshape(1, -1, 4), (math.prod(layer.output_grid), 1, 1)),
            np.tile(bias, (*layer.output_grid, 1)),
        ]
    )
    actual = from_format(numpy(layer(to_format(images, data_format))), data_format)
    assert_equal_to_largest(actual, expected)


def test_without_bias():
    layer = free_layer((5, 5, 2), kernel_size=3, use_bias=False)
    assert layer.bias is None
    assert [weight.name for weight in layer.weights] == ["kernel"]
    images = random_array((2, 5, 5, 2))
    upstream = random_array((2, 3, 3, 4))
    no_bias = np.zeros((3, 3, 4))
    expected = loop_reference(images, layer.kernel.numpy(), no_bias, upstream, 3, 1, "valid")
    assert_equal_to_largest(numpy(layer(images)), expected[0])


def test_activation_sees_the_image_layout():
    layer = free_layer((5, 5, 2), kernel_size=3, activation="softmax")
    np.testing.assert_allclose(numpy(layer(random_array((2, 5, 5, 2)))).sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments", [{}, {"connection_dropout": 0.5}, {"sharing": 3}, {"sharing": "all"}]
)
def test_one_trace_serves_every_batch_size(arguments):
    layer = FreeConv2D(4, 3, padding="same", strides=2, seed=0, **arguments)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, 7, 6, 2))])
    def apply(images):
        traces.append(images.shape)
        return layer(images)  # builds the layer while tracing

    images = random_array((5, 7, 6, 2))
    assert_equal_to_largest(numpy(apply(images)), numpy(layer(images)))
    assert_equal_to_largest(numpy(apply(images[:2])), numpy(layer(images))[:2])
    assert len({tuple(shape) for shape in traces}) == 1
    if arguments.get("sharing") != "all":  # TensorFlow's Conv2D gives no images another size
        assert apply(images[:0]).shape == (0, 4, 3, 4)


def test_functional_model_of_unknown_batch_size():
    inputs = keras.Input((7, 6, 2))
    outputs = FreeConv2D(4, 3)(FreeConv2D(3, 2)(inputs))
    assert outputs.shape == (None, 4, 3, 4)
    model = keras.Model(inputs, outputs)
    images = random_array((5, 7, 6, 2))
    together = model.predict(images, batch_size=5, verbose=0)
    apart = model.predict(images, batch_size=2, verbose=0)
    assert_equal_to_largest(apart, together)


@pytest.mark.parametrize(
    ("policy", "compute_dtype", "relative"),
    [("mixed_float16", "float16", 4e-3), ("mixed_bfloat16", "bfloat16", 3e-2)],
)
@pytest.mark.parametrize("connection_dropout", [0.0, 0.5])
def test_mixed_precision(policy, compute_dtype, relative, connection_dropout):
    arguments = {"padding": "same", "connection_dropout": connection_dropout, "seed": 0}
    full = FreeConv2D(4, 3, **arguments)
    mixed = FreeConv2D(4, 3, **arguments, dtype=policy)
    images = random_array((3, 6, 7, 2))
    expected = numpy(full(images))
    mixed.build(images.shape)
    mixed.set_weights(full.get_weights())
    outputs = mixed(images)
    assert keras.backend.standardize_dtype(outputs.dtype) == compute_dtype
    assert mixed.kernel.dtype == mixed.bias.dtype == "float32"
    assert_equal_to_largest(numpy(outputs).astype("float32"), expected, relative)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("shape", "kernel_size", "strides"), SHAPES)
def test_compute_output_shape(shape, kernel_size, strides, padding, data_format):
    layer = FreeConv2D(4, kernel_size, strides, padding, data_format)
    images = to_format(random_array((2, *shape)), data_format)
    grid = output_grid(shape, kernel_size, strides, padding)
    expected = (*grid, 4) if data_format == "channels_last" else (4, *grid)
    assert layer.output_grid is None
    assert layer.compute_output_shape(images.shape) == (2, *expected)
    assert layer.compute_output_shape((None, *images.shape[1:])) == (None, *expected)
    assert tuple(layer(images).shape) == (2, *expected)
    assert layer.output_grid == grid


@pytest.mark.parametrize(
    ("shape", "filters", "kernel_size", "strides", "kernel_shape", "bias_shape", "count"),
    [
        ((28, 28, 1), 32, 3, 2, (169, 9, 32), (13, 13, 32), 48_672 + 5_408),
        ((32, 32, 3), 64, 5, 2, (196, 75, 64), (14, 14, 64), 940_800 + 12_544),
    ],
    ids=["mnist", "cifar10"],
)
def test_weights_of_the_first_layers_of_the_paper(
    shape, filters, kernel_size, strides, kernel_shape, bias_shape, count
):
    layer = FreeConv2D(filters, kernel_size, strides)
    layer.build((None, *shape))
    assert layer.kernel.shape == kernel_shape
    assert layer.bias.shape == bias_shape
    assert layer.count_params() == count
    assert layer.non_trainable_weights == []


# --- initial weights -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glorot_fans", "limit"),
    [
        ("kernel_shape", math.sqrt(6 / (169 * (9 + 32)))),
        ("per_location", math.sqrt(6 / (9 + 9 * 32))),
    ],
)
def test_glorot_limit_of_the_first_mnist_layer(glorot_fans, limit):
    keras.utils.set_random_seed(0)
    layer = FreeConv2D(32, 3, strides=2, glorot_fans=glorot_fans)
    layer.build((None, 28, 28, 1))
    weights = layer.kernel.numpy().ravel()
    assert np.abs(weights).max() <= limit * (1 + 1e-6)
    assert stats.kstest(weights, stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3


# Positions 9 (a 3 x 3 grid), patch 3 * 3 * 4, filters 16: fans of the stored shape over Conv2D's.
@pytest.mark.parametrize(
    ("initializer", "ratio"),
    [
        ("GlorotUniform", (9 * (36 + 16)) / (36 + 9 * 16)),
        ("GlorotNormal", (9 * (36 + 16)) / (36 + 9 * 16)),
        ("HeUniform", 9),
        ("LecunNormal", 9),
        ("fan_out", (9 * 16) / (9 * 16)),
        ("RandomNormal", 1),
        ("RandomUniform", 1),
    ],
)
def test_fans_of_initializers(initializer, ratio):
    def make():
        if initializer == "fan_out":
            return keras.initializers.VarianceScaling(mode="fan_out", seed=7)
        return getattr(keras.initializers, initializer)(seed=7)

    kernels = {}
    for fans in ("kernel_shape", "per_location"):
        layer = FreeConv2D(16, 3, kernel_initializer=make(), glorot_fans=fans)
        layer.build((None, 5, 5, 4))
        kernels[fans] = layer.kernel.numpy()
    np.testing.assert_array_equal(kernels["kernel_shape"], numpy(make()((9, 36, 16))))
    np.testing.assert_allclose(
        kernels["per_location"], kernels["kernel_shape"] * math.sqrt(ratio), rtol=1e-6
    )


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_uniform", "lecun_uniform"])
def test_per_location_has_the_limit_of_conv2d(initializer):
    keras.utils.set_random_seed(1)
    arguments = {"filters": 64, "kernel_size": (5, 3), "kernel_initializer": initializer}
    convolution = keras.layers.Conv2D(**arguments)
    layer = FreeConv2D(**arguments, glorot_fans="per_location")
    for each in (convolution, layer):
        each.build((None, 7, 5, 100))
    limits = [np.abs(each.kernel.numpy()).max() for each in (convolution, layer)]
    assert limits[1] == pytest.approx(limits[0], rel=1e-3)


@pytest.mark.parametrize("glorot_fans", ["kernel_shape", "per_location"])
def test_positions_are_drawn_independently(glorot_fans):
    keras.utils.set_random_seed(2)
    layer = FreeConv2D(32, 3, glorot_fans=glorot_fans)
    layer.build((None, 6, 6, 8))
    filters = layer.kernel.numpy().reshape(16, -1)
    correlations = np.corrcoef(filters)[np.triu_indices(16, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(filters.shape[1])


def test_initializers_default_to_those_of_conv2d():
    layer = FreeConv2D(2, 2, kernel_initializer=None, bias_initializer=None)
    assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
    layer.build((None, 3, 3, 1))
    assert not layer.bias.numpy().any()


# --- regularizers and constraints ------------------------------------------------------------


def test_regularizers_add_their_losses():
    layer = free_layer(
        (5, 5, 2),
        kernel_size=3,
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer=keras.regularizers.L1(0.2),
        activity_regularizer=keras.regularizers.L1(0.3),
    )
    outputs = numpy(layer(random_array((1, 5, 5, 2))))
    expected = [
        0.1 * (layer.kernel.numpy() ** 2).sum(),
        0.2 * np.abs(layer.bias.numpy()).sum(),
        0.3 * np.abs(outputs).sum(),
    ]
    losses = sorted(float(loss) for loss in layer.losses)
    assert losses == pytest.approx(sorted(expected), rel=1e-5)


def test_constraints_hold_after_a_step():
    layer = FreeConv2D(
        2, 2, kernel_constraint="non_neg", bias_constraint=keras.constraints.MaxNorm(0.5, axis=-1)
    )
    model = keras.Sequential([keras.Input((4, 4, 1)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(random_array((8, 4, 4, 1)), 9 * random_array((8, 3, 3, 2)), verbose=0)
    assert layer.kernel.numpy().min() == 0
    assert layer.kernel.numpy().max() > 0
    norms = np.linalg.norm(layer.bias.numpy(), axis=-1)
    assert norms.max() == pytest.approx(0.5, rel=1e-4)


# --- connection patterns ---------------------------------------------------------------------

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    # Orthogonalises the step of a whole kernel, and so moves weights without a gradient.
    "muon": lambda: keras.optimizers.Muon(0.01),
}


def train(layer, optimizer, steps=4):
    model = keras.Sequential([keras.Input((6, 6, 2)), layer, keras.layers.Flatten()])
    model.compile(optimizer, "mse")
    before = layer.kernel.numpy()
    targets = random_array((steps * 4, math.prod(layer.output_grid) * layer.filters), seed=1)
    model.fit(random_array((steps * 4, 6, 6, 2)), targets, batch_size=4, verbose=0)
    return before, layer.kernel.numpy()


@pytest.mark.parametrize("regularizer", [None, keras.regularizers.L1L2(0.01, 0.01)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_absent_weights_stay_zero(optimizer, regularizer):
    layer = FreeConv2D(4, 3, connection_dropout=0.4, seed=0, kernel_regularizer=regularizer)
    before, after = train(layer, OPTIMIZERS[optimizer]())
    present = layer.connection_mask.numpy()
    for kernel in (before, after):
        np.testing.assert_array_equal(kernel[~present], 0)
        assert (kernel[present] != 0).all()
    assert (before != after)[present].all()


def test_absent_weights_stay_zero_under_a_constraint():
    class AtLeastOne(keras.constraints.Constraint):
        def __call__(self, w):
            return keras.ops.maximum(w, 1.0)

    layer = FreeConv2D(4, 3, connection_dropout=0.4, seed=0, kernel_constraint=AtLeastOne())
    _, kernel = train(layer, "sgd")
    present = layer.connection_mask.numpy()
    np.testing.assert_array_equal(kernel[~present], 0)
    assert (kernel[present] >= 1).all()


@pytest.mark.parametrize("upstream", [1.0, np.inf])
def test_absent_weights_have_no_gradient(upstream):
    layer = FreeConv2D(4, 3, connection_dropout=0.4, seed=0)
    layer.build((None, 6, 6, 2))
    images = np.abs(random_array((2, 6, 6, 2))) + 0.1
    upstream = np.full((2, 4, 4, 4), upstream, "float32")
    to_kernel = forward_backward(layer, images, upstream)[2]
    present = layer.connection_mask.numpy()
    np.testing.assert_array_equal(to_kernel[~present], 0)
    assert (to_kernel[present] > 0).all()


def test_absent_weights_do_not_contribute():
    layer = FreeConv2D(4, 3, connection_dropout=0.4, seed=0)
    images, upstream = random_array((2, 6, 6, 2)), random_array((2, 4, 4, 4))
    layer.build(images.shape)
    kernel = random_array(layer.kernel.shape)
    layer.kernel.assign(kernel)  # masked weights included
    kernel = kernel * layer.connection_mask.numpy()
    expected = loop_reference(images, kernel, layer.bias.numpy(), upstream, 3, 1, "valid")
    for training in (False, True):
        assert_equal_to_largest(numpy(layer(images, training=training)), expected[0])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.99])
def test_share_of_absent_weights(rate):
    layer = FreeConv2D(16, 3, connection_dropout=rate, seed=5)
    layer.build((None, 12, 12, 4))
    absent = ~layer.connection_mask.numpy()
    assert absent.shape == layer.kernel.shape
    assert stats.binomtest(int(absent.sum()), absent.size, rate).pvalue > 1e-3
    kernel = layer.kernel.numpy()
    np.testing.assert_array_equal(kernel[absent], 0)
    # Of the others one in some millions is drawn as 0, too.
    assert np.count_nonzero(kernel[~absent] == 0) <= 2


def test_every_position_and_filter_has_its_own_pattern():
    layer = FreeConv2D(16, 3, connection_dropout=0.5, seed=5)
    layer.build((None, 8, 8, 4))
    patterns = layer.connection_mask.numpy().transpose(0, 2, 1).reshape(36 * 16, 36)
    assert len(np.unique(patterns, axis=0)) == len(patterns)


def test_pattern_follows_from_the_seed_alone():
    def pattern(seed, **arguments):
        layer = FreeConv2D(4, 3, connection_dropout=0.5, seed=seed, **arguments)
        layer.build((None, 6, 6, 2))
        return layer.connection_mask.numpy()

    np.testing.assert_array_equal(pattern(1), pattern(1, kernel_initializer="ones"))
    assert (pattern(1) != pattern(2)).any()
    assert (pattern(None) != pattern(None)).any()
    keras.utils.set_random_seed(3)
    unseeded = pattern(None)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(pattern(None), unseeded)


def test_no_mask_without_connection_dropout():
    layer = free_layer((5, 5, 1), kernel_size=3)
    assert layer.connection_mask is None
    assert layer.kernel.constraint is None


# --- saving ----------------------------------------------------------------------------------


def saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("data_format", DATA_FORMATS)
def test_save_and_load(tmp_path, data_format):
    shape = to_format(np.empty((1, 7, 6, 2)), data_format).shape[1:]
    layer = FreeConv2D(
        4, 3, 2, "same", data_format, activation="relu", connection_dropout=0.5, name="free"
    )
    model = keras.Sequential([keras.Input(shape), ConnectionMask(0.3, name="mask"), layer])
    loaded = saved_and_loaded(model, tmp_path)
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        assert ours.dtype == theirs.dtype
    for name in ("free", "mask"):
        assert loaded.get_layer(name).connection_mask.numpy().any()
    images = random_array((3, *shape))
    np.testing.assert_array_equal(numpy(model(images)), numpy(loaded(images)))


def test_loaded_pattern_replaces_the_drawn_one(tmp_path):
    layer = FreeConv2D(4, 3, connection_dropout=0.5, seed=0, name="free")
    model = keras.Sequential([keras.Input((6, 6, 2)), layer])
    other = ~layer.connection_mask.numpy()
    layer.set_weights([other * random_array(other.shape), layer.bias.numpy(), other])
    loaded = saved_and_loaded(model, tmp_path).get_layer("free")
    np.testing.assert_array_equal(loaded.connection_mask.numpy(), other)
    _, kernel = train(loaded, keras.optimizers.Muon(0.01))
    np.testing.assert_array_equal(kernel != 0, other)


ARGUMENTS = {
    "filters": 5,
    "kernel_size": (3, 2),
    "strides": (2, 1),
    "padding": "same",
    "data_format": "channels_first",
    "activation": "relu",
    "use_bias": False,
    **WEIGHT_ARGUMENTS,
    "connection_dropout": 0.25,
    "glorot_fans": "per_location",
    "seed": 11,
    "sharing": (2, 1),
}


def names_of_arguments():
    # Of the method: for the class, Python 3.11.2 gives those of Keras' `__new__`, which has none.
    return set(inspect.signature(FreeConv2D.__init__).parameters) - {"self", "kwargs"}


@pytest.mark.parametrize("arguments", [ARGUMENTS, {"filters": 2, "kernel_size": 3}])
def test_config_round_trip(arguments):
    layer = FreeConv2D(**arguments, name="free", dtype="mixed_bfloat16")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, FreeConv2D)
    assert copy.get_config() == layer.get_config()
    assert names_of_arguments() <= set(layer.get_config())
    for name, value in arguments.items():
        if isinstance(value, (bool, float, tuple)):
            assert getattr(copy, name) == value


def test_config_of_arguments_covers_all():
    # Banks go with neither tiles nor masks: test_kernel_banks.py.
    assert {*ARGUMENTS, "banks"} == names_of_arguments()


def test_config_reproduces_an_unseeded_pattern():
    layer = FreeConv2D(4, 3, connection_dropout=0.5)
    copy = FreeConv2D.from_config(layer.get_config())
    mask = ConnectionMask(0.5)
    mask_copy = ConnectionMask.from_config(mask.get_config())
    for each in (layer, copy, mask, mask_copy):
        each.build((None, 6, 6, 2))
    for ours, theirs in ((layer, copy), (mask, mask_copy)):
        np.testing.assert_array_equal(ours.connection_mask.numpy(), theirs.connection_mask.numpy())


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` must be an integer of at least 1.*filters=0"),
        ({"filters": 2.5}, "`filters` must be an integer.*filters=2.5"),
        ({"kernel_size": 0}, "`kernel_size` must be .*at least 1.*kernel_size=0"),
        ({"kernel_size": (3, 3, 3)}, r"`kernel_size` .*pair.*\(3, 3, 3\)"),
        ({"kernel_size": None}, "`kernel_size` .*None"),
        ({"strides": (1, -2)}, r"`strides` .*\(1, -2\)"),
        ({"strides": 1.5}, "`strides` .*1.5"),
        ({"padding": "causal"}, r"`padding` must be one of \('valid', 'same'\).*'causal'"),
        ({"padding": 1}, "`padding` must be one of .*padding=1"),
        ({"data_format": "nchw"}, "`data_format` must be one of .*'nchw'"),
        ({"connection_dropout": 1.0}, "`connection_dropout` .*below 1.*1.0"),
        ({"connection_dropout": -0.1}, "`connection_dropout` .*-0.1"),
        ({"connection_dropout": "0.5"}, "`connection_dropout` .*'0.5'"),
        ({"connection_dropout": math.nan}, "`connection_dropout` .*nan"),
        ({"glorot_fans": "conv"}, "`glorot_fans` must be one of .*'per_location'.*'conv'"),
        ({"seed": -1}, "`seed` .*-1"),
        ({"seed": 0.5}, "`seed` .*0.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        FreeConv2D(**{"filters": 2, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        ((None, 5, 5), r"takes 4D inputs.*\(None, 5, 5\).*'free'"),
        ((None, None, 5, 1), r"must be known.*\(None, None, 5, 1\).*'free'"),
        ((None, 5, 5, None), r"must be known.*\(None, 5, 5, None\).*'free'"),
        ((None, 5, 2, 1), r"'free' are too small.*\(5, 2\).*kernel_size=\(3, 3\)"),
    ],
)
def test_bad_input_shapes(input_shape, message):
    layer = FreeConv2D(2, 3, name="free")
    for method in (layer.build, layer.compute_output_shape):
        with pytest.raises(ValueError, match=message):
            method(input_shape)
    if len(input_shape) == 4:
        with pytest.raises(ValueError, match=message):
            layer(keras.Input(input_shape[1:]))


def test_other_image_size_than_built_for():
    layer = free_layer((5, 5, 1), kernel_size=3)
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(random_array((2, 6, 5, 1)))


def test_padding_is_case_insensitive_as_in_conv2d():
    assert FreeConv2D(2, 3, padding="SAME").padding == "same"


# --- ConnectionMask --------------------------------------------------------------------------


def test_connection_mask_removes_the_same_inputs_of_every_example():
    layer = ConnectionMask(0.3, seed=2)
    inputs = np.abs(random_array((3, 8, 7, 5))) + 0.1
    for training in (False, True):
        outputs = numpy(layer(inputs, training=training))
        present = layer.connection_mask.numpy()
        assert present.shape == inputs.shape[1:]
        np.testing.assert_array_equal(outputs, np.where(present, inputs, 0))
    assert stats.binomtest(int((~present).sum()), present.size, 0.3).pvalue > 1e-3
    assert layer.trainable_weights == []


def test_connection_mask_stops_gradients():
    layer = ConnectionMask(0.5, seed=2)
    inputs = tf.Variable(random_array((2, 4, 3)))
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
    gradient = numpy(tape.gradient(outputs, inputs))
    np.testing.assert_array_equal(gradient, np.stack([layer.connection_mask.numpy()] * 2))


def test_connection_mask_follows_from_the_seed():
    def pattern(seed):
        layer = ConnectionMask(0.5, seed=seed)
        layer.build((None, 9, 9, 3))
        return layer.connection_mask.numpy()

    np.testing.assert_array_equal(pattern(1), pattern(1))
    assert (pattern(1) != pattern(2)).any()


def test_connection_mask_of_unknown_batch_and_mixed_precision():
    layer = ConnectionMask(0.5, seed=1, dtype="mixed_bfloat16")
    outputs = layer(keras.Input((4, 3)))
    assert outputs.shape == (None, 4, 3)
    assert layer.compute_output_shape((None, 4, 3)) == (None, 4, 3)
    assert keras.backend.standardize_dtype(layer(random_array((2, 4, 3))).dtype) == "bfloat16"


def test_connection_mask_errors():
    with pytest.raises(ValueError, match=r"`rate` .*below 1.*1\.5"):
        ConnectionMask(1.5)
    with pytest.raises(ValueError, match=r"`seed` .*'a'"):
        ConnectionMask(0.5, seed="a")
    with pytest.raises(ValueError, match=r"must be known.*\(None, None, 3\).*'mask'"):
        ConnectionMask(0.5, name="mask").build((None, None, 3))


@pytest.mark.parametrize("sharing", [1, 2])
def test_gradients_can_be_differentiated(sharing):
    """Against central differences of the squared gradient towards the images."""
    layer = free_layer((8, 6, 1), kernel_size=3, strides=2, activation="tanh", sharing=sharing)
    images = random_array((2, 8, 6, 1), seed=0)

    def penalty(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(layer(images) ** 2)
        return tf.reduce_sum(tape.gradient(total, images) ** 2)

    with tf.GradientTape() as tape:
        inputs = tf.constant(images)
        tape.watch(inputs)
        value = penalty(inputs)
    gradient = tape.gradient(value, inputs).numpy()
    for place in [(0, 2, 3, 0), (1, 0, 0, 0), (1, 4, 1, 0)]:
        step = np.zeros_like(images)
        step[place] = 1e-2
        difference = penalty(tf.constant(images + step)) - penalty(tf.constant(images - step))
        np.testing.assert_allclose(gradient[place], difference / 2e-2, rtol=2e-2, atol=1e-2)
