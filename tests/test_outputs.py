"""Which tables and figures a study has, and that each of them has a caption."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_doctree

from freeconv.analysis.search import SEARCH_SCHEMA
from freeconv.study import labels, outputs
from freeconv.study.settings import VcpGrid

CAPTIONS = Path(__file__).parents[1] / "workflow" / "report"

LEVELS = (0.0, 0.3)
FULL = {
    "datasets": {"mnist": None, "cifar10": None},
    "models": ("cnn", "fcn"),
    "augmentations": dict.fromkeys(("translation", "rotation", "noise", "edge_noise"), LEVELS),
    "vcp": VcpGrid((0.0, 0.5), 0.3),
    "evaluation": {"translation": (0.1,)},
}
DISTANCES = {f"filter_distance_{kind}" for kind in ("translation", "rotation", "noise")}
EXAMPLES = {f"{kind}_examples" for kind in FULL["augmentations"]}
SIX_PANELS = {f"six_panels_{m}_{kind}" for m in ("cnn", "fcn") for kind in FULL["augmentations"]}
DISTANCES |= {name.replace("distance", "similarity") for name in DISTANCES}
SIDE_BY_SIDE = {f"{kind}_levels" for kind in FULL["augmentations"]}
FCN_ALONE = DISTANCES | {"vcp_curves", "free_convolution", "filter_rings"}
ALL_FIGURES = (
    {"translation_curves", "quadrant_swap", "perturbation_strength", "quadrant_swap_example"}
    | EXAMPLES
    | SIDE_BY_SIDE
    | SIX_PANELS
    | FCN_ALONE
    | {"published_numbers", "authors_curves"}
)


def study(varied=(), **changes):
    return SimpleNamespace(varies=lambda choice: choice in varied, **FULL | changes)


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({}, set()),
        ({"vcp": None}, {"vcp_curves"}),
        (
            {"models": ("cnn",), "vcp": None},
            FCN_ALONE | SIDE_BY_SIDE | {name for name in SIX_PANELS if "fcn" in name},
        ),
        (
            {"augmentations": {"rotation": (0.0,)}},
            {"translation_curves"}
            | {
                name
                for name in EXAMPLES | SIX_PANELS | SIDE_BY_SIDE | DISTANCES
                if "rotation" not in name
            },
        ),
        (
            {"augmentations": dict.fromkeys(FULL["augmentations"], (0.3,))},
            {"quadrant_swap", "authors_curves"},
        ),
        ({"evaluation": {"translation": ()}}, {"perturbation_strength"}),
    ],
)
def test_figures_of_a_study(changes, absent):
    assert set(outputs.figures_of(study(**changes), "mnist")) == ALL_FIGURES - absent


def test_what_networks_differ_in_has_a_figure():
    figures = {
        "sharing": "sharing",
        "glorot_fans": "glorot_fans_distance",
        "vcp": "vcp_kinds",
        "edge_noise": "edge_noise_kinds",
        "banks": "banks",
        "penalty": "soft_sharing",
        "training_share": "training_images",
    }
    for choice, figure in figures.items():
        found = set(outputs.figures_of(study(varied=[choice]), "mnist"))
        assert found == ALL_FIGURES | {figure}
    for choice in ("phases", "release"):
        found = set(outputs.figures_of(study(varied=[choice]), "mnist"))
        assert found == ALL_FIGURES | {choice, f"{choice}_over_epochs"}
    assert "sharing" not in outputs.frames_of(study())
    assert outputs.frames_of(study(varied=["sharing"]))[-1] == "sharing"


def test_augmentations_of_a_studys_own_have_figures_and_a_table():
    own = study(augmentations={"shear": LEVELS}, models=("fcn",), vcp=None)
    figures = outputs.figures_of(own, "mnist")
    assert {"shear_examples", "six_panels_fcn_shear"} <= set(figures)
    assert "six_panels_cnn_shear" not in figures
    assert [t for t in outputs.tables_of(own) if "/" in t] == [
        f"{statistic}/own_shear" for statistic in labels.STATISTICS
    ]
    for name in ("shear_examples", "six_panels_fcn_shear"):
        assert outputs.figure(name).needs.augmentation == "shear"
        text = caption("figure.rst", figure=name, dataset="digits")
        assert "shear" in text
        assert "Counterpart" not in text
    assert "published" not in caption("figure.rst", figure="six_panels_fcn_shear", dataset="digits")
    assert outputs.table("pooled_median/own_shear").needs.augmentation == "shear"
    text = caption("table.rst", table="pooled_median/own_shear")
    assert "level of shear" in text
    assert "Counterpart" not in text


def test_data_sets_without_published_numbers_have_no_figure_of_them():
    of_digits = outputs.figures_of(study(datasets={"digits": None}), "digits")
    assert set(of_digits) == ALL_FIGURES - {"published_numbers", "authors_curves"}


def test_tables_of_a_study():
    tables = outputs.tables_of(study())
    accuracies = ["translation_mnist", "translation_cifar10", "edge_noise", "noise", "rotation"]
    assert set(tables) == {
        *(f"{statistic}/{name}" for statistic in labels.STATISTICS for name in accuracies),
        *("architectures", "authors_curves", "comparison", "conclusions"),
    }
    assert len(tables) == 19
    alone = outputs.tables_of(study(augmentations={"noise": LEVELS}))
    assert [t for t in alone if t.startswith("pooled_median/")] == ["pooled_median/noise"]
    assert set(outputs.frames_of(study())) == {
        *("history", "evaluation", "settings", "provenance", "summary"),
        *("comparison", "conclusions"),
    }


def test_look_ups():
    assert outputs.figure("filter_distance_rotation").paper == "Fig. B.6 (MNIST)"
    assert outputs.table("best_median/translation_my_own_data").dataset == "my_own_data"
    assert outputs.table("last_median/rotation").dataset is None
    assert outputs.table("last_median/rotation").statistic == "last_median"
    assert outputs.table("comparison").statistic is None


@pytest.mark.parametrize("look_up", [outputs.figure, outputs.table])
def test_unknown_names_are_refused(look_up):
    with pytest.raises(ValueError, match=r"must be one of the .*Received: 'translation_'"):
        look_up("translation_")


def test_unknown_dataset_is_refused():
    with pytest.raises(ValueError, match=r"mnist, cifar10.*Received: 'minst'"):
        outputs.figures_of(study(), "minst")


def test_import_is_light():
    heavy = "{'numpy', 'pandas', 'matplotlib', 'tensorflow', 'keras'}"
    code = f"import sys, freeconv.study.outputs; sys.exit(bool({heavy} & set(sys.modules)))"
    path = str(Path(outputs.__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}).returncode == 0


def caption(file, **wildcards):
    """What a report shows, rendered as Snakemake does; RST warnings are errors."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(study="s", **wildcards))
    text = environment.from_string((CAPTIONS / file).read_text("utf-8")).render(snakemake=snakemake)
    return publish_doctree(text, settings_overrides={"halt_level": 2}).astext().replace("\n", " ")


@pytest.mark.parametrize("entry", outputs.FIGURES, ids=lambda entry: entry.name)
def test_captions_of_figures(entry):
    text = caption("figure.rst", figure=entry.name, dataset="digits")
    assert "Data set: digits." in text
    for part in entry.paper.split(", ") if entry.paper else ["no such figure"]:
        assert part in text


@pytest.mark.parametrize(
    "name", [*outputs.tables_of(study(varied=["sharing", "training_share"])), "search"]
)
def test_captions_of_tables(name):
    text, entry = caption("table.rst", table=name), outputs.table(name)
    assert entry.paper.split(", ")[0] in text
    if entry.statistic:
        assert f"Each value is {labels.STATISTICS[entry.statistic]}" in text


def test_caption_of_sharing():
    assert "one for all positions" in caption("table.rst", table="sharing")


def test_caption_of_the_search_explains_its_columns():
    text = caption("table.rst", table="search")
    for column in ("val_accuracy", "best_epoch", "epochs", "loss", "best", "diverged"):
        assert column in SEARCH_SCHEMA.names
        assert f"{column} " in text


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [("comparison", labels.COMPARISON_VERDICTS), ("conclusions", labels.CONCLUSION_VERDICTS)],
)
def test_captions_of_findings_explain_every_verdict(name, verdicts):
    text = caption("table.rst", table=name)
    assert all(verdict in text for verdict in verdicts)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("translation", "leftwards"),
        ("rotation", "clockwise"),
        ("noise", "under normal noise whose"),
        ("edge_noise", "on its border"),
    ],
)
def test_captions_of_examples_say_what_is_done(kind, words):
    assert words in caption("figure.rst", figure=f"{kind}_examples", dataset="digits")


def test_documentation_lists_every_table_and_figure_and_no_other():
    text = (CAPTIONS.parents[1] / "docs" / "figures.md").read_text("utf-8")
    figures = re.findall(r"`figures/<dataset>/(\w+)`", text)
    assert sorted(figures) == sorted(entry.name for entry in outputs.FIGURES)
    tables = re.findall(r"`tables/(?:<statistic>/)?(\w+?)(?:_<dataset>)?`", text)
    assert sorted(tables) == sorted(entry.name for entry in outputs.TABLES)
    for entry in (*outputs.FIGURES, *outputs.TABLES):
        assert entry.paper in text
