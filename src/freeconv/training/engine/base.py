"""What the compiled loops are, on any backend: their interface, and the steps they are made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
from keras import ops

from freeconv.training.augmentation import PAPER, augment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ACTIVATION_BYTES = 300 * 2**20
"""Of an evaluation at once, about: so many conditions of a batch go through a network together."""


NOISES = ("noise", "edge_noise")
"""Augmentations whose generators the published code wrote itself, without shuffling."""


class Condition(NamedTuple):
    """How images are perturbed before a network sees them."""

    kind: str
    strength: float


class _Pause(NamedTuple):
    """See `BaseTrainer.pause_every`."""

    period: int
    action: Callable[[int], None]


class Measurement(NamedTuple):
    """What a network makes of the images of a data set, under each of several conditions.

    Attributes:
        predictions: int array (images, conditions), the most probable class.
        losses: float array (conditions,), mean cross-entropy in nats.
    """

    predictions: np.ndarray
    losses: np.ndarray


class BaseTrainer(ABC):
    """Trains a network by Adam (paper, section A.3), one compiled epoch at a time.

    What is made smaller is the mean cross-entropy plus the sum of `model.losses` (regularizers of
    weights and of activities, `add_loss`); constraints hold after every step. As in `fit` of Keras.

    Args:
        model: `keras.Model` of softmax outputs.
        learning_rate: of Adam; its other parameters are Keras' defaults.
        batch_size: images a step.
        augmentation: kind of `augmentation.augment`, drawn afresh for every
            image every time.
        level: strength of the augmentation.
        forms: `augmentation.Forms`.
        noise_order: `shuffled`: every epoch has another order, and leaves out what fills no batch.
            `consecutive`: images under noise and edge noise keep their order, and the last batch
            of an epoch may be smaller, as in the published code.
    """

    def __init__(
        self,
        model,
        *,
        learning_rate,
        batch_size,
        augmentation,
        level,
        forms=PAPER,
        noise_order="shuffled",
    ):
        self._model = model
        self._pause = None
        self._learning_rate = learning_rate
        self._batch_size = batch_size
        self._augment = (augmentation, level, forms)
        self._shuffles = noise_order == "shuffled" or augmentation not in NOISES
        self._random = keras.random.SeedGenerator(0)

    def epoch(
        self, images: keras.KerasTensor, labels: keras.KerasTensor, seed: np.random.SeedSequence
    ) -> tuple[float, float]:
        """Train for one epoch.

        Args:
            images: uint8 tensor (images, height, width, channels).
            labels: integer tensor (images,).
            seed: `numpy.random.SeedSequence` of the order and the augmentation.

        Returns:
            (loss, accuracy): mean cross-entropy, without the other losses, and
            share of correct ones, of the images that were trained on, as they
            were seen.
        """
        reset_random(self._random, seed)
        order = self._order(len(labels))[: self.steps_of(len(labels)) * self._batch_size]
        parts = self._parts(order)
        means = []
        for part, ends_with_pause in parts:
            means.append([float(mean) for mean in self._epoch(images, labels, part)])
            if ends_with_pause:
                self._pause.action(self._steps_done())
        if len(parts) == 1:
            return tuple(means[0])
        return tuple(np.average(means, axis=0, weights=[len(part) for part, _ in parts]).tolist())

    def pause_every(self, steps: int, action: Callable[[int], None]) -> None:
        """Interrupt training every so many steps, counted from the first one on.

        Args:
            steps: From one pause to the next.
            action: Function of the number of steps done, which may change the model's weights.
        """
        self._pause = _Pause(steps, action)

    def state(self) -> list[np.ndarray]:
        """What the next epochs depend on, besides the images and their seeds.

        Returns:
            List of arrays: the model's variables, trained or not, then steps and moments of Adam.
            Later epochs leave them as they are.
        """
        variables = [variable.numpy() for variable in self._model.variables]
        return [*variables, *map(ops.convert_to_numpy, self._adam_state())]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Go on from a `state` of a trainer that was made like this one."""
        variables = self._model.variables
        for variable, value in zip(variables, state[: len(variables)], strict=True):
            variable.assign(value)
        self._restore_adam(state[len(variables) :])

    def steps_of(self, count: int) -> int:
        """How many steps an epoch of so many images has.

        The last one of images in their own order may be smaller.
        """
        return count // self._batch_size if self._shuffles else -(-count // self._batch_size)

    @abstractmethod
    def _epoch(self, images, labels, order):
        """Train on images in an order, in one compiled loop; return the means as scalar tensors."""

    @abstractmethod
    def _adam_state(self):
        """Steps done, first and second moments of Adam, as one list of tensors."""

    @abstractmethod
    def _steps_done(self):
        """How many steps were done, an int."""

    @abstractmethod
    def _restore_adam(self, state):
        """Set what `_adam_state` returns, from arrays."""

    def _order(self, count):
        """The images of an epoch, in the order they are trained on."""
        numbers = ops.arange(count)
        return keras.random.shuffle(numbers, seed=self._random) if self._shuffles else numbers

    def _parts(self, order):
        """The order of an epoch in parts, and whether each ends with a pause."""
        if self._pause is None:
            return [(order, False)]
        every, size = self._pause.period * self._batch_size, len(order)
        done = self._steps_done() % self._pause.period * self._batch_size
        ends = [*range(every - done, size, every), size]
        starts = [0, *ends[:-1]]
        return [
            (order[start:end], end < size or (end + done) % every == 0)
            for start, end in zip(starts, ends, strict=True)
        ]

    def _seen(self, images):
        """A batch of stored images as the network sees it."""
        kind, level, forms = self._augment
        return augment(scale_pixels(images), kind, level, self._random, forms)

    def _outcome(self, images, labels):
        """What a batch of seen images is trained on.

        Returns:
            (total, loss, correct): the loss that a step reduces, the mean cross-entropy in it, and
            how many images are correct.
        """
        probabilities = self._model(images, training=True)
        correct = ops.sum(ops.cast(is_correct(labels, probabilities), "int32"))
        loss = ops.mean(cross_entropy(labels, probabilities))
        # Those of this call: Keras forgets the last ones when the model is called.
        added = [ops.sum(ops.cast(value, "float32")) for value in self._model.losses]
        return sum(added, loss), loss, correct


class BaseEvaluator(ABC):
    """Measures a network on images under several conditions, in one compiled loop.

    All conditions of a batch go through the network together.

    Args:
        model: `keras.Model` of softmax outputs.
        conditions: sequence of `Condition`.
        batch_size: images a batch; a smaller last batch is measured too.
        forms: `augmentation.Forms`.
    """

    def __init__(self, model, *, conditions, batch_size, forms=PAPER):
        self._model = model
        self._conditions = tuple(conditions)
        self._batch_size = batch_size
        self._forms = forms
        self._random = keras.random.SeedGenerator(0)
        at_once = ACTIVATION_BYTES // (batch_size * activation_bytes(model))
        self._at_once = min(max(at_once, 1), len(self._conditions))

    def measure(
        self, images: keras.KerasTensor, labels: keras.KerasTensor, seed: np.random.SeedSequence
    ) -> Measurement:
        """Measure the network.

        Args:
            images: uint8 tensor (images, height, width, channels).
            labels: integer tensor (images,).
            seed: `numpy.random.SeedSequence` of the perturbations.

        Returns:
            `Measurement`.
        """
        reset_random(self._random, seed)
        predictions, losses = self._measure(images, labels)
        return Measurement(*map(ops.convert_to_numpy, (predictions, losses)))

    @abstractmethod
    def _measure(self, images, labels):
        """Measure all images in one compiled loop; return a `Measurement` of tensors."""

    def _batch(self, images, labels):
        """Predictions (images, conditions) of a batch, and its summed losses (conditions,)."""
        images = scale_pixels(images)
        parts = []
        for first in range(0, len(self._conditions), self._at_once):
            conditions = self._conditions[first : first + self._at_once]
            with self._after(parts):
                parts.append(self._under(conditions, images, labels))
        predicted, losses = zip(*parts, strict=True)
        return ops.concatenate(predicted, axis=1), ops.concatenate(losses)

    def _under(self, conditions, images, labels):
        """What `_batch` returns, under some of the conditions."""
        perturbed = [
            augment(images, kind, strength, self._random, self._forms)
            for kind, strength in conditions
        ]
        probabilities = self._model(ops.concatenate(perturbed, axis=0), training=False)
        shape = (len(conditions), -1)
        losses = cross_entropy(ops.tile(labels, shape[:1]), probabilities)
        predicted = ops.reshape(ops.argmax(probabilities, axis=-1), shape)
        return ops.transpose(predicted), ops.sum(ops.reshape(losses, shape), axis=1)

    def _after(self, parts):
        """A block that is computed after the parts there are, where a backend has to be told."""
        return nullcontext()


def activation_bytes(model: keras.Model) -> int:
    """Bytes of the activations of one image in all layers, patches of free ones included.

    Of a network that an extension builds, layers that are called several times are counted once.
    """
    elements = 1
    for layer in model.layers:
        with suppress(AttributeError, ValueError):  # has no output, or several
            for output in keras.tree.flatten(layer.output):
                elements += math.prod(size or 1 for size in output.shape)
        # Of free convolutions alone, which are not imported: no other network depends on them.
        if grid := getattr(layer, "output_grid", None):
            elements += math.prod(grid) * layer.kernel.shape[1]
    return 4 * elements


def on_device(
    images: np.ndarray, labels: np.ndarray
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Images and labels as tensors, where networks compute."""
    return ops.convert_to_tensor(images), ops.convert_to_tensor(labels, "int32")


def reset_random(generator: keras.random.SeedGenerator, seed: np.random.SeedSequence) -> None:
    """Set a `keras.random.SeedGenerator` to the start of the stream of a `SeedSequence`."""
    generator.state.assign(seed.generate_state(2) >> 1)


def scale_pixels(images: keras.KerasTensor) -> keras.KerasTensor:
    """Pixels 0..255 as floats 0..1."""
    return ops.cast(images, "float32") / 255.0


def cross_entropy(labels: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy in nats of each image."""
    return ops.sparse_categorical_crossentropy(labels, probabilities)


def is_correct(labels: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """Whether the most probable class is the label, of each image."""
    return ops.equal(ops.cast(labels, "int32"), ops.argmax(probabilities, axis=-1))
