"""Augmentation in the graph against `ImageDataGenerator`, without any training."""

import logging

import numpy as np

from benchmarks import stacks, synthetic
from benchmarks.peers import locally_connected, ours
from benchmarks.workers import Contender, Workers, race_measurements

log = logging.getLogger(__name__)

OURS = "in the graph"
PEER = "ImageDataGenerator"

LEVEL = 0.3
"""Share of width and height, or of 360 degrees."""

BATCHES = 8
"""Batches of a timed call: as in an epoch, the loop is part of the graph."""

CASES = [(network, kind) for network in stacks.NETWORKS for kind in ("translation", "rotation")]


def augmentation_case(network, kind):
    """Name of a case."""
    return f"{network}, {kind} {LEVEL}"


def measure(options):
    """Microseconds an image, shuffled, gathered and augmented."""
    rows = []
    with Workers(options) as workers:
        own, peer = workers.start(ours.set_up), workers.start(locally_connected.set_up)
        for network, kind in CASES:
            case = augmentation_case(network, kind)
            log.info("augmentation: %s", case)
            contenders = [
                Contender(OURS, own, build_augmentation, (network, kind), required=True),
                Contender(PEER, peer, build_generator, (network, kind)),
            ]
            scale = 1e6 / (BATCHES * stacks.BATCHES[network])
            measured = race_measurements(
                "augmentation", case, contenders, options.choose(15, 3), scale=scale, unit="us"
            )
            rows += [_with_pace(row) for row in measured]
            workers.forget()
    return rows


def _with_pace(row):
    if row.median is None:
        return row
    return row._replace(note=f"{1e6 / row.median:,.0f} images/s")


def build_augmentation(network, kind):
    """Gather and augment `BATCHES` batches of resident images, as a training epoch does."""
    import keras
    import tensorflow as tf

    from freeconv.training.augmentation import augment

    batch = stacks.BATCHES[network]
    images = tf.constant(synthetic.images(network, BATCHES * batch)[0])
    random = keras.random.SeedGenerator(0)

    @tf.function
    def run(images):
        order = keras.random.shuffle(tf.range(len(images)), seed=random)
        # The sum makes the graph compute the images.
        total = tf.constant(0.0)
        for step in tf.range(BATCHES):
            batch_images = tf.gather(images, order[step * batch : (step + 1) * batch])
            floats = tf.cast(batch_images, tf.float32) / 255.0
            total += tf.reduce_sum(augment(floats, kind, LEVEL, random))
        return total

    return lambda: run(images)


def build_generator(network, kind):
    """Draw `BATCHES` batches from an `ImageDataGenerator`."""
    from tf_keras.preprocessing.image import ImageDataGenerator

    ranges = {
        "translation": {"width_shift_range": LEVEL, "height_shift_range": LEVEL},
        "rotation": {"rotation_range": LEVEL * 360},
    }[kind]
    batch = stacks.BATCHES[network]
    images = synthetic.images(network, BATCHES * batch)[0].astype(np.float32) / 255
    stream = ImageDataGenerator(**ranges).flow(images, batch_size=batch)
    return lambda: [next(stream) for _ in range(BATCHES)]
