"""A training epoch, ours and as published, and an epoch with everything measured after it.

Images are synthetic: time does not depend on what they show.
"""

import itertools
import logging

import numpy as np

from benchmarks import stacks
from benchmarks.harness import Aim
from benchmarks.peers import locally_connected, ours
from benchmarks.workers import Contender, Workers, race_measurements

log = logging.getLogger(__name__)

OURS = "compiled epoch"
COMPLETE = "compiled epoch and six validation sets"
PUBLISHED = "as published"

CASES = (("mnist", "fcn"), ("mnist", "cnn"), ("cifar10", "fcn"))

LEVEL = 0.3
"""Translation of the training images, a share of width and height."""

LEARNING_RATES = {"mnist": 1e-3, "cifar10": 1e-4}

VALIDATION = (
    ("clean", 0.0),
    ("translation", 0.25),
    ("rotation", 0.125),
    ("noise", 0.15),
    ("edge_noise", 0.15),
    ("quadrant_swap", 0.0),
)
"""The validation sets that are measured after an epoch: kind and strength."""

QUICK_STEPS = 12
"""Training steps of the share of an epoch that a quick run measures."""


def epoch_case(network, kind):
    """Name of the case of a training epoch."""
    return f"{network} {kind}, translation {LEVEL}"


def measure(options):
    """Seconds of an epoch; a quick run extrapolates from `QUICK_STEPS` steps and says so."""
    rows = []
    with Workers(options) as workers:
        own, peer = workers.start(ours.set_up), workers.start(locally_connected.set_up)
        for network, kind in CASES:
            case = epoch_case(network, kind)
            log.info("epochs: %s", case)
            steps, scale, note = _share(network, options)
            task = (network, kind, steps)
            contenders = [
                Contender(OURS, own, build_epoch, (*task, False), required=True),
                Contender(PUBLISHED, peer, build_published_epoch, task),
            ]
            if case == epoch_case("mnist", "fcn"):
                complete = Contender(COMPLETE, own, build_epoch, (*task, True), required=True)
                contenders.insert(1, complete)
            rounds = 2  # of whole epochs, minutes each as published
            measured = race_measurements("epochs", case, contenders, rounds, True, scale)
            rows += [row._replace(note=row.note or note) for row in measured]
            workers.forget()
    return rows


def aims(options):
    """What is aimed at, a list of `harness.Aim`."""
    limits = dict(zip(CASES, (3.5, 2.0, 2.0), strict=True))
    made = [
        Aim(epoch_case(*case), f"{PUBLISHED} / ours", (PUBLISHED,), (OURS,), "at least", limit)
        for case, limit in limits.items()
    ]
    words = "complete epoch / training alone"
    return [*made, Aim(epoch_case("mnist", "fcn"), words, (COMPLETE,), (OURS,), "at most", 1.6)]


def _share(network, options):
    """(steps, scale, note): what is measured, and what makes whole epochs of it."""
    whole = stacks.FILES[network] * 4 // 5 // stacks.BATCHES[network]
    if not options.quick:
        return whole, 1.0, f"{whole} steps of {stacks.BATCHES[network]} images"
    return QUICK_STEPS, whole / QUICK_STEPS, f"extrapolated from {QUICK_STEPS} of {whole} steps"


def build_epoch(network, kind, steps, complete):
    """An epoch of the compiled loop; with `complete`, and all validation sets after it.

    Args:
        network: name in `stacks.NETWORKS`.
        kind: `cnn` or `fcn`.
        steps: training steps.
        complete: whether six validation sets are measured, a quarter of the training images
            each, as in five-fold cross-validation.
    """
    from freeconv.training.engine import Condition, Evaluator, Trainer, on_device
    from freeconv.training.models import build_model

    batch = stacks.BATCHES[network]
    model = build_model(kind, network, stacks.NETWORKS[network][0], stacks.CLASSES)
    trainer = Trainer(
        model,
        learning_rate=LEARNING_RATES[network],
        batch_size=batch,
        augmentation="translation",
        level=LEVEL,
    )
    conditions = [Condition(*condition) for condition in VALIDATION]
    evaluator = Evaluator(model, conditions=conditions, batch_size=batch)
    training = on_device(*stacks.images(network, steps * batch))
    validation = on_device(*stacks.images(network, steps * batch // 4))
    seeds = map(np.random.SeedSequence, itertools.count())

    def epoch():
        trainer.epoch(*training, next(seeds))
        if complete:
            evaluator.measure(*validation, next(seeds))

    return epoch


def build_published_epoch(network, kind, steps):
    """An epoch as the authors' code trains: tf_keras, `ImageDataGenerator`, `fit`.

    Args:
        network: name in `stacks.NETWORKS`.
        kind: `cnn` or `fcn`.
        steps: training steps.
    """
    import tf_keras

    model = published_model(network, kind)
    optimizer = tf_keras.optimizers.Adam(LEARNING_RATES[network])
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    batch = stacks.BATCHES[network]
    pixels, labels = stacks.images(network, steps * batch)
    generator = tf_keras.preprocessing.image.ImageDataGenerator(
        width_shift_range=LEVEL, height_shift_range=LEVEL
    )
    stream = generator.flow(
        pixels.astype(np.float32) / 255,
        tf_keras.utils.to_categorical(labels, stacks.CLASSES),
        batch_size=batch,
    )
    return lambda: model.fit(stream, steps_per_epoch=steps, epochs=1, verbose=0)


def published_model(network, kind):
    """A network of the authors' code, in tf_keras.

    Args:
        network: name in `stacks.NETWORKS`.
        kind: `cnn` or `fcn`.
    """
    import tf_keras

    layers = tf_keras.layers
    convolution = {"cnn": layers.Conv2D, "fcn": layers.LocallyConnected2D}[kind]
    shape, sizes = stacks.NETWORKS[network]
    return tf_keras.Sequential(
        [
            tf_keras.Input(shape),
            *(
                convolution(filters, kernel_size, strides=stride, activation="relu")
                for kernel_size, filters, stride in sizes
            ),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dense(stacks.CLASSES, activation="softmax"),
        ]
    )
