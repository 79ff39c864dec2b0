"""A study: the grid of runs that its configuration spans, and the settings of each.

A run is one training job, identified by (dataset, model, augmentation, level,
vcp, training_share, fold, repeat). Level 0 of every augmentation is one and the same run, whose
augmentation is `none`. A trial is a training job of the hyperparameter search,
which stands beside the grid.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from freeconv.errors import InputError
from freeconv.study import extensions, labels
from freeconv.study.consistency import check_consistency, choices_of
from freeconv.study.settings import (
    UNAUGMENTED,
    EvaluationSettings,
    Folds,
    NetworkSettings,
    Protocol,
    Run,
    RunSettings,
    Search,
    SharingScheme,
    TrainingSettings,
    Trial,
    Variant,
    VcpGrid,
    as_level,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


@dataclass(frozen=True)
class Study:
    """A parsed study configuration.

    Attributes:
        name: of the study, the folder of its results.
        seed: from which every run's seed follows.
        seed_policy: `per_run` (one seed per run) or `zero` (seed 0 everywhere).
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
        training_shares: shares of the folds' training images that are trained on, 1 among them.
        repeats: how often each fold is run, with other seeds.
        protocol: choices between paper and published code.
        validation: perturbation -> strength, measured after every epoch.
        evaluation: perturbation -> strengths, for the best epoch's model.
        shown_levels: augmentation -> level, in figures that show one of each.
        extension: the study's own augmentations and networks, or None.
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
    training_shares: tuple[float, ...]
    repeats: int
    protocol: Protocol
    validation: dict[str, float]
    evaluation: dict[str, tuple[float, ...]]
    shown_levels: dict[str, float]
    extension: extensions.Extension | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Study:
        """The study that a configuration of all keys, valid by the schema, describes.

        Raises:
            InputError: if keys contradict each other, or the extension is not what it should be.
        """
        extension = config["extension"] and extensions.Extension.from_config(config["extension"])
        check_consistency(config, extension)
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
            training_shares=tuple(map(float, config["training_shares"])),
            repeats=config["repeats"],
            protocol=protocol,
            validation={kind: as_level(level) for kind, level in config["validation"].items()},
            evaluation=_levels(config["evaluation"]),
            shown_levels={kind: as_level(v) for kind, v in config["shown_levels"].items()},
            extension=extension,
        )

    def runs(self) -> list[Run]:
        """Every run of the grid, once: data set by data set, repeat by repeat, fold by fold.

        Returns:
            A list of `Run`. Level 0 of all augmentations is one run a model;
            variable connection patterns add runs of free convolutions alone, on all
            training images.
        """
        conditions = [
            (model, UNAUGMENTED if level == 0 else augmentation, level, 0.0, share)
            for share in self.training_shares
            for model in self.models
            for augmentation, levels in self.augmentations.items()
            for level in levels
        ]
        if self.vcp:
            kind = UNAUGMENTED if self.vcp.translation == 0 else "translation"
            conditions += [
                (model, kind, self.vcp.translation, probability, 1.0)
                for model in self.free_models()
                for probability in self.vcp.probabilities
            ]
        return [
            Run(dataset, *condition, fold, repeat)
            for dataset in self.datasets
            for repeat in range(self.repeats)
            for fold in self.folds.run
            for condition in dict.fromkeys(conditions)
        ]

    def free_models(self) -> list[str]:
        """The names of the models that have free convolutions."""
        return [name for name, variant in self.models.items() if variant.kind == "fcn"]

    def varies(self, choice: str) -> bool:
        """Whether runs differ in `training_share`, or models in a choice (`Variant.choices`)."""
        if choice == "training_share":
            return len(self.training_shares) > 1
        values = {variant.choices[choice] for variant in self.models.values()}
        if choice == "release":  # at the start alone is where phases and penalties begin
            values.discard(None)
        return len(values) > 1

    def network_titles(self) -> dict[str, str]:
        """Model -> its title, with what sets it off from others of its kind and degree of sharing.

        Example:
            `{"fcn": "FCN, weights masked", "fcn_inputs": "FCN, inputs masked"}`
        """
        titles = {}
        for name, variant in self.models.items():
            alike = [
                other.choices
                for other in self.models.values()
                if (other.kind, other.scheme) == (variant.kind, variant.scheme)
            ]
            words = [
                meanings[variant.choices[choice]]
                for choice, meanings in labels.CHOICE_TITLES.items()
                if len({choices[choice] for choices in alike}) > 1
            ]
            plain = words and variant.scheme == SharingScheme()
            kind = labels.model_title(variant.kind if plain else name)
            titles[name] = ", ".join([labels.scheme_title(variant.scheme) or kind, *words])
        return titles

    def seed_of(self, run: Run) -> int:
        """The seed of a run, 0 to 2^31 - 1.

        It follows from the study's seed and the run's identity alone, so that
        adding runs to a study changes no other run; repeat 0 has that of a
        study without repeats, and all training images that of one without shares.
        With `seed_policy: zero` it is 0 for every run (paper, section A.3).
        """
        identity = [run.dataset, run.model, run.augmentation, run.level, run.vcp, run.fold]
        share = [f"training_share {run.training_share}"] * (run.training_share < 1)
        return self._seed(identity + [run.repeat] * (run.repeat > 0) + share)

    def folds_of(self, dataset: str) -> dict[str, Any]:
        """How the images of a data set are assigned to folds, and of which images.

        Returns:
            A mapping of `count`, `method`, `seed` (0 where nothing is random) and `source`.
        """
        seeded = self.folds.method in ("shuffled", "stratified")
        return {
            "count": self.folds.count,
            "method": self.folds.method,
            "seed": self.seed if seeded else 0,
            "source": self.sources[dataset],
        }

    def settings_of(self, run: Run) -> RunSettings:
        """The `RunSettings` of a run."""
        return self._settings(run, self.seed_of(run), self.datasets[run.dataset])

    def evaluation_settings(self) -> EvaluationSettings:
        """The `EvaluationSettings` of every run's model."""
        strengths = {kind: list(values) for kind, values in self.evaluation.items()}
        return EvaluationSettings(self.seed, strengths)

    def network_settings(self, dataset: str) -> NetworkSettings:
        """The `NetworkSettings` of a data set."""
        training = self.datasets[dataset]
        return NetworkSettings(
            network=training.network,
            layers=training.layers,
            learning_rate=training.learning_rate,
            backend=self.backend,
            models={
                name: {
                    "kind": variant.kind,
                    "sharing": variant.scheme.sharing,
                    "banks": variant.scheme.banks,
                }
                for name, variant in self.models.items()
            },
        )

    def extension_for(self, *names: Iterable[str]) -> str | None:
        """The path of the extension, if any of the names is of its making; else None.

        Args:
            *names: augmentations and networks that a job works with.
        """
        if self.extension is None:
            return None
        own = {*self.extension.augmentations, *self.extension.networks, *self.extension.built}
        return self.extension.path if own & set(names) else None

    def extension_of_training(self, settings: RunSettings) -> str | None:
        """The path of the extension, if a run of these `RunSettings` is trained by it."""
        return self.extension_for(settings.augmentation, settings.network)

    def extension_of_evaluation(self, settings: RunSettings) -> str | None:
        """The path of the extension, if a run of these `RunSettings` is evaluated by it."""
        return self.extension_for(settings.network, *self.evaluation)

    def trials(self) -> list[Trial]:
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

    def settings_of_trial(self, trial: Trial) -> RunSettings:
        """The `RunSettings` of a trial: of an unaugmented network with all its connections.

        Its seed follows from the study's seed and the trial's identity, in the
        same way as a run's (see `seed_of`), and is another than that of any run.
        What the search does not say is as in the data set's own training.
        """
        run = Run(trial.dataset, trial.model, UNAUGMENTED, 0.0, 0.0, 1.0, trial.fold, 0)
        training = replace(
            self.datasets[trial.dataset],
            layers=trial.layers,
            learning_rate=trial.learning_rate,
            **vars(self.search.datasets[trial.dataset]),
        )
        return self._settings(run, self._seed(["search", *vars(trial).values()]), training)

    def _seed(self, identity):
        """A seed of the study that an identity, a list of names and numbers, has to itself."""
        if self.seed_policy == "zero":
            return 0
        digest = hashlib.sha256(json.dumps([self.seed, *identity]).encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def _subset_seed(self, run):
        """The seed of which images a share are: that of all networks and shares on a fold."""
        if run.training_share == 1:
            return 0
        return self._seed(["training_share", run.dataset, run.fold, run.repeat])

    def _settings(self, run, seed, training):
        folds, variant = self.folds_of(run.dataset), self.models[run.model]
        return RunSettings(
            **vars(run),
            seed=seed,
            subset_seed=self._subset_seed(run),
            kind=variant.kind,
            **vars(variant.scheme),
            **vars(training),
            glorot_fans=variant.protocol.glorot_fans,
            vcp_kind=variant.protocol.vcp,
            edge_noise=variant.protocol.edge_noise,
            rotation_centre=variant.protocol.rotation_centre,
            noise_order=variant.protocol.noise_order,
            validation_batches=variant.protocol.validation_batches,
            **{f"validation_{kind}": level for kind, level in self.validation.items()},
            backend=self.backend,
            precision=self.precision,
            fold_count=folds["count"],
            fold_method=folds["method"],
            fold_seed=folds["seed"],
            source=folds["source"],
        )


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
    return {kind: tuple(map(as_level, levels)) for kind, levels in by_kind.items()}


def _models(names, variants, protocol):
    """Name -> `Variant` of every model of a study."""
    models = {}
    for name in names:
        choices = choices_of(name, variants)
        own = {key: choices[key] for key in choices.keys() & vars(protocol).keys()}
        scheme = SharingScheme.from_config(choices)
        models[name] = Variant(choices["kind"], scheme, replace(protocol, **own))
    return models
