"""What copies of networks keep and what they refuse, with the backend of the process."""

import functools
import gc

import keras
import numpy as np
import pytest
from references import assert_equal_to_largest, random_array

from freeconv import FreeConv1D, FreeConv2D, FreeConv3D, to_free, to_shared
from freeconv.layers.tilewise import TilewiseConstraint

BACKEND = keras.backend.backend()
LAYERS = keras.layers


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def assert_copies_compute_alike(model, images):
    """By `to_free` and back; the model stays what it is, and has nothing in common with them."""
    before, expected = model.get_weights(), numpy(model(images))
    free = to_free(model)
    for copy in (free, to_shared(free)):
        assert_equal_to_largest(numpy(copy(images)), expected)
        assert not {id(v) for v in model.variables} & {id(v) for v in copy.variables}
        ours, theirs = ({id(layer) for layer in m._flatten_layers()} for m in (model, copy))
        assert not ours & theirs
        assert [layer.name for layer in model.layers] == [layer.name for layer in copy.layers]
        copy.set_weights([weight + 1 for weight in copy.get_weights()])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(numpy(model(images)), expected)
    return free


# --- state -----------------------------------------------------------------------------------


def test_fitted_statistics():
    """Of layers that hold them in weights, in attributes, or in their arguments."""
    fitted = LAYERS.Normalization()
    fitted.adapt(3 + 2 * random_array((50, 6, 5, 2)))
    told = LAYERS.Normalization(mean=[1.0, 2.0], variance=[3.0, 0.5])
    parts = [fitted, told, LAYERS.Conv2D(3, 2), LAYERS.BatchNormalization()]
    model = keras.Sequential([keras.Input((6, 5, 2)), *parts])
    for place, weight in enumerate(model.weights):
        if weight.dtype == "float32":
            weight.assign(0.5 + np.abs(random_array(weight.shape, seed=place)))
    fitted.finalize_state()
    assert_copies_compute_alike(model, random_array((3, 6, 5, 2), seed=1))


def test_fitted_bins_and_whole_numbers():
    pytest.importorskip("tensorflow", reason="tables of Keras' lookups are TensorFlow's")
    bins = LAYERS.Discretization(num_bins=4)
    bins.adapt(random_array((200, 1)))
    numbers = LAYERS.IntegerLookup(output_mode="int")
    numbers.adapt(np.array([[7, 7, 5, 1000]]))
    for fitted, images in (
        (bins, random_array((4, 6))),
        (numbers, np.array([[5, 7, 1000, 3, 7, 5]])),
    ):
        inputs = keras.Input((6,), dtype="float32" if fitted is bins else "int64")
        x = LAYERS.Embedding(8, 3)(fitted(inputs))
        assert_copies_compute_alike(keras.Model(inputs, LAYERS.Conv1D(2, 3)(x)), images)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="strings are TensorFlow's alone")
def test_vocabularies():
    import tensorflow as tf

    text = LAYERS.TextVectorization(output_sequence_length=5)
    text.adapt(["to share or not to share", "free convolutions"])
    inputs = keras.Input((), dtype="string")
    x = LAYERS.Conv1D(2, 3)(LAYERS.Embedding(12, 4)(text(inputs)))
    assert_copies_compute_alike(
        keras.Model(inputs, x), tf.constant(["share free convolutions", "not to be"])
    )


def test_random_generators_go_on_where_they_are():
    parts = [LAYERS.GaussianNoise(1.0), LAYERS.Conv2D(2, 2), LAYERS.Dropout(0.5, seed=3)]
    model = keras.Sequential([keras.Input((4, 4, 1)), *parts])
    images = random_array((2, 4, 4, 1))
    model(images, training=True)
    copy = to_free(model)
    for _ in range(2):
        expected = numpy(model(images, training=True))
        assert_equal_to_largest(numpy(copy(images, training=True)), expected)


class Scale(LAYERS.Layer):
    """Has a weight that is not trained, and a layer inside."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.dense = LAYERS.Dense(2, activation=lambda x: x * x)

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones", trainable=False)
        self.dense.build(input_shape)

    def call(self, x):
        return self.dense(x) * self.factor * self.inner

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


def test_layers_of_ones_own():
    layer = Scale(3.0)
    model = keras.Sequential([keras.Input((4, 4, 1)), LAYERS.Conv2D(2, 2), layer])
    layer.factor.assign(5.0)
    layer.dense.trainable = False
    copy = assert_copies_compute_alike(model, random_array((2, 4, 4, 1)))
    assert not copy.layers[-1].dense.trainable
    assert copy.layers[-1].trainable
    assert len(copy.trainable_variables) == len(model.trainable_variables) == 2


def test_layers_that_make_their_parts_when_built():
    """Or have parts with functions of the user's."""

    def half(x):
        return 0.5 * x

    inputs = keras.Input((7, 4))
    x = LAYERS.Conv1D(4, 3, padding="same")(inputs)
    x = LAYERS.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    x = LAYERS.Bidirectional(LAYERS.GRU(3, return_sequences=True))(x)
    x = LAYERS.RNN([LAYERS.LSTMCell(3, activation=half), LAYERS.GRUCell(2)])(x)
    assert_copies_compute_alike(keras.Model(inputs, x), random_array((2, 7, 4)))


# --- graphs ----------------------------------------------------------------------------------


def test_plain_operations():
    image = keras.Input((6, 5, 2))
    x = keras.ops.pad(2 * image[:, 1:], ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = keras.ops.relu(LAYERS.Conv2D(2, 3, name="a")(x)) + image[:, :5]
    x = keras.ops.concatenate([x, LAYERS.Conv2D(1, 1, name="b")(x) - 1.0], axis=-1)
    model = keras.Model(image, keras.ops.mean(x, axis=-1))
    copy = assert_copies_compute_alike(model, random_array((3, 6, 5, 2)))
    assert type(copy.get_layer("a")) is type(copy.get_layer("b")) is FreeConv2D


def test_inputs_and_outputs_by_name():
    inputs = {
        "left": keras.Input((5, 4, 1), name="left"),
        "right": keras.Input((5, 4, 1), name="right"),
    }
    twice = LAYERS.Conv2D(2, 2)
    sides = {name: twice(image) for name, image in inputs.items()}
    model = keras.Model(inputs, {"sum": sides["left"] + sides["right"], **sides})
    copy = to_free(model)
    images = {name: random_array((2, 5, 4, 1), seed=len(name)) for name in inputs}
    expected, found = model(images), copy(images)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert_equal_to_largest(numpy(found[name]), numpy(values))
    assert len(copy.weights) == 2


def test_own_functions():
    """Lambdas, closures and partial functions, in this process as what they are."""
    factor = 3.0

    def activation(x):
        return x * keras.ops.tanh(factor * x)

    class Init(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return keras.ops.full(shape, 0.1, dtype)

        def get_config(self):
            return {}

    model = keras.Sequential(
        [
            keras.Input((5, 4, 2)),
            LAYERS.Lambda(lambda x: factor * x),
            LAYERS.Conv2D(3, 2, activation=activation, kernel_initializer=Init(), name="named"),
            LAYERS.Conv2D(3, 2, activation=functools.partial(keras.activations.elu, alpha=0.3)),
            LAYERS.Activation(lambda x: x - 1.0),
            LAYERS.Dense(3, activation=lambda x: keras.ops.sin(x)),
        ]
    )
    copy = assert_copies_compute_alike(model, random_array((2, 5, 4, 2)))
    assert copy.get_layer("named").activation is activation


def test_compiled_alike():
    class Schedule(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

        def get_config(self):
            return {}

    class Largest(keras.metrics.MeanAbsoluteError):
        pass

    def loss(targets, outputs):
        return keras.ops.mean((targets - outputs) ** 2)

    def error(targets, outputs):
        return keras.ops.mean(keras.ops.abs(targets - outputs))

    model = keras.Sequential([keras.Input((4, 4, 1)), LAYERS.Conv2D(2, 2)])
    model.compile(
        keras.optimizers.SGD(Schedule(), momentum=0.9),
        loss,
        metrics=[error, Largest()],
        run_eagerly=BACKEND == "tensorflow",
    )
    images, targets = random_array((8, 4, 4, 1)), random_array((8, 3, 3, 2), seed=1)
    model.fit(images, targets, verbose=0)
    copy = to_free(model, sharing="all")
    assert copy.loss is loss
    assert copy.optimizer is not model.optimizer
    assert copy.optimizer.iterations == 0
    assert type(copy.optimizer._learning_rate) is Schedule
    assert copy.run_eagerly == model.run_eagerly
    expected = model.evaluate(images, targets, verbose=0)
    np.testing.assert_allclose(copy.evaluate(images, targets, verbose=0), expected, rtol=1e-5)
    copy.fit(images, targets, verbose=0)
    assert copy.optimizer.iterations == 1


# --- convolutions inside other layers --------------------------------------------------------


class Block(LAYERS.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.branches = [LAYERS.Dense(2), LAYERS.Conv2D(2, 2, name="inside")]

    def call(self, x):
        return self.branches[1](x)


class Inner(keras.Model):
    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, x):
        return self.layer(x)

    def get_config(self):
        return {"name": self.name, "layer": self.layer}


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        (lambda: Block(name="block"), r"'model/block' of class Block .* contains 'inside'"),
        (lambda: Inner(LAYERS.Conv2D(2, 2, name="c"), name="own"), r"'model/own' .* contains 'c'"),
        (
            lambda: LAYERS.SpectralNormalization(LAYERS.Conv2D(2, 2, name="c"), name="norm"),
            r"'model/norm' of class SpectralNormalization .* contains 'c'",
        ),
        (
            lambda: keras.Sequential([Block(name="block")], name="part"),
            "'model/part/block' of class Block",
        ),
    ],
)
def test_hidden_convolutions_are_refused(outer, message):
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, outer()(image), name="model")
    with pytest.raises(ValueError, match=message):
        to_free(model)


def test_hidden_free_convolutions_are_refused():
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, Inner(FreeConv2D(2, 2, name="c"), name="own")(image), name="m")
    with pytest.raises(ValueError, match=r"'m/own' .* contains 'c' of class FreeConv2D"):
        to_shared(model)
    with pytest.raises(ValueError, match=r"'m/own' .* contains 'c' of class FreeConv2D"):
        to_free(model, sharing=2)


def test_models_of_ones_own_without_convolutions_are_copied():
    image = keras.Input((4, 4, 1))
    inner = Inner(LAYERS.Dense(2), name="own")
    with pytest.raises(ValueError, match="'own' of class Inner cannot be copied"):
        to_free(keras.Model(image, inner(LAYERS.Conv2D(2, 2)(image))))
    Inner.from_config = classmethod(lambda cls, config: cls(LAYERS.Dense(2), name=config["name"]))
    try:
        model = keras.Model(image, inner(LAYERS.Conv2D(2, 2)(image)))
        assert_copies_compute_alike(model, random_array((2, 4, 4, 1)))
    finally:
        del Inner.from_config


def test_time_distributed_convolutions_are_converted():
    inner = keras.Sequential([keras.Input((5, 4, 1)), LAYERS.Conv2D(2, 2), LAYERS.Flatten()])
    model = keras.Sequential(
        [
            keras.Input((3, 6, 5, 2)),
            LAYERS.TimeDistributed(LAYERS.Conv2D(1, 2, name="each"), name="steps"),
            LAYERS.TimeDistributed(inner),
            LAYERS.Bidirectional(LAYERS.LSTM(2)),
        ]
    )
    copy = assert_copies_compute_alike(model, random_array((2, 3, 6, 5, 2)))
    assert type(copy.get_layer("steps").layer) is FreeConv2D
    assert len([la for la in copy._flatten_layers() if isinstance(la, FreeConv2D)]) == 2


def test_one_convolution_on_images_of_two_sizes_is_refused():
    layer = LAYERS.Conv2D(2, 2, name="twice")
    small, large = keras.Input((4, 4, 1)), keras.Input((5, 5, 1))
    with pytest.raises(ValueError, match="twice"):
        to_free(keras.Model([small, large], [layer(small), layer(large)]))


def test_convolutions_without_a_free_form_are_named():
    parts = [
        LAYERS.DepthwiseConv2D(2, name="deep"),
        LAYERS.Conv2D(2, 2),
        LAYERS.Conv2DTranspose(1, 2, name="back"),
    ]
    model = keras.Sequential([keras.Input((5, 4, 2)), *parts])
    with pytest.warns(UserWarning, match=r"'deep' \(DepthwiseConv2D\), 'back' \(Conv2DTranspose\)"):
        to_free(model)


# --- constraints and regularizers ------------------------------------------------------------


class RowSum(keras.regularizers.Regularizer):
    """Depends on where a weight stands in the kernel."""

    def __call__(self, x):
        return keras.ops.sum(keras.ops.abs(keras.ops.sum(x, axis=0)))

    def get_config(self):
        return {}


class Centred(keras.constraints.Constraint):
    """One of the user's own, of all weights together."""

    def __call__(self, w):
        return keras.ops.subtract(w, keras.ops.mean(w))


CONSTRAINTS = {
    "unit": lambda rank: keras.constraints.UnitNorm(axis=list(range(rank + 1))),
    "rows": lambda rank: keras.constraints.MaxNorm(0.1, axis=0),
    "between": lambda rank: keras.constraints.MinMaxNorm(0.5, 0.6, axis=[-1]),
    "positive": lambda rank: keras.constraints.NonNeg(),
    "own": lambda rank: Centred(),
}
CONVOLUTIONS = {
    1: (LAYERS.Conv1D, FreeConv1D),
    2: (LAYERS.Conv2D, FreeConv2D),
    3: (LAYERS.Conv3D, FreeConv3D),
}


@pytest.mark.parametrize("rank", CONVOLUTIONS)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_hold_for_each_tile(name, rank):
    """What a step does to a tile's weights is what it does to the convolution's."""
    constraint = CONSTRAINTS[name](rank)
    shared, _ = CONVOLUTIONS[rank]
    layer = shared(
        3, 2, kernel_constraint=constraint, kernel_regularizer=RowSum(), bias_constraint=Centred(),
        bias_regularizer=keras.regularizers.L2(0.5), bias_initializer="normal", name="conv",
    )  # fmt: skip
    model = keras.Sequential([keras.Input((*(5, 4, 3)[:rank], 2)), layer])
    free = to_free(model, sharing=2).get_layer("conv")
    tiles = free.kernel.shape[0]
    if rank == 2:
        assert free.tile_grid == (2, 2)

    kernels = random_array((tiles, *layer.kernel.shape), seed=1)
    wanted = np.stack([numpy(constraint(kernel)) for kernel in kernels])
    found = numpy(free.kernel.constraint(kernels.reshape(free.kernel.shape)))
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6)
    loss = sum(float(RowSum()(kernel)) for kernel in kernels)
    assert float(free.kernel.regularizer(kernels.reshape(free.kernel.shape))) == pytest.approx(
        loss, rel=1e-4
    )

    biases = random_array((tiles, 3), seed=2)
    found = numpy(free.bias.constraint(biases.reshape(free.bias.shape)))
    wanted = biases - biases.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.reshape(tiles, 3), wanted, rtol=1e-5, atol=1e-6)


def test_translated_constraints_are_trained_saved_and_translated_back(tmp_path):
    constraint = keras.constraints.UnitNorm(axis=[0, 1, 2])
    layer = LAYERS.Conv2D(3, 2, kernel_constraint=constraint, name="conv")
    model = keras.Sequential([keras.Input((4, 4, 2)), layer])
    model.compile("sgd", "mse")
    free = to_free(model)
    free.fit(random_array((4, 4, 4, 2)), random_array((4, 3, 3, 3)), verbose=0)
    norms = np.linalg.norm(numpy(free.get_layer("conv").kernel), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-4)
    free.save(tmp_path / "free.keras")
    loaded = keras.saving.load_model(tmp_path / "free.keras")
    assert isinstance(loaded.get_layer("conv").kernel_constraint, TilewiseConstraint)
    back = to_shared(to_free(loaded, sharing=2)).get_layer("conv").kernel_constraint
    assert back.get_config() == constraint.get_config()


@pytest.mark.parametrize(("axis", "back"), [(1, [0, 1, 2]), (-1, [3]), ([1, 2], [0, 1, 2, 3])])
def test_norms_of_free_kernels_translate_where_no_tiles_meet(axis, back):
    layer = FreeConv2D(3, 2, kernel_constraint=keras.constraints.MaxNorm(0.7, axis=axis), name="f")
    model = keras.Sequential([keras.Input((4, 4, 2)), layer])
    constraint = to_shared(model).get_layer("f").kernel_constraint
    assert constraint.get_config() == {"max_value": 0.7, "axis": back}
    assert to_free(model, sharing=2).get_layer("f").kernel_constraint is not None


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_constraint": keras.constraints.MaxNorm(1)},  # along the tiles
        {"kernel_constraint": Centred()},
        {"kernel_regularizer": RowSum()},
        {"bias_constraint": keras.constraints.UnitNorm(axis=1)},  # along columns of tiles
    ],
)
def test_what_may_depend_on_the_number_of_tiles_is_refused(arguments):
    model = keras.Sequential([keras.Input((4, 4, 2)), FreeConv2D(3, 2, name="free", **arguments)])
    (name,) = arguments
    for convert in (to_shared, lambda model: to_free(model, sharing=2)):
        with pytest.raises(ValueError, match=f"`{name}` of layer 'free' cannot be converted"):
            convert(model)
    assert getattr(to_free(model).get_layer("free"), name) is not None  # nothing to translate


def test_means_of_many_positions():
    """Every tile against every position would be 10^10 comparisons."""
    model = keras.Sequential([keras.Input((100_001, 1)), LAYERS.Conv1D(1, 2, name="conv")])
    free = to_free(model)
    kernel = random_array((100_000, 2, 1))
    free.get_layer("conv").kernel.assign(kernel)
    shared = numpy(to_shared(free).get_layer("conv").kernel)
    np.testing.assert_allclose(
        shared.ravel(), kernel.astype("float64").mean(axis=(0, 2)), rtol=1e-3, atol=1e-6
    )
    halves = numpy(to_free(free, sharing=50_000).get_layer("conv").kernel)
    expected = kernel.astype("float64").reshape(2, 50_000, 2, 1).mean(axis=1)
    np.testing.assert_allclose(halves, expected, rtol=1e-3, atol=1e-6)
    gc.collect()
