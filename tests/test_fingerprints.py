"""That digests of code tell changes of form from others, and that no module is forgotten."""

import ast
import dataclasses

import pytest
from conftest import ROOT
from test_training import SETTINGS

from freeconv.fingerprints import evaluation_code, source_digest, training_code

PACKAGE = ROOT / "src/freeconv"

# What the scripts import that cannot change numbers: where they compute, what they are asked for
# and given (recorded by content), what they write and what they complain of.
WITHOUT_NUMBERS = {
    *("arguments", "fingerprints", "validity"),
    *("devices", "gpus", "checkpoint", "errors", "files", "history", "provenance", "study"),
    *("archives", "datasets", "folds", "local_files", "pictures", "sources", "splits"),
    *("extensions", "layers/activations"),  # of models of Keras 2
    *("__init__", "engine/__init__", "layers/__init__"),
}


def imported(path):
    """The modules of the package that a file imports, at whatever depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("freeconv"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("freeconv")}
    places = {name.removeprefix("freeconv").lstrip(".").replace(".", "/") for name in names}
    files = {place for place in places if (PACKAGE / f"{place}.py").is_file()}
    return files | {
        f"{place}/__init__".lstrip("/") for place in places if (PACKAGE / place).is_dir()
    }


def closure(script):
    """What a script imports, and so on; not what the package exports to others by name."""
    known, new = set(), imported(script)
    while new:
        known |= new
        found = (imported(PACKAGE / f"{module}.py") for module in new - {"__init__"})
        new = set().union(*found) - known
    return known


def settings_of(**changes):
    return dataclasses.replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    ("digests", "script"), [(training_code, "train"), (evaluation_code, "evaluate")]
)
def test_every_module_behind_the_numbers_is_digested(digests, script):
    listed = set()
    for backend in ("tensorflow", "jax"):
        for kind in ("cnn", "fcn"):
            listed |= digests(settings_of(backend=backend, kind=kind)).keys()
    assert listed == closure(ROOT / f"scripts/{script}.py") - WITHOUT_NUMBERS


def test_cells_depend_on_the_code_of_their_own_network():
    cnn, fcn = (training_code(settings_of(kind=kind)) for kind in ("cnn", "fcn"))
    assert {"layers/base", "patches", "distances"} <= fcn.keys()
    assert not {"layers/base", "patches", "distances"} & cnn.keys()
    assert "distances" not in training_code(settings_of(kind="fcn", vcp=0.5))
    jax = training_code(settings_of(backend="jax"))
    assert "engine/jax" in jax
    assert "engine/tensorflow" not in jax


CODE = '''
"""A module."""

LIMIT = 3  # a comment


def f(x):
    """Doubles."""
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
        ('"""Doubles."""\n    return', '"""Doubles."""\n    "a statement"\n    return'),
        ("2 * x", "2.0 * x"),
    ],
)
def test_meaning_counts(before, after):
    assert before in CODE
    assert source_digest(CODE.replace(before, after)) != source_digest(CODE)
