"""The examples of docstrings give what they say."""

import doctest
from importlib import import_module

import pytest
from conftest import ROOT

import freeconv
from freeconv.study import extensions

SOURCES = sorted((ROOT / "src").rglob("*.py"))
EXAMPLES = [path for path in SOURCES if ">>>" in path.read_text(encoding="utf-8")]


def module_name(path):
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("name", [module_name(path) for path in EXAMPLES])
def test_examples_of_a_module(name, tmp_path, monkeypatch):
    """In an empty folder, as some write files; what they register is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extensions, "_registered", {"augmentation": {}, "network": {}})
    failed, tried = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0  # what differs is on stdout


def test_what_users_import_has_examples():
    finder = doctest.DocTestFinder()
    for name in freeconv.__all__:
        if name != "__version__":
            tests = finder.find(getattr(freeconv, name), name)
            assert any(test.examples for test in tests), name
