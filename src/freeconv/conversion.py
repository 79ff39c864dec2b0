"""Networks with free convolutions made of trained ordinary ones, and the other way round."""

import keras
import numpy as np

from freeconv.layers import FreeConv1D, FreeConv2D, FreeConv3D
from freeconv.layers.base import BaseFreeConv
from freeconv.layers.checks import degree_of_sharing
from freeconv.patches import tile_of_positions

__all__ = ["to_free", "to_shared"]

_FREE = {
    keras.layers.Conv1D: FreeConv1D,
    keras.layers.Conv2D: FreeConv2D,
    keras.layers.Conv3D: FreeConv3D,
}
_SHARED = {free: shared for shared, free in _FREE.items()}

# What free convolutions are told as well as ordinary and locally connected ones.
CONVOLUTION_ARGUMENTS = (
    "name",
    "trainable",
    "dtype",
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


def to_free(model, sharing=1):
    """Returns a copy of a trained model whose convolutions are free.

    Every `keras.layers.Conv1D`, `Conv2D` and `Conv3D` becomes a `FreeConv1D`, `FreeConv2D` or
    `FreeConv3D` of the same name, with its kernel and its bias at every position: the copy computes
    what the model computes, and its kernels part only when it is trained. Free convolutions of
    another degree of sharing get the degree asked for; the kernel of a tile is then the mean over
    its positions, absent connections counting as zeros, and none is absent any more. All other
    layers are copied with their weights, models inside the model included; layers inside a wrapper
    (`keras.layers.TimeDistributed`) stay as they are.

    Regularizers and constraints are kept. They see the kernel of a free convolution, so that the
    L2 norm of a kernel repeated at n positions costs n times as much. A compiled model's copy is
    compiled alike, with a new optimizer.

    Args:
        model: a built Sequential or functional Keras model; it is left unchanged.
        sharing: degree of weight sharing of the free convolutions, see `FreeConv2D`.

    Returns:
        A new model of the same inputs and outputs.

    Raises:
        ValueError: for a model that is subclassed or not built, for a convolution with dilation,
            groups or causal padding, on inputs of unknown size, or of a class of its own, and for
            `sharing` out of its range.

    Example:
    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    >>> to_free(model).get_layer("conv").count_params(), model.count_params()
    (4032, 112)
    """

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, tuple(_FREE)):
            _check_class(layer, _FREE)
            _check_arguments(layer)
            free = _FREE[type(layer)]
            arguments = {name: config[name] for name in CONVOLUTION_ARGUMENTS}
            arguments["sharing"] = degree_of_sharing(sharing, "sharing", free.axes)
            return free.from_config(arguments)
        if isinstance(layer, BaseFreeConv):
            degree = degree_of_sharing(sharing, "sharing", layer.axes)
            if degree != layer.sharing:
                config |= {"sharing": degree, "connection_dropout": 0.0}
        return type(layer).from_config(config)

    return _converted(model, clone)


def to_shared(model):
    """Returns a copy of a trained model whose free convolutions are ordinary ones.

    Every `FreeConv1D`, `FreeConv2D` and `FreeConv3D` becomes a `keras.layers.Conv1D`, `Conv2D` or
    `Conv3D` of the same name, whose kernel and bias are the means over all positions: those of a
    tile count as often as it has positions, absent connections as zeros. So the copy computes what
    the model computes where kernels are the same everywhere, and is the nearest convolution (by
    the squared distance of weights) otherwise. Everything else is as `to_free` says.

    Args:
        model: a built Sequential or functional Keras model; it is left unchanged.

    Returns:
        A new model of the same inputs and outputs.

    Raises:
        ValueError: for a model that is subclassed or not built, and for a free convolution of a
            class of its own.

    Example:
    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), FreeConv2D(4, 3, name="free")])
    >>> tuple(to_shared(model).get_layer("free").kernel.shape)
    (3, 3, 3, 4)
    """

    def clone(layer):
        config = layer.get_config()
        if not isinstance(layer, BaseFreeConv):
            return type(layer).from_config(config)
        _check_class(layer, _SHARED)
        arguments = {name: config[name] for name in CONVOLUTION_ARGUMENTS}
        return _SHARED[type(layer)].from_config(arguments)

    return _converted(model, clone)


def _converted(model, clone):
    """Returns a copy of a model with the layers that `clone` makes, and the model's weights."""
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has no weights yet; build it, or call it on inputs, first."
        )
    pairs = []

    def clone_and_remember(layer):
        pairs.append((layer, clone(layer)))
        return pairs[-1][1]

    copy = keras.models.clone_model(model, clone_function=clone_and_remember, recursive=True)
    for layer, other in pairs:
        alike = type(layer) is type(other)
        if alike and getattr(layer, "sharing", None) == getattr(other, "sharing", None):
            other.set_weights(layer.get_weights())
        else:
            _convert_weights(layer, other)
    return copy


def _convert_weights(layer, other):
    """Gives a convolution the mean weights over its positions of another kind of convolution."""
    grid = (layer if isinstance(layer, BaseFreeConv) else other).output_grid
    kernels, biases = _weights_by_position(layer, grid)
    groups = _tile_of_positions(other, grid)
    other.kernel.assign(_means(kernels, groups).reshape(other.kernel.shape))
    if other.bias is not None:
        other.bias.assign(_means(biases, groups).reshape(other.bias.shape))


def _weights_by_position(layer, grid):
    """Returns kernels (positions, weights of a patch, filters) and biases (positions, filters)."""
    tile = _tile_of_positions(layer, grid)
    kernels = keras.ops.convert_to_numpy(layer.kernel)
    if getattr(layer, "connection_mask", None) is not None:
        kernels = kernels * keras.ops.convert_to_numpy(layer.connection_mask)
    kernels = kernels.reshape(tile.max() + 1, -1, layer.filters)
    if layer.bias is None:
        return kernels[tile], None
    biases = keras.ops.convert_to_numpy(layer.bias).reshape(-1, layer.filters)
    return kernels[tile], biases[tile]


def _tile_of_positions(layer, grid):
    """Returns the numbers of the kernels that positions have, one after the other."""
    tile = layer.tile if isinstance(layer, BaseFreeConv) else grid
    return tile_of_positions(grid, tile).ravel()


def _means(values, groups):
    """Returns the mean of each group; of equal values it is that value, to the last bit."""
    each = [values[groups == group] for group in range(groups.max() + 1)]
    return np.stack([members.mean(axis=0, dtype="float64") for members in each])


def _check_class(layer, classes):
    """Raises ValueError for a child of one of `classes`."""
    if type(layer) not in classes:
        raise ValueError(
            f"Layer '{layer.name}' cannot be converted: its class may compute more than the "
            "convolution it inherits from. Put that one in its place, or convert the parts of the "
            f"model before and behind it. Received: class {type(layer).__name__}."
        )


def _check_arguments(layer):
    """Raises ValueError for a convolution that has no free counterpart."""
    unsupported = {
        "dilation_rate": max(layer.dilation_rate) > 1,
        "groups": layer.groups > 1,
        "padding": layer.padding == "causal",
    }
    for name, found in unsupported.items():
        if found:
            raise ValueError(
                f"Layer '{layer.name}' cannot become free: free convolutions have no dilation, "
                f"groups or causal padding. Received: {name}={getattr(layer, name)!r}."
            )
