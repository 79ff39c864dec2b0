"""Custom augmentations and networks: one Python file, which a study names.

The file registers functions by the decorators `augmentation` and `network`. Which names it adds is
read from its text, without running it, so that a workflow knows them at once and without Keras.
Jobs run it; it is code, with all rights of who runs the study. See docs/extending.md.
"""

import ast
import copy
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from freeconv.errors import InputError

TAKEN = (
    *("none", "translation", "rotation", "noise", "edge_noise", "clean", "quadrant_swap"),
    *("mnist", "cifar10"),
)
"""Augmentations, perturbations and networks that are there without an extension."""

LAYERS_MAX = 9
"""Most convolutional layers of a custom network."""

_PARAMETERS = {
    "augmentation": (("images", "level", "generator"),),
    "network": ((), ("kind", "input_shape", "classes", "layers")),
}
_MODULE = "freeconv_extension"

_registered = {"augmentation": {}, "network": {}}


@dataclass(frozen=True)
class Extension:
    """What a file adds to a study.

    Attributes:
        path: of the file, as the study gives it.
        augmentations: names of the augmentations it registers.
        networks: names of the networks it registers.
        built: those of the networks that a function builds as a whole.
    """

    path: str
    augmentations: tuple[str, ...]
    networks: tuple[str, ...]
    built: tuple[str, ...]


def augmentation(name):
    """Register an augmentation: decorator of a function (images, level, generator) -> images.

    The function takes and gives float32 tensors `(batch, height, width, channels)`, pixels from 0
    to 1, and is made of `keras.ops` and `keras.random`, so that it compiles into the training
    epoch. `level` is the strength, 0 to 1, a number or a scalar tensor; `generator` is a
    `keras.random.SeedGenerator`, the `seed` of everything random in it.

    Args:
        name: text of lower-case letters, digits and underscores, as studies name it.

    Raises:
        InputError: if the name is no such text or taken, or the function has other parameters.

    Example:
        >>> @augmentation("brightness")
        ... def brighten(images, level, generator):
        ...     shape = (keras.ops.shape(images)[0], 1, 1, 1)
        ...     return images + keras.random.uniform(shape, -level, level, seed=generator)
    """
    return _registering("augmentation", name)


def network(name):
    """Register a network: decorator of a function that gives its layers, or builds it.

    A function without parameters returns a `models.Network`, the sizes of the layers, from which
    CNN and FCN are built like those of the paper. A function (kind, input_shape, classes, layers)
    returns a `keras.Model` of its own making: from images `(batch, *input_shape)` to class
    probabilities, float32 `(batch, classes)`; with `FreeConv2D` where `kind` is `fcn`, without
    where it is `cnn`. `layers` is the study's number of convolutions. Weights without a seed of
    their own follow from the seed of the cell.

    Args:
        name: text of lower-case letters, digits and underscores, as studies name it.

    Raises:
        InputError: if the name is no such text or taken, or the function has other parameters.

    Example:
        >>> @network("tiny")
        ... def tiny():
        ...     return Network((Convolution(3, 8, 2), Convolution(3, 16, 1)), hidden=32)
    """
    return _registering("network", name)


def _registering(kind, name):
    def register(function):
        where = f"extension: {kind} {name!r}"
        _check_name(where, name, [n for names in _registered.values() for n in names])
        _check_parameters(where, kind, tuple(inspect.signature(function).parameters))
        _registered[kind][name] = function
        return function

    return register


def own_augmentation(name):
    """The function registered as an augmentation of this name, or None."""
    return _registered["augmentation"].get(name)


def own_network(name):
    """The function registered as a network of this name, or None."""
    return _registered["network"].get(name)


def own_augmentations():
    """The names of all augmentations that are registered."""
    return tuple(_registered["augmentation"])


def builds_model(function):
    """Whether a function registered as a network builds the model itself."""
    return bool(inspect.signature(function).parameters)


def read(path):
    """What a file adds to a study, read without running it.

    Args:
        path: the file, looked for from the current folder.

    Returns:
        `Extension`.

    Raises:
        InputError: if there is no such file, it is not Python, registers nothing, a name is no
            literal text or taken, or a function has other parameters; the message names the line.
    """
    found, built = {"augmentation": [], "network": []}, []
    for function, decorator in _decorated(path):
        kind, where = _kind(decorator), f"extension: {path}, line {decorator.lineno}"
        name = _literal_name(where, kind, decorator)
        _check_name(where, name, found["augmentation"] + found["network"])
        _check_parameters(f"{where}, function {function.name}", kind, _parameters(function))
        found[kind].append(name)
        if kind == "network" and function.args.args:
            built.append(name)
    if not any(found.values()):
        raise InputError(
            f"extension: {path} registers nothing; expected a function under "
            '@extensions.augmentation("name") or @extensions.network("name")'
        )
    return Extension(str(path), *map(tuple, (found["augmentation"], found["network"], built)))


def load(path):
    """Run the file of an extension, once in a process, so that its names are registered.

    To be called once the backend of Keras is chosen.

    Args:
        path: see `read`.

    Raises:
        InputError: as `read`, and if the file fails, or registers other names than its text says.
    """
    extension, location = read(path), Path(path).resolve()
    if getattr(sys.modules.get(_MODULE), "__file__", None) == str(location):
        return extension
    _run(path, location)
    missing = {*extension.augmentations, *extension.networks} - {
        name for names in _registered.values() for name in names
    }
    if missing:
        raise InputError(
            f"extension: {path} does not register {', '.join(sorted(missing))} when it runs; "
            "decorate by freeconv.extensions, and not under a condition"
        )
    return extension


def extended_schema(schema, extension):
    """The schema of a study's configuration, with the names that an extension adds.

    Args:
        schema: that of the workflow, a mapping; it stays as it is.
        extension: `Extension`, or None.
    """
    if extension is None:
        return schema
    schema = copy.deepcopy(schema)
    for key in ("augmentations", "evaluation"):
        for name in extension.augmentations:
            schema["properties"][key]["properties"][name] = {"$ref": "#/$defs/levels"}
    training, layers = (schema["$defs"][name] for name in ("training", "layers"))
    if extension.networks:
        papers = list(training["properties"]["network"]["enum"])
        training["properties"]["network"]["enum"] = [*papers, *extension.networks]
        training["if"] = {"properties": {"network": {"enum": papers}}}
        training["then"] = {"properties": {"layers": {"maximum": layers["maximum"]}}}
        layers["maximum"] = LAYERS_MAX
    return schema


def _run(path, location):
    loader = SourceFileLoader(_MODULE, str(location))
    module = module_from_spec(spec_from_loader(_MODULE, loader))
    sys.modules[_MODULE] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[_MODULE]
        if isinstance(error, InputError):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(location)]
        where = f", line {lines[-1]}" if lines else ""
        raise InputError(f"extension: {path}{where}: {type(error).__name__}: {error}") from error


def _decorated(path):
    """Pairs of a function at the top level of a file and the decorator that registers it."""
    try:
        tree = ast.parse(Path(path).read_bytes(), filename=str(path))
    except OSError as error:
        raise InputError(
            f"extension: {path}: {error.strerror}; expected a Python file, looked for from "
            f"{Path.cwd()}"
        ) from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        message = getattr(error, "msg", error)
        raise InputError(f"extension: {path}{line}: not valid Python: {message}") from None
    return [
        (node, decorator)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if _kind(decorator)
    ]


def _kind(decorator):
    """`augmentation` or `network` of a decorator that registers; else None."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = getattr(function, "attr", getattr(function, "id", None))
    return name if name in _PARAMETERS else None


def _literal_name(where, kind, decorator):
    arguments = decorator.args if isinstance(decorator, ast.Call) else []
    if len(arguments) != 1 or not isinstance(arguments[0], ast.Constant):
        raise InputError(f'{where}: expected @extensions.{kind}("name"), the name in quotes')
    return arguments[0].value


def _parameters(function):
    """The names of all parameters of a function, in the order of its signature."""
    arguments = function.args
    plain = (*arguments.posonlyargs, *arguments.args, arguments.vararg)
    return tuple(a.arg for a in (*plain, *arguments.kwonlyargs, arguments.kwarg) if a)


def _check_parameters(where, kind, parameters):
    """Raises unless a function has one of the lists of parameters that its kind may have."""
    counts = [len(expected) for expected in _PARAMETERS[kind]]
    if len(parameters) not in counts:
        expected = " or ".join(f"({', '.join(names)})" for names in _PARAMETERS[kind])
        raise InputError(
            f"{where}: has the parameters ({', '.join(parameters)}); expected {expected}"
        )


def _check_name(where, name, others):
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise InputError(
            f"{where}: {name!r} is not allowed as a name; expected lower-case letters, digits and "
            "underscores, beginning with a letter"
        )
    if name in TAKEN or name in others:
        raise InputError(f"{where}: the name {name} is taken; choose another")
