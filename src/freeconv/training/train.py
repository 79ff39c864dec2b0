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

from freeconv.errors import InputError
from freeconv.layers.filter_distances import filter_distances
from freeconv.layers.filter_similarity import filter_similarity, norm_variation
from freeconv.results.best_epoch import LOSSES
from freeconv.results.schemas import HISTORY_SCHEMA, RUN_COLUMNS
from freeconv.study.settings import sharing_of
from freeconv.training.augmentation import Forms
from freeconv.training.checkpoint import Snapshot
from freeconv.training.devices import require_backend
from freeconv.training.engine import Condition, Evaluator, Trainer, computing_in, on_device
from freeconv.training.models import build_model, first_free_layer

if TYPE_CHECKING:
    from freeconv.data.folds import Splits
    from freeconv.study.settings import RunSettings
    from freeconv.training.checkpoint import Checkpoint

log = logging.getLogger(__name__)

# Random numbers follow from the run's seed, the stream and the epoch alone: what
# an epoch draws does not depend on how many numbers were drawn before it.
TRAINING_STREAM, VALIDATION_STREAM = 0, 1

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
    count = len(splits.training.labels)
    if count < settings.batch_size:
        raise InputError(
            f"batch_size: {settings.batch_size} is more than the {count} "
            f"training images of fold {settings.fold} of {settings.dataset}"
        )
    with computing_in(settings.precision):
        model = _build(settings, splits)
        log.info("%s: %s parameters", settings.model, f"{model.count_params():,}")
        records = _train(model, settings, splits, checkpoint)
    return TrainedRun(_history(settings, records), model)


def _build(settings, splits):
    return build_model(
        settings.kind,
        settings.network,
        splits.training.images.shape[1:],
        splits.classes,
        layers=settings.layers,
        vcp=settings.vcp,
        vcp_kind=settings.vcp_kind,
        glorot_fans=settings.glorot_fans,
        seed=settings.seed,
        sharing=sharing_of(settings.sharing),
    )


def _train(model, settings, splits, checkpoint):
    """Train a network to the end; leave it with its best weights, return a record an epoch."""
    trainer = Trainer(
        model,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        augmentation=settings.augmentation,
        level=settings.level,
        forms=Forms.of(settings),
        noise_order=settings.noise_order,
    )
    validator = _Validator(model, settings, splits.validation)
    images, labels = on_device(*splits.training)
    progress = _Progress(settings, len(labels))
    best = _Best(model)
    if snapshot := checkpoint and checkpoint.load():
        records = snapshot.records
        trainer.restore(snapshot.state)
        best.resume(records[snapshot.best_epoch], snapshot.best_weights)
    else:
        records = [{**_untrained(), **validator.measure(0)}]
        progress.report(records[0])
    while not _is_over(records, best, settings):
        epoch = len(records)
        start = time.perf_counter()
        loss, accuracy = trainer.epoch(images, labels, _seed(settings, TRAINING_STREAM, epoch))
        trained = time.perf_counter() - start
        record = {"epoch": epoch, "loss": loss, "accuracy": accuracy, **validator.measure(epoch)}
        record["seconds"] = time.perf_counter() - start
        records.append(record)
        progress.report(record, trained)
        best.consider(record)
        if checkpoint and checkpoint.is_due():
            checkpoint.write(Snapshot(records, best.epoch, best.weights, trainer.state()))
    best.restore()
    return records


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
        kernel = keras.ops.convert_to_numpy(self._free_layer.kernel)
        grid = self._free_layer.tile_grid
        metrics = {"norm_variation": norm_variation(kernel, grid)}
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
        self._model = model
        self._accuracy = -math.inf  # any trained epoch is better than the untrained network
        self.weights = model.get_weights()
        self.epoch = 0

    def consider(self, record):
        """Keep the weights if this epoch is better than all before."""
        finite = all(math.isfinite(record[name]) for name in LOSSES)
        if finite and record["val_accuracy"] > self._accuracy:
            self.resume(record, self._model.get_weights())

    def resume(self, record, weights):
        """Take an epoch, with the weights it ended with, for the best one."""
        if record["epoch"] > 0:
            self._accuracy = record["val_accuracy"]
        self.epoch, self.weights = record["epoch"], weights

    def restore(self):
        """Give the model the weights of its best epoch."""
        self._model.set_weights(self.weights)


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
