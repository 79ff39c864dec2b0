"""Trains one run: epochs, early stopping, and a record of every epoch."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from freeconv.data.folds import Split, nested_subset
from freeconv.errors import InputError
from freeconv.layers.filter_distances import filter_distances
from freeconv.layers.filter_similarity import common_share, filter_similarity, norm_variation
from freeconv.layers.patches import tile_of_positions
from freeconv.layers.sharing_phases import Phase
from freeconv.results.best_epoch import LOSSES
from freeconv.results.schemas import HISTORY_SCHEMA, RUN_COLUMNS
from freeconv.study.settings import sharing_of
from freeconv.training.augmentation import Forms
from freeconv.training.checkpoint import Snapshot
from freeconv.training.devices import require_backend
from freeconv.training.engine import (
    Condition,
    Evaluator,
    Trainer,
    computing_in,
    on_device,
)
from freeconv.training.models import build_model, first_free_layer
from freeconv.training.release import release, spread_weights

if TYPE_CHECKING:
    from freeconv.data.folds import Splits
    from freeconv.study.settings import RunSettings
    from freeconv.training.checkpoint import Checkpoint

log = logging.getLogger(__name__)

# Random numbers follow from the run's seed, the stream and the epoch alone: what
# an epoch draws does not depend on how many numbers were drawn before it.
TRAINING_STREAM, VALIDATION_STREAM, PHASE_STREAM = 0, 1, 2

RADII = (1, 4)  # of the filter distances (paper, Fig. 5)


class TrainedRun(NamedTuple):
    """What training a run gives.

    Attributes:
        history: `pandas.DataFrame` by `schemas.HISTORY_SCHEMA`.
        model: `keras.Model` with the weights of its best epoch.
    """

    history: pd.DataFrame
    model: keras.Model


def train_run(
    settings: RunSettings, splits: Splits, checkpoint: Checkpoint | None = None
) -> TrainedRun:
    """Train a network by the paper's protocol (sections 4 and A.3).

    Stops after `settings.epochs` epochs, or once `settings.patience` epochs in a
    row brought no better accuracy on the clean validation fold, or at a loss that
    is not a number, which the history records.

    Args:
        settings: `settings.RunSettings`.
        splits: `folds.Splits` of the run's fold.
        checkpoint: `checkpoint.Checkpoint` that is written meanwhile and, where there
            is one of this run, to resume from; or None. What an interrupted training
            goes on to is what it would have been, but for `seconds`.

    Returns:
        `TrainedRun`. The best epoch is `best_epoch.best_epoch`.

    Raises:
        InputError: if there are fewer training images than a batch holds, the
            images are too small for the network, or Keras computes with another
            backend than the run's.
    """
    require_backend(settings.backend)
    images = _training_images(settings, splits.training)
    with computing_in(settings.precision):
        training = _Training(settings, images, splits.validation, splits.classes)
        log.info("%s: %s parameters", settings.model, f"{training.model.count_params():,}")
        records = _train(training, settings, checkpoint)
    return TrainedRun(_history(settings, records), training.model)


def _training_images(settings, whole):
    """The part of a fold's training images that a run is trained on, a `folds.Split`."""
    part = whole
    if settings.training_share < 1:
        of = nested_subset(whole.labels, settings.training_share, settings.subset_seed)
        part = Split(whole.images[of], whole.labels[of])
    count = len(part.labels)
    if count < settings.batch_size:
        raise InputError(
            f"batch_size: {settings.batch_size} is more than the {count} "
            f"training images of fold {settings.fold} of {settings.dataset}"
            + f" at training_share {settings.training_share:g}"
            * (settings.training_share < 1)
        )
    return part


def _train(training, settings, checkpoint):
    """Train a network to the end; leave it with its best weights, return a record an epoch."""
    progress = _Progress(settings, training.seen_in_an_epoch)
    best = _Best(training.model)
    if snapshot := checkpoint and checkpoint.load():
        records = snapshot.records
        if len(records) - 1 > settings.release >= 0:
            training.release()
            best.model = training.model
        training.trainer.restore(snapshot.state)
        best.resume(records[snapshot.best_epoch], snapshot.best_weights)
    else:
        records = [{**_untrained(), **training.validator.measure(0)}]
        progress.report(records[0])
    while not _is_over(records, best, settings):
        epoch = len(records)
        if epoch - 1 == settings.release:
            training.release()
            best.spread(training.model)
        start = time.perf_counter()
        loss, accuracy = training.epoch(epoch)
        trained = time.perf_counter() - start
        metrics = training.validator.measure(epoch)
        record = {"epoch": epoch, "loss": loss, "accuracy": accuracy, **metrics}
        record["seconds"] = time.perf_counter() - start
        records.append(record)
        progress.report(record, trained)
        best.consider(record)
        if checkpoint and checkpoint.is_due():
            state = training.trainer.state()
            checkpoint.write(Snapshot(records, best.epoch, best.weights, state))
    best.restore()
    return records


class _Training:
    """A network, what trains it and what measures it: others once its kernels are released.

    Attributes:
        model: `keras.Model`.
        trainer: `engine.Trainer`.
        validator: `_Validator`.
    """

    def __init__(self, settings, images, validation, classes):
        self._settings, self._validation, self._classes = settings, validation, classes
        self._images = on_device(*images)
        self._count = len(images.labels)
        # About as many steps at every share.
        self._passes = max(round(1 / settings.training_share), 1)
        # What is released later begins as an ordinary network.
        self._begin(settings.kind if settings.release < 0 else "cnn")

    @property
    def seen_in_an_epoch(self):
        """Images of an epoch, each as often as it is trained on."""
        return self._passes * self.trainer.steps_of(self._count) * self._settings.batch_size

    def epoch(self, epoch):
        """Train for one epoch: mean loss and accuracy."""
        seed = _seed(self._settings, TRAINING_STREAM, epoch)
        seeds = [seed] if self._passes == 1 else seed.spawn(self._passes)
        means = [self.trainer.epoch(*self._images, each) for each in seeds]
        loss, accuracy = np.mean(means, axis=0)
        return float(loss), float(accuracy)

    def release(self):
        """Go on as a free network."""
        state = self.trainer.state()
        self._begin(self._settings.kind)
        self.trainer.restore(release(self.model, state))

    def _begin(self, kind):
        settings = self._settings
        self.model = self._build(kind)
        self.trainer = Trainer(
            self.model,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            augmentation=settings.augmentation,
            level=settings.level,
            forms=Forms.of(settings),
            noise_order=settings.noise_order,
        )
        if settings.phase_period and kind == "fcn":
            self._plan_phases()
        self.validator = _Validator(self.model, settings, self._validation)

    def _build(self, kind):
        settings = self._settings
        schemes = {
            "sharing": sharing_of(settings.sharing),
            "banks": settings.banks or None,
            "neighbour_penalty": settings.neighbour_penalty,
            "mean_penalty": settings.mean_penalty,
        }
        return build_model(
            kind,
            settings.network,
            self._validation.images.shape[1:],
            self._classes,
            layers=settings.layers,
            vcp=settings.vcp,
            vcp_kind=settings.vcp_kind,
            glorot_fans=settings.glorot_fans,
            seed=settings.seed,
            **(schemes if kind == "fcn" else {}),
        )

    def _plan_phases(self):
        settings = self._settings
        steps = self._passes * self.trainer.steps_of(self._count)
        period = settings.phase_period * (steps if settings.phase_unit == "epochs" else 1)
        tile = sharing_of(settings.phase_tile)
        phase = Phase(settings.phase_strength, settings.phase_rule, tile)

        def share(steps_done):
            phase.of(self.model, _seed(settings, PHASE_STREAM, steps_done))

        self.trainer.pause_every(period, share)


def _is_over(records, best, settings):
    """Whether the last epoch recorded is the last one to be trained."""
    epoch, loss = records[-1]["epoch"], records[-1]["loss"]
    if epoch > 0 and math.isnan(loss):
        log.warning("the loss is not a number: stopping, since no weight recovers from that")
        return True
    if epoch - best.epoch >= settings.patience:
        log.info("no better validation accuracy since epoch %d: stopping", best.epoch)
        return True
    return epoch >= settings.epochs


class _Validator:
    """Measures everything that a history records of a network after an epoch."""

    def __init__(self, model, settings, validation):
        self._settings = settings
        self._labels = validation.labels
        self._tensors = on_device(*validation)
        conditions = {
            "val_accuracy": Condition("clean", 0.0),
            "val_translation": Condition("translation", settings.validation_translation),
            "val_rotation": Condition("rotation", settings.validation_rotation),
            "val_noise": Condition("noise", settings.validation_noise),
            "val_edge_noise": Condition("edge_noise", settings.validation_edge_noise),
            "val_quadrant_swap": Condition("quadrant_swap", 0.0),
        }
        self._names = list(conditions)
        self._evaluator = Evaluator(
            model,
            conditions=conditions.values(),
            batch_size=settings.batch_size,
            forms=Forms.of(settings),
        )
        # With variable connection patterns, filters differ by their masked weights already.
        self._free_layer = first_free_layer(model) if settings.vcp == 0 else None

    def measure(self, epoch):
        """The metrics after an epoch, but for those of the training stream."""
        seed = _seed(self._settings, VALIDATION_STREAM, epoch)
        predictions, losses = self._evaluator.measure(*self._tensors, seed)
        correct = predictions == self._labels[:, np.newaxis]
        metrics = dict(zip(self._names, self._accuracies(correct), strict=True))
        halves = {"val_even": correct[::2, 0].mean(), "val_odd": correct[1::2, 0].mean()}
        return {"val_loss": float(losses[0]), **metrics, **halves, **self._filters()}

    def _accuracies(self, correct):
        """Share of correct images under each condition; the first one is the clean fold."""
        count = len(correct)
        if self._settings.validation_batches == "whole":
            # The published code leaves the incomplete last batch of perturbed images out.
            count = count - count % self._settings.batch_size or count
        return [float(correct[:, 0].mean()), *map(float, correct[:count, 1:].mean(axis=0))]

    def _filters(self):
        """How far apart, and how alike, the filters of the first free layer are."""
        if self._free_layer is None:
            return {}
        layer = self._free_layer
        kernel, grid = keras.ops.convert_to_numpy(layer.tile_weights()[0]), layer.tile_grid
        positions = np.bincount(tile_of_positions(layer.output_grid, layer.tile).ravel())
        metrics = {
            "norm_variation": norm_variation(kernel, grid),
            "common_share": common_share(kernel, positions),
        }
        for radius in RADII:
            distance = filter_distances(kernel, grid, radius)
            alike = filter_similarity(kernel, grid, radius, linear_sum_assignment)
            metrics |= {
                f"distance_{radius}": distance.euclidean,
                f"cosine_{radius}": distance.cosine,
                f"similarity_{radius}": alike.cosine,
                f"unit_distance_{radius}": alike.distance,
                f"matched_similarity_{radius}": alike.matched_cosine,
                f"matched_distance_{radius}": alike.matched_distance,
            }
        return metrics


class _Best:
    """The best epoch so far, by `best_epoch.best_epoch`, and the weights it ended with."""

    def __init__(self, model):
        self.model = model
        self._accuracy = -math.inf  # any trained epoch is better than the untrained network
        self.weights = model.get_weights()
        self.epoch = 0

    def consider(self, record):
        """Keep the weights if this epoch is better than all before."""
        finite = all(math.isfinite(record[name]) for name in LOSSES)
        if finite and record["val_accuracy"] > self._accuracy:
            self.resume(record, self.model.get_weights())

    def resume(self, record, weights):
        """Take an epoch, with the weights it ended with, for the best one."""
        if record["epoch"] > 0:
            self._accuracy = record["val_accuracy"]
        self.epoch, self.weights = record["epoch"], weights

    def spread(self, free):
        """Go on with the free model that was made of the model, and keep the weights for it."""
        self.model = free
        self.weights = spread_weights(self.weights, free)

    def restore(self):
        """Give the model the weights of its best epoch."""
        self.model.set_weights(self.weights)


class _Progress:
    """One line an epoch: metrics, images a second, and the time left at this pace."""

    def __init__(self, settings, images):
        self._epochs = settings.epochs
        self._images = images - images % settings.batch_size
        self._seconds = []

    def report(self, record, trained=None):
        """Log an epoch; `trained` is how many seconds of it were training."""
        metrics = " ".join(
            f"{name} {record[name]:.4f}"
            for name in ("loss", "accuracy", "val_loss", "val_accuracy", "val_translation")
            if not math.isnan(record[name])
        )
        pace = ""
        if trained:
            # The first epoch compiles: it says nothing about the pace of the others.
            self._seconds.append(record["seconds"])
            typical = float(np.median(self._seconds[1:] or self._seconds))
            left = typical * (self._epochs - record["epoch"])
            pace = f" | {self._images / trained:,.0f} images/s, {left:.0f} s left"
        log.info("epoch %d/%d %s%s", record["epoch"], self._epochs, metrics, pace)


def _untrained():
    return {"epoch": 0, "loss": math.nan, "accuracy": math.nan, "seconds": math.nan}


def _seed(settings, stream, epoch):
    return np.random.SeedSequence([settings.seed, stream, epoch])


def _history(settings, records):
    """The records as a data frame by `HISTORY_SCHEMA`; what was not measured is null."""
    identity = {name: getattr(settings, name) for name in RUN_COLUMNS}
    frame = pd.DataFrame([{**identity, **record} for record in records])
    return frame.reindex(columns=HISTORY_SCHEMA.names)
