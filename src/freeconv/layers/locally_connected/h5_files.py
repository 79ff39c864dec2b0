"""Model files of Keras 2: HDF5, with a model's configuration and its weights by layer."""

import json
from pathlib import Path

import h5py
import numpy as np

from freeconv.layers.locally_connected.settings import unwrapped
from freeconv.layers.locally_connected.structure import LegacyLayer


def read_layers(path):
    """Reads the layers of a whole model saved by Keras 2, or tf_keras, as `.h5`.

    Args:
        path: of the file.

    Returns:
        A list of `LegacyLayer`, those without weights included.

    Raises:
        ValueError: for a file that is no such model file, of weights alone, of Keras 1 or 3, or
            written with Theano, whose kernels are turned round.
        OSError: for a file that cannot be opened.
    """
    with Path(path).open("rb"):  # an error of the system comes first
        pass
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} must be an HDF5 file (.h5) of Keras 2. Received: another format.")
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs or "model_weights" not in file:
            raise ValueError(
                f"{path} must hold a whole model of Keras 2, as `model.save(path)` writes it. "
                "Received: weights alone, or something else. Weights alone can be given as "
                "(configuration, weights) of each layer."
            )
        _check_origin(file, path)
        groups = file["model_weights"]
        _, config = unwrapped(json.loads(_text(file.attrs["model_config"])))
        return [
            LegacyLayer.of(layer, _weights(groups, _name_of(layer), path), saved=True)
            for layer in config["layers"]
            if layer["class_name"] != "InputLayer"
        ]


def _check_origin(file, path):
    version, backend = (
        _text(file.attrs.get(name, file["model_weights"].attrs.get(name, default)))
        for name, default in (("keras_version", "2"), ("backend", "tensorflow"))
    )
    if version.split(".")[0] != "2" or backend == "theano":
        raise ValueError(
            f"{path} must be of Keras 2, with a backend other than Theano. Received: Keras "
            f"{version} with {backend}."
        )


def _weights(groups, name, path):
    """Returns the arrays of a layer, those to be trained first."""
    if name not in groups:
        raise ValueError(f"{path} must hold weights of each layer. Received: none of '{name}'.")
    group = groups[name]
    names = _texts(group.attrs, "weight_names")
    missing = [each for each in names if each not in group]
    if missing:
        raise ValueError(f"{path} must hold every weight that it names. Received: no {missing[0]}.")
    return [np.asarray(group[each]) for each in names]


def _name_of(layer):
    # Functional models name their layers beside the configurations, Sequential ones inside.
    return layer.get("name") or layer["config"]["name"]


def _texts(attributes, name):
    """Returns a list of texts, which Keras cuts in pieces where they are too long for HDF5."""
    if name in attributes:
        return [_text(each) for each in attributes[name]]
    pieces = []
    while f"{name}{len(pieces)}" in attributes:
        pieces.append(attributes[f"{name}{len(pieces)}"])
    return [_text(each) for piece in pieces for each in piece]


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)
