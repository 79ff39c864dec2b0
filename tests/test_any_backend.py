"""What free convolutions take and how they are transformed, with the backend of the process.

`test_backends.py` runs this module with the other backends.
"""

import keras
import numpy as np
import pytest
from references import random_array

from freeconv import ConnectionMask, FreeConv1D, FreeConv2D, FreeConv3D

BACKEND = keras.backend.backend()


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


# --- types of images -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_whole_numbers_are_images(dtype):
    """Equal images of any type have equal outputs, directly and through a model."""
    images = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 200, (2, 6, 5, 3))
    layer = FreeConv2D(3, 2, sharing=2)
    expected = numpy(layer(images.astype("float32")))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_array_equal(numpy(layer(images.astype(dtype))), expected)
    inputs = keras.Input((6, 5, 3), dtype=dtype)
    model = keras.Model(inputs, layer(inputs))
    assert model.output.dtype == "float32"
    np.testing.assert_allclose(
        model.predict(images.astype(dtype), verbose=0), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_layers_compute_in_their_own_type(dtype):
    """Images of whole numbers and of another precision are cast to it."""
    if dtype == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float64 only where all of it is told to")
    layer = FreeConv2D(3, 2, dtype=dtype)
    for images in ("uint8", "float32"):
        outputs = layer(np.ones((2, 5, 5, 2), images))
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype


def test_double_precision_is_kept():
    """Against NumPy, far below the rounding of float32."""
    if BACKEND == "jax":
        pytest.skip("JAX computes in float64 only where all of it is told to")
    layer = FreeConv1D(2, 3, use_bias=False, dtype="float64")
    images = np.random.default_rng(1).normal(size=(2, 5, 4))
    outputs = numpy(layer(images))
    kernel = numpy(layer.kernel)
    patches = np.stack([images[:, step : step + 3].reshape(2, -1) for step in range(3)], axis=1)
    np.testing.assert_allclose(outputs, np.einsum("bpk,pkf->bpf", patches, kernel), rtol=1e-13)


def test_bias_goes_along_filters_where_other_axes_are_as_long():
    """One tile with as many filters as columns of the product, one filter with as many tiles."""
    cases = [
        (FreeConv2D(5, 4), (5, 4, 4, 1)),  # one position, a batch of as many images as filters
        (FreeConv2D(12, 2, sharing="all"), (3, 3, 3, 1)),
        (FreeConv1D(1, 2), (4, 5, 2)),
        (FreeConv2D(1, 2, sharing=2), (1, 5, 5, 2)),
    ]
    for layer, shape in cases:
        layer.build(shape)
        layer.bias.assign(random_array(layer.bias.shape))
        outputs = numpy(layer(np.zeros(shape, "float32")))
        bias = numpy(layer.bias).repeat(layer.tile[0], axis=0)
        if len(shape) == 4:
            bias = bias.repeat(layer.tile[1], axis=1)
        np.testing.assert_array_equal(outputs, np.broadcast_to(bias, outputs.shape))


# --- the connection pattern ------------------------------------------------------------------


def set_weights(source, target, path):
    target.set_weights(source.get_weights())


def load_h5(source, target, path):
    source.save_weights(path / "copy.weights.h5")
    target.load_weights(path / "copy.weights.h5")


def load_legacy_h5(source, target, path):
    source.save(path / "copy.h5")
    target.load_weights(path / "copy.h5")


def set_state_tree(source, target, path):
    target.set_state_tree(source.get_state_tree(value_format="numpy_array"))


def assign(source, target, path):
    for ours, theirs in zip(target.weights, source.weights, strict=True):
        ours.assign(theirs)


def native_way(source, target, path):
    if BACKEND == "torch":
        target.load_state_dict(source.state_dict())
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        saved = tf.train.Checkpoint(model=source).save(path / "checkpoint")
        tf.train.Checkpoint(model=target).restore(saved)
    else:
        set_weights(source, target, path)


def with_pattern(**arguments):
    keras.utils.set_random_seed(4)
    layer = FreeConv2D(3, 2, connection_dropout=0.5, name="free", **arguments)
    model = keras.Sequential([keras.Input((4, 4, 2)), layer], name="model")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize(
    "copy", [set_weights, load_h5, load_legacy_h5, set_state_tree, assign, native_way]
)
def test_copied_pattern_is_the_one_that_counts(copy, tmp_path):
    """Also after a step with the old one, which a compiled step might have kept."""
    images, targets = random_array((4, 4, 4, 2)), random_array((4, 3, 3, 3), seed=1)
    source, target = with_pattern(seed=1), with_pattern(seed=2)
    target.fit(images, targets, verbose=0)
    copy(source, target, tmp_path)
    kernel, _, present = target.layers[0].get_weights()
    np.testing.assert_array_equal(present, source.layers[0].get_weights()[-1])
    np.testing.assert_array_equal(kernel != 0, present)
    target.fit(images, targets, verbose=0)
    trained = target.layers[0].get_weights()[0]
    np.testing.assert_array_equal(trained != 0, present)
    assert (trained != kernel)[present].all()


def test_stateless_steps_follow_the_pattern_they_are_given():
    model = with_pattern(seed=1, kernel_regularizer="l2")
    other = with_pattern(seed=2, kernel_regularizer="l2")
    images = random_array((4, 4, 4, 2))
    trained, fixed = (
        [variable.value for variable in variables]
        for variables in (other.trainable_variables, other.non_trainable_variables)
    )
    outputs, _, losses = model.stateless_call(trained, fixed, images, return_losses=True)
    np.testing.assert_allclose(numpy(outputs), numpy(other(images)), rtol=1e-5, atol=1e-6)
    assert float(losses[0]) == pytest.approx(float(other.losses[0]), rel=1e-5)
    if BACKEND == "tensorflow":
        return  # its optimizers have no stateless form
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    gradients = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]
    (kernel, _), _ = optimizer.stateless_apply(state, gradients, trained)
    np.testing.assert_array_equal(numpy(kernel), numpy(other.layers[0].kernel))


def test_what_is_stored_for_absent_weights_has_no_effect():
    """Neither on outputs nor on the regularizer's loss."""
    layer = with_pattern(seed=1, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2)).layers[0]
    images = random_array((4, 4, 4, 2))
    outputs, loss = numpy(layer(images)), float(layer.losses[0])
    kernel, present = numpy(layer.kernel), numpy(layer.connection_mask)
    layer.kernel.assign(np.where(present, kernel, 7.0))
    np.testing.assert_array_equal(numpy(layer(images)), outputs)
    assert float(layer.losses[0]) == pytest.approx(loss, rel=1e-6)


# --- compilation, transformations, exports ---------------------------------------------------


LAYERS = {
    "1d": ((7, 2), lambda: FreeConv1D(3, 3, padding="same", sharing=2)),
    "2d": ((6, 6, 2), lambda: FreeConv2D(3, 3, strides=2, padding="same", activation="relu")),
    "mask": ((5, 6, 2), lambda: FreeConv2D(3, 3, connection_dropout=0.4, seed=1)),
    "all": ((5, 5, 2), lambda: FreeConv2D(4, 3, sharing="all")),
    "one position": ((3, 3, 2), lambda: FreeConv2D(4, 3)),
    "2d tiles": ((6, 5, 2), lambda: FreeConv2D(3, 2, sharing=(2, 3), padding="same")),
    "3d": ((4, 4, 4, 1), lambda: FreeConv3D(2, 2)),
    "3d tiles": ((4, 5, 4, 1), lambda: FreeConv3D(2, 2, sharing=2)),
    "inputs": ((5, 5, 2), lambda: ConnectionMask(0.5, seed=1)),
}


def model_of(name):
    shape, layer = LAYERS[name]
    keras.utils.set_random_seed(5)
    head = [keras.layers.Flatten(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input(shape), layer(), *head]), random_array((8, *shape))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others compile all or nothing by XLA")
@pytest.mark.parametrize("name", LAYERS)
def test_training_under_xla(name):
    """By `fit`, which turns XLA on by itself where there is a GPU."""
    trained = []
    for jit_compile in (False, True):
        model, images = model_of(name)
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
        model.fit(images, random_array((8, 2), seed=1), batch_size=4, shuffle=False, verbose=0)
        trained.append(model.get_weights())
    before, after = model_of(name)[0].get_weights(), trained[0]
    assert (before[-2] != after[-2]).any()
    for plain, compiled in zip(*trained, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="sizes are always known")
@pytest.mark.parametrize("layer", [FreeConv2D(2, 3, padding="same"), ConnectionMask(0.5)])
def test_images_of_unknown_size(layer):
    """As images that a graph decodes: sizes are those the layer was built for, or an error."""
    import tensorflow as tf

    layer.build((None, 4, 6, 2))
    unknown = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, None))])
    images = random_array((3, 4, 6, 2))
    np.testing.assert_allclose(unknown(images), layer(images), rtol=1e-5, atol=1e-6)
    for shape in ((3, 6, 4, 2), (3, 2, 12, 2), (3, 1, 6, 2)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="EnsureShape"):
            unknown(np.zeros(shape, "float32"))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="needs TensorFlow's converter")
def test_tensorflow_lite(tmp_path):
    """Every form of the layer; what comes back computes the same."""
    import tensorflow as tf

    for name, (shape, layer) in LAYERS.items():
        model = keras.Sequential([keras.Input(shape), layer()])
        images = random_array((1, *shape))
        model.export(tmp_path / name, verbose=False)
        content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / name)).convert()
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        outputs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(outputs, numpy(model(images)), rtol=1e-4, atol=1e-5)


def directional_derivative(layer, images, direction):
    """By differences, exact to rounding for what is linear in its inputs."""
    return numpy(layer(images + direction)) - numpy(layer(images))


@pytest.mark.skipif(BACKEND != "jax", reason="transformations of JAX")
@pytest.mark.parametrize("name", ["1d", "mask", "2d tiles"])
def test_transformations_of_jax(name):
    """Forward mode, its Jacobian, and gradients of every example."""
    import jax

    shape, make = LAYERS[name]
    layer, images, direction = make(), random_array((2, *shape)), random_array((2, *shape), seed=1)
    expected = directional_derivative(layer, images, direction)
    slope = jax.jit(lambda x, d: jax.jvp(layer, (x,), (d,))[1])(images, direction)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)
    along = jax.jit(jax.jacfwd(lambda step: layer(images + step * direction)))(0.0)
    np.testing.assert_allclose(along, expected, rtol=1e-4, atol=1e-5)
    each = jax.jit(jax.vmap(jax.grad(lambda x: layer(x[None]).sum())))(images)
    together = jax.jit(jax.grad(lambda x: layer(x).sum()))(images)
    np.testing.assert_allclose(each, together, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="transformations of PyTorch")
@pytest.mark.parametrize("name", ["1d", "mask", "2d tiles"])
def test_transformations_of_torch(name):
    """Forward mode, its Jacobian, gradients of every example, and a double-precision check."""
    import torch

    shape, make = LAYERS[name]
    layer = make()
    images, direction = (torch.tensor(random_array((2, *shape), seed=seed)) for seed in (0, 1))
    expected = directional_derivative(layer, images, direction)
    slope = torch.func.jvp(layer, (images,), (direction,))[1]
    np.testing.assert_allclose(numpy(slope), expected, rtol=1e-4, atol=1e-5)
    along = torch.func.jacfwd(lambda step: layer(images + step * direction))(torch.tensor(0.0))
    np.testing.assert_allclose(numpy(along), expected, rtol=1e-4, atol=1e-5)
    each = torch.func.vmap(torch.func.grad(lambda x: layer(x[None]).sum()))(images)
    together = torch.func.grad(lambda x: layer(x).sum())(images)
    np.testing.assert_allclose(numpy(each), numpy(together), rtol=1e-4, atol=1e-5)
    double = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    inputs = images.double().requires_grad_()
    assert torch.autograd.gradcheck(double, (inputs,))


@pytest.mark.skipif(BACKEND != "torch", reason="Keras' ONNX export is tested with PyTorch")
@pytest.mark.parametrize("name", LAYERS)
def test_onnx(name, tmp_path):
    """For a batch of any size."""
    pytest.importorskip("onnxscript", reason="export of ONNX needs onnxscript")
    runtime = pytest.importorskip("onnxruntime", reason="running ONNX needs onnxruntime")
    shape, layer = LAYERS[name]
    model = keras.Sequential([keras.Input(shape), layer()])
    images = random_array((3, *shape))
    outputs = model.predict(images, verbose=0)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 3):
        (found,) = session.run(None, {session.get_inputs()[0].name: images[:count]})
        np.testing.assert_allclose(found, outputs[:count], rtol=1e-4, atol=1e-5)
