"""What a run is told: its identity, its settings, and the parts of a study that they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNAUGMENTED = "none"


KINDS = ("cnn", "fcn")
"""Kinds of convolutions: with weights shared, and free; names of the plain networks, too."""


@dataclass(frozen=True)
class Run:
    """One training job of a study: what tells it from every other.

    Attributes:
        dataset: name of the data set.
        model: `cnn` (weights shared), `fcn` (free convolutions), or a variant that the study
            describes.
        augmentation: `none`, `translation`, `rotation`, `noise`, `edge_noise`, or one of the
            study's extension.
        level: strength of the augmentation, 0 to 0.99; 0 exactly for `none`.
        vcp: probability that a connection is masked, 0 to 0.99 (paper, section 4.2).
        fold: which fold is the validation part, from 0.
        repeat: number of the repetition on that fold with another seed, from 0.
    """

    dataset: str
    model: str
    augmentation: str
    level: float
    vcp: float
    fold: int
    repeat: int


@dataclass(frozen=True)
class RunSettings(Run):
    """A run and everything in the configuration that can change its numbers.

    Attributes:
        seed: seed of the initial weights, connection patterns, order of the
            training images, augmentations and validation perturbations.
        kind: `cnn` or `fcn`, the convolutions that the model has.
        sharing: degree of weight sharing of free convolutions: `1`, the side of a tile of
            positions that have one kernel, or `all`; see `FreeConv2D`.
        network: name of the architecture (Table A.2).
        layers: its convolutional layers that are used, from the input on.
        learning_rate: of Adam.
        batch_size: images a training step.
        epochs: at most this many.
        patience: epochs without a better validation accuracy before training stops.
        glorot_fans: `kernel_shape` or `per_location`, see `FreeConv2D`.
        vcp_kind: `kernel` (the paper) or `input` (the published code).
        edge_noise: `text` or `code`, see `augmentation.add_edge_noise`.
        rotation_centre: `middle` or `code`, see `augmentation.rotate`.
        noise_order: `shuffled` or `consecutive` images under noise and edge noise, see
            `engine.Trainer`.
        validation_batches: `all` images of the perturbed validation sets, or
            only `whole` batches of them, as the published code.
        validation_translation, validation_rotation, validation_noise, validation_edge_noise:
            strengths of the perturbed validation sets that are measured after
            every epoch, in the units of the levels.
        backend: `tensorflow` or `jax`, which computes and draws random numbers.
        precision: `float32`, `tf32` or `mixed_bfloat16`, see `engine.computing_in`.
        fold_count: folds of the cross-validation.
        fold_method: how images are assigned to them, see `folds.assign_folds`.
        fold_seed: of that; 0 where nothing about it is random.
        source: digest of what the configuration says the data set is made of.
    """

    seed: int
    kind: str
    sharing: str
    network: str
    layers: int
    learning_rate: float
    batch_size: int
    epochs: int
    patience: int
    glorot_fans: str
    vcp_kind: str
    edge_noise: str
    rotation_centre: str
    noise_order: str
    validation_batches: str
    validation_translation: float
    validation_rotation: float
    validation_noise: float
    validation_edge_noise: float
    backend: str
    precision: str
    fold_count: int
    fold_method: str
    fold_seed: int
    source: str


@dataclass(frozen=True)
class EvaluationSettings:
    """What the model of the best epoch is evaluated on.

    Attributes:
        seed: of the perturbations.
        strengths: perturbation -> list of its strengths.
    """

    seed: int
    strengths: dict


@dataclass(frozen=True)
class NetworkSettings:
    """The networks of a study that learn one data set.

    Attributes:
        network: name of the architecture (Table A.2).
        layers: its convolutional layers that are used, from the input on.
        learning_rate: of Adam.
        backend: `tensorflow` or `jax`.
        models: name -> `kind` and `sharing`, see `RunSettings`.
    """

    network: str
    layers: int
    learning_rate: float
    backend: str
    models: dict


@dataclass(frozen=True)
class Trial:
    """One training job of the hyperparameter search (paper, section A.1 and Table A.1).

    Attributes:
        dataset: name of the data set.
        model: `cnn`, `fcn`, or a variant that the study describes.
        layers: convolutional layers that are used, from the input on.
        learning_rate: of Adam.
        fold: which fold is the validation part, from 0.
    """

    dataset: str
    model: str
    layers: int
    learning_rate: float
    fold: int


@dataclass(frozen=True)
class TrainingSettings:
    """How the networks of one data set are built and trained (Table A.2, section A.3)."""

    network: str
    layers: int
    learning_rate: float
    batch_size: int
    epochs: int
    patience: int


@dataclass(frozen=True)
class VcpGrid:
    """Variable connection patterns: probabilities, and the translation level trained with."""

    probabilities: tuple[float, ...]
    translation: float

    @classmethod
    def from_config(cls, vcp: Mapping[str, Any] | None) -> "VcpGrid | None":
        """The grid that the key `vcp` of a configuration describes."""
        return cls(tuple(map(as_level, vcp["probabilities"])), as_level(vcp["translation"]))


@dataclass(frozen=True)
class Budget:
    """How long a trial trains: at most `epochs`, and `patience` of them without improvement."""

    epochs: int
    patience: int


@dataclass(frozen=True)
class Search:
    """The grid of the hyperparameter search.

    Attributes:
        learning_rates: of Adam.
        layers: numbers of convolutional layers.
        fold: the validation fold that trials are measured on, from 0.
        datasets: name -> `Budget` of a trial.
    """

    learning_rates: tuple[float, ...]
    layers: tuple[int, ...]
    fold: int
    datasets: dict[str, Budget]

    @classmethod
    def from_config(cls, search: Mapping[str, Any] | None) -> "Search | None":
        """The search that the key `search` of a configuration describes."""
        return cls(
            learning_rates=tuple(map(float, search["learning_rates"])),
            layers=tuple(search["layers"]),
            fold=search["fold"],
            datasets={name: Budget(**budget) for name, budget in search["datasets"].items()},
        )


@dataclass(frozen=True)
class Folds:
    """Cross-validation: number of folds, which of them run, and how images are assigned."""

    count: int
    run: tuple[int, ...]
    method: str


@dataclass(frozen=True)
class Protocol:
    """Where the paper's text and its published code disagree: which of the two is followed."""

    glorot_fans: str
    vcp: str
    edge_noise: str
    rotation_centre: str
    noise_order: str
    validation_batches: str


@dataclass(frozen=True)
class Variant:
    """How the networks of one name are made, beside their architecture.

    Attributes:
        kind: `cnn` or `fcn`, the convolutions they have.
        sharing: degree of weight sharing of free convolutions, see `RunSettings`.
        protocol: the study's, but for what the variant has otherwise.
    """

    kind: str
    sharing: str
    protocol: Protocol

    @property
    def choices(self) -> dict[str, Any]:
        """All of it but the kind as one mapping, by the names of a study's keys."""
        return {"sharing": self.sharing, **vars(self.protocol)}


def sharing_of(text: str) -> int | str:
    """A degree of sharing, as settings hold it, as the argument of `FreeConv2D`: 2 or "all"."""
    return text if text == "all" else int(text)


def format_value(value: Any) -> str:
    """A value as the shortest text that reads back as the same value (0.3, 0, fcn)."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def as_level(value: float) -> float:
    """A number as a float; 0.0 for -0.0, which has another name."""
    return float(value) + 0.0
