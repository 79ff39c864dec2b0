"""What a reader is shown for the names of data sets, networks, augmentations and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freeconv.study.settings import SharingScheme

DATASET_TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "Digits"}
"""Titles of the known data sets, in the order in which tables show them."""

MODEL_TITLES = {"cnn": "CNN", "fcn": "FCN"}
"""Titles of the paper's networks, in the order of its tables."""

AUGMENTATION_TITLES = {
    "translation": "Translation",
    "rotation": "Rotation",
    "noise": "Noise",
    "edge_noise": "Edge noise",
}
"""Titles of the training augmentations and of the perturbations of the validation fold."""

CHOICE_TITLES = {
    "glorot_fans": {"kernel_shape": "published scale", "per_location": "a convolution's scale"},
    "vcp": {"kernel": "weights masked", "input": "inputs masked"},
    "edge_noise": {"text": "noise on the border", "code": "noise as in the code"},
}
"""Choices of a protocol that networks of a study may differ in -> what each means, in a legend."""

MEASURE_TITLES = {
    "loss": "Training loss",
    "accuracy": "Training accuracy",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
    "val_even": "Validation accuracy, images at even places",
    "val_odd": "Validation accuracy, images at odd places",
    "val_translation": "Translation accuracy",
    "val_rotation": "Rotation accuracy",
    "val_noise": "Noise accuracy",
    "val_edge_noise": "Edge noise accuracy",
    "val_quadrant_swap": "Quadrant-swap accuracy",
    "distance_1": "Filter distance, radius 1",
    "distance_4": "Filter distance, radius 4",
    "cosine_1": "Cosine distance, radius 1",
    "cosine_4": "Cosine distance, radius 4",
    "similarity_1": "Cosine of filters, radius 1",
    "similarity_4": "Cosine of filters, radius 4",
    "unit_distance_1": "Distance of unit filters, radius 1",
    "unit_distance_4": "Distance of unit filters, radius 4",
    "matched_similarity_1": "Cosine of matched filters, radius 1",
    "matched_similarity_4": "Cosine of matched filters, radius 4",
    "matched_distance_1": "Distance of matched unit filters, radius 1",
    "matched_distance_4": "Distance of matched unit filters, radius 4",
    "norm_variation": "Variation of the filters' norms",
    "common_share": "Common share of the kernels",
}
"""Titles of all that is measured after an epoch."""

METRIC_TITLES = {
    metric: MEASURE_TITLES[metric] for metric in ("accuracy", "val_accuracy", "val_translation")
}
"""Titles of the accuracies that the tables show, as in the heads of the paper's tables."""

STATISTICS = {
    "pooled_median": "the median over all epochs of all folds, pooled",
    "best_median": "the median over folds of the epoch with the highest validation accuracy",
    "last_median": "the median over folds of the last epoch",
}
"""The statistics of a summary; the first is the paper's "median"."""

COMPARISON_VERDICTS = {
    "agrees": "the difference, give or take the tolerance, is within 0.01",
    "differs": "it is beyond 0.01, give or take the tolerance",
    "inconclusive": "neither, or fewer than three folds, whose spread is unknown",
    "not comparable": "trained for other numbers of epochs",
    "not run": "the study has no such run",
}
"""What the comparison of a number with the published one may find."""

CONCLUSION_VERDICTS = {
    "reproduced": "every level is significantly on the paper's side of the threshold",
    "not reproduced": "a level is significantly on the other side, by Holm's correction",
    "undecided": "neither, or fewer than three folds, which have no interval",
    "not trained": "networks did no better than naming the most frequent class, by 0.1",
    "too short": "validation accuracy was still changing, by 0.01 over five epochs, or filters "
    "were, so that as many epochs again at their last pace would bring them to the other side",
    "not covered": "the study lacks the runs",
}
"""What a criterion, or a conclusion of the paper, may come to."""


def augmentation_title(name: str) -> str:
    """Returns the title of an augmentation; one of an extension is called by its name."""
    return AUGMENTATION_TITLES.get(name, name.replace("_", " ").capitalize())


def model_title(name: str) -> str:
    """Returns the title of a network; a variant is called by its name.

    Example:
        >>> model_title("fcn_per_location"), model_title("tiles_2")
        ('FCN per location', 'Tiles 2')
    """
    first, *others = name.split("_")
    return " ".join([MODEL_TITLES.get(first, first.capitalize()), *others])


def scheme_title(scheme: SharingScheme) -> str:
    """Returns how weights are shared, in a few words; none for what `sharing` alone says.

    Example:
        >>> from freeconv.study.settings import SharingScheme
        >>> scheme_title(SharingScheme(banks=4)), scheme_title(SharingScheme(release=5))
        ('4 banks', 'Released after 5 epochs')
        >>> scheme_title(SharingScheme(phase_period=2, phase_strength=0.5, release=0))
        'Mean 0.5 every 2 epochs'
    """
    held = []
    if scheme.phase_period:
        unit = scheme.phase_unit.removesuffix("s")
        period = unit if scheme.phase_period == 1 else counted(scheme.phase_period, unit)
        rule = scheme.phase_rule.replace("hebbian", "Hebbian")
        tile = "" if scheme.phase_tile == "all" else f" of tiles of {scheme.phase_tile}"
        held.append(f"{rule} {scheme.phase_strength:g}{tile} every {period}")
    for name in ("neighbour", "mean"):
        if strength := getattr(scheme, f"{name}_penalty"):
            held.append(f"{name} penalty {strength:g}")
    words = [counted(scheme.banks, "bank")] if scheme.banks else held
    if scheme.release > 0:
        words.append(f"released after {counted(scheme.release, 'epoch')}")
    elif scheme.release == 0:
        # What holds kernels together mostly begins with equal ones.
        words = words or ["released at once"]
    elif held:
        words.append("from separate kernels")
    title = ", ".join(words)
    return title[:1].upper() + title[1:]


def run_title(
    dataset: str,
    model: str,
    augmentation: str,
    level: float,
    vcp: float,
    training_share: float,
    fold: int,
    repeat: int,
) -> str:
    """Returns a run in a few words.

    Example:
        >>> run_title("digits", "fcn", "translation", 0.1, 0.5, 1.0, 2, 0)
        'Digits, FCN, translation 0.1, 0.5 masked, fold 2'
    """
    words = [dataset_title(dataset), model_title(model)]
    if level > 0:
        words.append(f"{augmentation.replace('_', ' ')} {level:g}")
    if vcp > 0:
        words.append(f"{vcp:g} masked")
    if training_share < 1:
        words.append(f"{training_share:g} of the training images")
    words.append(f"fold {fold}")
    if repeat > 0:
        words.append(f"repeat {repeat}")
    return ", ".join(words)


def trial_title(dataset: str, model: str, layers: int, learning_rate: float, fold: int) -> str:
    """Returns a trial of the hyperparameter search in a few words.

    Example:
        >>> trial_title("mnist", "cnn", 2, 1e-06, 0)
        'MNIST, CNN, 2 layers, learning rate 1e-06, fold 0'
    """
    network = f"{dataset_title(dataset)}, {model_title(model)}, {layers} layers"
    return f"{network}, learning rate {learning_rate:g}, fold {fold}"


def counted(number: int, noun: str) -> str:
    """Returns a number of things.

    Example:
        >>> counted(1, "run"), counted(2, "run")
        ('1 run', '2 runs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Returns unique names: the known ones in their order, then the others by name."""
    present = set(names)
    return [name for name in known if name in present] + sorted(present - set(known))


def dataset_title(dataset: str) -> str:
    """Returns the title of a data set; its name where it has none."""
    return DATASET_TITLES.get(dataset, dataset)
