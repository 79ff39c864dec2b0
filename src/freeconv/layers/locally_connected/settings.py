"""Configurations of Keras 2: what they mean today, and whether a layer agrees with one."""

import math
import numbers

import keras
import numpy as np
from keras import ops

from freeconv.layers import FreeConv1D, FreeConv2D
from freeconv.layers.activations import legacy_hard_sigmoid
from freeconv.layers.base_free_conv import BaseFreeConv

FREE = {"LocallyConnected1D": FreeConv1D, "LocallyConnected2D": FreeConv2D}

# What decides which weight connects what.
_GEOMETRY = ("filters", "kernel_size", "strides", "padding", "data_format", "use_bias")

# What a configuration may hold without saying anything about the layer's numbers.
_LABELS = {"name", "trainable", "dtype"}

# What makes no difference to outputs, has another form, or is checked layer by layer.
_UNCHECKED = {
    *_LABELS,
    *("seed", "rate", "dropout", "recurrent_dropout", "noise_shape", "stddev", "l1", "l2"),
    *(
        "momentum",
        "renorm",
        "unit_forget_bias",
        "synchronized",
        "implementation",
        "unroll",
        "attention_axes",
    ),
    *("function", "arguments", "mask", "output_shape", "sparse", "batch_size"),
    *("layer", "backward_layer", "layers", "cell", "cells", "input_layers", "output_layers"),
}
_UNCHECKED_ENDS = ("_initializer", "_regularizer", "_constraint")

# `None` in their place means that they were learnt from data, or that a global setting decided.
_LEFT_OPEN = {"vocabulary", "idf_weights", "bin_boundaries", "mean", "variance", "data_format"}

_RENAMED = {"alpha": "negative_slope", "theta": "threshold"}
_RENAMED_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "Model": "Functional",
}

_ELEMENTWISE = (
    keras.constraints.NonNeg,
    keras.regularizers.L1,
    keras.regularizers.L2,
    keras.regularizers.L1L2,
)

HARD_SIGMOID = " `hard_sigmoid` of Keras 2 is `freeconv.legacy_hard_sigmoid` today."

# Activations are told apart by what they make of these.
_SAMPLES = np.linspace(-8, 8, 132, dtype="float32").reshape(4, 33)


def unwrapped(config):
    """Returns the class of a layer, `None` if it is not told, and its configuration.

    Args:
        config: what `get_config()` returns, or that with its class as
            `{"class_name": ..., "config": ...}`.
    """
    class_name = None
    if {"class_name", "config"} <= set(config):
        class_name, config = config["class_name"].split(">")[-1], config["config"]
    if isinstance(config, (list, tuple)):  # a Sequential before Keras 2.2.3
        config = {"layers": config}
    return _RENAMED_CLASSES.get(class_name, class_name), config


def says_nothing(config):
    """Returns whether a configuration leaves open what its layer computes."""
    return set(config) <= _LABELS


def free_layer(class_name, config, names):
    """Returns the free convolution that a legacy layer becomes, without weights.

    Args:
        class_name: the legacy layer's class, or `None` if it is not known.
        config: its configuration.
        names: names of the arguments that both layers have.

    Raises:
        ValueError: for a configuration of another layer.
    """
    sizes = config.get("kernel_size")
    rank = len(sizes) if isinstance(sizes, (list, tuple)) else None
    free = {each: FREE[f"LocallyConnected{each}D"] for each in (1, 2)}.get(rank)
    if free is None or FREE.get(class_name, free) is not free or "filters" not in config:
        raise ValueError(
            "`config` must be that of a LocallyConnected1D or 2D. Received: "
            f"kernel_size={sizes!r} and filters={config.get('filters')!r} of layer "
            f"'{config.get('name')}'{f', a {class_name}' if class_name else ''}."
        )
    arguments = {key: config[key] for key in names if key in config}
    arguments.setdefault("data_format", "channels_last")
    arguments["dtype"] = dtype_of(config.get("dtype"))
    arguments["activation"] = activation_of(config.get("activation"))
    for key in ("kernel_initializer", "bias_initializer"):
        if key in arguments:
            arguments[key] = _initializer(arguments[key])
    return free(**arguments)


def check_axes(layer, implementation):
    """Raises ValueError for constraints and regularizers whose axes were others.

    A kernel of implementation 1, and a bias of channels last, have those of a free convolution.

    Args:
        layer: the free convolution that has those of a legacy layer.
        implementation: 1 to 3, the legacy layer's.
    """
    other = {
        "kernel": implementation != 1,
        "bias": layer.data_format == "channels_first",
    }
    for name in ("constraint", "regularizer"):
        for weight in (weight for weight, differs in other.items() if differs):
            value = getattr(layer, f"{weight}_{name}")
            if value is not None and not isinstance(value, _ELEMENTWISE):
                raise ValueError(
                    f"`{weight}_{name}` of the legacy layer '{layer.name}' cannot be kept, as its "
                    f"{weight} had other axes. Put None in its place, and give the new layer "
                    f"one of its own. Received: {type(value).__name__} with "
                    f"implementation={implementation} and data_format='{layer.data_format}'."
                )


def dtype_of(value):
    """Returns the name of a type or policy of Keras 2, in whatever form; `None` for none."""
    if isinstance(value, dict):  # a serialized `Policy`, or `PolicyV1` with its loss scale
        value = value["config"]
        value = value["name"] if isinstance(value, dict) else value
    name = getattr(value, "name", value)
    if name is None or isinstance(name, str):
        return None if name in ("infer", "_infer") else name
    return keras.backend.standardize_dtype(name)


def activation_of(value):
    """Returns the function, or layer, that computes what an activation of Keras 2 does.

    Args:
        value: a name, a function, or a serialized function or layer.

    Raises:
        ValueError: for one that Keras does not know.
    """
    class_name, config = unwrapped(value) if isinstance(value, dict) else (None, value)
    if class_name in ("function", "Activation"):
        return activation_of(config if class_name == "function" else config["activation"])
    if class_name is not None and isinstance(config, dict):
        config = {**config, "dtype": dtype_of(config.get("dtype"))}
        config = {key: entry for key, entry in config.items() if key != "batch_input_shape"}
        if not hasattr(keras.layers, class_name):
            raise ValueError(f"`activation` must be one that Keras has. Received: {class_name}.")
        return getattr(keras.layers, class_name).from_config(config)
    if config == "hard_sigmoid":
        return legacy_hard_sigmoid
    return keras.activations.get(config)


def check_alike(layer, class_name, config, path):
    """Raises ValueError where a layer computes otherwise than a legacy one.

    Args:
        layer: a built layer.
        class_name: the legacy layer's class, or `None` if it is not known.
        config: its configuration. What it does not tell is not checked.
        path: the names of the layer and of those around it, for messages.
    """
    if class_name is not None and not may_be(layer, class_name):
        raise ValueError(
            f"Layer '{path}' must be what the legacy layer is. Received: a "
            f"{type(layer).__name__} for a {class_name} of Keras 2."
        )
    if says_nothing(config):
        return
    _check_activations(layer, config, path)
    if isinstance(layer, BaseFreeConv):
        _check_geometry(layer, config, path)
    elif not isinstance(layer, keras.Model):
        _check_settings(layer, config, path)


def check_whole(layer, path):
    """Raises ValueError for a free convolution that no legacy layer can be."""
    if max(layer.tile) > 1:
        raise ValueError(
            f"Layer '{path}' must have a kernel for every position, as the legacy layer has. "
            f"Received: sharing={layer.sharing!r}."
        )
    if layer.connection_mask is not None:
        raise ValueError(
            f"Layer '{path}' must have all its connections, as the legacy layer has. Received: "
            f"connection_dropout={layer.connection_dropout!r}."
        )


def _initializer(value):
    """Leaves out the `dtype` that initializers of TensorFlow 1 and 2.0 had."""
    if not isinstance(value, dict) or "dtype" not in value.get("config", {}):
        return value
    config = {key: entry for key, entry in value["config"].items() if key != "dtype"}
    return {**value, "config": config}


def may_be(layer, class_name):
    """Returns whether a layer can be the counterpart of one of a class of Keras 2.

    Of classes that Keras does not know, which are the user's, the name decides.
    """
    if class_name in FREE:
        return isinstance(layer, FREE[class_name])
    if class_name in ("Functional", "Sequential"):
        return isinstance(layer, keras.Model)
    if type(layer).__name__ == class_name:
        return True
    known = getattr(keras.layers, class_name, None)
    return known is not None and not _is_from_keras(layer) and isinstance(layer, known)


def _is_from_keras(layer):
    return type(layer).__module__.startswith("keras.")


def _check_geometry(layer, config, path):
    """Raises ValueError where a legacy layer connects otherwise than a free convolution."""
    for name in _GEOMETRY:
        value = config.get(name)
        value = tuple(value) if isinstance(value, list) else value
        if value != getattr(layer, name):
            raise _difference(path, name, getattr(layer, name), value)


def _check_activations(layer, config, path):
    """Raises ValueError where a legacy layer has another function than `layer`."""
    for name, value in config.items():
        function = getattr(layer, name, None)
        if name.rpartition("_")[2] != "activation" or function is None:
            continue
        if not same_activation(value, function):
            hint = HARD_SIGMOID * (value == "hard_sigmoid")
            names = (activation_name(function), activation_name(value))
            raise _difference(path, name, *names, hint)


def activation_name(value):
    """Returns what to call an activation of Keras 2 in a message."""
    if isinstance(value, dict):
        value = value["config"] if isinstance(value["config"], str) else value["class_name"]
    return getattr(value, "__name__", value)


def same_activation(value, function):
    """Returns whether an activation of Keras 2 computes what a function or layer of Keras 3 does.

    One that Keras does not know must have the same name.
    """
    try:
        legacy = activation_of(value)
    except ValueError:
        return str(activation_name(value)).split(">")[-1] == getattr(function, "__name__", None)
    if legacy is function:
        return True
    ours, theirs = (
        ops.convert_to_numpy(each(ops.convert_to_tensor(_SAMPLES))) for each in (function, legacy)
    )
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-4, atol=5e-5)


def _check_settings(layer, config, path):
    """Raises ValueError where an ordinary layer has a setting that differs."""
    if config.get("time_major"):
        raise _difference(path, "time_major", False, True)
    try:
        own = layer.get_config()
    except NotImplementedError:  # a separate class without one
        return
    for name, value in config.items():
        name = _RENAMED.get(name, name) if name not in own else name
        checked = name in own and name not in _UNCHECKED and not name.endswith(_UNCHECKED_ENDS)
        if not checked or "activation" in name or (value is None and name in _LEFT_OPEN):
            continue
        same = _same_axes(value, own[name], layer) if name == "axis" else _same(value, own[name])
        if not same:
            raise _difference(path, name, own[name], value)


def _same(one, other):
    """Returns whether two settings are equal, whatever they are stored as."""
    if isinstance(one, dict) or isinstance(other, dict):
        return True  # a serialized object, of which there are too many kinds
    pair = [each.tolist() if isinstance(each, np.ndarray) else each for each in (one, other)]
    several = [isinstance(each, (list, tuple)) for each in pair]
    if all(several):
        return len(pair[0]) == len(pair[1]) and all(map(_same, *pair))
    if any(several):
        single, items = sorted(pair, key=lambda each: isinstance(each, (list, tuple)))
        return all(_same(single, item) for item in items)
    if all(isinstance(each, numbers.Real) for each in pair):
        return math.isclose(*pair, rel_tol=1e-5, abs_tol=1e-12)
    return pair[0] == pair[1]


def _same_axes(one, other, layer):
    """Returns whether axes can be the same ones, counted from either end.

    A built legacy layer counts from the first axis, however it was made. Where the number of axes
    of the layer's inputs is not known, any is possible.
    """
    pair = [each if isinstance(each, (list, tuple)) else [each] for each in (one, other)]
    if len(pair[0]) != len(pair[1]) or None in (*pair[0], *pair[1]):
        return list(pair[0]) == list(pair[1])
    rank = _input_rank(layer)
    apart = {a - b for a, b in zip(*pair, strict=True)}
    if rank is not None:
        return all(difference % rank == 0 for difference in apart)
    mixed = all((a < 0) != (b < 0) for a, b in zip(*pair, strict=True))
    return apart == {0} or (mixed and len(apart) == 1)


def _input_rank(layer):
    """Returns the number of axes of a layer's inputs, `None` where it is not known."""
    rank = getattr(layer.input_spec, "ndim", None)
    if rank is not None:
        return rank
    try:
        inputs = layer.input
    except (AttributeError, ValueError):  # not called on its own, or several times
        return None
    return len((inputs[0] if isinstance(inputs, list) else inputs).shape)


def _difference(path, name, value, legacy, hint=""):
    return ValueError(
        f"`{name}` of layer '{path}' must be that of the legacy layer. Received: "
        f"{name}={value!r}, of the legacy layer {legacy!r}.{hint}"
    )
