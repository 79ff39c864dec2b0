"""Which code computed a result: a digest of each component that can change the numbers.

A component is what a few definitions, its entries, use: functions, classes and constants of this
package that are reached by name, wherever they stand, up to the entries of other components. So
that a definition may move to another module, and nothing becomes stale. Neither comments,
docstrings, annotations, line breaks nor the texts of errors and log lines count, nor the version of
Python that parses the code.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from freeconv.study.settings import RunSettings

_PACKAGE = Path(__file__).parents[1]
_NAME = "freeconv"

# Component -> its entries, `module:name`, with the settings' backend for {backend}.
_ENTRIES = {
    "training": ("training/train:train_run",),
    "evaluation": ("training/evaluate:evaluate_model", "training/evaluate:sweep_conditions"),
    "networks": (
        "training/models:build_model",
        "training/models:load_model",
        "training/models:first_free_layer",
    ),
    "free_layer": (
        "layers/free_conv:FreeConv2D",
        "layers/connection_mask:ConnectionMask",
        "layers/base_free_conv:GLOROT_FANS",
    ),
    "filter_distances": ("layers/filter_distances:filter_distances",),
    "augmentation": ("training/augmentation:augment",),
    "engine": (
        "training/engine/{backend}:Trainer",
        "training/engine/{backend}:Evaluator",
        "training/engine/{backend}:matrix_products",
        "training/engine/__init__:computing_in",
        "training/engine/base:Condition",
        "training/engine/base:on_device",
    ),
    "best_epoch": ("results/best_epoch:best_epoch", "results/best_epoch:LOSSES"),
}

# Modules that decide where a job computes, what it reads, writes and complains of, and what becomes
# of its numbers. What it reads is recorded by content.
_WITHOUT_NUMBERS = {
    *("errors", "io", "results/schemas", "results/provenance"),
    *("study/grid", "study/settings", "study/extensions"),
    *("training/devices", "training/gpu_locks", "training/checkpoint"),
}

_BACKENDS = ("tensorflow", "jax")

# Fields of syntax trees that say nothing, or that only some versions of Python have.
_SILENT_FIELDS = {
    *("annotation", "returns", "ctx", "kind"),
    *("type_comment", "type_ignores", "type_params"),
}

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def training_code(settings: RunSettings, extension: Path | None = None) -> dict[str, str]:
    """The code that the history of a run is computed by.

    Args:
        settings: `settings.RunSettings`.
        extension: path of the study's extension, if the run's augmentation or network is of its
            making (`grid.Study.extension_for`), or None.

    Returns:
        Mapping, component -> digest of 16 hexadecimal digits; `extension` among the components.
    """
    measured = settings.kind == "fcn" and settings.vcp == 0
    components = ("training", "best_epoch", *(("filter_distances",) if measured else ()))
    return _digests(components, settings, extension)


def evaluation_code(settings: RunSettings, extension: Path | None = None) -> dict[str, str]:
    """The code that the evaluation of a run's model is computed by, as `training_code`."""
    return _digests(("evaluation", "best_epoch"), settings, extension)


def source_digest(source: str | bytes) -> str:
    r"""Digest of Python source code: of all that can change what it computes.

    Args:
        source: text of a module, or its bytes.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> source_digest("x = 'a'  # why") == source_digest('"Docstring."\nx = "a"')
        True
    """
    tree = ast.parse(source)
    imports = _imports(tree)
    tree = _without_texts(tree)
    used = {"*"} | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    meanings = sorted((name, sorted(imports[name])) for name in used & imports.keys())
    return _hash([_as_tuples(tree), meanings])


def reached(component: str, backend: str) -> dict[tuple[str, str], Any]:
    """The definitions that a component is made of.

    Args:
        component: its name, as in `training_code`.
        backend: `tensorflow` or `jax`.

    Returns:
        Mapping, (module, name) -> what of its code counts.
    """
    entries = {name: _entries(name, backend) for name in _ENTRIES}
    others = set().union(*(entries[name] for name in entries if name != component))
    passed = _WITHOUT_NUMBERS | {f"training/engine/{name}" for name in _BACKENDS if name != backend}
    found, new = {}, list(entries[component])
    while new:
        module, name = new.pop()
        if (module, name) in found or module in passed:
            continue
        code = _module(module)
        inside, outside = code.used_by(name)
        found[module, name] = (code.canonical(name), tuple(sorted(outside)))
        new += inside - others - set(found)
    return found


def _entries(component, backend):
    places = [entry.format(backend=backend).split(":") for entry in _ENTRIES[component]]
    return set().union(*(_module(module).resolve(name)[0] for module, name in places))


def _digests(components, settings, extension):
    always = ("networks", "augmentation", "engine")
    free = ("free_layer",) if settings.kind == "fcn" else ()
    code = {name: _digest(name, settings.backend) for name in (*components, *always, *free)}
    own = {"extension": source_digest(Path(extension).read_bytes())} if extension else {}
    return code | own


@cache
def _digest(component, backend):
    return _hash(sorted(map(repr, reached(component, backend).values())))


def _hash(pieces):
    return hashlib.sha256(repr(pieces).encode()).hexdigest()[:16]


class _Module:
    """What a module of this package defines, and what the names in it mean."""

    def __init__(self, name):
        tree = ast.parse((_PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
        self.name, self.definitions, self.imports = name, {}, _imports(tree)
        # What modules of this package are called here says nothing: they may move.
        self._modules = {
            name for name, meanings in self.imports.items() if all(map(_path, meanings))
        }
        for node in _without_texts(tree).body:
            for defined in _defined_names(node):
                self.definitions[defined] = node

    def canonical(self, name):
        """What of a definition's code counts, as nested tuples."""
        return _as_tuples(self.definitions[name], self._modules)

    def used_by(self, name):
        """What a definition uses: pairs of module and name here, and names of other packages."""
        inside, outside = set(), set()
        for node in ast.walk(self.definitions[name]):
            if isinstance(node, ast.Name):
                found = self.resolve(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found = self._resolve_attribute(node.value.id, node.attr)
            else:
                continue
            inside |= found[0]
            outside |= found[1]
        return inside - {(self.name, name)}, outside

    def resolve(self, name):
        """The definitions that a name may mean, and names of other packages that it may."""
        if name in self.definitions:
            return {(self.name, name)}, set()
        inside, outside = set(), set()
        for meaning in self.imports.get(name, ()):
            module, _, attribute = meaning.rpartition(".")
            if meaning.partition(".")[0] != _NAME:
                outside.add(f"{name}: {meaning}")
            elif _path(meaning) is None and _path(module) not in (None, self.name):
                found = _module(_path(module)).resolve(attribute)
                inside |= found[0]
                outside |= found[1]
        return inside, outside

    def _resolve_attribute(self, name, attribute):
        paths = [_path(meaning) for meaning in self.imports.get(name, ())]
        for path in filter(None, paths):
            return _module(path).resolve(attribute)
        return set(), set()


@cache
def _module(name):
    return _Module(name)


def _path(dotted):
    """The name of a module in this package, `engine/base`; None if it is no such module."""
    place = dotted.removeprefix(_NAME).lstrip(".").replace(".", "/")
    if dotted.partition(".")[0] != _NAME:
        return None
    for path in (place, f"{place}/__init__".lstrip("/")):
        if (_PACKAGE / f"{path}.py").is_file():
            return path
    return None


def _imports(tree):
    """Name -> what it may mean, by the imports of a module, at whatever depth of its code."""
    imports = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                # `import a.b` binds a.
                name = alias.name if source else alias.name.partition(".")[0]
                imports.setdefault(alias.asname or name, set()).add(source + alias.name)
    return imports


def _defined_names(node):
    """The names that a statement of a module defines."""
    if isinstance(node, _DEFINITIONS):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return []


class _WithoutTexts(ast.NodeTransformer):
    """Drops what says something to people alone: docstrings, annotations, errors' texts, logs."""

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def visit_Expr(self, node):
        call = node.value
        if isinstance(call, ast.Constant) and isinstance(call.value, str):
            return None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            of = call.func.value
            if isinstance(of, ast.Name) and of.id in ("log", "logging"):
                return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return node if node.value is None else ast.Assign([node.target], node.value)

    def visit_Import(self, node):
        return None

    visit_ImportFrom = visit_Import  # noqa: N815


def _without_texts(node):
    """A syntax tree, changed in place."""
    node = _WithoutTexts().visit(node)
    for part in ast.walk(node):
        for field in _SILENT_FIELDS & set(part._fields):
            setattr(part, field, None)
    return node


def _as_tuples(node, modules=frozenset()):
    """A syntax tree as nested tuples; without empty fields, and without the names of `modules`."""
    if isinstance(node, list):
        return tuple(_as_tuples(item, modules) for item in node)
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Name) and node.id in modules:
        return ("module",)
    return (
        type(node).__name__,
        *(
            (name, _as_tuples(value, modules))
            for name, value in ast.iter_fields(node)
            if value is not None and value != []
        ),
    )
