from itertools import product

import keras
import numpy as np
import pytest

from freeconv.errors import InputError
from freeconv.layers import FreeConv2D
from freeconv.training.augmentation import (
    AUGMENTATIONS,
    EDGE_NOISE_FORMS,
    PERTURBATIONS,
    ROTATION_CENTRES,
    Forms,
    augment,
)
from freeconv.training.engine import (
    PRECISIONS,
    Condition,
    Evaluator,
    Trainer,
    base,
    computing_in,
    on_device,
)
from freeconv.training.engine.base import reset_random

# This module runs on JAX too, see test_jax.py.
of_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of the form in TensorFlow"
)

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (22, 12, 12, 1), dtype=np.uint8)
LABELS = RNG.integers(0, 3, 22).astype(np.uint8)

LEARNING_RATE = 0.01
# What rounding makes of a weight in 5 steps. Adam divides a gradient by its own size: the share of
# it that is rounding becomes the same share of a step. It is below a hundredth for gradients of
# which no more than all but 1 / 1000 cancels, in sums of a hundred terms (100 * 1000 * 2**-24).
ROUNDING = 0.01 * 5 * LEARNING_RATE


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


def trainer(model, augmentation="none", level=0.0, **arguments):
    return Trainer(
        model,
        learning_rate=LEARNING_RATE,
        batch_size=4,
        augmentation=augmentation,
        level=level,
        **arguments,
    )


def evaluator(model, *conditions):
    return Evaluator(model, conditions=conditions, batch_size=4)


def sequence(*entropy):
    return np.random.SeedSequence(entropy)


def numpy_losses(model, images, labels):
    probabilities = model.predict(images, verbose=0).astype(np.float64)
    return -np.log(probabilities[np.arange(len(labels)), labels]), probabilities.argmax(axis=1)


@of_tensorflow
def test_fused_adam_is_keras_adam():
    from freeconv.training.engine.tensorflow import FusedAdam

    start = [RNG.normal(size=shape).astype("float32") for shape in [(5, 3), (4,)]]
    ours, theirs = ([keras.Variable(value) for value in start] for _ in range(2))
    fused, reference = FusedAdam(ours, 0.01), keras.optimizers.Adam(0.01)
    for scale in (1.0, 1e-4, 100.0, 0.0):
        gradients = [scale * RNG.normal(size=v.shape).astype("float32") for v in start]
        fused.apply([keras.ops.convert_to_tensor(g) for g in gradients])
        reference.apply([keras.ops.convert_to_tensor(g) for g in gradients], theirs)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["noise", "edge_noise"])
def test_consecutive_batches_are_those_of_fit_without_shuffling(kind):
    """Noise of strength 0: the same batches in every epoch, of which the last has two images."""
    ours, reference = small_model(), small_model()
    adam = keras.optimizers.Adam(LEARNING_RATE)
    reference.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    epochs = trainer(ours, kind, 0.0, noise_order="consecutive")
    for epoch in (1, 2):
        found = epochs.epoch(*on_device(IMAGES, LABELS), sequence(5, epoch))
        fit = reference.fit(
            IMAGES / np.float32(255), LABELS, batch_size=4, shuffle=False, verbose=0
        )
        expected = [fit.history[name][0] for name in ("loss", "accuracy")]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    for mine, other in zip(ours.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)


def test_other_images_than_noisy_ones_are_shuffled_in_any_case():
    """As the published code's own generators are of noise alone."""
    weights = []
    for order in ("shuffled", "consecutive"):
        model = small_model()
        epochs = trainer(model, "translation", 0.2, noise_order=order)
        epochs.epoch(*on_device(IMAGES, LABELS), sequence(5, 1))
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_is_keras_training_on_the_shuffled_images():
    """Two epochs equal train_on_batch of Keras on whole batches of the same order."""
    ours, reference = small_model(), small_model()
    reference.compile(keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy")
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
    data = on_device(IMAGES, LABELS)

    def weights(level, *seeds):
        """What epochs make of the same start: by one trainer, since each compiles its own."""
        model = small_model()
        training = trainer(model, augmentation, level)
        start = training.state()
        for seed in seeds:
            training.restore(start)
            training.epoch(*data, sequence(seed))
            yield np.concatenate([w.ravel() for w in model.get_weights()])

    drawn, other, again = weights(0.4, 1, 2, 1)
    (unchanged,) = weights(0.0, 1)
    np.testing.assert_array_equal(drawn, again)
    assert np.abs(drawn - other).max() > 1e-4
    assert np.abs(drawn - unchanged).max() > 1e-4


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


def test_conditions_in_parts_give_what_they_give_together(monkeypatch):
    model = small_model()
    conditions = [Condition("noise", 0.2), Condition("clean", 0.0), Condition("translation", 0.3)]
    data, ends = on_device(IMAGES, LABELS), []
    for size in (2**30, 2 * 4 * base.activation_bytes(model), 1):
        monkeypatch.setattr(base, "ACTIVATION_BYTES", size)
        parts = evaluator(model, *conditions)
        ends.append((parts._at_once, *parts.measure(*data, sequence(5))))
    (whole, *together), (two, *in_two), (one, *alone) = ends
    assert (whole, two, one) == (3, 2, 1)
    for predictions, losses in (in_two, alone):
        np.testing.assert_array_equal(predictions, together[0])
        np.testing.assert_allclose(losses, together[1], rtol=1e-5)


def test_activations_are_counted_by_hand():
    model = keras.Sequential(
        [
            keras.Input((9, 8, 2)),
            FreeConv2D(5, 3, strides=2),  # 4 x 3 positions of patches of 18
            keras.layers.Flatten(),
            keras.layers.Dense(7),
        ]
    )
    assert base.activation_bytes(model) == 4 * (1 + 12 * 5 + 12 * 18 + 60 + 7)


def test_measuring_changes_nothing():
    model = small_model()
    before = model.get_weights()
    evaluator(model, Condition("clean", 0.0)).measure(*on_device(IMAGES, LABELS), sequence(0))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Two(keras.constraints.Constraint):
    def __call__(self, w):
        return 0 * w + 2


class Extras(keras.layers.Layer):
    """A loss, a weight that the loss does not depend on, and one that a step may not move."""

    def build(self, input_shape):
        self.unused = self.add_weight(name="unused", shape=(2,), initializer="ones")
        self.scale = self.add_weight(shape=(), initializer="ones", constraint=Two())

    def call(self, inputs):
        outputs = self.scale * inputs
        self.add_loss(0.3 * keras.ops.mean(keras.ops.square(outputs)))
        return outputs


def glorot(seed):
    return keras.initializers.GlorotUniform(seed)


def softmax():
    output = keras.layers.Dense(3, "softmax", kernel_initializer=glorot(6))
    return [keras.layers.Flatten(), output]


def penalised():
    """Losses of weights, activities and a layer: a model within the model has one of them."""
    inner = keras.Input((2, 2, 4))
    dense = keras.layers.Dense(
        5,
        "tanh",
        kernel_initializer=glorot(1),
        activity_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.1),
    )
    free = FreeConv2D(
        4, 5, 5, kernel_initializer=glorot(0), kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2)
    )
    return [free, keras.Model(inner, dense(inner)), Extras()]


def constrained():
    """Constraints, one of them beside masked connections."""
    limit = keras.constraints.MaxNorm(0.3, axis=1)
    free = FreeConv2D(
        4,
        5,
        5,
        kernel_initializer=glorot(0),
        kernel_constraint=limit,
        connection_dropout=0.4,
        seed=1,
    )
    dense = keras.layers.Dense(
        5,
        kernel_initializer=glorot(1),
        kernel_constraint="unit_norm",
        bias_constraint="non_neg",
    )
    return [free, dense]


def stateful():
    """Moving statistics, numbers that are drawn, and a layer that is not trained."""
    frozen = keras.layers.Dense(5, "tanh", kernel_initializer=glorot(2), trainable=False)
    return [frozen, keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=7)]


def recurrent():
    """Rows of pixels as words: gradients of an embedding are sparse."""
    words = keras.layers.Lambda(
        lambda x: keras.ops.cast(keras.ops.round(7 * x[:, :, 0, 0]), "int32")
    )
    return [
        words,
        keras.layers.Embedding(10, 3, embeddings_initializer=glorot(3)),
        keras.layers.LSTM(4, kernel_initializer=glorot(4), recurrent_initializer=glorot(5), seed=8),
    ]


class DenseAdam(keras.optimizers.Adam):
    """Keras' Adam on the sum over a word's places: on TensorFlow it would square each by itself."""

    def apply(self, grads, trainable_variables=None):
        dense = [g if g is None else keras.ops.reshape(g, g.shape) for g in grads]
        super().apply(dense, trainable_variables)


@pytest.mark.parametrize("layers", [penalised, constrained, stateful, recurrent])
def test_a_network_with_all_that_keras_offers_is_trained_as_keras_does(layers):
    """What an epoch leaves of every variable equals what `fit` leaves, on the same batches."""

    def build():
        return keras.Sequential([keras.Input((12, 12, 1)), *layers(), *softmax()])

    ours, reference = build(), build()
    before = [variable.numpy() for variable in ours.variables]
    trainer(ours).epoch(*on_device(IMAGES, LABELS), sequence(5))
    random = keras.random.SeedGenerator(0)
    reset_random(random, sequence(5))
    order = np.array(keras.random.shuffle(np.arange(22), seed=random))[:20]
    reference.compile(
        DenseAdam(LEARNING_RATE),
        "sparse_categorical_crossentropy",
        # On a GPU, TensorFlow would turn it on.
        jit_compile=keras.backend.backend() == "jax",
    )
    images = IMAGES[order] / np.float32(255)
    reference.fit(images, LABELS[order], batch_size=4, shuffle=False, verbose=0)
    for mine, other, start in zip(ours.variables, reference.variables, before, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5, atol=ROUNDING)
        frozen = mine.path.endswith(("unused", "connection_mask")) or not mine.trainable
        moved = (mine.numpy() != start).any()
        assert moved or frozen or layers is recurrent


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
        """A network and the slopes of its output layer's kernel, by its only step."""
        with computing_in(precision):
            model = keras.Sequential(
                [
                    keras.Input((12, 12, 1)),
                    FreeConv2D(4, 3, 2, kernel_initializer=glorot(1)),
                    keras.layers.Flatten(),
                    keras.layers.Dense(3, "softmax", kernel_initializer="zeros", dtype="float32"),
                ]
            )
            training = trainer(model)
            training.epoch(*on_device(IMAGES[:4], LABELS[:4]), sequence(1))
            # Four weights, the number of steps, and the first moments: a tenth of the slopes.
            return model, 10 * training.state()[4 + 1 + 2]

    (full, exact), (half, rounded) = train("float32"), train("mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert [layer.compute_dtype for layer in full.layers] == ["float32"] * 3
    assert [layer.compute_dtype for layer in half.layers] == ["bfloat16"] * 2 + ["float32"]
    # What Adam made of the weights needs more than 8 bits.
    kernel = half.layers[-1].kernel
    assert kernel.dtype == "float32"
    stored, short = (keras.ops.cast(kernel, dtype) for dtype in ("float32", "bfloat16"))
    assert (np.array(stored) != np.array(keras.ops.cast(short, "float32"))).mean() > 0.9
    # All classes are as probable in this step, so that the slopes differ by what the free layer
    # made of its images alone: 9 products and a bias, summed. At worst all of that is rounded to 8
    # bits: a pixel and a weight, their product, 8 sums, that with the bias, and the result.
    free = full.layers[0]
    free.set_weights([np.abs(weight) for weight in free.get_weights()])
    terms = np.array(free(IMAGES[:4] / np.float32(255))).reshape(4, -1)
    errors = np.abs(np.eye(3)[LABELS[:4]] - 1 / 3)
    bound = ((1 + 2**-8) ** 13 - 1) * terms.T @ errors / 4
    difference = np.abs(exact - rounded)
    assert (difference <= bound).all()
    assert difference.max() > 2**-20


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
def test_an_epoch_is_made_of_operations_that_xla_has(monkeypatch):
    """And gives the same numbers by them, where none are drawn."""
    import tensorflow as tf

    data, ends = on_device(IMAGES, LABELS), []
    for by_xla in (False, True):
        model = keras.Sequential([keras.Input((12, 12, 1)), *constrained(), *softmax()])
        training = trainer(model, "rotation", 0.0)
        monkeypatch.setattr(training, "_order", tf.range)
        if by_xla:
            training._epoch = tf.function(training._epoch.python_function, jit_compile=True)
        ends.append([*training.epoch(*data, sequence(1)), *model.get_weights()])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=ROUNDING)


@of_tensorflow
def test_xla_augments():
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def augmented(images, seed):
        kinds = (*AUGMENTATIONS, *PERTURBATIONS)
        both = [Forms(*form) for form in product(EDGE_NOISE_FORMS, ROTATION_CENTRES)]
        forms = [(kind, form) for kind in kinds for form in both]
        return [augment(images, kind, 0.2, seed, form) for kind, form in forms]

    images = tf.constant(IMAGES / np.float32(255))
    for result in augmented(images, keras.random.SeedGenerator(1)):
        assert np.isfinite(result.numpy()).all()
        assert result.shape == images.shape


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
