"""Constraints and regularizers of ordinary convolutions, applied to each tile of a free one.

The kernel of a free convolution is `(tiles, patch, filters)` and its bias `(*tile_grid, filters)`,
where an ordinary one has `(*kernel_size, channels, filters)` and `(filters,)`. What a constraint or
a regularizer says of axes, or of a whole kernel, so has another meaning there.
"""

import keras
from keras import ops

from freeconv.layers.soft_sharing import SoftSharing

# They treat each weight by itself (or sum over all), so that axes do not matter to them.
_ELEMENTWISE = (
    keras.constraints.NonNeg,
    keras.regularizers.L1,
    keras.regularizers.L2,
    keras.regularizers.L1L2,
)
_NORMS = (
    keras.constraints.MaxNorm,
    keras.constraints.UnitNorm,
    keras.constraints.MinMaxNorm,
)


class _Tilewise:
    """What both have in common.

    Args:
        inner: function of an ordinary convolution's weight, or its serialized form.
        shape: shape of that weight.
    """

    def __init__(self, inner, shape):
        self.inner = self._get(inner)
        self.shape = tuple(shape)

    def _per_tile(self, w):
        """Returns what `inner` makes of the weights of each tile, tiles along the first axis."""
        return ops.vectorized_map(self.inner, ops.reshape(w, (-1, *self.shape)))

    def get_config(self):
        """Returns the arguments that make the same object."""
        inner = keras.saving.serialize_keras_object(self.inner)
        return {"inner": inner, "shape": self.shape}


@keras.saving.register_keras_serializable(package="freeconv")
class TilewiseConstraint(_Tilewise, keras.constraints.Constraint):
    """Applies an ordinary convolution's constraint to the weights of each tile."""

    _get = staticmethod(keras.constraints.get)

    def __call__(self, w):
        """Returns the weight as it should be after a step, in its shape."""
        return ops.reshape(self._per_tile(w), w.shape)


@keras.saving.register_keras_serializable(package="freeconv")
class TilewiseRegularizer(_Tilewise, keras.regularizers.Regularizer):
    """Sums an ordinary convolution's regularizer over the tiles."""

    _get = staticmethod(keras.regularizers.get)

    def __call__(self, x):
        """Returns the loss of a weight."""
        return ops.sum(self._per_tile(x))


def for_tiles(function, tilewise, shape):
    """Returns what does to each tile's weights what `function` does to an ordinary convolution's.

    Args:
        function: constraint or regularizer of a weight of an ordinary convolution, or None.
        tilewise: `TilewiseConstraint` or `TilewiseRegularizer`, whichever it is.
        shape: shape of that weight.
    """
    if function is None or type(function) in _ELEMENTWISE:
        return function
    return tilewise(function, shape)


def for_other_tiles(function, tile_axes, rank):
    """Returns what holds for any number of tiles, if `function` does.

    Args:
        function: constraint or regularizer of a weight of a free convolution, or None.
        tile_axes: how many axes of that weight, the first ones, are those of the tiles.
        rank: how many axes it has.

    Raises:
        ValueError: if it may depend on how many tiles there are.
    """
    if function is None or isinstance(function, _Tilewise) or type(function) in _ELEMENTWISE:
        return function
    if isinstance(function, SoftSharing):  # between tiles, however many
        return function
    if type(function) in _NORMS and min(_axes(function, rank)) >= tile_axes:
        return function
    raise ValueError(
        "it may depend on the number of tiles; put one in its place that does not, "
        f"or none. Received: {function!r}"
    )


def for_one_tile(function, tile_axes, rank, shape):
    """Returns what means for an ordinary convolution what `function` means for every tile.

    Args:
        function: as of `for_other_tiles`.
        tile_axes: as of `for_other_tiles`.
        rank: as of `for_other_tiles`.
        shape: shape of the ordinary convolution's weight.

    Raises:
        ValueError: if there is no such thing.
    """
    function = for_other_tiles(function, tile_axes, rank)
    if isinstance(function, _Tilewise):
        return function.inner
    if isinstance(function, SoftSharing):  # no two tiles are left to differ
        return None
    if type(function) not in _NORMS:
        return function
    last = len(shape) - 1
    # In a kernel there is one axis for all that an ordinary convolution has before its filters.
    places = {rank - 1: [last], rank - 2: list(range(last))}
    axes = [place for axis in sorted(_axes(function, rank)) for place in places[axis]]
    return type(function)(**{**function.get_config(), "axis": axes})


def _axes(norm, rank):
    """The axes of a constraint on norms, counted from the first."""
    axes = norm.axis if isinstance(norm.axis, (list, tuple)) else [norm.axis]
    return {axis % rank for axis in axes}
