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
        training_share: share of the fold's training images that are trained on, above 0, at most 1.
        fold: which fold is the validation part, from 0.
        repeat: number of the repetition on that fold with another seed, from 0.
    """

    dataset: str
    model: str
    augmentation: str
    level: float
    vcp: float
    training_share: float
    fold: int
    repeat: int


@dataclass(frozen=True, kw_only=True)
class SharingScheme:
    """How much, when and by what force the weights of free convolutions are shared.

    Attributes:
        sharing: degree of weight sharing: `1`, the side of a tile of positions that have one
            kernel, or `all`; see `FreeConv2D`.
        banks: number of kernels that each position mixes in its own way, see `FreeConv2D`; 0:
            none, each has a kernel of its own.
        phase_period: so many steps or epochs lie between two phases in which kernels move
            towards their mean, see `sharing_phases`; 0: there are none.
        phase_unit: `epochs` or `steps`.
        phase_strength: of a phase, above 0, at most 1; 0 where there are none.
        phase_rule: `mean` or `hebbian`.
        phase_tile: positions whose kernels move together, as `sharing` says.
        release: epochs that networks begin with as ordinary convolutions, after which the kernels
            of positions part (d'Ascoli et al. 2019); -1: they begin as free ones.
        neighbour_penalty: weight of the squared differences of neighbouring kernels in the loss,
            at least 0, see `SoftSharing`.
        mean_penalty: weight of the squared differences of kernels from their mean, likewise.
    """

    sharing: str = "1"
    banks: int = 0
    phase_period: int = 0
    phase_unit: str = "epochs"
    phase_strength: float = 0.0
    phase_rule: str = "mean"
    phase_tile: str = "all"
    release: int = -1
    neighbour_penalty: float = 0.0
    mean_penalty: float = 0.0

    @classmethod
    def from_config(cls, choices: Mapping[str, Any]) -> "SharingScheme":
        """The scheme that a variant of a configuration describes; other keys are passed over."""
        phases, penalty = choices.get("phases", {}), choices.get("penalty", {})
        return cls(
            sharing=str(choices.get("sharing", 1)),
            banks=choices.get("banks", 0),
            release=choices.get("release", -1),
            **{f"phase_{name}": _PHASE_TYPES[name](value) for name, value in phases.items()},
            **{f"{name}_penalty": float(value) for name, value in penalty.items()},
        )

    @property
    def choices(self) -> dict[str, Any]:
        """All of it as one mapping, by the keys of a variant; what is left out is None."""
        phases = {name: value for name, value in vars(self).items() if name.startswith("phase_")}
        return {
            "sharing": self.sharing,
            "banks": self.banks or None,
            "phases": tuple(phases.values()) if self.phase_period else None,
            "release": self.release if self.release >= 0 else None,
            "penalty": (self.neighbour_penalty, self.mean_penalty),
        }


# As settings have them: a strength of 1 is a float, a tile of 2 a text.
_PHASE_TYPES = {"period": int, "unit": str, "strength": float, "rule": str, "tile": str}


@dataclass(frozen=True)
class RunSettings(SharingScheme, Run):
    """A run and everything in the configuration that can change its numbers.

    Attributes:
        seed: seed of the initial weights, connection patterns, order of the
            training images, augmentations and validation perturbations.
        subset_seed: of which images a share of the training part are; 0 where all are.
        kind: `cnn` or `fcn`, the convolutions that the model has; how weights of free ones are
            shared, `SharingScheme` says.
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
    subset_seed: int
    kind: str
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
        models: name -> `kind`, `sharing` and `banks`, see `RunSettings`.
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
        scheme: how weights of free convolutions are shared.
        protocol: the study's, but for what the variant has otherwise.
    """

    kind: str
    scheme: SharingScheme
    protocol: Protocol

    @property
    def choices(self) -> dict[str, Any]:
        """All of it but the kind as one mapping, by the names of a study's keys."""
        return {**self.scheme.choices, **vars(self.protocol)}


def sharing_of(text: str) -> int | str:
    """A degree of sharing, as settings hold it, as the argument of `FreeConv2D`: 2 or "all"."""
    return text if text == "all" else int(text)


def format_value(value: Any) -> str:
    """A value as the shortest text that reads back as the same value (0.3, 0, fcn)."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def as_level(value: float) -> float:
    """A number as a float; 0.0 for -0.0, which has another name."""
    return float(value) + 0.0
