"""Custom augmentations and networks: one Python file, which a study names with what it adds.

The file registers functions by the decorators `augmentation` and `network`. Only jobs run it; it is
code, with all rights of the user who runs the study. See docs/extending.md.
"""

from __future__ import annotations

import copy
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

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
_KEYS = ("augmentations", "networks", "built_networks")

_registered = {"augmentation": {}, "network": {}}


@dataclass(frozen=True)
class Extension:
    """What a file adds to a study.

    Attributes:
        path: of the file, as the study gives it.
        augmentations: names of the augmentations that it registers.
        networks: names of the networks whose layers it lists.
        built: names of the networks that it builds as a whole.
    """

    path: str
    augmentations: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    built: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, extension: Mapping[str, Any] | None) -> Extension | None:
        """The extension that the key `extension` of a configuration describes.

        Args:
            extension: mapping, valid by the schema.

        Raises:
            InputError: if there is no such file, or a name is taken or stands there twice.
        """
        path = extension["file"]
        if not Path(path).is_file():
            raise InputError(
                f"extension.file: {path}: no such file; expected a Python file, looked for from "
                f"{Path.cwd()}"
            )
        names = _names(extension)
        for position, name in enumerate(names):
            _check_name("extension", name, names[:position])
        return cls(path, *(tuple(extension[key]) for key in _KEYS))


def augmentation(name: str) -> Callable:
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


def network(name: str) -> Callable:
    """Register a network: decorator of a function that gives its layers, or builds it.

    A function without parameters returns a `models.Network`, the sizes of the layers, from which
    CNN and FCN are built like those of the paper. A function (kind, input_shape, classes, layers)
    returns a `keras.Model` of its own making: from images `(batch, *input_shape)` to class
    probabilities, float32 `(batch, classes)`; with `FreeConv2D` where `kind` is `fcn`, without
    where it is `cnn`. `layers` is the study's number of convolutions. Weights without a seed of
    their own follow from the seed of the run.

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


def own_augmentation(name: str) -> Callable | None:
    """The function registered as an augmentation of this name, or None."""
    return _registered["augmentation"].get(name)


def own_network(name: str) -> Callable | None:
    """The function registered as a network of this name, or None."""
    return _registered["network"].get(name)


def own_augmentations() -> list[str]:
    """The names of all augmentations that are registered."""
    return tuple(_registered["augmentation"])


def builds_model(function: Callable) -> bool:
    """Whether a function registered as a network builds the model itself."""
    return bool(inspect.signature(function).parameters)


def load(path: Path) -> None:
    """Run the file of an extension, once in a process, so that its names are registered.

    To be called once the backend of Keras is chosen.

    Args:
        path: the file, looked for from the current folder.

    Raises:
        InputError: if there is no such file, or it fails; the message names the line.
    """
    location = Path(path).resolve()
    if getattr(sys.modules.get(_MODULE), "__file__", None) != str(location):
        _run(path, location)


def check_registered(extension: Extension) -> None:
    """Run the file of an extension, and check that it registers what the study says of it.

    Args:
        extension: `Extension`.

    Raises:
        InputError: as `load`; and if a name is not registered, or not as the study has it.
    """
    load(extension.path)
    sizes, built = [], []
    for name, function in _registered["network"].items():
        (built if builds_model(function) else sizes).append(name)
    registered = dict(zip(_KEYS, (_registered["augmentation"], sizes, built), strict=True))
    stated = (extension.augmentations, extension.networks, extension.built)
    for key, names in zip(_KEYS, stated, strict=True):
        for name in names:
            if name not in registered[key]:
                known = "; ".join(f"{k}: {', '.join(v) or 'none'}" for k, v in registered.items())
                raise InputError(
                    f"extension.{key}: {extension.path} registers no {name} of this kind; it "
                    f"registers {known}"
                )


def extended_schema(schema: Mapping[str, Any], extension: Extension | None) -> dict[str, Any]:
    """The schema of a study's configuration, with the names that an extension adds.

    Args:
        schema: that of the workflow, a mapping; it stays as it is.
        extension: what the configuration has under `extension`, not checked yet.
    """
    schema = copy.deepcopy(schema)
    for key in ("augmentations", "evaluation"):
        for name in _names(extension, "augmentations"):
            schema["properties"][key]["properties"][name] = {"$ref": "#/$defs/levels"}
    training, layers = (schema["$defs"][name] for name in ("training", "layers"))
    if own := _names(extension, "networks", "built_networks"):
        papers = list(training["properties"]["network"]["enum"])
        training["properties"]["network"]["enum"] = [*papers, *own]
        training["if"] = {"properties": {"network": {"enum": papers}}}
        training["then"] = {"properties": {"layers": {"maximum": layers["maximum"]}}}
        layers["maximum"] = LAYERS_MAX
    return schema


def _names(extension, *keys):
    """The names that an extension has under keys, by default all; wrong values are left out."""
    if not isinstance(extension, dict):
        return []
    lists = [extension.get(key) for key in keys or _KEYS]
    return [n for names in lists if isinstance(names, list) for n in names if isinstance(n, str)]


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
