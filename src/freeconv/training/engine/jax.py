"""The compiled loops in JAX: pure functions of weights, random state and data, compiled by XLA."""

from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops

from freeconv.training.engine.base import BaseEvaluator, BaseTrainer


class Trainer(BaseTrainer):
    """`BaseTrainer` in JAX."""

    def __init__(self, model, **arguments):
        super().__init__(model, **arguments)
        self._trained = model.trainable_variables
        # What a step may change besides: the numbers drawn, statistics of the batches.
        self._kept = [*model.non_trainable_variables, self._random.state]
        self._adam = start_adam(_values(self._trained))
        self._steps = compiled_loop(self._step)

    def _epoch(self, images, labels, order):
        size = self._batch_size
        whole = len(order) // size * size
        parts = [order[:whole].reshape(-1, size)] if whole else []
        if len(order) > whole:
            # Another program, of its own size.
            parts.append(order[None, whole:])
        state = (_values(self._trained), self._adam, _values(self._kept))
        losses, correct = [], []
        for part in parts:
            state, (part_losses, part_correct) = self._steps(state, part, images, labels)
            losses.append(part_losses.sum() * part.shape[1])
            correct.append(part_correct.sum())
        trained, self._adam, kept = state
        for variable, value in zip(self._trained + self._kept, trained + kept, strict=True):
            variable.assign(value)
        seen = sum(part.size for part in parts)
        return sum(losses) / seen, sum(correct) / seen

    def _adam_state(self):
        return jax.tree.leaves(self._adam)

    def _steps_done(self):
        return int(self._adam[0])

    def _restore_adam(self, state):
        # Copies: a loop overwrites the state that it is given.
        arrays = [jnp.array(value) for value in state]
        self._adam = jax.tree.unflatten(jax.tree.structure(self._adam), arrays)

    def _step(self, state, batch, images, labels):
        trained, adam, kept = state
        slopes = jax.value_and_grad(self._loss, has_aux=True)
        (_, (loss, correct, kept)), gradients = slopes(trained, kept, images[batch], labels[batch])
        trained, adam = step_adam(trained, gradients, adam, self._learning_rate)
        return (self._constrained(trained, kept), adam, kept), (loss, correct)

    def _loss(self, trained, kept, images, labels):
        with _using(self._trained + self._kept, trained + kept) as scope:
            total, loss, correct = self._outcome(self._seen(images), labels)
            kept = [scope.get_current_value(variable) for variable in self._kept]
        return total, (loss, correct, kept)

    def _constrained(self, trained, kept):
        # In a scope, as a constraint may read other variables.
        with _using(self._trained + self._kept, trained + kept):
            held = [v.constraint(v) if v.constraint else v for v in self._trained]
            return [ops.convert_to_tensor(value) for value in held]


class Evaluator(BaseEvaluator):
    """`BaseEvaluator` in JAX."""

    def __init__(self, model, **arguments):
        super().__init__(model, **arguments)
        self._variables = [*model.variables, self._random.state]
        self._whole_batches = compiled_loop(partial(self._part, size=self._batch_size))
        self._last_batch = jax.jit(self._part, static_argnames="size")

    def _measure(self, images, labels):
        whole, rest = divmod(len(images), self._batch_size)
        starts = self._batch_size * np.arange(whole + 1)
        *weights, random = _values(self._variables)
        measured = []
        if whole:
            random, (predictions, losses) = self._whole_batches(
                random, starts[:whole], weights, images, labels
            )
            measured.append((predictions.reshape(-1, len(self._conditions)), losses.sum(axis=0)))
        if rest:
            # Another program, of its own size: edge noise may depend on which image is the last.
            _, last = self._last_batch(random, starts[whole], weights, images, labels, size=rest)
            measured.append(last)
        predictions, losses = zip(*measured, strict=True)
        return jnp.concatenate(predictions), sum(losses) / len(images)

    def _part(self, random, start, weights, images, labels, size):
        part = [jax.lax.dynamic_slice_in_dim(data, start, size) for data in (images, labels)]
        with _using(self._variables, [*weights, random]) as scope:
            measured = self._batch(*part)
            return scope.get_current_value(self._random.state), measured


def compiled_loop(step):
    """Compile a loop over a step.

    Args:
        step: pure function (state, item, *constants) -> (state, result).

    Returns:
        Function (state, items, *constants) -> (state, results): the steps one after the other over
        the first axis of `items`, results stacked. The state that goes in is overwritten, so that
        memory holds it once.
    """
    if jax.default_backend() == "cpu":
        return _loop_of_programs(jax.jit(step, donate_argnums=0))

    def loop(state, items, *constants):
        return jax.lax.scan(lambda state, item: step(state, item, *constants), state, items)

    return jax.jit(loop, donate_argnums=0)


def _loop_of_programs(step):
    # On a CPU, XLA finds the fast convolutions only outside of its own loops; an epoch of an
    # ordinary network takes a fifteenth of the time, and to start a program costs little.
    def loop(state, items, *constants):
        results = []
        for item in np.asarray(items):
            state, result = step(state, item, *constants)
            results.append(result)
        return state, jax.tree.map(lambda *parts: np.stack(parts), *results)

    return loop


def start_adam(weights):
    """The state of Adam before its first step: steps done, first and second moments."""
    return jnp.zeros(()), *([jnp.zeros_like(w) for w in weights] for _ in "mv")


def step_adam(weights, gradients, state, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """One step of Adam, with the numbers of `keras.optimizers.Adam`.

    Args:
        weights: list of arrays.
        gradients: list of arrays.
        state: as `start_adam` and this function return it.
        learning_rate: step size.
        beta_1: as in `keras.optimizers.Adam`.
        beta_2: as in `keras.optimizers.Adam`.
        epsilon: as in `keras.optimizers.Adam`.

    Returns:
        (weights, state) after the step.
    """
    steps, m, v = state
    steps = steps + 1
    rate = learning_rate * jnp.sqrt(1 - beta_2**steps) / (1 - beta_1**steps)
    m = [m + (g - m) * (1 - beta_1) for m, g in zip(m, gradients, strict=True)]
    v = [v + (g * g - v) * (1 - beta_2) for v, g in zip(v, gradients, strict=True)]
    weights = [
        w - rate * m / (jnp.sqrt(v) + epsilon) for w, m, v in zip(weights, m, v, strict=True)
    ]
    return weights, (steps, m, v)


def matrix_products(tf32):
    """A block in which a GPU may round factors of float32 products to TF32, or must not."""
    return jax.default_matmul_precision("tensorfloat32" if tf32 else "float32")


def _using(variables, values):
    """A scope in which variables have other values, and their changes stay in it."""
    return keras.StatelessScope(list(zip(variables, values, strict=True)), collect_losses=True)


def _values(variables):
    return [variable.value for variable in variables]
