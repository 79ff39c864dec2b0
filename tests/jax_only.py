"""Tests of what only the JAX form has; `test_jax.py` runs them in a process of that backend."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from alike import CONDITIONS, build

from freeconv.errors import explain
from freeconv.training.engine import Condition, Evaluator, Trainer, computing_in, on_device
from freeconv.training.engine.jax import start_adam, step_adam

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (22, 14, 14, 2), dtype=np.uint8)
LABELS = RNG.integers(0, 4, 22).astype(np.uint8)


def test_adam_is_keras_adam():
    weights = [jnp.asarray(RNG.normal(size=shape), "float32") for shape in [(5, 3), (4,)]]
    theirs = [keras.Variable(weight) for weight in weights]
    reference, state = keras.optimizers.Adam(0.01), start_adam(weights)
    for scale in (1.0, 1e-4, 100.0, 0.0):
        gradients = [jnp.asarray(scale * RNG.normal(size=w.shape), "float32") for w in weights]
        weights, state = step_adam(weights, gradients, state, 0.01)
        reference.apply(gradients, theirs)
    for ours, other in zip(weights, theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=1e-6, atol=1e-7)


@pytest.fixture(params=["cpu", "gpu"])
def form(request, monkeypatch):
    """Loops as they are compiled for a CPU and, computed on this CPU, for a GPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def train_and_measure():
    model = build("absent_weights")
    trainer = Trainer(
        model,
        learning_rate=0.01,
        batch_size=4,
        augmentation="translation",
        level=0.2,
    )
    data = on_device(IMAGES, LABELS)
    epochs = [trainer.epoch(*data, np.random.SeedSequence(epoch)) for epoch in range(2)]
    evaluator = Evaluator(model, conditions=[*CONDITIONS, Condition("noise", 0.3)], batch_size=4)
    measured = evaluator.measure(*data, np.random.SeedSequence(9))
    return jax.tree.leaves((epochs, model.get_weights(), measured))


def test_one_program_a_step_equals_one_an_epoch_and_repeats(monkeypatch):
    """The same draws, the same order: to the last bit by one form, to rounding by both."""
    first, second = train_and_measure(), train_and_measure()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for one, other in zip(first, train_and_measure(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [3, 8, 22])
def test_all_batches_are_measured(form, count):
    """Fewer images than a batch, whole batches alone, and a rest: against NumPy."""
    model = build("cnn")
    evaluator = Evaluator(model, conditions=CONDITIONS[:2], batch_size=4)
    images, labels = IMAGES[:count], LABELS[:count]
    measured = evaluator.measure(*on_device(images, labels), np.random.SeedSequence(0))
    swapped = images.copy()
    swapped[:, :7, 7:], swapped[:, 7:, :7] = images[:, 7:, :7], images[:, :7, 7:]
    for column, seen in enumerate((images, swapped)):
        probabilities = model.predict(seen / np.float32(255), verbose=0)
        np.testing.assert_array_equal(measured.predictions[:, column], probabilities.argmax(axis=1))
        losses = -np.log(probabilities[np.arange(count), labels])
        np.testing.assert_allclose(measured.losses[column], losses.mean(), rtol=1e-4)


def test_lack_of_memory_is_told_with_what_to_do():
    with pytest.raises(RuntimeError) as caught:
        jnp.ones(2**46).block_until_ready()
    text = explain(caught.value)
    assert text.startswith("out of memory (RESOURCE_EXHAUSTED: Out of memory allocating 2814749")
    assert "let fewer runs share a card" in text


def test_precision_of_matrix_products():
    def lowered(precision):
        with computing_in(precision):
            return jax.jit(jnp.matmul).lower(jnp.ones((2, 2)), jnp.ones((2, 2))).as_text()

    assert "HIGHEST" in lowered("float32")
    assert "HIGHEST" in lowered("mixed_bfloat16")
    assert "HIGHEST" not in lowered("tf32")
    assert lowered("tf32") != lowered("float32")
