"""The networks of Table A.2, counted by hand."""

import keras
import numpy as np
import pytest

from freeconv.layers import ConnectionMask, FreeConv2D
from freeconv.training.models import NETWORKS, Convolution, Network, build_model, first_free_layer

INPUTS = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
OUTPUTS = {
    "mnist": [(13, 13, 32), (6, 6, 64), (4, 4, 128)],
    "cifar10": [(14, 14, 64), (5, 5, 128), (3, 3, 256)],
}
# (weights of a patch, filters) of the three convolutions
PATCHES = {
    "mnist": [(3 * 3 * 1, 32), (3 * 3 * 32, 64), (3 * 3 * 64, 128)],
    "cifar10": [(5 * 5 * 3, 64), (5 * 5 * 64, 128), (3 * 3 * 128, 256)],
}
POSITIONS = {"mnist": [169, 36, 16], "cifar10": [196, 25, 9]}
DENSE = {"mnist": (4 * 4 * 128, 1024), "cifar10": (3 * 3 * 256, 1024)}
CONVOLUTIONS = ["conv1", "conv2", "conv3"]

# Small enough that a test may build many.
SMALL = Network((Convolution(3, 4, 2), Convolution(2, 5, 1), Convolution(2, 6, 1)), 7)
SMALL_INPUT = (9, 10, 2)


def build_small(kind="fcn", **arguments):
    return build_model(kind, SMALL, SMALL_INPUT, 3, **arguments)


def weights(model):
    return [weight.numpy() for weight in model.weights]


def equal(model, other):
    pairs = zip(weights(model), weights(other), strict=True)
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("dataset", INPUTS)
@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_networks_of_table_a2(kind, dataset):
    model = build_model(kind, dataset, INPUTS[dataset], 10)
    assert model.input_shape == (None, *INPUTS[dataset])
    assert model.output_shape == (None, 10)
    parameters = 0
    for number, name in enumerate(CONVOLUTIONS):
        layer = model.get_layer(name)
        patch, filters = PATCHES[dataset][number]
        positions = POSITIONS[dataset][number] if kind == "fcn" else 1
        assert layer.output.shape == (None, *OUTPUTS[dataset][number])
        assert layer.count_params() == positions * (patch + 1) * filters
        if kind == "fcn":
            assert layer.kernel.shape == (positions, patch, filters)
        parameters += layer.count_params()
    units, hidden = DENSE[dataset]
    assert model.count_params() == parameters + (units + 1) * hidden + (hidden + 1) * 10


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_two_of_three_layers(kind):
    """What is left out is the convolution nearest to the output (Table A.1)."""
    model = build_model(kind, "mnist", INPUTS["mnist"], 10, layers=2)
    names = [layer.name for layer in model.layers[1:]]
    assert names == [*CONVOLUTIONS[:2], "flatten", "hidden", "output"]
    assert model.get_layer("conv2").output.shape == (None, *OUTPUTS["mnist"][1])
    whole = build_model(kind, "mnist", INPUTS["mnist"], 10, layers=3)
    assert whole.count_params() == build_model(kind, "mnist", INPUTS["mnist"], 10).count_params()


@pytest.mark.parametrize(
    ("kind", "layer_type"), [("cnn", keras.layers.Conv2D), ("fcn", FreeConv2D)]
)
def test_layers(kind, layer_type):
    model = build_small(kind)
    names = [layer.name for layer in model.layers[1:]]
    assert names == [*CONVOLUTIONS, "flatten", "hidden", "output"]
    for name in CONVOLUTIONS:
        layer = model.get_layer(name)
        assert type(layer) is layer_type
        assert layer.padding == "valid"
        assert not layer.bias.numpy().any()
    for name in [*CONVOLUTIONS, "hidden"]:
        assert model.get_layer(name).activation is keras.activations.relu
    images = np.random.default_rng(0).random((4, *SMALL_INPUT), "float32")
    probabilities = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-6)


def test_glorot_fans():
    shape = (28, 28, 1)
    published = first_free_layer(build_model("fcn", "mnist", shape, 10)).kernel.numpy()
    per_location = first_free_layer(
        build_model("fcn", "mnist", shape, 10, glorot_fans="per_location")
    ).kernel.numpy()
    assert np.abs(published).max() == pytest.approx(0.0294, rel=5e-3)
    assert np.abs(per_location).max() == pytest.approx(0.1421, rel=5e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "cnn"},
        {"kind": "fcn"},
        {"kind": "fcn", "vcp": 0.5},
        {"kind": "fcn", "vcp": 0.5, "vcp_kind": "input"},
    ],
)
def test_network_is_a_function_of_its_arguments(arguments):
    keras.utils.set_random_seed(1)
    model = build_small(**arguments, seed=4)
    keras.utils.set_random_seed(2)
    assert equal(model, build_small(**arguments, seed=4))
    other = build_small(**arguments, seed=5)
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        if ours.name != "bias":
            assert (ours.numpy() != theirs.numpy()).any()


def test_every_weight_and_mask_has_its_own_seed():
    kernel = build_small(vcp=0.5)
    inputs = build_small(vcp=0.5, vcp_kind="input")
    layers = [kernel.get_layer(name) for name in [*CONVOLUTIONS, "hidden", "output"]]
    seeds = [layer.kernel_initializer.seed for layer in layers]
    seeds += [kernel.get_layer(name).seed for name in CONVOLUTIONS]
    seeds += [inputs.get_layer(name).seed for name in ("mask1", "mask2", "mask3")]
    assert len(set(seeds)) == len(seeds) == 11
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_same_initial_weights_with_and_without_masked_connections():
    plain, masked = build_small(), build_small(vcp=0.5)
    layer, same = masked.get_layer("conv2"), plain.get_layer("conv2")
    present = layer.connection_mask.numpy()
    np.testing.assert_array_equal(layer.kernel.numpy(), np.where(present, same.kernel.numpy(), 0))


def test_absent_weights():
    model = build_small(vcp=0.5)
    assert not [layer for layer in model.layers if isinstance(layer, ConnectionMask)]
    for name in CONVOLUTIONS:
        layer = model.get_layer(name)
        assert layer.connection_dropout == 0.5
        assert 0.3 < (layer.kernel.numpy() == 0).mean() < 0.7


# Grids of 4 x 4, 3 x 3 and 2 x 2 positions: tiles of them, and weights of a patch with the bias.
@pytest.mark.parametrize(
    ("sharing", "tiles"),
    [(1, (16, 9, 4)), (2, (4, 4, 1)), ((1, 3), (8, 3, 2)), ("all", (1, 1, 1))],
)
def test_degree_of_sharing(sharing, tiles):
    model = build_small(sharing=sharing)
    patches, filters = (3 * 3 * 2 + 1, 2 * 2 * 4 + 1, 2 * 2 * 5 + 1), (4, 5, 6)
    for name, count, patch, each in zip(CONVOLUTIONS, tiles, patches, filters, strict=True):
        assert model.get_layer(name).count_params() == count * patch * each
        assert model.get_layer(name).output.shape == build_small().get_layer(name).output.shape
    assert equal(model, build_small()) == (sharing == 1)


def test_all_positions_sharing_is_the_cnn():
    cnn, shared = build_small("cnn"), build_small(sharing="all")
    assert shared.count_params() == cnn.count_params()
    pairs = zip(weights(cnn), shared.weights, strict=True)
    shared.set_weights([ours.reshape(theirs.shape) for ours, theirs in pairs])
    images = np.random.default_rng(0).random((4, *SMALL_INPUT), "float32")
    outputs = [keras.ops.convert_to_numpy(model(images)) for model in (cnn, shared)]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def test_absent_inputs():
    model = build_small(vcp=0.5, vcp_kind="input")
    names = [layer.name for layer in model.layers[1:-3]]
    assert names == ["mask1", "conv1", "mask2", "conv2", "mask3", "conv3"]
    shapes = [SMALL_INPUT, (4, 4, 4), (3, 3, 5)]
    for number, shape in enumerate(shapes, start=1):
        mask = model.get_layer(f"mask{number}")
        assert isinstance(mask, ConnectionMask)
        assert mask.rate == 0.5
        assert mask.connection_mask.shape == shape
        assert model.get_layer(f"conv{number}").connection_mask is None
    assert first_free_layer(model) is model.get_layer("conv1")


@pytest.mark.parametrize("vcp_kind", ["kernel", "input"])
def test_no_masks_without_vcp(vcp_kind):
    model = build_small(vcp=0.0, vcp_kind=vcp_kind)
    assert model.non_trainable_weights == []
    assert equal(model, build_small())


def test_first_free_layer():
    assert first_free_layer(build_small("cnn")) is None
    model = build_small("fcn")
    assert first_free_layer(model) is model.get_layer("conv1")


@pytest.mark.parametrize("kind", ["cnn", "fcn"])
def test_probabilities_are_float32_in_mixed_precision(kind):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_small(kind)
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    outputs = model(np.ones((2, *SMALL_INPUT), "float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_images_are_channels_last_whatever_keras_prefers(data_format):
    preferred = keras.config.image_data_format()
    keras.config.set_image_data_format(data_format)
    try:
        model = build_small()
    finally:
        keras.config.set_image_data_format(preferred)
    assert model.get_layer("conv1").output.shape == (None, 4, 4, 4)
    assert equal(model, build_small())


@pytest.mark.parametrize(
    "arguments", [{}, {"vcp": 0.5}, {"vcp": 0.5, "vcp_kind": "input"}, {"sharing": 2}]
)
def test_save_and_load(tmp_path, arguments):
    model = build_small(**arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert equal(model, loaded)
    images = np.random.default_rng(0).random((4, *SMALL_INPUT), "float32")
    outputs = [keras.ops.convert_to_numpy(each(images)) for each in (model, loaded)]
    np.testing.assert_array_equal(*outputs)


def test_table_a2_is_complete():
    assert set(NETWORKS) == {"mnist", "cifar10"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mlp"}, r"`kind` must be one of \('cnn', 'fcn'\).*kind='mlp'"),
        ({"layers": 0}, "`layers` must be from 1 to 3. Received: layers=0"),
        ({"layers": 4}, "`layers` must be from 1 to 3. Received: layers=4"),
        ({"network": "imagenet"}, "`network` must be one of .*'mnist'.*'imagenet'"),
        ({"vcp_kind": "both"}, "`vcp_kind` must be one of .*'both'"),
        ({"glorot_fans": "conv"}, "`glorot_fans` must be one of .*'conv'"),
        ({"kind": "cnn", "glorot_fans": "conv"}, "`glorot_fans` must be one of .*'conv'"),
        ({"vcp": 1.0}, "`vcp` must be at least 0 and below 1.*vcp=1.0"),
        ({"vcp": -0.5, "vcp_kind": "input"}, "`vcp` must be .*vcp=-0.5"),
        ({"kind": "cnn", "vcp": 0.5}, "`vcp` above 0 needs .*'fcn'.*vcp=0.5.*kind='cnn'"),
        ({"sharing": 0}, "`sharing` must be 'all', an integer of at least 1 .*sharing=0"),
        ({"sharing": "some"}, "`sharing` must be .*'some'"),
        ({"kind": "cnn", "sharing": 2}, "`sharing` other than 1 .*'fcn'.*sharing=2.*kind='cnn'"),
        ({"input_shape": (28, 28)}, r"`input_shape` must be .*\(28, 28\)"),
        ({"input_shape": (2, 28, 1)}, "2 x 28 are too small.*'conv1'.*3 x 3.*receives 2 x 28"),
        ({"input_shape": (28, 9, 1)}, "28 x 9 are too small.*'conv3'.*3 x 3.*receives 6 x 1"),
    ],
)
def test_errors(arguments, message):
    defaults = {"kind": "fcn", "network": "mnist", "input_shape": (28, 28, 1), "classes": 10}
    with pytest.raises(ValueError, match=message):
        build_model(**{**defaults, **arguments})
