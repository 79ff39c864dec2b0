"""Which code computed a result: a digest of each module that can change the numbers.

A digest is that of a module's syntax tree without docstrings, so that comments, docstrings, line
breaks and quotes do not count, nor the version of Python that parses it.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent

# Modules of this package by what they bear on. All others decide where a job computes, what it
# reads and writes, and what becomes of its numbers; what it reads is recorded by content.
_EVERY_NETWORK = ("augmentation", "engine/base", "models", "networks")
_FREE_LAYER = (
    "layers/base",
    "layers/checks",
    "layers/connections",
    "layers/convolutions",
    "patches",
)
_FILTER_DISTANCES = ("distances",)
_TRAINING = ("selection", "training")
_EVALUATION = ("evaluation", "selection")

# Fields of syntax trees that say nothing, or that only some versions of Python have.
_SILENT_FIELDS = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}


def training_code(settings, extension=None):
    """The code that the history of a cell is computed by.

    Args:
        settings: `study.CellSettings`.
        extension: path of the study's extension, if the cell's augmentation or network is of its
            making (`study.Study.extension_for`), or None.

    Returns:
        Mapping, module -> digest of 16 hexadecimal digits; `extension` among the modules.
    """
    modules = _TRAINING + _network_modules(settings)
    if settings.kind == "fcn" and settings.vcp == 0:
        modules += _FILTER_DISTANCES
    return _digests(modules) | _extension_digest(extension)


def evaluation_code(settings, extension=None):
    """The code that the evaluation of a cell's model is computed by, as `training_code`."""
    return _digests(_EVALUATION + _network_modules(settings)) | _extension_digest(extension)


def source_digest(source):
    r"""Digest of Python source code: of all that can change what it computes.

    Args:
        source: text of a module, or its bytes.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> source_digest("x = 'a'  # why") == source_digest('"Docstring."\nx = "a"')
        True
    """
    tree = _canonical(ast.parse(source))
    return hashlib.sha256(repr(tree).encode()).hexdigest()[:16]


def _network_modules(settings):
    free_layer = _FREE_LAYER if settings.kind == "fcn" else ()
    return (*_EVERY_NETWORK, f"engine/{settings.backend}", *free_layer)


def _digests(modules):
    return {module: _module_digest(module) for module in sorted(modules)}


def _extension_digest(path):
    return {"extension": source_digest(Path(path).read_bytes())} if path else {}


@cache
def _module_digest(module):
    return source_digest((_PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def _canonical(node):
    """A syntax tree as nested tuples, docstrings and empty fields left out."""
    if isinstance(node, list):
        return tuple(map(_canonical, node))
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if _has_docstring(node):
        fields["body"] = node.body[1:]
    return (
        type(node).__name__,
        *(
            (name, _canonical(value))
            for name, value in fields.items()
            if name not in _SILENT_FIELDS and value is not None and value != []
        ),
    )


def _has_docstring(node):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
