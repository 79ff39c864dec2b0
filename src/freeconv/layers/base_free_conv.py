"""What free convolutions have in common, along however many axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
from keras import ops

from freeconv.layers import argument_validation
from freeconv.layers.connection_mask import (
    PresentWeightsConstraint,
    PresentWeightsRegularizer,
    add_connection_mask,
    draw_connections,
    without_masked,
)
from freeconv.layers.kernel_banks import initial_mixing, mix, mixed_variance
from freeconv.layers.patch_products import in_order_of_positions, multiply_patches
from freeconv.layers.patches import PatchTable, output_grid, tile_grid, zero_margins
from freeconv.layers.soft_sharing import SoftSharing, on_grid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

GLOROT_FANS = ("kernel_shape", "per_location")

LARGE_KERNEL = 2**22
"""Weights from which on the memory of drawing them counts: 16 MiB of 32-bit numbers."""

# Activations that do not care which axis holds the channels.
_ELEMENTWISE = (
    keras.activations.linear,
    keras.activations.relu,
    keras.activations.leaky_relu,
    keras.activations.elu,
    keras.activations.selu,
    keras.activations.gelu,
    keras.activations.silu,
    keras.activations.sigmoid,
    keras.activations.tanh,
    keras.activations.softplus,
)


class BaseFreeConv(keras.layers.Layer):
    """A free convolution along the axes that a child names; `FreeConv2D` says what it computes.

    Attributes:
        axes: names of the axes of an image, in the order of its shape.
    """

    axes = ()

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        connection_dropout=0.0,
        glorot_fans="kernel_shape",
        seed=None,
        sharing=1,
        banks=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = argument_validation.positive_int(filters, "filters")
        self.kernel_size = argument_validation.positive_sizes(kernel_size, "kernel_size", self.axes)
        self.strides = argument_validation.positive_sizes(strides, "strides", self.axes)
        self.padding = argument_validation.choice(padding, "padding", ("valid", "same"))
        self.data_format = argument_validation.choice(
            keras.config.image_data_format() if data_format is None else data_format,
            "data_format",
            ("channels_last", "channels_first"),
        )
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(
            "glorot_uniform" if kernel_initializer is None else kernel_initializer
        )
        self.bias_initializer = keras.initializers.get(
            "zeros" if bias_initializer is None else bias_initializer
        )
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.connection_dropout = argument_validation.share(
            connection_dropout, "connection_dropout"
        )
        self.glorot_fans = argument_validation.choice(glorot_fans, "glorot_fans", GLOROT_FANS)
        self.seed = argument_validation.seed_or_new(seed)
        self.sharing = argument_validation.degree_of_sharing(sharing, "sharing", self.axes)
        self.banks = None if banks is None else argument_validation.positive_int(banks, "banks")
        self._check_banks()
        self.input_spec = keras.layers.InputSpec(ndim=len(self.axes) + 2)
        self.output_grid = self.tile = self.tile_grid = None
        self.kernel = self.bias = self.connection_mask = self.mixing = None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights for inputs of `input_shape`."""
        *size, channels = self._image_shape(input_shape)
        self.output_grid = self._output_grid(size)
        self.tile = self._tile()
        self.tile_grid = tile_grid(self.output_grid, self.tile)
        kernels = self.banks if self._mixes() else math.prod(self.tile_grid)
        if math.prod(self.tile_grid) > 1:
            geometry = (self.kernel_size, self.strides)
            self._margins = zero_margins(size, *geometry, self.padding)
            padded = [n + sum(zeros) for n, zeros in zip(size, self._margins, strict=True)]
            self._table = PatchTable.of(self.output_grid, *geometry, padded, self.tile, channels)
        shape = (kernels, math.prod(self.kernel_size) * channels, self.filters)

        if self._mixes():
            self.mixing = self.add_weight(
                name="mixing",
                shape=(*self.output_grid, self.banks),
                initializer=initial_mixing(self.seed),
            )
        regularizer = on_grid(self.kernel_regularizer, self.tile_grid)
        constraint = self.kernel_constraint
        if self.connection_dropout > 0:
            present = draw_connections(shape, self.connection_dropout, self.seed)
            self.connection_mask = add_connection_mask(self, present)
            constraint = PresentWeightsConstraint(constraint, self.connection_mask)
            if regularizer is not None:
                regularizer = PresentWeightsRegularizer(regularizer, self.connection_mask)
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=_held_once(self._initial_kernel, shape),
            regularizer=regularizer,
            constraint=constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*((kernels,) if self._mixes() else self.tile_grid), self.filters),
                initializer=self.bias_initializer,
                regularizer=on_grid(self.bias_regularizer, self.tile_grid),
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self.built = True

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Applies the kernel of each position to its patch of `inputs`."""
        kernel, bias = self.tile_weights()
        kernel = ops.cast(kernel, self.compute_dtype)
        if math.prod(self.tile_grid) == 1:
            return self.activation(self._convolution(inputs, kernel, bias))
        outputs = multiply_patches(kernel, self._pixels(inputs), self._table)
        if bias is not None:
            bias = ops.cast(bias, self.compute_dtype)
            # With TensorFlow, `ops.add` would add it along whichever axis has as many elements.
            outputs = outputs + ops.reshape(bias, (-1, 1, self.filters, 1))
        # Activated before they become images again, outputs reach a next free layer with nothing
        # between its transposition and this one: graph optimisers then leave both away.
        elementwise = self.activation in _ELEMENTWISE
        if elementwise:
            outputs = self.activation(outputs)
        outputs = self._images(outputs)
        return outputs if elementwise else self.activation(outputs)

    def tile_weights(self) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
        """Returns kernel and bias of every tile, whichever way the layer holds them.

        Returns:
            `(kernel, bias)` of the shapes `(tiles, patch, filters)` and `(*tile_grid, filters)`, or
            `None` without a bias: masked weights are 0, and banks are mixed.
        """
        kernel, bias = self.kernel, self.bias
        if self.mixing is not None:
            # Mixed before they are applied: that many convolutions would cost as many times more.
            return mix(self.mixing, kernel), None if bias is None else mix(self.mixing, bias)
        if self.connection_mask is not None:
            # The mask alone says which weights are masked, whatever is stored in their places;
            # their gradient becomes zero here.
            kernel = without_masked(kernel, self.connection_mask)
        return ops.convert_to_tensor(kernel), None if bias is None else ops.convert_to_tensor(bias)

    def _mixes(self):
        """Whether positions mix banks: a single one is the kernel of all."""
        return self.banks is not None and self.banks > 1

    def _convolution(self, inputs, kernel, bias):
        """Returns what a single tile gives: one kernel for all positions is a convolution."""
        inputs = argument_validation.images_of_shape(inputs, self.input_spec.shape[1:])
        if self.data_format == "channels_first":
            # TensorFlow convolves these as they are on some processors only.
            inputs = ops.transpose(inputs, (0, *range(2, len(inputs.shape)), 1))
        images = ops.conv(
            ops.cast(inputs, self.compute_dtype),
            ops.reshape(kernel, (*self.kernel_size, -1, self.filters)),
            self.strides,
            self.padding,
            "channels_last",
        )
        if bias is not None:
            images = images + ops.cast(ops.reshape(bias, (self.filters,)), self.compute_dtype)
        return images if self.data_format == "channels_last" else ops.moveaxis(images, -1, 1)

    def _pixels(self, inputs):
        """Returns images as (pixels, channels, batch), padded."""
        rank = len(self.axes)
        order = self._by_image_format(
            (*range(1, rank + 1), rank + 1, 0), (*range(2, rank + 2), 1, 0)
        )
        inputs = argument_validation.images_of_shape(inputs, self.input_spec.shape[1:])
        pixels = ops.transpose(ops.cast(inputs, self.compute_dtype), order)
        if any(map(any, self._margins)):
            pixels = ops.pad(pixels, (*self._margins, (0, 0), (0, 0)))
        *size, channels, _ = pixels.shape
        return ops.reshape(pixels, (math.prod(size), channels, -1))

    def _images(self, outputs):
        """Returns (tiles, positions of a tile, filters, batch) as images."""
        outputs = in_order_of_positions(outputs, self._table)
        rank, grid = len(self.axes), range(len(self.axes))
        outputs = ops.reshape(outputs, (*self.output_grid, self.filters, -1))
        order = self._by_image_format((rank + 1, *grid, rank), (rank + 1, rank, *grid))
        return ops.transpose(outputs, order)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Returns the output's shape for inputs of `input_shape`."""
        grid = self._output_grid(self._image_shape(input_shape)[:-1])
        return self._by_image_format(
            (input_shape[0], *grid, self.filters), (input_shape[0], self.filters, *grid)
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make the same layer, connection pattern included."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "connection_dropout": self.connection_dropout,
            "glorot_fans": self.glorot_fans,
            "seed": self.seed,
            "sharing": self.sharing,
            "banks": self.banks,
        }

    def _initial_kernel(self, shape, dtype=None):
        kernel = self.kernel_initializer(shape, dtype=dtype)
        if self.glorot_fans == "per_location":
            gain = _per_location_gain(self.kernel_initializer, shape, math.prod(self.kernel_size))
            if self.mixing is not None:
                gain = gain / ops.sqrt(mixed_variance(self.mixing))
            kernel = kernel * gain
        if self.connection_mask is not None:
            kernel = without_masked(kernel, self.connection_mask)
        return kernel

    def _by_image_format(self, channels_last, channels_first):
        return channels_last if self.data_format == "channels_last" else channels_first

    def _image_shape(self, input_shape):
        """Returns the sizes of the axes, and the channels, of a fully known input shape."""
        rank, name = len(self.axes), self.__class__.__name__
        if len(input_shape) != rank + 2:
            raise ValueError(
                f"{name} takes {rank + 2}D inputs: a batch with axes ({', '.join(self.axes)}) and "
                f"channels. Received: input_shape={tuple(input_shape)} of layer '{self.name}'."
            )
        order = self._by_image_format((*range(1, rank + 2),), (*range(2, rank + 2), 1))
        sizes = tuple(input_shape[axis] for axis in order)
        if None in sizes:
            raise ValueError(
                f"{name} has weights for every position, so that {', '.join(self.axes)} and "
                "channels of its inputs must be known. Received: "
                f"input_shape={tuple(input_shape)} with data_format='{self.data_format}' of layer "
                f"'{self.name}'."
            )
        return sizes

    def _output_grid(self, size):
        grid = output_grid(size, self.kernel_size, self.strides, self.padding)
        if min(grid) < 1:
            raise ValueError(
                f"The inputs of layer '{self.name}' are too small for its kernel. Received: "
                f"{' and '.join(self.axes)} {tuple(size)} with kernel_size={self.kernel_size} and "
                f"padding='{self.padding}'."
            )
        return grid

    def _check_banks(self):
        if self.banks is None:
            return
        for name, usual in (("sharing", (1,) * len(self.axes)), ("connection_dropout", 0.0)):
            if getattr(self, name) != usual:
                raise ValueError(
                    f"`banks` are another way of sharing weights than `{name}`; give one of them. "
                    f"Received: banks={self.banks} and {name}={getattr(self, name)!r}."
                )
        for name in ("kernel_regularizer", "bias_regularizer"):
            if isinstance(getattr(self, name), SoftSharing):
                raise ValueError(f"`banks` have no neighbours; `{name}` cannot be SoftSharing.")

    def _tile(self):
        if self.sharing == argument_validation.SHARED_BY_ALL or self.banks == 1:
            return self.output_grid
        return tuple(map(min, self.sharing, self.output_grid))


def _held_once(initializer, shape):
    """Returns the initializer of a kernel; that of a large one without its intermediate results.

    One after the other, TensorFlow's operations on random numbers hold the kernel three times. In
    a graph they work in place, unless its optimiser computes them in advance, too.
    """
    if keras.backend.backend() != "tensorflow" or math.prod(shape) < LARGE_KERNEL:
        return initializer
    from tensorflow import config, function

    def in_place(shape, dtype=None):
        folds = config.optimizer.get_experimental_options().get("constant_folding", True)
        config.optimizer.set_experimental_options({"constant_folding": False})
        try:
            return function(initializer, autograph=False)(shape, dtype)
        finally:
            config.optimizer.set_experimental_options({"constant_folding": folds})

    return in_place


def _per_location_gain(initializer, shape, kernel_area):
    """Returns what turns weights drawn with the stored shape's fans into those of `Conv2D`.

    Args:
        initializer: the initializer that drew the weights.
        shape: `(tiles, kernel_area * channels, filters)`.
        kernel_area: int, pixels of a patch.
    """
    # Axes given by the user are fans of their own choice (Keras 3.13 and later).
    chosen_axes = getattr(initializer, "input_axes", None) is not None
    if not isinstance(initializer, keras.initializers.VarianceScaling) or chosen_axes:
        return 1.0
    tiles, patch, filters = shape

    def fan(fan_in, fan_out):
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        return fans[initializer.mode]

    stored = fan(tiles * patch, tiles * filters)
    return math.sqrt(stored / fan(patch, kernel_area * filters))
