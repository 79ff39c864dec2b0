"""The compiled loops: a training epoch, and measuring a network on perturbed images.

Images stay where the network is, as uint8; shuffling, gathering, augmentation and
the training step run inside one compiled graph. This module and `devices` are the
only ones that speak to TensorFlow directly.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from freeconv.augmentation import augment


class Condition(NamedTuple):
    """How images are perturbed before a network sees them."""

    kind: str
    strength: float


class Measurement(NamedTuple):
    """What a network makes of the images of a data set, under each of several conditions.

    Attributes:
        predictions: int array (images, conditions), the most probable class.
        losses: float array (conditions,), mean cross-entropy in nats.
    """

    predictions: np.ndarray
    losses: np.ndarray


class Trainer:
    """Trains a network by Adam (paper, section A.3), one compiled epoch at a time.

    Args:
        model: `keras.Model` of softmax outputs.
        learning_rate: of Adam; its other parameters are Keras' defaults.
        batch_size: images a step.
        augmentation: kind of `augmentation.augment`, drawn afresh for every
            image every time.
        level: strength of the augmentation.
        edge_noise: form of the edge noise, `paper` or `published`.
    """

    def __init__(self, model, *, learning_rate, batch_size, augmentation, level, edge_noise):
        self._model = model
        self._optimizer = FusedAdam(model.trainable_variables, learning_rate)
        self._batch_size = batch_size
        self._augment = (augmentation, level, edge_noise)
        self._random = keras.random.SeedGenerator(0)

    def epoch(self, images, labels, seed):
        """Train for one epoch of floor(images / batch size) steps.

        Args:
            images: uint8 tensor (images, height, width, channels).
            labels: integer tensor (images,).
            seed: `numpy.random.SeedSequence` of the order and the augmentation.

        Returns:
            (loss, accuracy): means over the images that were trained on, as
            they were seen.
        """
        reset_random(self._random, seed)
        loss, accuracy = self._epoch(images, labels)
        return float(loss), float(accuracy)

    @tf.function
    def _epoch(self, images, labels):
        count = tf.shape(images)[0]
        steps = count // self._batch_size
        order = keras.random.shuffle(tf.range(count), seed=self._random)
        loss, correct = tf.constant(0.0), tf.constant(0)
        for step in tf.range(steps):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            step_loss, step_correct = self._step(tf.gather(images, batch), tf.gather(labels, batch))
            loss += step_loss
            correct += step_correct
        return loss / tf.cast(steps, tf.float32), correct / (steps * self._batch_size)

    def _step(self, images, labels):
        kind, level, edge_noise = self._augment
        images = augment(scale_pixels(images), kind, level, self._random, edge_noise)
        with tf.GradientTape() as tape:
            probabilities = self._model(images, training=True)
            loss = tf.reduce_mean(cross_entropy(labels, probabilities))
        self._optimizer.apply(tape.gradient(loss, self._model.trainable_variables))
        return loss, tf.reduce_sum(tf.cast(is_correct(labels, probabilities), tf.int32))


class Evaluator:
    """Measures a network on images under several conditions, in one compiled loop.

    All conditions of a batch go through the network together.

    Args:
        model: `keras.Model` of softmax outputs.
        conditions: sequence of `Condition`.
        batch_size: images a batch; a smaller last batch is measured too.
        edge_noise: form of the edge noise, `paper` or `published`.
    """

    def __init__(self, model, *, conditions, batch_size, edge_noise):
        self._model = model
        self._conditions = tuple(conditions)
        self._batch_size = batch_size
        self._edge_noise = edge_noise
        self._random = keras.random.SeedGenerator(0)

    def measure(self, images, labels, seed):
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
        return Measurement(predictions.numpy(), losses.numpy())

    @tf.function
    def _measure(self, images, labels):
        count = tf.shape(images)[0]
        batches = -(-count // self._batch_size)
        predictions = tf.TensorArray(tf.int32, size=batches, infer_shape=False)
        losses = tf.zeros(len(self._conditions))
        for batch in tf.range(batches):
            part = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
            predicted, batch_losses = self._batch(images[part], labels[part])
            predictions = predictions.write(batch, predicted)
            losses += batch_losses
        predicted = tf.ensure_shape(predictions.concat(), (None, len(self._conditions)))
        return predicted, losses / tf.cast(count, tf.float32)

    def _batch(self, images, labels):
        images = scale_pixels(images)
        perturbed = [
            augment(images, kind, strength, self._random, self._edge_noise)
            for kind, strength in self._conditions
        ]
        probabilities = self._model(tf.concat(perturbed, axis=0), training=False)
        shape = (len(self._conditions), -1)
        losses = cross_entropy(tf.tile(labels, shape[:1]), probabilities)
        predicted = tf.reshape(tf.argmax(probabilities, axis=-1, output_type=tf.int32), shape)
        return tf.transpose(predicted), tf.reduce_sum(tf.reshape(losses, shape), axis=1)


class FusedAdam:
    """Adam by TensorFlow's fused kernel: the numbers of `keras.optimizers.Adam`, in half its time.

    Args:
        variables: trainable `keras.Variable`s.
        learning_rate: step size.
        beta_1, beta_2, epsilon: as in `keras.optimizers.Adam`.
    """

    def __init__(self, variables, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self._variables = list(variables)
        self._moments = [[tf.Variable(tf.zeros_like(v.value)) for v in variables] for _ in "mv"]
        self._steps = tf.Variable(0.0)
        self._constants = {
            "lr": learning_rate,
            "beta1": beta_1,
            "beta2": beta_2,
            "epsilon": epsilon,
        }

    def apply(self, gradients):
        """Change the variables by one step along their gradients."""
        steps = self._steps.assign_add(1.0)
        powers = {
            "beta1_power": self._constants["beta1"] ** steps,
            "beta2_power": self._constants["beta2"] ** steps,
        }
        for variable, m, v, gradient in zip(
            self._variables, *self._moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=m.handle,
                v=v.handle,
                grad=gradient,
                **powers,
                **self._constants,
            )


def on_device(images, labels):
    """Images and labels as tensors, where networks compute."""
    return tf.constant(images), tf.constant(labels, tf.int32)


def reset_random(generator, seed):
    """Set a `keras.random.SeedGenerator` to the start of the stream of a `SeedSequence`."""
    generator.state.assign(seed.generate_state(2) >> 1)


def scale_pixels(images):
    """Pixels 0..255 as floats 0..1."""
    return ops.cast(images, "float32") / 255.0


def cross_entropy(labels, probabilities):
    """Cross-entropy in nats of each image."""
    return ops.sparse_categorical_crossentropy(labels, probabilities)


def is_correct(labels, probabilities):
    """Whether the most probable class is the label, of each image."""
    return ops.equal(ops.cast(labels, "int32"), ops.argmax(probabilities, axis=-1))
