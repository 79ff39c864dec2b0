"""A study: the grid of cells that its configuration spans, and the settings of each.

A cell is one training job, identified by (dataset, model, augmentation, level,
vcp, fold). Level 0 of every augmentation is one and the same cell, whose
augmentation is `none`. A trial is a training job of the hyperparameter search,
which stands beside the grid.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace

from freeconv import extensions
from freeconv.errors import InputError
from freeconv.sources import check_source

UNAUGMENTED = "none"
KINDS = ("cnn", "fcn")
"""Kinds of convolutions: with weights shared, and free; names of the plain networks, too."""


@dataclass(frozen=True)
class Cell:
    """One training job of a study: what tells it from every other.

    Attributes:
        dataset: name of the data set.
        model: `cnn` (weights shared), `fcn` (free convolutions), or a variant that the study
            describes.
        augmentation: `none`, `translation`, `rotation`, `noise`, `edge_noise`, or one of the
            study's extension.
        level: strength of the augmentation, 0 to 0.99; 0 exactly for `none`.
        vcp: probability that a connection is absent, 0 to 0.99 (paper, section 4.2).
        fold: which fold is the validation part, from 0.
    """

    dataset: str = field(metadata={"help": "name of the data set"})
    model: str = field(metadata={"help": "cnn, fcn or a variant of the study"})
    augmentation: str = field(metadata={"help": "augmentation of the training images"})
    level: float = field(metadata={"help": "strength of the augmentation, 0 to 0.99"})
    vcp: float = field(metadata={"help": "probability of an absent connection, 0 to 0.99"})
    fold: int = field(metadata={"help": "number of the validation fold, from 0"})


@dataclass(frozen=True)
class CellSettings(Cell):
    """A cell and everything in the configuration that can change its numbers.

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
        glorot_fans: `published` or `per_location`, see `FreeConv2D`.
        vcp_kind: `kernel` (the paper) or `input` (the published code).
        edge_noise: `paper` or `published`, see `augmentation.add_edge_noise`.
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

    seed: int = field(metadata={"help": "seed of everything random in this cell"})
    kind: str = field(metadata={"help": "convolutions: cnn or fcn"})
    sharing: str = field(metadata={"help": "of free convolutions: 1, side of a tile, or all"})
    network: str = field(metadata={"help": "architecture (Table A.2)"})
    layers: int = field(metadata={"help": "convolutional layers of it that are used"})
    learning_rate: float = field(metadata={"help": "learning rate of Adam"})
    batch_size: int = field(metadata={"help": "images a training step"})
    epochs: int = field(metadata={"help": "at most this many epochs"})
    patience: int = field(metadata={"help": "epochs without improvement before stopping"})
    glorot_fans: str = field(metadata={"help": "published or per_location"})
    vcp_kind: str = field(metadata={"help": "kernel (paper) or input (published code)"})
    edge_noise: str = field(metadata={"help": "paper or published"})
    validation_batches: str = field(metadata={"help": "all or whole"})
    validation_translation: float = field(metadata={"help": "share of height and width"})
    validation_rotation: float = field(metadata={"help": "share of 360 degrees"})
    validation_noise: float = field(metadata={"help": "standard deviation"})
    validation_edge_noise: float = field(metadata={"help": "standard deviation"})
    backend: str = field(metadata={"help": "tensorflow or jax"})
    precision: str = field(metadata={"help": "float32, tf32 or mixed_bfloat16"})
    fold_count: int = field(metadata={"help": "folds of the cross-validation"})
    fold_method: str = field(metadata={"help": "contiguous, shuffled or stratified"})
    fold_seed: int = field(metadata={"help": "seed of the folds, 0 for contiguous ones"})
    source: str = field(metadata={"help": "digest of what the data set is made of"})


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
    def from_config(cls, vcp):
        """The grid that the key `vcp` of a configuration describes."""
        return cls(tuple(map(_level, vcp["probabilities"])), _level(vcp["translation"]))


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
    def from_config(cls, search):
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
    validation_batches: str


@dataclass(frozen=True)
class Variant:
    """How the networks of one name are made, beside their architecture.

    Attributes:
        kind: `cnn` or `fcn`, the convolutions they have.
        sharing: degree of weight sharing of free convolutions, see `CellSettings`.
        protocol: the study's, but for what the variant has otherwise.
    """

    kind: str
    sharing: str
    protocol: Protocol

    @property
    def choices(self):
        """All of it but the kind as one mapping, by the names of a study's keys."""
        return {"sharing": self.sharing, **vars(self.protocol)}


@dataclass(frozen=True)
class Study:
    """A parsed study configuration.

    Attributes:
        name: of the study, the folder of its results.
        seed: from which every cell's seed follows.
        seed_policy: `cell` (one seed per cell) or `paper` (seed 0 everywhere).
        device: `auto`, `gpu` or `cpu`.
        gpu_shares: how many jobs share a GPU, 1 or more.
        backend: `tensorflow` or `jax`.
        precision: `float32`, `tf32` or `mixed_bfloat16`.
        keep_models: whether the best epoch's models outlive their evaluation.
        datasets: name -> `TrainingSettings`.
        sources: name -> digest of what the data set is made of, wherever it comes from.
        models: name -> `Variant`; the names `cnn` and `fcn` are those of the plain ones.
        augmentations: name -> levels of the training augmentation.
        vcp: the grid of variable connection patterns, or None.
        search: the grid of the hyperparameter search, or None.
        folds: the cross-validation.
        protocol: choices between paper and published code.
        validation: perturbation -> strength, measured after every epoch.
        evaluation: perturbation -> strengths, for the best epoch's model.
        extension: augmentations and networks of the study's own, or None.
    """

    name: str
    seed: int
    seed_policy: str
    device: str
    gpu_shares: int
    backend: str
    precision: str
    keep_models: bool
    datasets: dict[str, TrainingSettings]
    sources: dict[str, str]
    models: dict[str, Variant]
    augmentations: dict[str, tuple[float, ...]]
    vcp: VcpGrid | None
    search: Search | None
    folds: Folds
    protocol: Protocol
    validation: dict[str, float]
    evaluation: dict[str, tuple[float, ...]]
    extension: extensions.Extension | None

    @classmethod
    def from_config(cls, config):
        """The study that a configuration of all keys, valid by the schema, describes.

        Raises:
            InputError: if keys contradict each other, or the extension is not what it should be.
        """
        extension = config["extension"] and extensions.read(config["extension"])
        _check_consistency(config, extension)
        folds, vcp, protocol = config["folds"], config["vcp"], Protocol(**config["protocol"])
        return cls(
            name=config["study"],
            seed=config["seed"],
            seed_policy=config["seed_policy"],
            device=config["device"],
            gpu_shares=config["gpu_shares"],
            backend=config["backend"],
            precision=config["precision"],
            keep_models=config["keep_models"],
            datasets={name: TrainingSettings(**d) for name, d in config["datasets"].items()},
            sources={name: _source_digest(config["sources"][name]) for name in config["datasets"]},
            models=_models(config["models"], config["variants"] or {}, protocol),
            augmentations=_levels(config["augmentations"]),
            vcp=vcp and VcpGrid.from_config(vcp),
            search=config["search"] and Search.from_config(config["search"]),
            folds=Folds(folds["count"], tuple(folds["run"]), folds["method"]),
            protocol=protocol,
            validation={kind: _level(level) for kind, level in config["validation"].items()},
            evaluation=_levels(config["evaluation"]),
            extension=extension,
        )

    def cells(self):
        """Every cell of the grid, once: data set by data set, fold by fold.

        Returns:
            A list of `Cell`. Level 0 of all augmentations is one cell a model;
            variable connection patterns add cells of free convolutions alone.
        """
        conditions = [
            (model, UNAUGMENTED if level == 0 else augmentation, level, 0.0)
            for model in self.models
            for augmentation, levels in self.augmentations.items()
            for level in levels
        ]
        if self.vcp:
            kind = UNAUGMENTED if self.vcp.translation == 0 else "translation"
            conditions += [
                (model, kind, self.vcp.translation, probability)
                for model in self.free_models()
                for probability in self.vcp.probabilities
            ]
        return [
            Cell(dataset, *condition, fold)
            for dataset in self.datasets
            for fold in self.folds.run
            for condition in dict.fromkeys(conditions)
        ]

    def free_models(self):
        """The names of the models that have free convolutions."""
        return [name for name, variant in self.models.items() if variant.kind == "fcn"]

    def varies(self, choice):
        """Whether the models differ in a choice: a key of `protocol`, or `sharing`."""
        return len({variant.choices[choice] for variant in self.models.values()}) > 1

    def seed_of(self, cell):
        """The seed of a cell, 0 to 2^31 - 1.

        It follows from the study's seed and the cell's identity alone, so that
        adding cells to a study changes no other cell. With `seed_policy: paper`
        it is 0 for every cell (paper, section A.3).
        """
        identity = [cell.dataset, cell.model, cell.augmentation, cell.level, cell.vcp, cell.fold]
        return self._seed(identity)

    def folds_of(self, dataset):
        """How the images of a data set are assigned to folds, and of which images.

        Returns:
            A mapping of `count`, `method`, `seed` (0 where nothing is random) and `source`.
        """
        return {
            "count": self.folds.count,
            "method": self.folds.method,
            "seed": 0 if self.folds.method == "contiguous" else self.seed,
            "source": self.sources[dataset],
        }

    def settings_of(self, cell):
        """The `CellSettings` of a cell."""
        return self._settings(cell, self.seed_of(cell), self.datasets[cell.dataset])

    def extension_for(self, *names):
        """The path of the extension, if any of the names is of its making; else None.

        Args:
            *names: augmentations and networks that a job works with.
        """
        if self.extension is None:
            return None
        own = {*self.extension.augmentations, *self.extension.networks}
        return self.extension.path if own & set(names) else None

    def extension_of_training(self, settings):
        """The path of the extension, if a cell of these `CellSettings` is trained by it."""
        return self.extension_for(settings.augmentation, settings.network)

    def extension_of_evaluation(self, settings):
        """The path of the extension, if a cell of these `CellSettings` is evaluated by it."""
        return self.extension_for(settings.network, *self.evaluation)

    def trials(self):
        """Every trial of the hyperparameter search, data set by data set.

        Returns:
            A list of `Trial`, in the order of the configuration.

        Raises:
            InputError: if the study has no search.
        """
        if self.search is None:
            raise InputError(
                f"search: null, so study {self.name} has no hyperparameter search; "
                "describe one under this key (config/README.md explains it)"
            )
        return [
            Trial(dataset, model, layers, learning_rate, self.search.fold)
            for dataset in self.search.datasets
            for model in self.models
            for layers in self.search.layers
            for learning_rate in self.search.learning_rates
        ]

    def settings_of_trial(self, trial):
        """The `CellSettings` of a trial: of an unaugmented network with all its connections.

        Its seed follows from the study's seed and the trial's identity, in the
        same way as a cell's (see `seed_of`), and is another than that of any cell.
        What the search does not say is as in the data set's own training.
        """
        cell = Cell(trial.dataset, trial.model, UNAUGMENTED, 0.0, 0.0, trial.fold)
        training = replace(
            self.datasets[trial.dataset],
            layers=trial.layers,
            learning_rate=trial.learning_rate,
            **vars(self.search.datasets[trial.dataset]),
        )
        return self._settings(cell, self._seed(["search", *vars(trial).values()]), training)

    def _seed(self, identity):
        """A seed of the study that an identity, a list of names and numbers, has to itself."""
        if self.seed_policy == "paper":
            return 0
        digest = hashlib.sha256(json.dumps([self.seed, *identity]).encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def _settings(self, cell, seed, training):
        folds, variant = self.folds_of(cell.dataset), self.models[cell.model]
        return CellSettings(
            **vars(cell),
            seed=seed,
            kind=variant.kind,
            sharing=variant.sharing,
            **vars(training),
            glorot_fans=variant.protocol.glorot_fans,
            vcp_kind=variant.protocol.vcp,
            edge_noise=variant.protocol.edge_noise,
            validation_batches=variant.protocol.validation_batches,
            **{f"validation_{kind}": level for kind, level in self.validation.items()},
            backend=self.backend,
            precision=self.precision,
            fold_count=folds["count"],
            fold_method=folds["method"],
            fold_seed=folds["seed"],
            source=folds["source"],
        )


def degree_of_sharing(text):
    """A degree of sharing, as settings hold it, as an argument of `FreeConv2D`: 2 or "all"."""
    return text if text == "all" else int(text)


def _source_digest(source):
    """16 hexadecimal digits of a data set's source, but for the places it can be had from."""
    content = {key: value for key, value in source.items() if key not in ("urls", "path")}
    if "files" in content:
        files = content["files"].items()
        content["files"] = {
            role: {key: value for key, value in file.items() if key != "path"}
            for role, file in files
        }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _levels(by_kind):
    return {kind: tuple(map(_level, levels)) for kind, levels in by_kind.items()}


def _level(value):
    """A number as a float; 0.0 for -0.0, which has another name."""
    return float(value) + 0.0


def _models(names, variants, protocol):
    """Name -> `Variant` of every model of a study."""
    models = {}
    for name in names:
        choices = {"sharing": 1, **_choices(name, variants)}
        kind, sharing = choices.pop("kind"), str(choices.pop("sharing"))
        models[name] = Variant(kind, sharing, replace(protocol, **choices))
    return models


def _choices(name, variants):
    """What a configuration says of a model; of a plain one its name is the kind."""
    return variants.get(name, {"kind": name})


def can_have_vcp(config, extension):
    """Whether networks of a study can have variable connection patterns.

    Args:
        config: mapping, a configuration of all keys.
        extension: `extensions.Extension`, or None.
    """
    built = extension.built if extension else ()
    networks = {training["network"] for training in config["datasets"].values()}
    return "fcn" in _kinds(config) and not networks & set(built)


def _kinds(config):
    """The kinds of the models of a configuration; models that it does not describe have none."""
    variants = config["variants"] or {}
    return {_choices(name, variants)["kind"] for name in config["models"]}


def _check_consistency(config, extension):
    """What a schema cannot say: keys that refer to one another."""
    for name in config["datasets"]:
        if name not in config["sources"]:
            known = ", ".join(sorted(config["sources"]))
            raise InputError(
                f"datasets.{name}: no source of this name; known sources: {known}. "
                f"Describe where it comes from under sources.{name}"
            )
        check_source(name, config["sources"][name])
    count = config["folds"]["count"]
    for position, fold in enumerate(config["folds"]["run"]):
        if fold >= count:
            raise InputError(
                f"folds.run[{position}]: {fold} is not allowed; "
                f"expected 0 to {count - 1}, since folds.count is {count}"
            )
    variants = config["variants"] or {}
    _check_variants(config["models"], variants)
    if config["vcp"] and "fcn" not in _kinds(config):
        raise InputError(
            "vcp: variable connection patterns need the model fcn; "
            "add it to models, or set vcp to null"
        )
    for name, training in config["datasets"].items():
        if extension and training["network"] in extension.built:
            network = f"the network {training['network']} of datasets.{name}"
            _check_built(network, extension, config["vcp"], variants)
    if config["search"]:
        _check_search(config["search"], config["datasets"], count)


def _check_variants(models, variants):
    for position, name in enumerate(models):
        if name not in KINDS and name not in variants:
            known = ", ".join([*KINDS, *variants])
            raise InputError(
                f"models[{position}]: {name} is not known; expected one of {known}. "
                f"Describe it under variants.{name}"
            )
    for name, choices in variants.items():
        if name in KINDS:
            raise InputError(f"variants.{name}: the name is taken; choose another")
        if name not in models:
            raise InputError(f"variants.{name}: not among models; add it there, or remove it")
        without_effect = {"sharing", "glorot_fans", "vcp"} & choices.keys()
        if choices["kind"] == "cnn" and without_effect:
            raise InputError(
                f"variants.{name}.{min(without_effect)}: of free convolutions alone; "
                "expected kind: fcn"
            )


def _check_built(network, extension, vcp, variants):
    """What networks that a function builds as a whole cannot have."""
    reason = f"{network} is built by a function of {extension.path}, which knows of no"
    remedy = "let that function return the sizes of its layers"
    if vcp:
        raise InputError(f"vcp: {reason} absent connections; {remedy}, or set vcp to null")
    for name, choices in variants.items():
        if {"sharing", "glorot_fans"} & choices.keys():
            raise InputError(f"variants.{name}: {reason} variants; {remedy}, or remove the variant")


def _check_search(search, datasets, fold_count):
    for name in search["datasets"]:
        if name not in datasets:
            raise InputError(
                f"search.datasets.{name}: not a data set of this study; expected one of "
                f"{', '.join(datasets)}. Describe its training under datasets.{name}"
            )
    if search["fold"] >= fold_count:
        raise InputError(
            f"search.fold: {search['fold']} is not allowed; "
            f"expected 0 to {fold_count - 1}, since folds.count is {fold_count}"
        )
