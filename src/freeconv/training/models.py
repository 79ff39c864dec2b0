"""The networks of the paper's Table A.2, with ordinary or free convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from freeconv.errors import InputError
from freeconv.layers import GLOROT_FANS, ConnectionMask, FreeConv2D, SoftSharing
from freeconv.layers.argument_validation import degree_of_sharing
from freeconv.study.extensions import builds_model, own_network
from freeconv.study.networks import NETWORKS, Convolution, Network, check_sizes, first_convolutions
from freeconv.study.settings import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "KINDS",
    "NETWORKS",
    "VCP_KINDS",
    "Convolution",
    "Network",
    "build_model",
    "first_free_layer",
    "load_model",
]

VCP_KINDS = ("kernel", "input")


def build_model(
    kind: str,
    network: str,
    input_shape: Sequence[int],
    classes: int,
    *,
    layers: int | None = None,
    vcp: float = 0.0,
    vcp_kind: str = "kernel",
    glorot_fans: str = "kernel_shape",
    seed: int = 0,
    sharing: int | str = 1,
    banks: int | None = None,
    neighbour_penalty: float = 0.0,
    mean_penalty: float = 0.0,
) -> keras.Model:
    """Builds a network of Table A.2, or of an extension, as an uncompiled Keras model.

    Layers are named `conv1`, `conv2`, ..., `hidden` and `output`; with `vcp_kind="input"` also
    `mask1`, `mask2`, ... before the convolutions. ReLU everywhere but in the softmax output, which
    is float32 under mixed precision too. Weights are Glorot uniform, biases zero. Every weight and
    every mask has a seed of its own that follows from `seed` and the layer's name.

    Args:
        kind: `"cnn"` (ordinary convolutions) or `"fcn"` (free convolutions).
        network: name in `NETWORKS`, name registered by an extension, or a `Network`.
        input_shape: `(rows, columns, channels)` of an image.
        classes: int, number of classes.
        layers: int, how many of the convolutions are used, from the input on; `None` for all.
        vcp: float in [0, 1), the probability that a connection is masked (variable connection
            patterns, section 4.2 and Figs. C.1 and C.2); above 0 for `"fcn"` only.
        vcp_kind: `"kernel"`, weights are masked, as the paper says, or `"input"`, inputs of the
            free layers are masked, as in the published code.
        glorot_fans: `"kernel_shape"` or `"per_location"`, see `FreeConv2D`; without effect for
            `"cnn"`.
        seed: int >= 0, from which all initial weights and masks follow.
        sharing: degree of weight sharing of the free layers: 1 (none), the size of a tile of
            positions that have one kernel, or `"all"`; see `FreeConv2D`. Other than 1 for `"fcn"`
            only.
        banks: int, number of kernels that all positions of a free layer mix; `None` for none; see
            `FreeConv2D`.
        neighbour_penalty: float of at least 0, weight of differences between neighbouring kernels
            and biases of the free layers in the loss, see `SoftSharing`.
        mean_penalty: likewise, of their differences from the mean.

    Returns:
        A functional `keras.Model` from images of shape `(batch, rows, columns, channels)` to class
        probabilities of shape `(batch, classes)`.

    Raises:
        InputError: for an unknown name, more layers than the network has, an image too small for
            the network, `vcp` or `sharing` out of range or with `"cnn"`; and for a function of an
            extension that gives another model than it should.

    Example:
    >>> model = build_model("fcn", "mnist", (28, 28, 1), 10)
    >>> tuple(model.get_layer("conv1").kernel.shape)
    (169, 9, 32)
    >>> model.count_params()
    4010058
    """
    _check_choice(kind, "kind", KINDS)
    _check_choice(vcp_kind, "vcp_kind", VCP_KINDS)
    _check_choice(glorot_fans, "glorot_fans", GLOROT_FANS)
    if not 0 <= vcp < 1:
        raise InputError(f"`vcp` must be at least 0 and below 1. Received: vcp={vcp!r}.")
    if vcp > 0 and kind != "fcn":
        raise InputError(
            f"`vcp` above 0 needs free convolutions, kind='fcn'. Received: vcp={vcp!r} and "
            f"kind={kind!r}."
        )
    _check_sharing(sharing, kind)
    schemes = {
        "banks": banks,
        "neighbour_penalty": neighbour_penalty,
        "mean_penalty": mean_penalty,
    }
    for name, value in schemes.items():
        if value and kind != "fcn":
            raise InputError(
                f"`{name}` is of free convolutions, kind='fcn'. Received: {name}={value!r} and "
                f"kind={kind!r}."
            )
    own = own_network(network)
    if own and builds_model(own):
        if vcp > 0 or sharing != 1 or any(schemes.values()):
            raise InputError(
                f"`vcp` above 0, `sharing`, {', '.join(map('`{}`'.format, schemes))} are not for "
                f"networks built by a function, such as {network}."
            )
        return _build_by(own, network, kind, tuple(input_shape), classes, layers, seed)
    network = _network(network, layers)
    check_sizes(network, input_shape)

    inputs = keras.Input(tuple(input_shape), name="image")
    x = inputs
    for number, convolution in enumerate(network.convolutions, start=1):
        if vcp > 0 and vcp_kind == "input":
            name = f"mask{number}"
            x = ConnectionMask(vcp, seed=_seed(seed, name), name=name)(x)
        free = {
            "connection_dropout": vcp if vcp_kind == "kernel" else 0.0,
            "glorot_fans": glorot_fans,
            "sharing": sharing,
            "banks": banks,
            **_penalties(neighbour_penalty, mean_penalty),
        }
        x = _convolution_layer(kind, convolution, f"conv{number}", free, seed)(x)
    x = keras.layers.Flatten("channels_last", name="flatten")(x)
    x = _dense(network.hidden, "relu", "hidden", seed)(x)
    # A half-precision softmax would round the probabilities that the loss takes the logarithm of.
    outputs = _dense(classes, "softmax", "output", seed, dtype="float32")(x)
    return keras.Model(inputs, outputs, name=kind)


def first_free_layer(model: keras.Model) -> FreeConv2D | None:
    """Returns the free convolution nearest to the input of `model`, or `None` without any.

    Its kernel is the one whose filter distances the paper follows (Fig. 5).
    """
    return next((layer for layer in model.layers if isinstance(layer, FreeConv2D)), None)


def named_free_layer(model: keras.Model, name: str | None = None) -> FreeConv2D:
    """Returns a free convolution of a model.

    Args:
        model: `keras.Model`.
        name: of the layer; None for the free convolution nearest to the input.

    Returns:
        `layers.FreeConv2D`.

    Raises:
        InputError: if there is none, or none of that name.
    """
    layers = {layer.name: layer for layer in model.layers if isinstance(layer, FreeConv2D)}
    if not layers:
        raise InputError(
            f"the model, {model.name}, has no free convolution; expected one of an fcn: a cnn has "
            "the same filters everywhere"
        )
    if name is None:
        return next(iter(layers.values()))
    if name not in layers:
        raise InputError(f"layer {name}: expected a free convolution: {', '.join(layers)}")
    return layers[name]


def load_model(path: Path) -> keras.Model:
    """Returns the model that `model.save(path)` wrote; importing this module registers its layers.

    Args:
        path: a `.keras` file.

    Returns:
        A `keras.Model`, not compiled.

    Example:
    >>> build_model("fcn", "mnist", (28, 28, 1), 10).save("fcn.keras")
    >>> load_model("fcn.keras").count_params()
    4010058
    """
    return keras.saving.load_model(path, compile=False)


def _build_by(function, name, kind, input_shape, classes, layers, seed):
    """Builds a model by a function of an extension, and checks that it can be trained here."""
    # Initializers without a seed draw theirs from here.
    keras.utils.set_random_seed(seed)
    model = function(kind, input_shape, classes, layers)
    if not isinstance(model, keras.Model) or not hasattr(model, "input_shape"):
        raise InputError(
            f"network {name}: gives {type(model).__name__}; expected a keras.Model that knows its "
            "input, keras.Model(inputs, outputs) or keras.Sequential that begins with keras.Input"
        )
    shapes = (model.input_shape, model.output_shape)
    if shapes != ((None, *input_shape), (None, classes)):
        raise InputError(
            f"network {name}: goes from {shapes[0]} to {shapes[1]}; expected "
            f"{(None, *input_shape)}, images, to {(None, classes)}, probabilities of classes"
        )
    if model.outputs[0].dtype != "float32":
        raise InputError(
            f"network {name}: its output is {model.outputs[0].dtype}; give the last layer "
            "dtype='float32', or the loss is that of rounded probabilities"
        )
    if (first_free_layer(model) is None) != (kind == "cnn"):
        raise InputError(
            f"network {name}: kind={kind!r} must {'not ' if kind == 'cnn' else ''}have FreeConv2D "
            "among its layers"
        )
    _check_training(model, name)
    return model


def _check_training(model, name):
    """Raises InputError where a model asks to be trained in another way than studies train."""
    by_adam = "studies train by Adam on the cross-entropy and the losses of the layers"
    for method in ("compute_loss", "fit", "train_on_batch", "train_step"):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise InputError(
                f"network {name}: {type(model).__name__} has a {method} of its own; {by_adam} "
                "(regularizers, add_loss): leave it out"
            )
    if model.compiled:
        raise InputError(f"network {name}: is compiled; {by_adam}: leave compile() out")
    for variable in model.trainable_variables:
        kind = "a scale of float8" if variable.overwrite_with_gradient else variable.dtype
        if kind != "float32":
            raise InputError(
                f"network {name}: the weight {variable.path} is {kind}; expected float32, in which "
                "Adam computes (weights of layers of mixed_bfloat16 are)"
            )
    for layer in model._flatten_layers():
        if layer.compute_dtype == "float16":
            raise InputError(
                f"network {name}: the layer {layer.name} computes in float16, whose gradients "
                "vanish unless losses are scaled; expected float32 or mixed_bfloat16"
            )


def _convolution_layer(kind, convolution, name, free, seed):
    arguments = {
        "filters": convolution.filters,
        "kernel_size": convolution.kernel_size,
        "strides": convolution.stride,
        "data_format": "channels_last",
        "activation": "relu",
        "kernel_initializer": keras.initializers.GlorotUniform(_seed(seed, name)),
        "name": name,
    }
    if kind == "cnn":
        return keras.layers.Conv2D(**arguments)
    return FreeConv2D(**arguments, **free, seed=_seed(seed, f"{name} connections"))


def _penalties(neighbours, mean):
    """The regularizers of a free layer, as arguments; none where they would be zero."""
    if not (neighbours or mean):
        return {}
    penalty = SoftSharing(neighbours, mean)
    return {"kernel_regularizer": penalty, "bias_regularizer": penalty}


def _dense(units, activation, name, seed, dtype=None):
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=keras.initializers.GlorotUniform(_seed(seed, name)),
        name=name,
        dtype=dtype,
    )


def _seed(seed, name):
    """Returns the seed of one weight or mask, an int below 2**31."""
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0] >> 1)


def _network(network, layers):
    if not isinstance(network, Network):
        network = _network_by_name(network)
    return first_convolutions(network, layers)


def _network_by_name(name):
    own = own_network(name)
    if own is None:
        _check_choice(name, "network", tuple(NETWORKS))
        return NETWORKS[name]
    network = own()
    if not isinstance(network, Network):
        raise InputError(
            f"network {name}: gives {type(network).__name__}; expected a freeconv.Network"
        )
    return network


def _check_choice(value, name, choices):
    if value not in choices:
        raise InputError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")


def _check_sharing(sharing, kind):
    try:
        none = degree_of_sharing(sharing, "sharing", FreeConv2D.axes) == (1, 1)
    except ValueError as error:
        raise InputError(str(error)) from None
    if not none and kind != "fcn":
        raise InputError(
            "`sharing` other than 1 is a property of free convolutions, kind='fcn'. Received: "
            f"sharing={sharing!r} and kind={kind!r}."
        )
