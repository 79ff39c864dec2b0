"""That packages keep to their places: which may import which, and what stays out of them."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

PACKAGE = ROOT / "src/freeconv"

# Package -> packages and modules of FreeConv that it may import, beside itself.
MAY_IMPORT = {
    "errors": (),
    "io": ("errors",),
    "command_line": ("errors", "study"),
    "layers": (),
    "data": ("io", "errors"),
    "study": ("data.sources", "errors"),
    "results": ("study", "io", "errors"),
    "training": ("layers", "data", "study", "results", "io", "errors"),
    "analysis": ("study", "results", "errors"),
    "plots": ("analysis", "study", "results", "io", "errors", "layers.filter_distances"),
    "report": ("analysis", "study", "results", "errors"),
}

# Package -> packages of others that it must do without (each loads one that takes long).
NOT_OF_OTHERS = {
    "layers": ("pandas", "pyarrow", "matplotlib", "yaml"),
    "data": ("pandas", "keras", "tensorflow", "jax", "matplotlib"),
    "study": ("pandas", "keras", "tensorflow", "jax", "matplotlib"),
    "results": ("keras", "tensorflow", "jax", "matplotlib"),
    "analysis": ("keras", "tensorflow", "jax", "matplotlib"),
    "plots": ("keras", "tensorflow", "jax"),
    "report": ("keras", "tensorflow", "jax", "matplotlib"),
}


def imports(path, everywhere=True):
    """What a module imports, as dotted names; at its top level alone, or everywhere.

    What annotations alone need is left out: it is imported by nobody who runs the module.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not is_for_type_checkers(node)]
    names = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def modules():
    """Dotted name within the package -> path, of all modules but the public face."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    del found[""]
    return found


def test_every_package_is_ruled():
    assert {name.partition(".")[0] for name in modules()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package):
    for name, path in modules().items():
        if name.partition(".")[0] != package:
            continue
        for imported in imports(path):
            top, _, rest = imported.partition(".")
            if top == "freeconv" and rest != "__version__":
                allowed = (package, *MAY_IMPORT[package])
                assert any(f"{rest}.".startswith(f"{place}.") for place in allowed), (name, rest)
            assert top not in {"snakemake", "scripts"}, (name, imported)


@pytest.mark.parametrize("package", NOT_OF_OTHERS)
def test_a_package_does_without_what_it_must_at_import(package):
    for name, path in modules().items():
        if name.partition(".")[0] == package:
            tops = {imported.partition(".")[0] for imported in imports(path, everywhere=False)}
            assert not tops & set(NOT_OF_OTHERS[package]), name


def test_no_two_modules_import_one_another():
    found = modules()
    # A package's own file is imported with each of its modules, and holds what they offer.
    inside = {
        name: {
            other
            for other in found
            if any(f"{i}.".startswith(f"freeconv.{other}.") for i in imports(path, False))
            and not name.startswith(f"{other}.")
        }
        for name, path in found.items()
    }
    left = dict(inside)
    while left:
        free = [name for name in left if not left[name] & left.keys() - {name}]
        assert free, f"imports in a circle among {sorted(left)}"
        for name in free:
            del left[name]


def test_the_rules_load_no_slow_package():
    """What Snakemake imports of the library at each of its starts."""
    rules = "\n".join(path.read_text() for path in ROOT.glob("workflow/rules/**/*.smk"))
    lines = [line.strip() for line in rules.splitlines()]
    wanted = {line.split()[1] for line in lines if line.startswith("from freeconv.")}
    assert "freeconv.study" in {name.rpartition(".")[0] for name in wanted}
    code = f"import sys, {', '.join(sorted(wanted))}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    loaded = subprocess.run(command, env=environment, check=True, text=True, capture_output=True)
    assert not {"keras", "tensorflow", "matplotlib", "sklearn"} & set(loaded.stdout.split())
