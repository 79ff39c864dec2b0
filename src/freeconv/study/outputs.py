"""Which tables and figures a study has, and what the paper calls them.

All of it follows from the study alone, before anything has run, so that a workflow can ask while it
is being parsed. A new figure is one entry in `FIGURES` and one function in `freeconv.plots`; a new
table is one entry in `TABLES` and one function in `freeconv.report`.

"The paper" is Ott, Linstead, LaHaye, Baldi, "Learning in the machine: To share or not to share?",
Neural Networks 126 (2020).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from freeconv.errors import InputError
from freeconv.study.labels import (
    AUGMENTATION_TITLES,
    MODEL_TITLES,
    STATISTICS,
    augmentation_title,
    model_title,
)

if TYPE_CHECKING:
    from freeconv.study.grid import Study


FRAMES_OF_A_DATASET = ("examples", "networks")
"""Data frames that each data set of a study has to itself; the others hold the whole study."""


@dataclass(frozen=True)
class Needs:
    """What a study must contain for a table or a figure to have something to show.

    Attributes:
        model: A network that must be trained (`None`: any).
        beside: Another one that must be trained, to be set beside it (`None`: none).
        augmentation: A training augmentation that must be in the study (`None`: any).
        unaugmented: Whether networks trained without augmentation must be in the study.
        vcp: Whether variable connection patterns must be in the study.
        varied: A choice that the study's networks must differ in: `sharing`, `banks`, `phases`,
            `release`, `penalty`, or a key of its protocol; or `training_share`.
        perturbations: Whether models must be evaluated at any strength of a perturbation.
        datasets: The data sets that it can be of (`None`: any); a table of a whole study needs one
            of them.
    """

    model: str | None = None
    beside: str | None = None
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
            all(name is None or name in study.models for name in (self.model, self.beside))
            and (self.augmentation is None or self.augmentation in study.augmentations)
            and (not self.unaugmented or any(0.0 in grid for grid in levels))
            and (not self.vcp or bool(study.vcp))
            and (self.varied is None or study.varies(self.varied))
            and (not self.perturbations or any(study.evaluation.values()))
            and (
                self.datasets is None
                or not set(self.datasets).isdisjoint([dataset] if dataset else study.datasets)
            )
        )


@dataclass(frozen=True)
class Figure:
    """A figure, drawn once for each data set.

    Attributes:
        name: Its name, also of its files.
        function: What draws it: `<module>.<function>` within `freeconv.plots`, a function of the
            frame's rows of one data set and of this entry that returns a Matplotlib figure.
        title: Its title for a reader.
        paper: What the paper calls it; empty where the paper has no such figure.
        frame: Name of the data frame it is drawn from, see `freeconv.analysis.frames`.
        needs: What a study must contain for it.
        one_level: Whether it shows one level of each augmentation.
        shown_levels: These levels, (augmentation, level) pairs, as chosen by a study; levels in
            the middle where it chose none.
        network_titles: (model, title) pairs of a study's networks.
    """

    name: str
    function: str
    title: str
    paper: str
    frame: str
    needs: Needs
    one_level: bool = False
    shown_levels: tuple[tuple[str, float], ...] = ()
    network_titles: tuple[tuple[str, str], ...] = ()

    def network_title(self, model: str) -> str:
        """The title of a network: the study's, or else that which its name has."""
        return dict(self.network_titles).get(model) or model_title(model)


@dataclass(frozen=True)
class Table:
    """A table, written once in each format.

    Attributes:
        name: Its name; its files are `<name>.<format>`, or `<statistic>/<name>.<format>`.
        title: Its title for a reader.
        paper: What the paper calls it; empty where the paper has no such table.
        frame: Name of the data frame it is made from, see `freeconv.analysis.frames`.
        function: What makes it: `<module>.<function>` within `freeconv.report`, a function of the
            frame and of this entry that returns a `freeconv.report.render.Document`.
        needs: What a study must contain for it.
        metrics: Of tables of accuracies: the metrics shown, in the order of the columns.
        by_statistic: Whether there is one such table for every statistic of a summary.
        statistic: The statistic, once such a table is named.
        per_dataset: Whether each data set has a separate table, `<name>_<dataset>`, or one table
            shows all of them side by side.
        dataset: The data set, once such a table is named.
        on_request: Whether it is made only when asked for.
    """

    name: str
    title: str
    paper: str
    frame: str
    function: str
    needs: Needs = Needs()
    metrics: tuple[str, ...] = ()
    by_statistic: bool = False
    statistic: str | None = None
    per_dataset: bool = False
    dataset: str | None = None
    on_request: bool = False


def _six_panels(model: str, augmentation: str, title: str) -> Figure:
    """Returns the figure of all metrics of a model, by level of an augmentation."""
    return Figure(
        name=f"six_panels_{model}_{augmentation}",
        function="paper_figures.augmentation_panels",
        title=f"Accuracy over epochs, {MODEL_TITLES[model]} by level of {title.lower()}",
        paper="",
        frame="history",
        needs=Needs(model=model, augmentation=augmentation),
    )


FIGURES = (
    Figure(
        name="free_convolution",
        function="diagrams.free_convolution",
        title="A free convolution, and masked connections",
        paper="Fig. 1",
        frame="networks",
        needs=Needs(model="fcn"),
    ),
    *(
        Figure(
            name=f"{augmentation}_examples",
            function="diagrams.augmentation_examples",
            title=f"Examples of {AUGMENTATION_TITLES[augmentation].lower()}",
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
        function="diagrams.quadrant_swap_example",
        title="Example of a quadrant swap",
        paper="Fig. B.3 (MNIST)",
        frame="examples",
        needs=Needs(),
    ),
    Figure(
        name="filter_rings",
        function="diagrams.filter_rings",
        title="Filters at radius 1 and 4 from a filter",
        paper="Fig. B.5",
        frame="networks",
        needs=Needs(model="fcn"),
    ),
    Figure(
        name="translation_curves",
        function="paper_figures.translation_curves",
        title="Accuracy over epochs, by level of translation",
        paper="Fig. 3 (MNIST), Fig. 4 (CIFAR-10)",
        frame="history",
        needs=Needs(augmentation="translation"),
    ),
    Figure(
        name="filter_distance_translation",
        function="paper_figures.filter_distance",
        title="Distance between filters over epochs, by level of translation",
        paper="Fig. 5 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="translation"),
    ),
    Figure(
        name="filter_distance_rotation",
        function="paper_figures.filter_distance",
        title="Distance between filters over epochs, by level of rotation",
        paper="Fig. B.6 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="rotation"),
    ),
    Figure(
        name="filter_distance_noise",
        function="paper_figures.filter_distance",
        title="Distance between filters over epochs, by level of noise",
        paper="Fig. B.7 (MNIST)",
        frame="history",
        needs=Needs(model="fcn", augmentation="noise"),
    ),
    *(
        Figure(
            name=f"filter_similarity_{augmentation}",
            function="paper_figures.filter_similarity",
            title=f"Similarity of single filters over epochs, by level of {augmentation}",
            paper="",
            frame="history",
            needs=Needs(model="fcn", augmentation=augmentation),
        )
        for augmentation in ("translation", "rotation", "noise")
    ),
    Figure(
        name="quadrant_swap",
        function="paper_figures.quadrant_swap",
        title="Accuracy on quadrant-swapped images over epochs",
        paper="Fig. 6 (MNIST)",
        frame="history",
        needs=Needs(unaugmented=True),
    ),
    Figure(
        name="vcp_curves",
        function="paper_figures.vcp_curves",
        title="Accuracy over epochs, by probability of masked connections",
        paper="Fig. C.1 (MNIST), Fig. C.2 (CIFAR-10)",
        frame="history",
        needs=Needs(model="fcn", vcp=True),
    ),
    *(
        _six_panels(model, augmentation, title)
        for model in MODEL_TITLES
        for augmentation, title in AUGMENTATION_TITLES.items()
    ),
    *(
        Figure(
            name=f"{augmentation}_levels",
            function="variant_figures.by_level",
            title=f"Accuracy by level of {title.lower()}, FCN and CNN",
            paper="",
            frame="history",
            needs=Needs(model="fcn", beside="cnn", augmentation=augmentation),
        )
        for augmentation, title in AUGMENTATION_TITLES.items()
    ),
    Figure(
        name="perturbation_strength",
        function="paper_figures.perturbation_strength",
        title="Accuracy against the strength of a perturbation",
        paper="",
        frame="evaluation",
        needs=Needs(perturbations=True),
        one_level=True,
    ),
    Figure(
        name="published_numbers",
        function="paper_figures.published_numbers",
        title="Our numbers against the published ones",
        paper="",
        frame="comparison",
        needs=Needs(datasets=("mnist", "cifar10")),
    ),
    Figure(
        name="authors_curves",
        function="paper_figures.authors_curves",
        title="Ours against the authors' records, epoch by epoch",
        paper="",
        frame="history",
        needs=Needs(unaugmented=True, datasets=("mnist",)),
    ),
    Figure(
        name="sharing",
        function="sharing_figures.sharing",
        title="Accuracy against the number of kernels",
        paper="",
        frame="sharing",
        needs=Needs(varied="sharing"),
    ),
    Figure(
        name="training_images",
        function="sharing_figures.training_images",
        title="Accuracy against the number of training images",
        paper="",
        frame="sharing",
        needs=Needs(varied="training_share"),
    ),
    *(
        Figure(
            name=name,
            function="sharing_figures.sweep",
            title=title,
            paper="",
            frame="sharing",
            needs=Needs(varied=way),
        )
        for name, way, title in (
            ("banks", "banks", "Accuracy and common share by the number of banks"),
            ("phases", "phases", "Accuracy and common share by phases of sharing"),
            ("release", "release", "Accuracy and common share by the epoch of release"),
            ("soft_sharing", "penalty", "Accuracy and common share by the strength of a penalty"),
        )
    ),
    *(
        Figure(
            name=f"{way}_over_epochs",
            function="sharing_figures.networks_over_epochs",
            title=f"Accuracy and common share over epochs, by {title}",
            paper="",
            frame="history",
            needs=Needs(varied=way, augmentation="translation"),
        )
        for way, title in (("phases", "phases of sharing"), ("release", "epoch of release"))
    ),
    Figure(
        name="glorot_fans_distance",
        function="variant_figures.distances",
        title="Distance between filters over epochs, by scale of the initial weights",
        paper="",
        frame="history",
        needs=Needs(varied="glorot_fans", augmentation="translation"),
    ),
    Figure(
        name="vcp_kinds",
        function="variant_figures.by_vcp",
        title="Accuracy against the probability of masked connections, by what is masked",
        paper="",
        frame="history",
        needs=Needs(varied="vcp", vcp=True),
    ),
    Figure(
        name="edge_noise_kinds",
        function="variant_figures.by_level",
        title="Accuracy against the level of edge noise, by form of edge noise",
        paper="",
        frame="history",
        needs=Needs(varied="edge_noise", augmentation="edge_noise"),
    ),
)

CONCLUSION_FIGURES = {
    1: "translation_curves",
    2: "translation_levels",
    3: "six_panels_fcn_translation",
    4: "filter_distance_translation",
    5: "perturbation_strength",
    6: "quadrant_swap",
    7: "vcp_curves",
}
"""Conclusion of the paper -> the figure that shows best what a study says of it."""

ALL_ACCURACIES = ("accuracy", "val_accuracy", "val_translation")


def _accuracies(
    augmentation: str, paper: str, metrics: tuple[str, ...] = ALL_ACCURACIES[1:], **choices
) -> Table:
    """Returns the table of accuracies by level of an augmentation."""
    return Table(
        name=choices.pop("name", augmentation),
        title=f"Accuracy by level of {augmentation_title(augmentation).lower()} in training",
        paper=paper,
        frame="summary",
        function="tables.accuracies",
        needs=Needs(augmentation=augmentation),
        metrics=metrics,
        by_statistic=True,
        **choices,
    )


TABLES = (
    _accuracies(
        "translation", "Table 1 (MNIST), Table 2 (CIFAR-10)", ALL_ACCURACIES, per_dataset=True
    ),
    _accuracies("edge_noise", "Table B.1"),
    _accuracies("noise", "Table B.2"),
    _accuracies("rotation", "Table B.3"),
    Table(
        name="architectures",
        title="Architectures of the networks",
        paper="Table A.2",
        frame="networks",
        function="tables.architectures",
    ),
    Table(
        name="search",
        title="Hyperparameter search",
        paper="Table A.1",
        frame="search",
        function="tables.search",
        on_request=True,
    ),
    Table(
        name="comparison",
        title="Published and our numbers",
        paper="",
        frame="comparison",
        function="comparison_tables.comparison",
    ),
    Table(
        name="authors_curves",
        title="Ours against the authors' records, epoch by epoch",
        paper="",
        frame="history",
        function="comparison_tables.authors_curves",
        needs=Needs(unaugmented=True, datasets=("mnist",)),
    ),
    Table(
        name="conclusions",
        title="The paper's conclusions",
        paper="",
        frame="conclusions",
        function="comparison_tables.conclusions",
    ),
    Table(
        name="sharing",
        title="Accuracy by the degree of sharing",
        paper="",
        frame="sharing",
        function="sharing_tables.sharing",
        needs=Needs(varied="sharing"),
    ),
    Table(
        name="training_images",
        title="Images that stand in for weight sharing",
        paper="",
        frame="sharing",
        function="sharing_tables.training_images",
        needs=Needs(model="cnn", varied="training_share"),
    ),
)

FRAMES = ("history", "evaluation", "settings", "provenance", "summary")
"""Data frames that every study has of its runs."""


def own_augmentations(study: Study) -> list[str]:
    """Returns the augmentations of a study that its extension brings."""
    return [name for name in study.augmentations if name not in AUGMENTATION_TITLES]


def own_figures(augmentation: str) -> list[Figure]:
    """Returns the figures of an augmentation that an extension brings."""
    title = augmentation_title(augmentation)
    examples = Figure(
        name=f"{augmentation}_examples",
        function="diagrams.augmentation_examples",
        title=f"Examples of {title.lower()}",
        paper="",
        frame="examples",
        needs=Needs(augmentation=augmentation),
    )
    return [examples, *(_six_panels(model, augmentation, title) for model in MODEL_TITLES)]


def own_table(augmentation: str) -> Table:
    """Returns the table of an augmentation that an extension brings."""
    return _accuracies(augmentation, "", ALL_ACCURACIES, name=f"own_{augmentation}")


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


def choices_of(study: Study, entry: Figure) -> dict[str, dict]:
    """Returns what a study says of how a figure is drawn: `shown_levels`, `network_titles`."""
    choices = {"network_titles": study.network_titles()}
    return choices | {"shown_levels": study.shown_levels} if entry.one_level else choices


def tables_of(study: Study) -> list[str]:
    """Returns the names of the tables that a study has, but for those made only on request.

    They are those of `table`, such as `pooled_median/translation_mnist` and `comparison`.
    """
    own = [own_table(name) for name in own_augmentations(study)]
    names = []
    for entry in (*TABLES, *own):
        if entry.needs.met_by(study) and not entry.on_request:
            folders = [f"{statistic}/" for statistic in STATISTICS] if entry.by_statistic else [""]
            endings = [f"_{dataset}" for dataset in study.datasets] if entry.per_dataset else [""]
            names += [folder + entry.name + end for folder in folders for end in endings]
    return names


def frames_of(study: Study) -> list[str]:
    """Returns the names of the data frames that a study leaves beside its tables and figures."""
    made = [table(name).frame for name in tables_of(study)]
    return list(dict.fromkeys([*FRAMES, *(n for n in made if n not in FRAMES_OF_A_DATASET)]))


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
    """Returns a table by its name, with the statistic and the data set that the name says.

    Args:
        name: The path of its files below the tables of a study, without ending:
            `pooled_median/translation_mnist`, `pooled_median/rotation`, `comparison`.

    Raises:
        InputError: If there is no such table.
    """
    statistic, _, short = name.rpartition("/")
    own = [own_table(short.removeprefix("own_"))] if short.startswith("own_") else []
    for entry in (*TABLES, *own):
        dataset = short.removeprefix(f"{entry.name}_") if entry.per_dataset else None
        named = dataset not in ("", short) if entry.per_dataset else entry.name == short
        if named and (statistic in STATISTICS if entry.by_statistic else name == short):
            return replace(entry, name=short, dataset=dataset, statistic=statistic or None)
    known = ", ".join(
        "<statistic>/" * e.by_statistic + e.name + "_<dataset>" * e.per_dataset for e in TABLES
    )
    raise InputError(
        f"`name` must be one of the tables {known}, statistics being {', '.join(STATISTICS)}. "
        f"Received: {name!r}"
    )
