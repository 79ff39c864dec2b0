import keras
import numpy as np
import pytest

from freeconv.engine import (
    PRECISIONS,
    Condition,
    Evaluator,
    Trainer,
    computing_in,
    on_device,
)
from freeconv.engine.base import reset_random
from freeconv.errors import InputError
from freeconv.layers import FreeConv2D

# This module runs on JAX too, see test_jax.py.
of_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the form in TensorFlow"
)

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (22, 12, 12, 1), dtype=np.uint8)
LABELS = RNG.integers(0, 3, 22).astype(np.uint8)


def small_model(seed=0):
    initializers = [keras.initializers.GlorotUniform(seed + layer) for layer in range(2)]
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu", kernel_initializer=initializers[0]),
            keras.layers.Dense(3, "softmax", kernel_initializer=initializers[1]),
        ]
    )


def trainer(model, augmentation="none", level=0.0):
    return Trainer(
        model,
        learning_rate=0.01,
        batch_size=4,
        augmentation=augmentation,
        level=level,
        edge_noise="paper",
    )


def evaluator(model, *conditions):
    return Evaluator(model, conditions=conditions, batch_size=4, edge_noise="paper")


def sequence(*entropy):
    return np.random.SeedSequence(entropy)


def numpy_losses(model, images, labels):
    probabilities = model.predict(images, verbose=0).astype(np.float64)
    return -np.log(probabilities[np.arange(len(labels)), labels]), probabilities.argmax(axis=1)


@of_tensorflow
def test_fused_adam_is_keras_adam():
    from freeconv.engine.tensorflow import FusedAdam

    start = [RNG.normal(size=shape).astype("float32") for shape in [(5, 3), (4,)]]
    ours, theirs = ([keras.Variable(value) for value in start] for _ in range(2))
    fused, reference = FusedAdam(ours, 0.01), keras.optimizers.Adam(0.01)
    for scale in (1.0, 1e-4, 100.0, 0.0):
        gradients = [scale * RNG.normal(size=v.shape).astype("float32") for v in start]
        fused.apply([keras.ops.convert_to_tensor(g) for g in gradients])
        reference.apply([keras.ops.convert_to_tensor(g) for g in gradients], theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-6, atol=1e-7)


def test_an_epoch_is_keras_training_on_the_shuffled_images():
    """Two epochs equal train_on_batch of Keras on whole batches of the same order."""
    ours, reference = small_model(), small_model()
    reference.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    epochs, data = trainer(ours), on_device(IMAGES, LABELS)
    random = keras.random.SeedGenerator(0)
    orders = []
    for epoch in (1, 2):
        loss, accuracy = epochs.epoch(*data, sequence(5, epoch))
        reset_random(random, sequence(5, epoch))
        order = np.array(keras.random.shuffle(np.arange(22), seed=random))
        orders.append(order)
        assert sorted(order) == list(range(22))
        steps = []
        for batch in np.split(order[:20], 5):
            images, labels = IMAGES[batch] / np.float32(255), LABELS[batch]
            before = numpy_losses(reference, images, labels)
            steps.append([before[0].mean(), (before[1] == labels).mean()])
            reference.train_on_batch(images, labels)
        np.testing.assert_allclose([loss, accuracy], np.mean(steps, axis=0), rtol=1e-5)
    assert not np.array_equal(*orders)
    for mine, other in zip(ours.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("augmentation", ["translation", "rotation", "noise", "edge_noise"])
def test_training_images_are_augmented_and_drawn_from_the_seed(augmentation):
    def weights(level, seed):
        model = small_model()
        trainer(model, augmentation, level).epoch(*on_device(IMAGES, LABELS), sequence(seed))
        return np.concatenate([w.ravel() for w in model.get_weights()])

    drawn = weights(0.4, 1)
    np.testing.assert_array_equal(drawn, weights(0.4, 1))
    assert np.abs(drawn - weights(0.4, 2)).max() > 1e-4
    assert np.abs(drawn - weights(0.0, 1)).max() > 1e-4


def test_measuring_includes_the_incomplete_last_batch():
    model = small_model(3)
    measured = evaluator(model, Condition("clean", 0.0)).measure(
        *on_device(IMAGES, LABELS), sequence(0)
    )
    losses, predicted = numpy_losses(model, IMAGES / np.float32(255), LABELS)
    np.testing.assert_array_equal(measured.predictions, predicted[:, np.newaxis])
    np.testing.assert_allclose(measured.losses, [losses.mean()], rtol=1e-5)


def test_conditions_are_kept_apart():
    """Deterministic conditions equal the network on images changed by hand."""
    model = small_model(4)
    swapped = IMAGES.copy()
    swapped[:, :6, 6:], swapped[:, 6:, :6] = IMAGES[:, 6:, :6], IMAGES[:, :6, 6:]
    conditions = [Condition("quadrant_swap", 0.0), Condition("clean", 0.0), Condition("noise", 0.0)]
    measured = evaluator(model, *conditions).measure(*on_device(IMAGES, LABELS), sequence(0))
    for column, images in enumerate([swapped, IMAGES, IMAGES]):
        losses, predicted = numpy_losses(model, images / np.float32(255), LABELS)
        np.testing.assert_array_equal(measured.predictions[:, column], predicted)
        np.testing.assert_allclose(measured.losses[column], losses.mean(), rtol=1e-5)


def test_perturbations_are_redrawn_by_seed_alone():
    model, data = small_model(), on_device(IMAGES, LABELS)
    measure = evaluator(model, Condition("noise", 0.5), Condition("noise", 0.5)).measure
    first, again, other = (measure(*data, sequence(seed)).losses for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first[0] != other[0]
    assert first[0] != first[1]


def test_measuring_changes_nothing():
    model = small_model()
    before = model.get_weights()
    evaluator(model, Condition("clean", 0.0)).measure(*on_device(IMAGES, LABELS), sequence(0))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_a_layer_keeps_of_its_batches_is_kept_by_an_epoch():
    """Moving statistics of a batch normalisation, against Keras' own training of one step."""
    ours, reference = (
        keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(3, "softmax", kernel_initializer="zeros"),
            ]
        )
        for _ in range(2)
    )
    images, labels = IMAGES[:4], LABELS[:4]
    trainer(ours).epoch(*on_device(images, labels), sequence(0))
    reference.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    reference.train_on_batch(images / np.float32(255), labels)
    for mine, other in zip(ours.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    assert (ours.layers[0].get_weights()[2] != 0).all()  # the moving mean starts as zero


def test_weights_read_before_an_epoch_stay_as_they_were():
    model = small_model()
    epochs, data = trainer(model), on_device(IMAGES, LABELS)
    epochs.epoch(*data, sequence(1))
    read = model.get_weights()
    copies = [weight.copy() for weight in read]
    epochs.epoch(*data, sequence(2))
    for weight, copy, new in zip(read, copies, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, copy)
        assert (weight != new).any()


def test_a_restored_trainer_goes_on_as_the_first_one_did():
    """To the last bit; and what was read of a trainer stays as it was."""
    data = on_device(IMAGES, LABELS)

    def normalising(start):
        model = keras.Sequential(
            [
                keras.Input((12, 12, 1)),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(3, "softmax", kernel_initializer=start),
            ]
        )
        return trainer(model, "noise", 0.2)

    first, second = normalising("zeros"), normalising("ones")
    first.epoch(*data, sequence(1))
    state = first.state()
    copies = [array.copy() for array in state]
    # Six variables, four of them trained; steps done, and two moments of each trained one.
    assert len(state) == 6 + 1 + 2 * 4
    assert state[6] == 5
    second.epoch(*data, sequence(7))
    second.restore(state)
    for one, other in zip(second.state(), copies, strict=True):
        np.testing.assert_array_equal(one, other)
    ends = []
    for epochs in (first, second):
        ends.append([*epochs.epoch(*data, sequence(2)), *epochs.state()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    for array, copy, end in zip(state, copies, ends[0][2:], strict=True):
        np.testing.assert_array_equal(array, copy)
        assert (array != end).any()


def test_half_precision_computes_in_layers_alone():
    def train(precision):
        with computing_in(precision):
            model = keras.Sequential(
                [
                    keras.Input((12, 12, 1)),
                    FreeConv2D(4, 3, 2, kernel_initializer=keras.initializers.GlorotUniform(1)),
                    keras.layers.Flatten(),
                    keras.layers.Dense(3, "softmax", kernel_initializer="zeros", dtype="float32"),
                ]
            )
            trainer(model).epoch(*on_device(IMAGES, LABELS), sequence(1))
            return model

    full, half = train("float32"), train("mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert [layer.compute_dtype for layer in full.layers] == ["float32"] * 3
    assert [layer.compute_dtype for layer in half.layers] == ["bfloat16"] * 2 + ["float32"]
    assert {weight.dtype for weight in half.weights} == {"float32"}
    # 8 bits of precision: alike to a few per cent of the largest weight, but not the same.
    for exact, rounded in zip(full.get_weights(), half.get_weights(), strict=True):
        difference = np.abs(exact - rounded).max()
        assert 0 < difference < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_ends_with_its_block(precision):
    before = keras.config.dtype_policy().name
    policy = "mixed_bfloat16" if precision == "mixed_bfloat16" else "float32"

    def fail():
        with computing_in(precision):
            assert keras.config.dtype_policy().name == policy
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert keras.config.dtype_policy().name == before


@of_tensorflow
def test_tf32_is_off_unless_asked_for():
    import tensorflow as tf

    allowed = tf.config.experimental.tensor_float_32_execution_enabled
    before = allowed()
    for precision in PRECISIONS:
        with computing_in(precision):
            assert allowed() == (precision == "tf32")
    assert allowed() == before


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match=r"precision: float16 .*float32, tf32, mixed_bfloat16"):
        computing_in("float16").__enter__()
