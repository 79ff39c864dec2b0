"""Networks with free convolutions made of trained ordinary ones, and the other way round."""

from __future__ import annotations

import warnings

import keras
import numpy as np
from keras.src.models.functional import Functional

from freeconv.layers import FreeConv1D, FreeConv2D, FreeConv3D
from freeconv.layers.argument_validation import degree_of_sharing
from freeconv.layers.base_free_conv import BaseFreeConv
from freeconv.layers.model_copies import compile_alike, copy_state, renewed
from freeconv.layers.patches import tile_of_positions
from freeconv.layers.tilewise import (
    TilewiseConstraint,
    TilewiseRegularizer,
    for_one_tile,
    for_other_tiles,
    for_tiles,
)

__all__ = ["to_free", "to_shared"]

_FREE = {
    keras.layers.Conv1D: FreeConv1D,
    keras.layers.Conv2D: FreeConv2D,
    keras.layers.Conv3D: FreeConv3D,
}
_SHARED = {free: shared for shared, free in _FREE.items()}

# They share weights among positions, too.
_WITHOUT_FREE_FORM = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)

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


def to_free(model: keras.Model, sharing: int | str = 1) -> keras.Model:
    """Returns a copy of a trained model whose convolutions are free.

    Every `keras.layers.Conv1D`, `Conv2D` and `Conv3D` becomes a `FreeConv1D`, `FreeConv2D` or
    `FreeConv3D` of the same name, with its kernel and its bias at every position: the copy computes
    what the model computes, and its kernels part only when it is trained. Free convolutions of
    another degree of sharing, or with banks, get the degree asked for; the kernel of a tile is then
    the mean over its positions, masked connections counting as zeros, and none is masked any more.
    Models inside the model are converted, and the layer of a `keras.layers.TimeDistributed`. All
    other layers are copied with their state: weights, vocabularies, fitted statistics, random
    generators.

    Constraints and regularizers of a convolution hold for the kernel and the bias of each tile; a
    regularizer is summed over them, so that the L2 norm of a kernel repeated at n positions costs n
    times as much. A compiled model's copy is compiled in the same way, with a new optimizer and new
    metrics.
    Functions (losses, activations, lambdas) need not be registered with Keras: the copy has them,
    too. Depthwise, separable and transposed convolutions and convolutional LSTMs have no free form:
    they stay as they are, and a warning names them.

    Args:
        model: a built Sequential or functional Keras model; it is left unchanged.
        sharing: degree of weight sharing of the free convolutions, see `FreeConv2D`.

    Returns:
        A new model of the same inputs and outputs.

    Raises:
        ValueError: naming the layer, for a model that is subclassed or not built; for a convolution
            with dilation, groups or causal padding, on inputs of unknown size, on inputs of several
            sizes, or of a class of its own; for a convolution inside another layer, and for a layer
            that cannot be copied; for constraints and regularizers of free convolutions that may
            depend on the number of tiles; and for `sharing` out of its range.

    Example:
    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")])
    >>> to_free(model).get_layer("conv").count_params(), model.count_params()
    (4032, 112)
    """

    def degree(layer):
        return degree_of_sharing(sharing, "sharing", layer.axes)

    def concerns(layer):
        if isinstance(layer, BaseFreeConv):
            return layer.banks is not None or layer.sharing != degree(layer)
        return isinstance(layer, tuple(_FREE))

    def convert(layer):
        if isinstance(layer, BaseFreeConv):
            return _with_sharing(layer, degree(layer))
        return _free(layer, sharing)

    copy = _Conversion(concerns, convert).of(model)
    stay = [layer for layer in copy._flatten_layers() if isinstance(layer, _WITHOUT_FREE_FORM)]
    if stay:
        names = ", ".join(f"'{layer.name}' ({type(layer).__name__})" for layer in stay)
        warnings.warn(f"Layers without a free form stay as they are: {names}.", stacklevel=2)
    return copy


def to_shared(model: keras.Model) -> keras.Model:
    """Returns a copy of a trained model whose free convolutions are ordinary ones.

    Every `FreeConv1D`, `FreeConv2D` and `FreeConv3D` becomes a `keras.layers.Conv1D`, `Conv2D` or
    `Conv3D` of the same name, whose kernel and bias are the means over all positions: those of a
    tile count as often as it has positions, masked connections as zeros. So the copy computes what
    the model computes where kernels are the same everywhere, and is the nearest convolution (by
    the squared distance of weights) otherwise. Everything else is as `to_free` says.

    Args:
        model: a built Sequential or functional Keras model; it is left unchanged.

    Returns:
        A new model of the same inputs and outputs.

    Raises:
        ValueError: naming the layer, for a model that is subclassed or not built; for a free
            convolution of a class of its own, or inside another layer; for constraints and
            regularizers that may depend on the number of tiles; and for a layer that cannot be
            copied.

    Example:
    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), FreeConv2D(4, 3, name="free")])
    >>> tuple(to_shared(model).get_layer("free").kernel.shape)
    (3, 3, 3, 4)
    """
    return _Conversion(lambda layer: isinstance(layer, BaseFreeConv), _shared).of(model)


class _Conversion:
    """A copy of a model in the making.

    Args:
        concerns: function (layer) -> whether it is to be converted.
        convert: function (layer) -> the unbuilt layer that takes its place.
    """

    def __init__(self, concerns, convert):
        self._concerns, self._convert = concerns, convert
        # By identity: a layer that is used twice has one copy. Parts come before the whole.
        self._copies = {}

    def of(self, model):
        """Returns the copy of a model, with state, and compiled if the model is."""
        _check_model(model)
        copy = self._copy(model, model.name)
        for layer, other, replaced in self._copies.values():
            if replaced:
                _convert_weights(layer, other)
            elif not _is_composed(layer):
                copy_state(layer, other)
        for layer, other, _ in reversed(self._copies.values()):  # the whole before its parts
            for ours, theirs in _aligned(layer, other):
                theirs.trainable = ours.trainable
        if model.compiled:
            compile_alike(model, copy)
        return copy

    def _copy(self, layer, path):
        """The copy of a layer, without its state; `path` says where it is."""
        if id(layer) not in self._copies:
            replaced = self._concerns(layer)
            if replaced:
                other = self._convert(layer)
            elif _is_graph(layer):
                other = self._copy_of_graph(layer, path)
            elif type(layer) is keras.layers.TimeDistributed:
                inner = self._copy(layer.layer, f"{path}/{layer.layer.name}")
                other = keras.layers.TimeDistributed(
                    inner, name=layer.name, dtype=layer.dtype_policy
                )
            else:
                self._check_inside(layer, path)
                other = renewed(layer)
            self._copies[id(layer)] = layer, other, replaced
        return self._copies[id(layer)][1]

    def _copy_of_graph(self, model, path):
        if type(model) is keras.Sequential:
            layers = [self._copy(layer, f"{path}/{layer.name}") for layer in model.layers]
            return keras.Sequential([_input_like(*model.inputs), *layers], name=model.name)
        # The same graph as a model that is not compiled, or Keras would compile the copy.
        graph = keras.Model(model.input, model.output, name=model.name)
        copy = keras.models.clone_model(
            graph,
            input_tensors=keras.tree.map_structure(_input_like, model.input),
            clone_function=lambda layer: self._copy_of_operation(layer, path),
        )
        if type(model) is type(copy):
            return copy
        return type(model)(copy.input, copy.output, name=model.name)

    def _copy_of_operation(self, operation, path):
        if isinstance(operation, keras.layers.Layer):
            return self._copy(operation, f"{path}/{operation.name}")
        # Plain operations, such as a sum, have no state.
        return renewed(operation)

    def _check_inside(self, layer, path):
        """Raises ValueError for a layer to convert inside one that is none of Keras' models."""
        for inner in layer._flatten_layers(include_self=False):
            if self._concerns(inner):
                raise ValueError(
                    f"Layer '{path}' of class {type(layer).__name__} cannot be converted: it "
                    f"contains '{inner.name}' of class {type(inner).__name__}, and how it uses it "
                    "is not known. Put its parts into a Sequential or functional model."
                )


def _input_like(tensor):
    """Returns an input of the name, shape and type of a model's input."""
    return renewed(tensor._keras_history.operation).output


def _is_composed(layer):
    """Whether the copy of a layer consists of copies of its parts."""
    return _is_graph(layer) or type(layer) is keras.layers.TimeDistributed


def _is_graph(layer):
    """Whether a layer is a model that its layers and their connections describe in full."""
    if type(layer) is keras.Sequential:
        return True
    return isinstance(layer, Functional) and type(layer).call is Functional.call


def _aligned(layer, other):
    """Pairs of a layer and its copy, and of the layers inside where these are no copies, too."""
    if _is_composed(layer):
        return [(layer, other)]
    return zip(layer._flatten_layers(), other._flatten_layers(), strict=True)


def _check_model(model):
    """Raises ValueError for a model that cannot be copied layer by layer."""
    if not _is_graph(model):
        raise ValueError(
            f"Model '{model.name}' cannot be converted: it must be a Sequential or functional "
            f"model. Received: class {type(model).__name__}."
        )
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has no weights yet; build it, or call it on inputs, first."
        )


def _free(layer, sharing):
    """Returns the free convolution that takes the place of an ordinary one, without weights."""
    _check_class(layer, _FREE)
    _check_arguments(layer)
    free = _FREE[type(layer)]
    kernel, bias = tuple(layer.kernel.shape), (layer.filters,)
    return free(
        **_arguments(layer),
        sharing=degree_of_sharing(sharing, "sharing", free.axes),
        kernel_regularizer=for_tiles(layer.kernel_regularizer, TilewiseRegularizer, kernel),
        bias_regularizer=for_tiles(layer.bias_regularizer, TilewiseRegularizer, bias),
        kernel_constraint=for_tiles(layer.kernel_constraint, TilewiseConstraint, kernel),
        bias_constraint=for_tiles(layer.bias_constraint, TilewiseConstraint, bias),
    )


def _with_sharing(layer, sharing):
    """Returns a free convolution of another degree of sharing, without weights."""
    changed = _tile_functions(layer, for_other_tiles)
    return renewed(layer, sharing=sharing, banks=None, connection_dropout=0.0, **changed)


def _shared(layer):
    """Returns the ordinary convolution that takes the place of a free one, without weights."""
    _check_class(layer, _SHARED)
    *_, channels = layer._image_shape(layer.input_spec.shape)
    shapes = {"kernel": (*layer.kernel_size, channels, layer.filters), "bias": (layer.filters,)}
    return _SHARED[type(layer)](**_arguments(layer), **_tile_functions(layer, for_one_tile, shapes))


def _arguments(layer):
    """Arguments of any convolution that say the same of a free and of an ordinary one."""
    names = ("name", "filters", "kernel_size", "strides", "padding", "data_format", "activation")
    return {
        **{name: getattr(layer, name) for name in names},
        "use_bias": layer.use_bias,
        "dtype": layer.dtype_policy,
        "kernel_initializer": renewed(layer.kernel_initializer),
        "bias_initializer": renewed(layer.bias_initializer),
        "activity_regularizer": layer.activity_regularizer,
    }


def _tile_functions(layer, translate, shapes=None):
    """What a free convolution's constraints and regularizers become, as arguments."""
    axes = {"kernel": (1, 3), "bias": (len(layer.axes), len(layer.axes) + 1)}
    found = {}
    for weight, (tile_axes, rank) in axes.items():
        for kind in ("regularizer", "constraint"):
            name = f"{weight}_{kind}"
            shape = [shapes[weight]] if shapes else []
            try:
                found[name] = translate(getattr(layer, name), tile_axes, rank, *shape)
            except ValueError as error:
                raise ValueError(
                    f"`{name}` of layer '{layer.name}' cannot be converted: {error}"
                ) from None
    return found


def _convert_weights(layer, other):
    """Gives a convolution the mean weights over its positions of another kind of convolution."""
    grid = (layer if isinstance(layer, BaseFreeConv) else other).output_grid
    tiles, groups = (_tile_of_positions(each, grid) for each in (layer, other))
    kernel, bias = _tile_weights(layer)
    _assign_means(other.kernel, kernel.reshape(tiles.max() + 1, -1), tiles, groups)
    if other.bias is not None:
        _assign_means(other.bias, bias.reshape(tiles.max() + 1, -1), tiles, groups)


def _tile_weights(layer):
    """Returns kernel and bias of each tile of either kind of convolution, as arrays."""
    free = isinstance(layer, BaseFreeConv)
    kernel, bias = layer.tile_weights() if free else (layer.kernel, layer.bias)
    return keras.ops.convert_to_numpy(kernel), bias is not None and keras.ops.convert_to_numpy(bias)


def _tile_of_positions(layer, grid):
    """Returns the numbers of the kernels that positions have, one after the other."""
    tile = layer.tile if isinstance(layer, BaseFreeConv) else grid
    return tile_of_positions(grid, tile).ravel()


def _assign_means(variable, values, tiles, groups):
    """Assigns the means of values over the positions of each group.

    Args:
        variable: the weight to assign to.
        values: array (tiles, weights of a tile).
        tiles: int array (positions,), the tile whose values a position has.
        groups: int array (positions,), the group whose mean a position counts in.
    """
    pairs, counts = np.unique(groups * len(values) + tiles, return_counts=True)
    groups, tiles = np.divmod(pairs, len(values))
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    if len(starts) == len(pairs):  # the mean of one value is that value
        means = values[tiles]
    else:
        sums = np.add.reduceat(values[tiles] * counts[:, np.newaxis].astype("float64"), starts)
        means = sums / np.add.reduceat(counts, starts)[:, np.newaxis]
    variable.assign(means.reshape(variable.shape))


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
