"""Synthetic images, and the records of a study whose cells were never trained."""

import numpy as np
import pandas as pd

from benchmarks.stacks import NETWORKS

CLASSES = 10

IMAGES_A_CLASS = 100
"""Images of each class in the synthetic evaluations."""


def images(network, count):
    """Random images of the size that a network takes, and labels.

    Returns:
        (images, labels): uint8 arrays (count, rows, columns, channels) and (count,).
    """
    random = np.random.default_rng(0)
    shape, _ = NETWORKS[network]
    pixels = random.integers(0, 256, (count, *shape), np.uint8)
    return pixels, (np.arange(count) % CLASSES).astype(np.uint8)


def history(settings):
    """Records of a cell that learns, with noise: one row per epoch by `schemas.HISTORY_SCHEMA`.

    Args:
        settings: `settings.CellSettings`.
    """
    from freeconv.results.schemas import CELL_COLUMNS, HISTORY_SCHEMA, METRICS

    random = np.random.default_rng(settings.seed)
    epochs = np.arange(settings.epochs + 1)
    rise = 1 - np.exp(-(epochs + 1) / (settings.epochs / 5))
    columns = {
        name: 0.1 + 0.8 * rise + random.normal(0, 0.01, len(epochs))
        for name in METRICS
        if settings.kind == "fcn" or not name.startswith(("distance", "cosine"))
    }
    columns["loss"][0] = columns["accuracy"][0] = np.nan
    identity = {name: getattr(settings, name) for name in CELL_COLUMNS}
    frame = pd.DataFrame({**columns, "epoch": epochs, "seconds": 1.0}).assign(**identity)
    return frame.reindex(columns=HISTORY_SCHEMA.names)


def evaluation(settings, epoch, strengths):
    """Counts of a cell: a row a (perturbation, strength, class) by `schemas.EVALUATION_SCHEMA`.

    Args:
        settings: `settings.CellSettings`.
        epoch: the best one of its history.
        strengths: mapping, perturbation -> its strengths.
    """
    from freeconv.results.schemas import CELL_COLUMNS, EVALUATION_SCHEMA

    conditions = [("clean", 0.0), ("quadrant_swap", 0.0)]
    conditions += [(kind, strength) for kind, values in strengths.items() for strength in values]
    frame = pd.DataFrame(
        [(*condition, label) for condition in conditions for label in range(CLASSES)],
        columns=["perturbation", "strength", "label"],
    )
    share = 0.95 - 0.5 * frame["strength"]
    correct = np.random.default_rng(settings.seed).binomial(IMAGES_A_CLASS, share)
    identity = {name: getattr(settings, name) for name in CELL_COLUMNS}
    frame = frame.assign(**identity, epoch=epoch, count=IMAGES_A_CLASS, correct=correct)
    return frame.reindex(columns=EVALUATION_SCHEMA.names)
