"""Models of Keras 2 with locally connected layers inside models and wrappers, and their files.

The models are built, run and saved by tf_keras. Runs with any backend.
"""

import json
from functools import partial
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from references import assert_equal_to_largest, random_array

from freeconv import (
    FreeConv1D,
    FreeConv2D,
    from_locally_connected,
    legacy_hard_sigmoid,
    load_locally_connected,
)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def keras_2(implementation):
    """What the builders below need of Keras 2, with one of the three implementations."""
    layers, chosen = tf_keras.layers, {"implementation": implementation}
    return SimpleNamespace(
        layers=layers,
        Input=tf_keras.Input,
        Model=tf_keras.Model,
        Sequential=tf_keras.Sequential,
        hard_sigmoid="hard_sigmoid",
        local1d=partial(layers.LocallyConnected1D, **chosen),
        local2d=partial(layers.LocallyConnected2D, **chosen),
    )


TODAY = SimpleNamespace(
    layers=keras.layers,
    Input=keras.Input,
    Model=keras.Model,
    Sequential=keras.Sequential,
    hard_sigmoid=legacy_hard_sigmoid,
    local1d=FreeConv1D,
    local2d=FreeConv2D,
)


def nested(library):
    """A model inside a model inside a model; a frozen layer among trained ones."""
    k, first = library.layers, {"data_format": "channels_first"}
    frozen = library.local2d(3, 2, **first, activation="relu", trainable=False)
    inner = [k.BatchNormalization(axis=1), frozen, library.local2d(2, 2, **first)]
    inputs = library.Input((3, 5, 4))
    middle = library.Sequential([inputs, *inner, k.BatchNormalization(axis=1)])
    outer = library.Sequential([library.Input((3, 5, 4)), middle, k.Flatten(), k.Dense(4)])
    return library.Sequential([library.Input((3, 5, 4)), outer, k.Dense(2, activation="softmax")])


def wrapped(library):
    """A model and a layer in wrappers, with weights of either kind, and a recurrent layer."""
    k, hard = library.layers, library.hard_sigmoid
    inner = [library.local2d(3, 2), k.BatchNormalization(), k.Flatten(), k.Dense(4)]
    model = library.Sequential([library.Input((4, 3, 2)), *inner, k.BatchNormalization()])
    recurrent = k.Bidirectional(k.LSTM(2, recurrent_activation=hard, return_sequences=True))
    return library.Sequential(
        [
            library.Input((3, 4, 3, 2)),
            k.TimeDistributed(model),
            k.Reshape((3, 4, 1)),
            k.TimeDistributed(library.local1d(2, 3, activation=hard)),
            k.TimeDistributed(k.Activation(hard)),
            k.Reshape((3, 4)),
            recurrent,
            k.RNN(k.StackedRNNCells([k.SimpleRNNCell(2), k.GRUCell(3)])),
        ]
    )


def branched(library):
    """A functional model with an operation, and layers that Keras 3 stores otherwise."""
    k = library.layers
    inputs = library.Input((7, 3))
    left = library.local1d(4, 3, strides=2, name="left")(inputs)
    right = library.local1d(4, 3, strides=2, name="right", activation="tanh")(inputs)
    joint = k.LeakyReLU(0.2, name="leaky")(k.Subtract(name="difference")([left, right]))
    joint = k.LayerNormalization(name="normal")(joint)
    joint = k.SeparableConv1D(2, 2, name="separable")(k.PReLU(name="prelu")(joint))
    return library.Model(inputs, k.GlobalAveragePooling1D(name="pool")(joint) + 1.0)


BUILDERS = [nested, wrapped, branched]


def filled(build, implementation, seed):
    """A legacy model with weights drawn by a seed; variances are positive."""
    model = build(keras_2(implementation))
    for number, weight in enumerate(model.weights):
        weight.assign(np.abs(random_array(weight.shape, [seed, number])) / 3 + 0.1)
    return model


def layers_of(model):
    return [(layer.get_config(), layer.get_weights()) for layer in model.layers]


def source(model, form, directory):
    """The layers of a legacy model as `load_locally_connected` takes them."""
    if form == "layers":
        return layers_of(model)
    model.save(directory / "model.h5")
    return directory / "model.h5"


@pytest.mark.parametrize("form", ["layers", "file"])
@pytest.mark.parametrize("implementation", [1, 2, 3])
@pytest.mark.parametrize("build", BUILDERS)
def test_models_compute_alike(tmp_path, build, implementation, form):
    legacy, model = filled(build, implementation, seed=implementation), build(TODAY)
    images = random_array((2, *legacy.input_shape[1:]), seed=5)
    load_locally_connected(model, source(legacy, form, tmp_path))
    assert_equal_to_largest(numpy(model(images)), legacy(images).numpy(), 1e-4)


def random_plan(rng, depth=0):
    """Kinds of layers, lists of them for models inside, each with whether it is trained."""
    kinds = ["local", "normal", "dense", "inside" if depth < 3 else "local"]
    drawn = rng.choice(kinds, size=rng.integers(2, 4))
    return [
        (random_plan(rng, depth + 1) if kind == "inside" else str(kind), bool(rng.random() < 0.6))
        for kind in drawn
    ]


def planned(library, plan, steps, frozen):
    """A model of a plan, for sequences of 2 channels; `frozen` where the plan is heeded."""
    k, inputs = library.layers, library.Input((steps, 2))
    outputs = inputs
    for kind, trainable in plan:
        if isinstance(kind, list):
            layer = planned(library, kind, outputs.shape[1], frozen)
        elif kind == "local":
            layer = library.local1d(2, 2, activation="tanh")
        else:
            layer = k.BatchNormalization() if kind == "normal" else k.Dense(2)
        layer.trainable = trainable or not frozen
        outputs = layer(outputs)
    return library.Model(inputs, outputs)


@pytest.mark.parametrize("form", ["layers", "file"])
@pytest.mark.parametrize("seed", range(5))
def test_random_models_compute_alike(tmp_path, seed, form):
    """Models in models, whatever of them was frozen, also inside a wrapper."""
    plan = random_plan(np.random.default_rng(seed))

    def build(library, frozen=True):
        model = planned(library, plan, 20, frozen)
        if seed % 2:
            return model
        inputs = library.Input((2, 20, 2))
        return library.Sequential([inputs, library.layers.TimeDistributed(model)])

    legacy, model = filled(build, 1, seed), build(TODAY, frozen=False)
    load_locally_connected(model, source(legacy, form, tmp_path))
    images = random_array((2, *legacy.input_shape[1:]), seed=5)
    assert_equal_to_largest(numpy(model(images)), legacy(images).numpy(), 1e-4)


def test_layers_are_paired_by_name():
    """Where names agree, although Keras lists the branches in the other order."""
    inputs = keras.Input((7, 3))
    both = {
        name: FreeConv1D(4, 3, strides=2, use_bias=False, name=name) for name in ("right", "left")
    }
    right, left = (layer(inputs) for layer in both.values())
    model = keras.Model(inputs, keras.ops.concatenate([right, left]))
    config = {**CONFIG, "filters": 4, "strides": (2,)}
    arrays = {name: [np.full((3, 9, 4), value)] for name, value in (("left", 1), ("right", 2))}
    load_locally_connected(model, [({**config, "name": n}, w) for n, w in arrays.items()])
    assert [float(numpy(both[name].kernel).max()) for name in ("left", "right")] == [1, 2]


def test_configurations_that_say_nothing_of_what_is_inside():
    """Forms of kernels are told apart by their axes."""
    legacy = filled(nested, 1, seed=3)
    model = nested(TODAY)
    load_locally_connected(model, [({"name": "a"}, w) for _, w in layers_of(legacy)])
    images = random_array((2, 3, 5, 4))
    assert_equal_to_largest(numpy(model(images)), legacy(images).numpy(), 1e-4)


# --- what Keras 2 meant by a name ------------------------------------------------------------

CONFIG = {
    "name": "local",
    "filters": 2,
    "kernel_size": (3,),
    "strides": (1,),
    "padding": "valid",
    "data_format": "channels_last",
    "use_bias": False,
    "implementation": 1,
}
KERNEL = np.full((6, 9, 2), 0.1, "float32")


def imported(**changes):
    return from_locally_connected({**CONFIG, **changes}, [KERNEL], (None, 8, 3))


def test_hard_sigmoid_is_that_of_keras_2(tmp_path):
    layer = imported(activation="hard_sigmoid")
    images = 3 * random_array((2, 8, 3))
    sums = np.stack([images[:, i : i + 3].sum(axis=(1, 2)) for i in range(6)], axis=1)
    expected = np.clip(0.2 * 0.1 * sums + 0.5, 0, 1)
    np.testing.assert_allclose(numpy(layer(images))[..., 0], expected, atol=1e-6)
    assert np.abs(numpy(keras.activations.hard_sigmoid(0.1 * sums)) - expected).max() > 0.01
    keras.Sequential([keras.Input((8, 3)), layer]).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].activation is legacy_hard_sigmoid


HARD = "hard_sigmoid"


@pytest.mark.parametrize(
    "make",
    [
        lambda k, hard: k.Dense(2, activation=hard),
        lambda k, hard: k.Activation(hard),
        lambda k, hard: k.TimeDistributed(k.Activation(hard)),
        lambda k, hard: k.GRU(2, recurrent_activation=hard),
        lambda k, hard: k.Bidirectional(k.LSTM(2, recurrent_activation=hard)),
        lambda k, hard: k.RNN(k.LSTMCell(2, recurrent_activation=hard)),
    ],
)
@pytest.mark.parametrize("form", ["layers", "file"])
def test_hard_sigmoid_in_other_layers(tmp_path, make, form):
    def build(library, hard):
        local = library.local1d(3, 2)
        return library.Sequential([library.Input((4, 3)), local, make(library.layers, hard)])

    legacy = build(keras_2(1), HARD)
    layers = source(legacy, form, tmp_path)
    with pytest.raises(ValueError, match=r"`hard_sigmoid` of Keras 2 is `freeconv.legacy_hard_sig"):
        load_locally_connected(build(TODAY, HARD), layers)
    model, images = build(TODAY, legacy_hard_sigmoid), random_array((2, 4, 3))
    load_locally_connected(model, layers)
    assert_equal_to_largest(numpy(model(images)), legacy(images).numpy(), 1e-5)


def own_activation(x):
    return x * x


@pytest.mark.parametrize(
    ("legacy", "today", "same"),
    [
        (None, "linear", True),
        ("swish", "silu", True),
        ("relu", lambda x: keras.ops.maximum(x, 0), True),
        ("own_activation", own_activation, True),
        ({"class_name": "Custom>own_activation", "config": "own_activation"}, own_activation, True),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.1}}, keras.layers.LeakyReLU(0.1), True),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.1}}, keras.layers.LeakyReLU(0.3), False),
        ("relu", "linear", False),
        ("gelu", lambda x: keras.ops.gelu(x, approximate=True), False),
        ("another_activation", own_activation, False),
    ],
)
def test_activations_are_compared(legacy, today, same):
    layer = FreeConv1D(2, 3, use_bias=False, activation=today, name="free")
    model = keras.Sequential([keras.Input((8, 3)), layer])
    layers = [({**CONFIG, "activation": legacy}, [KERNEL])]
    if same:
        load_locally_connected(model, layers)
        return
    with pytest.raises(ValueError, match="`activation` of layer 'free' must be that of the legacy"):
        load_locally_connected(model, layers)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (tf_keras.mixed_precision.Policy("mixed_float16"), "mixed_float16"),
        (
            {"class_name": "PolicyV1", "config": {"name": "mixed_float16", "loss_scale": None}},
            "mixed_float16",
        ),
        ({"class_name": "Policy", "config": {"name": "float16"}}, "float16"),
        (np.float16, "float16"),
        ("bfloat16", "bfloat16"),
        ("_infer", "float32"),
        (None, "float32"),
    ],
)
def test_types_and_policies(dtype, name):
    assert imported(dtype=dtype).dtype_policy.name == name


def test_initializers_of_earlier_versions():
    layer = imported(
        kernel_initializer={"class_name": "HeNormal", "config": {"seed": 4, "dtype": "float32"}}
    )
    assert layer.kernel_initializer.seed == 4


def test_a_configuration_without_data_format():
    """Keras 2 took channels last there for sequences, whatever Keras is set to today."""
    keras.config.set_image_data_format("channels_first")
    try:
        config = {name: value for name, value in CONFIG.items() if name != "data_format"}
        layer = from_locally_connected(config, [KERNEL], (None, 8, 3))
    finally:
        keras.config.set_image_data_format("channels_last")
    assert layer.data_format == "channels_last"


# --- constraints and regularizers ------------------------------------------------------------

UNIT_NORM = {"class_name": "UnitNorm", "config": {"axis": 1}}
L1L2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
SPARSE = {"implementation": 3}
FIRST = {"data_format": "channels_first", "use_bias": True}


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"kernel_constraint": UNIT_NORM}, None),
        ({**FIRST, "kernel_constraint": UNIT_NORM}, None),
        ({**SPARSE, "kernel_constraint": "non_neg", "kernel_regularizer": L1L2}, None),
        ({**FIRST, "bias_constraint": "non_neg", "bias_regularizer": "l2"}, None),
        ({**SPARSE, "kernel_constraint": UNIT_NORM}, "kernel_constraint"),
        (
            {**SPARSE, "kernel_constraint": {"class_name": "MaxNorm", "config": {}}},
            "kernel_constraint",
        ),
        ({"implementation": None, "kernel_constraint": UNIT_NORM}, "kernel_constraint"),
        ({**FIRST, "bias_constraint": UNIT_NORM}, "bias_constraint"),
    ],
)
def test_constraints_keep_their_meaning(changes, refused):
    config = {**CONFIG, **changes}
    if config["implementation"] is None:  # known by the kernel's axes alone
        del config["implementation"]
    weights = [KERNEL.ravel() if "implementation" in changes else KERNEL]
    weights += [np.zeros((6, 2))] * config["use_bias"]
    shape = (None, 3, 8) if config["data_format"] == "channels_first" else (None, 8, 3)
    if refused is None:
        layer = from_locally_connected(config, weights, shape)
        for name in set(changes) - {"implementation", "use_bias", "data_format"}:
            assert getattr(layer, name) is not None
        return
    with pytest.raises(ValueError, match=f"`{refused}` of the legacy layer 'local' cannot be kept"):
        from_locally_connected(config, weights, shape)


# --- settings of other layers ----------------------------------------------------------------


def pair(layer, changes=None, shape=(6, 6, 4)):
    """A model of one layer behind a free convolution, and its layers as Keras 2 would have them."""
    free = FreeConv2D(4, 1, use_bias=False, name="free")
    model = keras.Sequential([keras.Input(shape), free, layer])
    local = {**CONFIG, "filters": 4, "kernel_size": (1, 1), "strides": (1, 1)}
    arrays = [np.asarray(numpy(weight)) + 1 for weight in layer.weights]
    kernel = np.ones((36, 4, 4))
    return model, [(local, [kernel]), ({**layer.get_config(), **(changes or {})}, arrays)]


LAYERS = {
    "normal": lambda **k: keras.layers.BatchNormalization(**k),
    "layer_normal": lambda **k: keras.layers.LayerNormalization(**k),
    "conv": lambda **k: keras.layers.Conv2D(2, 3, padding="same", **k),
    "dense": lambda **k: keras.layers.Dense(2, **k),
    "pool": lambda **k: keras.layers.MaxPooling2D(2, **k),
    "leaky": lambda **k: keras.layers.LeakyReLU(0.2, **k),
    "relu": lambda **k: keras.layers.ReLU(6, **k),
}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("normal", {"epsilon": 1e-5}),
        ("normal", {"axis": [1]}),
        ("layer_normal", {"axis": [1], "epsilon": 1e-3}),
        ("conv", {"strides": (2, 2)}),
        ("conv", {"padding": "valid"}),
        ("conv", {"data_format": "channels_first"}),
        ("conv", {"dilation_rate": [2, 2]}),
        ("conv", {"activation": "relu"}),
        ("dense", {"use_bias": False}),
        ("pool", {"pool_size": (3, 3)}),
        ("leaky", {"alpha": 0.3}),
        ("relu", {"max_value": None}),
    ],
)
def test_settings_that_differ(kind, changes):
    """Each refused by its name and that of the layer; the model stays as it was."""
    model, layers = pair(LAYERS[kind](name=kind), changes)
    before = model.get_weights()
    name = {"alpha": "negative_slope"}.get(next(iter(changes)), next(iter(changes)))
    with pytest.raises(ValueError, match=f"`{name}` of layer '.*{kind}' must be that of the leg"):
        load_locally_connected(model, layers)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("normal", {"axis": [3], "epsilon": np.float32(1e-3), "momentum": 0.9, "fused": True}),
        ("layer_normal", {"axis": (3,)}),
        ("conv", {"strides": [1, 1], "kernel_initializer": None, "data_format": "channels_last"}),
        ("dense", {"activation": None, "kernel_regularizer": "l2", "dtype": "float64"}),
        ("leaky", {"negative_slope": np.float32(0.2)}),
    ],
)
def test_settings_that_agree(kind, changes):
    model, layers = pair(LAYERS[kind](name=kind), changes)
    load_locally_connected(model, layers)
    for array, weight in zip(layers[1][1], model.layers[1].weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), array)


def test_an_error_leaves_the_model_unchanged():
    """A shape that differs in the last layer of all."""
    legacy, model = filled(nested, 1, seed=4), nested(TODAY)
    before, layers = model.get_weights(), layers_of(legacy)
    layers[-1][1][1] = np.ones(5)
    with pytest.raises(ValueError, match=r"Weight 'bias' of layer '.*dense.*\(2,\).* \(5,\)"):
        load_locally_connected(model, layers)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_layers_of_other_classes(tmp_path):
    def build(library, normal):
        inner = [library.Input((5, 2)), library.local1d(3, 2), normal]
        layers = [library.Input((5, 2)), library.Sequential(inner, name="inner")]
        return library.Sequential(layers, name="outer")

    legacy = build(keras_2(1), tf_keras.layers.LayerNormalization())
    normal = keras.layers.GroupNormalization(1, name="normal")
    for form in ("layers", "file"):
        with pytest.raises(ValueError, match=r"'inner/normal' must have a counterpart"):
            load_locally_connected(build(TODAY, normal), source(legacy, form, tmp_path))
    flat = keras.Sequential([keras.Input((5, 2)), FreeConv1D(3, 2, name="free")])
    with pytest.raises(ValueError, match=r"'free' must be what the legacy layer is.*Sequential"):
        load_locally_connected(flat, source(legacy, "file", tmp_path))


def test_free_convolutions_with_absent_connections():
    layer = FreeConv1D(2, 3, use_bias=False, connection_dropout=0.5, name="free")
    model = keras.Sequential([keras.Input((8, 3)), layer])
    with pytest.raises(ValueError, match="'free' must have all its connections"):
        load_locally_connected(model, [(CONFIG, [KERNEL])])


def test_fitted_normalization():
    """Its statistics are weights, of which the count of images is not one in every version."""
    legacy = tf_keras.layers.Normalization()
    legacy.adapt(3 * random_array((50, 8, 3)) + 1)
    layer = keras.layers.Normalization()
    free = FreeConv1D(2, 3, use_bias=False)
    model = keras.Sequential([keras.Input((8, 3)), layer, free])
    load_locally_connected(model, [(legacy.get_config(), legacy.get_weights()), (CONFIG, [KERNEL])])
    images = random_array((2, 8, 3), seed=1)
    assert_equal_to_largest(numpy(layer(images)), legacy(images).numpy())


# --- files -----------------------------------------------------------------------------------


def write(path, config, groups, names="weight_names", weights="model_weights", **attributes):
    """A file of Keras 2 by hand: texts as bytes, as h5py returned them then."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        for name, value in attributes.items():
            file.attrs[name] = value.encode()
        group = file.create_group(weights)
        group.attrs["layer_names"] = [name.encode() for name in groups]
        for layer, arrays in groups.items():
            inside = group.create_group(layer)
            inside.attrs[names] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                inside[name] = array
    return path


SEQUENTIAL = {"class_name": "LocallyConnected1D", "config": CONFIG}
FILE = {"config": {"class_name": "Sequential", "config": [SEQUENTIAL]}}
GROUPS = {"local": {"local/kernel:0": KERNEL}}


def free_model():
    layer = FreeConv1D(2, 3, use_bias=False)
    return keras.Sequential([keras.Input((8, 3)), layer])


@pytest.mark.parametrize("names", ["weight_names", "weight_names0"])
@pytest.mark.parametrize("layers", [[SEQUENTIAL], {"name": "m", "layers": [SEQUENTIAL]}])
def test_files_of_earlier_versions(tmp_path, names, layers):
    """Lists of layers, and lists of names in pieces."""
    config = {"class_name": "Sequential", "config": layers}
    path = write(tmp_path / "old.h5", config, GROUPS, names, keras_version="2.1.6")
    model = free_model()
    load_locally_connected(model, str(path))
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keras_version": "1.2.2"}, "must be of Keras 2.*Keras 1.2.2"),
        ({"keras_version": "3.5.0"}, "must be of Keras 2.*Keras 3.5.0"),
        ({"keras_version": "2.2.4", "backend": "theano"}, "must be of Keras 2.*with theano"),
        ({"groups": {}}, "must hold weights of each layer. Received: none of 'local'"),
        ({"weights": "something"}, "must hold a whole model"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, changes, message):
    arguments = {**FILE, "groups": GROUPS, **changes}
    path = write(tmp_path / "model.h5", **arguments)
    with pytest.raises(ValueError, match=f"model.h5 {message}"):
        load_locally_connected(free_model(), path)


def test_files_of_another_kind(tmp_path):
    legacy = tf_keras.Sequential([tf_keras.Input((8, 3)), tf_keras.layers.Dense(2)])
    for name in ("weights.h5", "model.weights.h5"):
        legacy.save_weights(tmp_path / name)
        with pytest.raises(ValueError, match=r"must hold a whole model.*weights alone"):
            load_locally_connected(free_model(), tmp_path / name)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text.h5 must be an HDF5 file"):
        load_locally_connected(free_model(), tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError):
        load_locally_connected(free_model(), tmp_path / "none.h5")
