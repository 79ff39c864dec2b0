"""What a reader is shown for the names of data sets, networks, augmentations and metrics."""

from __future__ import annotations

from collections.abc import Iterable

DATASETS = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "Digits"}
"""Titles of the known data sets, in the order in which tables show them."""

MODELS = {"cnn": "CNN", "fcn": "FCN"}
"""Titles of the paper's networks, in the order of its tables."""

AUGMENTATIONS = {
    "translation": "Translation",
    "rotation": "Rotation",
    "noise": "Noise",
    "edge_noise": "Edge noise",
}
"""Titles of the training augmentations and of the perturbations of the validation fold."""

METRICS = {
    "accuracy": "Training accuracy",
    "val_accuracy": "Validation accuracy",
    "val_translation": "Translation accuracy",
}
"""Titles of the accuracies that the tables show, as in the heads of the paper's tables."""

STATISTICS = {
    "pooled_median": "the median over all epochs of all folds, pooled",
    "best_median": "the median over folds of the epoch with the highest validation accuracy",
    "last_median": "the median over folds of the last epoch",
}
"""The statistics of a summary; the first is the paper's "median"."""


def augmentation_title(name: str) -> str:
    """Returns the title of an augmentation; one of an extension is called by its name."""
    return AUGMENTATIONS.get(name, name.replace("_", " ").capitalize())


def model_title(name: str) -> str:
    """Returns the title of a network; a variant is called by its name.

    Example:
        >>> model_title("fcn_per_location"), model_title("tiles_2")
        ('FCN per location', 'Tiles 2')
    """
    first, *others = name.split("_")
    return " ".join([MODELS.get(first, first.capitalize()), *others])


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Returns unique names: the known ones in their order, then the others by name."""
    present = set(names)
    return [name for name in known if name in present] + sorted(present - set(known))


def dataset_title(dataset: str) -> str:
    """Returns the title of a data set; its name where it has none."""
    return DATASETS.get(dataset, dataset)
