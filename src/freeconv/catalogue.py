"""Which tables and figures a study has, and what the paper calls them.

All of it follows from the study alone, before anything has run, so that a workflow can ask while it
is being parsed. A new figure is one entry in `FIGURES` and one drawing function in
`freeconv.figures` or `freeconv.illustrations`; a new table is one entry in `TABLES`.

"The paper" is Ott, Linstead, LaHaye, Baldi, "Learning in the machine: To share or not to share?",
Neural Networks 126 (2020).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from freeconv.errors import InputError

if TYPE_CHECKING:
    from freeconv.study import Study

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


FRAMES_OF_A_DATASET = ("examples", "networks")
"""Data frames that each data set of a study has to itself; the others hold the whole study."""


@dataclass(frozen=True)
class Needs:
    """What a study must contain for a table or a figure to have something to show.

    Attributes:
        model: A network that must be trained (`None`: any).
        augmentation: A training augmentation that must be in the study (`None`: any).
        unaugmented: Whether networks trained without augmentation must be in the study.
        vcp: Whether variable connection patterns must be in the study.
        varied: A choice that the study's networks must differ in: `sharing`, or a key of its
            protocol.
        perturbations: Whether models must be evaluated at any strength of a perturbation.
        datasets: The data sets that it can be of (`None`: any).
    """

    model: str | None = None
    augmentation: str | None = None
    unaugmented: bool = False
    vcp: bool = False
    varied: str | None = None
    perturbations: bool = False
    datasets: tuple[str, ...] | None = None

    def met_by(self, study: Study, dataset: str | None = None) -> bool:
        """Returns whether the study contains all of it, for one of its data sets if named."""
        levels = study.augmentations.values()
        return (
            (self.model is None or self.model in study.models)
            and (self.augmentation is None or self.augmentation in study.augmentations)
            and (not self.unaugmented or any(0.0 in grid for grid in levels))
            and (not self.vcp or bool(study.vcp))
            and (self.varied is None or study.varies(self.varied))
            and (not self.perturbations or any(study.evaluation.values()))
            and (self.datasets is None or dataset in self.datasets)
        )


@dataclass(frozen=True)
class Figure:
    """A figure, drawn once for each data set.

    Attributes:
        name: Its name, also of its files.
        kind: What it shows; figures of one kind share a drawing function.
        title: Its title for a reader.
        paper: What the paper calls it; empty where the paper has no such figure.
        frame: The data frame it is drawn from: `history`, `evaluation`, `summary`, `comparison`,
            `sharing`, or one of `FRAMES_OF_A_DATASET`.
        needs: What a study must contain for it.
    """

    name: str
    kind: str
    title: str
    paper: str
    frame: str
    needs: Needs


@dataclass(frozen=True)
class Table:
    """A table of accuracies: one row per level of one training augmentation.

    Attributes:
        name: Its name, also of its files.
        title: Its title for a reader.
        paper: What the paper calls it.
        metrics: The metrics shown, in the order of the columns.
        needs: What a study must contain for it.
        per_dataset: Whether each data set has a table of its own, `<name>_<dataset>`, or one table
            shows all of them side by side.
        dataset: The data set, once such a table is named.
        frame: The data frame it is made from.
    """

    name: str
    title: str
    paper: str
    metrics: tuple[str, ...]
    needs: Needs
    per_dataset: bool = False
    dataset: str | None = None
    frame: str = "summary"


def _six_panels(model: str, augmentation: str, title: str) -> Figure:
    """Returns the figure of all metrics of a model, by level of an augmentation."""
    return Figure(
        name=f"six_panels_{model}_{augmentation}",
        kind="six_panels",
        title=f"Accuracy over epochs, {MODELS[model]} by level of {title.lower()}",
        paper="",
        frame="history",
        needs=Needs(model=model, augmentation=augmentation),
    )


FIGURES = (
    Figure(
        name="free_convolution",
        kind="free_convolution",
        title="A free convolution, and absent connections",
        paper="Fig. 1",
        frame="networks",
        needs=Needs(model="fcn"),
    ),
    *(
        Figure(
            name=f"{augmentation}_examples",
            kind="examples",
            title=f"Examples of {AUGMENTATIONS[augmentation].lower()}",
            paper=f"{number} (MNIST)",
            frame="examples",
            needs=Needs(augmentation=augmentation),
        )
        for augmentation, number in {
            "translation": "Fig. 2",
            "edge_noise": "Fig. B.1",
            "noise": "Fig. B.2",
            "rotation": "Fig. B.4",
        }.items()
    ),
    Figure(
        name="quadrant_swap_example",
        kind="quadrant_swap_example",
        title="Example of a quadrant swap",
        paper="Fig. B.3 (MNIST)",
        frame="examples",
        needs=Needs(),
    ),
    Figure(
        name="filter_rings",
        kind="filter_rings",
        title="Filters at radius 1 and 4 from a filter",
        paper="Fig. B.5",
        frame="networks",
        needs=Needs(model="fcn"),
    ),
    Figure(
        name="translation_curves",
        kind="translation_curves",
        title="Accuracy over epochs, by level of translation",
        paper="Fig. 3 (MNIST), Fig. 4 (CIFAR-10)",
        frame="history",
        needs=Needs(augmentation="translation"),
    ),
    Figure(
        name="filter_distance_translation",
        kind="filter_distance",
        title="Distance between filters over epochs, by level of translation",
        paper="Fig. 5 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="translation"),
    ),
    Figure(
        name="filter_distance_rotation",
        kind="filter_distance",
        title="Distance between filters over epochs, by level of rotation",
        paper="Fig. B.6 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="rotation"),
    ),
    Figure(
        name="filter_distance_noise",
        kind="filter_distance",
        title="Distance between filters over epochs, by level of noise",
        paper="Fig. B.7 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="noise"),
    ),
    Figure(
        name="quadrant_swap",
        kind="quadrant_swap",
        title="Accuracy on quadrant-swapped images over epochs",
        paper="Fig. 6 (MNIST)",
        frame="history",
        needs=Needs(unaugmented=True),
    ),
    Figure(
        name="vcp_curves",
        kind="vcp_curves",
        title="Accuracy over epochs, by probability of absent connections",
        paper="Fig. C.1 (MNIST), Fig. C.2 (CIFAR-10)",
        frame="history",
        needs=Needs(model="fcn", vcp=True),
    ),
    *(
        _six_panels(model, augmentation, title)
        for model in MODELS
        for augmentation, title in AUGMENTATIONS.items()
    ),
    Figure(
        name="perturbation_strength",
        kind="perturbation_strength",
        title="Accuracy against the strength of a perturbation",
        paper="",
        frame="evaluation",
        needs=Needs(perturbations=True),
    ),
    Figure(
        name="published_numbers",
        kind="published_numbers",
        title="Our numbers against the published ones",
        paper="",
        frame="comparison",
        needs=Needs(datasets=("mnist", "cifar10")),
    ),
    Figure(
        name="sharing",
        kind="sharing",
        title="Accuracy against the number of kernels",
        paper="",
        frame="sharing",
        needs=Needs(varied="sharing"),
    ),
    Figure(
        name="glorot_fans_distance",
        kind="variant_distances",
        title="Distance between filters over epochs, by scale of the initial weights",
        paper="",
        frame="history",
        needs=Needs(varied="glorot_fans", augmentation="translation"),
    ),
    Figure(
        name="vcp_kinds",
        kind="variants_by_vcp",
        title="Accuracy against the probability of absent connections, by what is absent",
        paper="",
        frame="history",
        needs=Needs(varied="vcp", vcp=True),
    ),
    Figure(
        name="edge_noise_kinds",
        kind="variants_by_level",
        title="Accuracy against the level of edge noise, by form of edge noise",
        paper="",
        frame="history",
        needs=Needs(varied="edge_noise", augmentation="edge_noise"),
    ),
)

TABLES = (
    Table(
        name="translation",
        title="Accuracy by level of translation in training",
        paper="Table 1 (MNIST), Table 2 (CIFAR-10)",
        metrics=("accuracy", "val_accuracy", "val_translation"),
        needs=Needs(augmentation="translation"),
        per_dataset=True,
    ),
    Table(
        name="edge_noise",
        title="Accuracy by level of edge noise in training",
        paper="Table B.1",
        metrics=("val_accuracy", "val_translation"),
        needs=Needs(augmentation="edge_noise"),
    ),
    Table(
        name="noise",
        title="Accuracy by level of noise in training",
        paper="Table B.2",
        metrics=("val_accuracy", "val_translation"),
        needs=Needs(augmentation="noise"),
    ),
    Table(
        name="rotation",
        title="Accuracy by level of rotation in training",
        paper="Table B.3",
        metrics=("val_accuracy", "val_translation"),
        needs=Needs(augmentation="rotation"),
    ),
)

ARCHITECTURES = "architectures"
"""Name of Table A.2, the networks of a study: it has no accuracies and hence no statistic."""

SEARCH = "search"
"""Name of the trials of the hyperparameter search (grid: Table A.1): no statistic either."""

SHARING = "sharing"
"""Name of the table of degrees of weight sharing, of studies whose networks differ in it."""

FINDINGS = ("comparison", "conclusions")
"""Tables that set a study beside the paper: its numbers, and its conclusions."""


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


def own_augmentations(study: Study) -> list[str]:
    """Returns the augmentations of a study that its extension brings."""
    return [name for name in study.augmentations if name not in AUGMENTATIONS]


def own_figures(augmentation: str) -> list[Figure]:
    """Returns the figures of an augmentation that an extension brings."""
    title = augmentation_title(augmentation)
    examples = Figure(
        name=f"{augmentation}_examples",
        kind="examples",
        title=f"Examples of {title.lower()}",
        paper="",
        frame="examples",
        needs=Needs(augmentation=augmentation),
    )
    return [examples, *(_six_panels(model, augmentation, title) for model in MODELS)]


def own_table(augmentation: str) -> Table:
    """Returns the table of an augmentation that an extension brings."""
    return Table(
        name=f"own_{augmentation}",
        title=f"Accuracy by level of {augmentation_title(augmentation).lower()} in training",
        paper="",
        metrics=("accuracy", "val_accuracy", "val_translation"),
        needs=Needs(augmentation=augmentation),
    )


def figures_of(study: Study, dataset: str) -> list[str]:
    """Returns the names of the figures that a study has for one of its data sets.

    Args:
        study: The study.
        dataset: A data set of the study.

    Raises:
        InputError: If the study has no such data set.
    """
    if dataset not in study.datasets:
        raise InputError(
            f"`dataset` must be one of the study's ({', '.join(study.datasets)}). "
            f"Received: {dataset!r}"
        )
    own = [entry for name in own_augmentations(study) for entry in own_figures(name)]
    return [entry.name for entry in (*FIGURES, *own) if entry.needs.met_by(study, dataset)]


def tables_of(study: Study) -> list[str]:
    """Returns the names of the tables that a study has, e.g. `translation_mnist`, `rotation`."""
    names = []
    for table in TABLES:
        if table.needs.met_by(study):
            per_dataset = [f"{table.name}_{dataset}" for dataset in study.datasets]
            names += per_dataset if table.per_dataset else [table.name]
    return names + [own_table(name).name for name in own_augmentations(study)]


def records_of(study: Study) -> list[str]:
    """Returns the names of the tables of a study that are made of records of their own."""
    return [*FINDINGS, *([SHARING] if study.varies("sharing") else [])]


def figure(name: str) -> Figure:
    """Returns a figure by its name.

    Raises:
        InputError: If there is no such figure.
    """
    for entry in FIGURES:
        if entry.name == name:
            return entry
    own = re.fullmatch(r"six_panels_(?:cnn|fcn)_([a-z]\w*)|([a-z]\w*)_examples", name)
    for entry in own_figures(own[1] or own[2]) if own else ():
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in FIGURES)
    raise InputError(f"`name` must be one of the figures {known}. Received: {name!r}")


def table(name: str) -> Table:
    """Returns a table by its name; one of a single data set knows which (`Table.dataset`).

    Raises:
        InputError: If there is no such table.
    """
    for entry in TABLES:
        if entry.per_dataset:
            dataset = name.removeprefix(f"{entry.name}_")
            if dataset and dataset != name:
                return replace(entry, name=name, dataset=dataset)
        elif entry.name == name:
            return entry
    if name.startswith("own_"):
        return own_table(name.removeprefix("own_"))
    known = ", ".join(e.name + "_<dataset>" * e.per_dataset for e in TABLES)
    raise InputError(f"`name` must be one of the tables {known}. Received: {name!r}")


def dataset_title(dataset: str) -> str:
    """Returns the title of a data set; its name where it has none."""
    return DATASETS.get(dataset, dataset)
