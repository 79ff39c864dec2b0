"""That digests of code tell changes of form from others, and that no definition is forgotten."""

import ast
import dataclasses
import re
import shutil
import sys

import pytest
from conftest import ROOT
from test_training import SETTINGS

from freeconv.data.folds import Split, Splits
from freeconv.data.formats import digits
from freeconv.results import components
from freeconv.results.components import evaluation_code, reached, source_digest, training_code
from freeconv.training.evaluate import evaluate_model, sweep_conditions
from freeconv.training.train import train_run

PACKAGE = ROOT / "src/freeconv"

# Where functions run that cannot change numbers: where a job computes, what it is given (recorded
# by content), what it writes and what it complains of.
WITHOUT_NUMBERS = {
    *("__init__", "errors", "io", "results/schemas", "results/provenance"),
    *("study/grid", "study/settings", "study/extensions"),
    *("training/devices", "training/gpu_locks", "training/checkpoint"),
}


def settings_of(**changes):
    return dataclasses.replace(SETTINGS, **changes)


def definitions(settings, names):
    """Pairs of module and name of all that components of these names are made of."""
    return set().union(*(reached(name, settings.backend) for name in names))


def run_definitions(function, *arguments):
    """What a function returns, and the definitions of the package whose code ran meanwhile."""
    ran = set()

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            module = code.co_filename.removeprefix(f"{PACKAGE}/").removesuffix(".py")
            ran.add((module, code.co_qualname.partition(".")[0]))

    sys.setprofile(note)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(None)
    defined = {module: components._module(module).definitions for module, _ in ran}
    return result, {
        (module, name)
        for module, name in ran
        if module not in WITHOUT_NUMBERS and name in defined[module]
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "cnn", "augmentation": "edge_noise"},
        {"kind": "fcn", "sharing": "2"},
        {"kind": "fcn", "vcp": 0.5, "vcp_kind": "input", "augmentation": "rotation"},
    ],
    ids=str,
)
def test_everything_that_computes_a_run_is_digested(changes):
    """By what runs, which the digests do not know: they follow names in the text."""
    settings = settings_of(epochs=1, patience=1, level=0.2, **changes)
    images, labels = digits()
    parts = (Split(images[a:b], labels[a:b]) for a, b in ((0, 64), (64, 128)))
    splits = Splits(*parts, 10)
    run, trained = run_definitions(train_run, settings, splits)
    assert {("training/train", "train_run"), ("training/models", "build_model")} <= trained
    assert trained <= definitions(settings, training_code(settings))
    arguments = (settings, run.model, 1, splits.validation, sweep_conditions({"noise": [0.1]}), 0)
    _, evaluated = run_definitions(evaluate_model, *arguments)
    assert ("training/evaluate", "evaluate_model") in evaluated
    assert evaluated <= definitions(settings, evaluation_code(settings))


def test_runs_depend_on_the_code_of_their_own_network():
    cnn, fcn = (training_code(settings_of(kind=kind)) for kind in ("cnn", "fcn"))
    assert cnn.keys() == {"training", "best_epoch", "networks", "augmentation", "engine"}
    assert fcn.keys() - cnn.keys() == {"free_layer", "filter_distances"}
    assert cnn.items() <= fcn.items()
    assert "filter_distances" not in training_code(settings_of(kind="fcn", vcp=0.5))
    jax = training_code(settings_of(kind="cnn", backend="jax"))
    assert {name for name in jax if jax[name] != cnn[name]} == {"engine"}
    assert evaluation_code(settings_of(kind="cnn")).keys() - cnn.keys() == {"evaluation"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that digests are taken of; `change` replaces text in it."""
    copy = tmp_path / "freeconv"
    shutil.copytree(PACKAGE, copy)
    monkeypatch.setattr(components, "_PACKAGE", copy)

    def forget():
        components._digest.cache_clear()
        components._module.cache_clear()

    def change(module, before, after):
        text = (copy / f"{module}.py").read_text()
        assert before in text
        (copy / f"{module}.py").write_text(text.replace(before, after, 1))
        forget()

    forget()
    yield change
    monkeypatch.undo()
    forget()


def test_definitions_may_move(package):
    """To another module, and a module to another name."""
    settings = settings_of(kind="fcn")
    before = training_code(settings)
    text = (PACKAGE / "layers/patches.py").read_text()
    (moved,) = re.findall(r"^def zero_margins\(.*?(?=^def |^class |^@|\Z)", text, re.M | re.S)
    package("layers/patches", moved, "")
    package("layers/argument_validation", "\n\n\ndef ", f"\n\n\n{moved.strip()}\n\n\ndef ")
    package("layers/base_free_conv", ", zero_margins\n", "\n")
    assert training_code(settings) != before  # it is not found any more
    patches = "from freeconv.layers.patches import "
    moved_to = "from freeconv.layers.argument_validation import zero_margins\n"
    package("layers/base_free_conv", patches, moved_to + patches)
    assert training_code(settings) == before


def test_changes_are_seen_where_they_are(package):
    settings = settings_of(kind="fcn")
    before = training_code(settings)
    package("training/engine/base", '"int32"', '"int64"')
    after = training_code(settings)
    assert {name for name in before if before[name] != after[name]} == {"engine"}


def test_what_a_name_of_another_package_means_counts(package):
    settings = settings_of()
    before = training_code(settings)
    text = (PACKAGE / "training/augmentation.py").read_text()
    assert "from keras import ops\n" in text
    package("training/augmentation", "from keras import ops\n", "from other import ops\n")
    after = training_code(settings)
    assert {name for name in before if before[name] != after[name]} == {"augmentation"}


CODE = '''
"""A module."""

LIMIT = 3  # a comment


def f(x):
    """Doubles."""
    if x % 1:
        raise TypeError(f"{x} is no whole number")
    log.info("%d in all", x)
    return 2 * x
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # a comment", ""),
        ('"""Doubles."""', '"""Returns twice `x`."""'),
        ('    """Doubles."""\n', ""),
        ('"""A module."""\n', ""),
        ("return 2 * x", "return (2\n            * x)"),
        ("LIMIT = 3", "import math\n\nLIMIT: int = 3"),
        ("def f(x)", "def f(x: int) -> int"),
        ("no whole number", "not an integer"),
        ("%d in all", "%d"),
    ],
)
def test_form_does_not_count(before, after):
    assert before in CODE
    assert source_digest(CODE.replace(before, after)) == source_digest(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("2 * x", "x * 2"),
        ("def f(x)", "def f(x, y=0)"),
        ("return 2 * x", "return 2 * x\n\n\ndef g():\n    pass"),
        ("if x % 1", "if x % 2"),
        ("raise TypeError", "raise ValueError"),
        ("2 * x", "2.0 * x"),
    ],
)
def test_meaning_counts(before, after):
    assert before in CODE
    assert source_digest(CODE.replace(before, after)) != source_digest(CODE)


IMPORTS = "from numpy import amax as m\nimport os.path\n\nVALUE = m([1]), os.sep\n"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("amax as m", "amin as m", True),
        ("import os.path", "import other.os as os", True),
        ("from numpy", "from other import *\nfrom numpy", True),
        ("from numpy", "import math\nfrom numpy", False),
    ],
)
def test_imports_count_by_what_the_names_in_use_mean(before, after, counts):
    assert before in IMPORTS
    assert (source_digest(IMPORTS.replace(before, after)) != source_digest(IMPORTS)) == counts


def test_digested_modules_define_each_name_once_and_do_nothing_else():
    """What is done beside definitions would not be seen."""
    modules = {
        module
        for backend in ("tensorflow", "jax")
        for component in components._ENTRIES
        for module, _ in reached(component, backend)
    }
    assert {"layers/base_free_conv", "training/engine/jax", "training/engine/__init__"} <= modules
    for module in modules:
        names = []
        for node in components._without_texts(
            ast.parse((PACKAGE / f"{module}.py").read_text())
        ).body:
            found = components._defined_names(node)
            if not found:  # imports by the backend, and the error for another one; of type checkers
                assert isinstance(node, ast.If)
                test = ast.unparse(node.test)
                assert module == "training/engine/__init__" or test == "TYPE_CHECKING"
            names += found
        assert len(names) == len(set(names)), module
