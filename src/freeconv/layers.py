"""Free convolution, the locally connected layer of the paper, and variable connection patterns."""

import math
import numbers
import random

import keras
import numpy as np
from keras import ops

from freeconv.patches import PatchTable, multiply_patches

__all__ = ["GLOROT_FANS", "ConnectionMask", "FreeConv2D"]

GLOROT_FANS = ("published", "per_location")

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


@keras.saving.register_keras_serializable(package="freeconv")
class FreeConv2D(keras.layers.Layer):
    """2D free convolution: a convolution without weight sharing.

    Every output position has its own kernel and its own bias, as in the free convolutional networks
    (FCN) of Ott et al. 2020, "Learning in the machine: To share or not to share?" (Fig. 1 left).
    With one kernel and one bias repeated at every position the layer equals `keras.layers.Conv2D`.
    The input's size decides how many positions there are: rows, columns and channels must be known
    when the layer is built.

    Args:
        filters: int, the number of filters at each position (channels of the output).
        kernel_size: int or pair of ints, rows and columns of the receptive field.
        strides: int or pair of ints, steps of the receptive field along rows and columns.
        padding: `"valid"` or `"same"` (case-insensitive), as in `keras.layers.Conv2D`: `"same"`
            pads with zeros so that the output has `ceil(size / stride)` rows and columns.
        data_format: `"channels_last"` or `"channels_first"`; `None` takes
            `keras.config.image_data_format()`.
        activation: activation function; `None` for none.
        use_bias: bool, whether a bias is added.
        kernel_initializer: initializer of the kernel; `None` for `"glorot_uniform"`.
        bias_initializer: initializer of the bias; `None` for `"zeros"`.
        kernel_regularizer: regularizer of the kernel.
        bias_regularizer: regularizer of the bias.
        activity_regularizer: regularizer of the layer's output.
        kernel_constraint: constraint of the kernel, applied after each optimizer step.
        bias_constraint: constraint of the bias, applied after each optimizer step.
        connection_dropout: float in [0, 1), the probability that a weight of the kernel is absent
            for good: zero from the start, never trained, in training and testing alike (variable
            connection patterns, section 4.2 and Fig. 1 right). Every position has a pattern of its
            own.
        glorot_fans: how initializers that scale with the fans (`keras.initializers.VarianceScaling`
            and its children: Glorot, He, LeCun) count them. `"published"`: from the stored shape of
            the kernel, as in the published code, which makes both fans `positions` times those of
            the weights seen as a matrix: `fan_in = positions * kernel_rows * kernel_columns *
            channels`, `fan_out = positions * filters`. `"per_location"`: as `keras.layers.Conv2D`
            does, `fan_in = kernel_rows * kernel_columns * channels`, `fan_out = kernel_rows *
            kernel_columns * filters`. Other initializers are applied to the stored shape as they
            are.
        seed: int >= 0, seed of the connection pattern, which depends on nothing else and is the
            same with every backend; `None` draws one when the layer is made.

    Input shape:
        4D tensor `(batch, rows, columns, channels)` with `"channels_last"`, `(batch, channels,
        rows, columns)` with `"channels_first"`. Only `batch` may be unknown.

    Output shape:
        4D tensor `(batch, out_rows, out_columns, filters)` with `"channels_last"`, `(batch,
        filters, out_rows, out_columns)` with `"channels_first"`.

    Attributes:
        kernel: weight of shape `(positions, kernel_rows * kernel_columns * channels, filters)`;
            positions in row-major order, inputs of a patch in the order (row, column, channel), for
            either data format.
        bias: weight of shape `(out_rows, out_columns, filters)`, for either data format, or `None`.
        connection_mask: boolean non-trainable weight of the kernel's shape, true where the
            connection exists; `None` with `connection_dropout=0`.
        output_grid: `(out_rows, out_columns)`; `positions` is their product. `None` before build.

    Raises:
        ValueError: for an argument outside the stated range, and when the layer is built on a shape
            that is not 4D, has unknown rows, columns or channels, or is too small for the kernel.

    Example:
    >>> layer = FreeConv2D(32, 3, strides=2, activation="relu")
    >>> layer(np.zeros((256, 28, 28, 1), "float32")).shape
    TensorShape([256, 13, 13, 32])
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((169, 9, 32), (13, 13, 32))
    """

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
        glorot_fans="published",
        seed=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = _positive_int(filters, "filters")
        self.kernel_size = _positive_pair(kernel_size, "kernel_size")
        self.strides = _positive_pair(strides, "strides")
        self.padding = _choice(padding, "padding", ("valid", "same"))
        self.data_format = _choice(
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
        self.connection_dropout = _share(connection_dropout, "connection_dropout")
        self.glorot_fans = _choice(glorot_fans, "glorot_fans", GLOROT_FANS)
        self.seed = _seed(seed)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.output_grid = None
        self.kernel = self.bias = self.connection_mask = None

    def build(self, input_shape):
        """Makes the weights for inputs of `input_shape`."""
        rows, columns, channels = self._image_shape(input_shape)
        self.output_grid = self._output_grid(rows, columns)
        self._margins = self._zero_margins(rows, columns)
        padded_columns = columns + sum(self._margins[1])
        self._table = PatchTable.of(
            self.output_grid, self.kernel_size, self.strides, padded_columns
        )
        positions = math.prod(self.output_grid)
        shape = (positions, math.prod(self.kernel_size) * channels, self.filters)

        if self.connection_dropout > 0:
            present = _draw_connections(shape, self.connection_dropout, self.seed)
            self.connection_mask = _add_connection_mask(self, present)
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self._initial_kernel,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.connection_mask is not None:
            self._keep_connections_absent(present)
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*self.output_grid, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self.built = True

    def call(self, inputs):
        """Applies each position's own kernel to its patch of `inputs`."""
        kernel = self.kernel
        if self.connection_mask is not None:
            # Here the gradient of absent weights becomes zero; the stored ones are zero anyway.
            kernel = _without_absent(kernel, self.connection_mask)
        outputs = multiply_patches(kernel, self._pixels(inputs), self._table)
        if self.bias is not None:
            outputs = ops.add(outputs, ops.reshape(self.bias, (-1, self.filters, 1)))
        # Activated before they become images again, outputs reach a next free layer with nothing
        # between its transposition and this one: graph optimisers then leave both away.
        elementwise = self.activation in _ELEMENTWISE
        if elementwise:
            outputs = self.activation(outputs)
        outputs = ops.reshape(outputs, (*self.output_grid, self.filters, -1))
        outputs = ops.transpose(outputs, self._by_image_format((3, 0, 1, 2), (3, 2, 0, 1)))
        return outputs if elementwise else self.activation(outputs)

    def _pixels(self, inputs):
        """Returns images as (pixels, channels, batch), padded."""
        order = self._by_image_format((1, 2, 3, 0), (2, 3, 1, 0))
        pixels = ops.transpose(inputs, order)
        if any(map(any, self._margins)):
            pixels = ops.pad(pixels, (*self._margins, (0, 0), (0, 0)))
        rows, columns, channels, _ = pixels.shape
        return ops.reshape(pixels, (rows * columns, channels, -1))

    def compute_output_shape(self, input_shape):
        """Returns the output's shape for inputs of `input_shape`."""
        grid = self._output_grid(*self._image_shape(input_shape)[:2])
        return self._by_image_format(
            (input_shape[0], *grid, self.filters), (input_shape[0], self.filters, *grid)
        )

    def load_own_variables(self, store):
        """Loads the weights; the loaded connection pattern replaces the one drawn at build."""
        super().load_own_variables(store)
        if self.connection_mask is not None:
            self._keep_connections_absent(ops.convert_to_numpy(self.connection_mask))

    def get_config(self):
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
        }

    def _initial_kernel(self, shape, dtype=None):
        kernel = self.kernel_initializer(shape, dtype=dtype)
        if self.glorot_fans == "per_location":
            kernel = kernel * _per_location_gain(
                self.kernel_initializer, shape, math.prod(self.kernel_size)
            )
        if self.connection_mask is not None:
            kernel = _without_absent(kernel, self.connection_mask)
        return kernel

    def _keep_connections_absent(self, present):
        # Optimizers that mix the weights of a matrix (Muon) move weights that have no gradient.
        self.kernel.constraint = _PresentOnly(self.kernel_constraint, present)

    def _by_image_format(self, channels_last, channels_first):
        return channels_last if self.data_format == "channels_last" else channels_first

    def _image_shape(self, input_shape):
        """Returns (rows, columns, channels) of a fully known input shape."""
        if len(input_shape) != 4:
            raise ValueError(
                f"{self.__class__.__name__} takes 4D inputs (a batch of images). "
                f"Received: input_shape={tuple(input_shape)} of layer '{self.name}'."
            )
        axes = self._by_image_format((1, 2, 3), (2, 3, 1))
        sizes = tuple(input_shape[axis] for axis in axes)
        if None in sizes:
            raise ValueError(
                f"{self.__class__.__name__} has weights for every position, so that rows, columns "
                "and channels of its inputs must be known. Received: "
                f"input_shape={tuple(input_shape)} with data_format='{self.data_format}' of layer "
                f"'{self.name}'."
            )
        return sizes

    def _output_grid(self, rows, columns):
        sizes = zip((rows, columns), self.kernel_size, self.strides, strict=True)
        if self.padding == "same":
            grid = tuple(-(-size // stride) for size, _, stride in sizes)
        else:
            grid = tuple((size - kernel) // stride + 1 for size, kernel, stride in sizes)
        if min(grid) < 1:
            raise ValueError(
                f"The inputs of layer '{self.name}' are too small for its kernel. Received: rows "
                f"and columns {(rows, columns)} with kernel_size={self.kernel_size} and "
                f"padding='{self.padding}'."
            )
        return grid

    def _zero_margins(self, rows, columns):
        """Returns ((top, bottom), (left, right)), the zeros that padding adds."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        sizes = zip((rows, columns), self.output_grid, self.kernel_size, self.strides, strict=True)
        margins = (
            max((outputs - 1) * stride + kernel - size, 0)
            for size, outputs, kernel, stride in sizes
        )
        return tuple((margin // 2, margin - margin // 2) for margin in margins)


@keras.saving.register_keras_serializable(package="freeconv")
class ConnectionMask(keras.layers.Layer):
    """Sets a fixed random set of its inputs to zero, the same for every example and for good.

    Variable connection patterns as the published code of Ott et al. 2020 has them: one mask on the
    inputs of a free convolution, shared by all its filters, where the paper's text and
    `FreeConv2D(connection_dropout=...)` remove weights. Unlike dropout the pattern never changes,
    holds in training and testing, and the remaining inputs are not scaled.

    Args:
        rate: float in [0, 1), the probability that an input is absent.
        seed: int >= 0, seed of the pattern, which is the same with every backend; `None` draws one
            when the layer is made.

    Input shape:
        Any, `(batch, ...)`; only `batch` may be unknown.

    Output shape:
        Same as the input.

    Attributes:
        connection_mask: boolean non-trainable weight of the input's shape without the batch, true
            where the input passes.

    Raises:
        ValueError: for a rate or a seed outside the stated range, and when the layer is built on a
            shape with an unknown size other than the batch.

    Example:
    >>> layer = ConnectionMask(0.5, seed=1)
    >>> layer(np.ones((1, 2, 3), "float32")).shape
    TensorShape([1, 2, 3])
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = _share(rate, "rate")
        self.seed = _seed(seed)
        self.connection_mask = None

    def build(self, input_shape):
        """Draws the mask for inputs of `input_shape`."""
        shape = tuple(input_shape[1:])
        if None in shape:
            raise ValueError(
                "ConnectionMask has a mask of the input's shape, so that all sizes but the batch "
                f"must be known. Received: input_shape={tuple(input_shape)} of layer "
                f"'{self.name}'."
            )
        present = _draw_connections(shape, self.rate, self.seed)
        self.connection_mask = _add_connection_mask(self, present)
        self.input_spec = keras.layers.InputSpec(shape=(None, *shape))
        self.built = True

    def call(self, inputs):
        """Returns `inputs` with the absent ones set to zero."""
        return _without_absent(inputs, self.connection_mask)

    def compute_output_shape(self, input_shape):
        """Returns `input_shape`."""
        return tuple(input_shape)

    def get_config(self):
        """Returns the arguments that make the same layer, pattern included."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class _PresentOnly(keras.constraints.Constraint):
    """Applies a constraint, if any, and sets absent weights to zero.

    The mask is a NumPy array, as a constraint cannot read other variables in a training step with
    the JAX backend.
    """

    def __init__(self, constraint, present):
        self.constraint = constraint
        self.present = present

    def __call__(self, w):
        if self.constraint is not None:
            w = self.constraint(w)
        return _without_absent(w, self.present)


def _without_absent(x, present):
    # A selection, as a product would turn an infinite gradient of an absent weight into NaN.
    x = ops.convert_to_tensor(x)
    # JAX takes no `keras.Variable` for a condition.
    return ops.where(ops.convert_to_tensor(present, "bool"), x, ops.zeros((), x.dtype))


def _draw_connections(shape, rate, seed):
    """Returns a boolean array, false (absent) with probability `rate`."""
    # NumPy's generator, as each Keras backend draws its own numbers from a seed.
    return np.random.default_rng(seed).random(shape, dtype="float32") >= rate


def _add_connection_mask(layer, present):
    return layer.add_weight(
        name="connection_mask",
        shape=present.shape,
        dtype="bool",
        initializer=lambda shape, dtype=None: present,
        trainable=False,
    )


def _per_location_gain(initializer, shape, kernel_area):
    """Returns what turns weights drawn with the stored shape's fans into those of `Conv2D`.

    Args:
        initializer: the initializer that drew the weights.
        shape: `(positions, kernel_area * channels, filters)`.
        kernel_area: int, pixels of a patch.
    """
    # Axes given by the user are fans of their own choice (Keras 3.13 and later).
    chosen_axes = getattr(initializer, "input_axes", None) is not None
    if not isinstance(initializer, keras.initializers.VarianceScaling) or chosen_axes:
        return 1.0
    positions, patch, filters = shape

    def fan(fan_in, fan_out):
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        return fans[initializer.mode]

    stored = fan(positions * patch, positions * filters)
    return math.sqrt(stored / fan(patch, kernel_area * filters))


def _positive_int(value, name):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={value!r}.")
    return int(value)


def _positive_pair(value, name):
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    integers = all(isinstance(v, numbers.Integral) and not isinstance(v, bool) for v in pair)
    if len(pair) != 2 or not integers or min(pair) < 1:
        raise ValueError(
            f"`{name}` must be an integer of at least 1 or a pair of them (rows, columns). "
            f"Received: {name}={value!r}."
        )
    return tuple(int(v) for v in pair)


def _choice(value, name, choices):
    choice = value.lower() if isinstance(value, str) else value
    if choice not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")
    return choice


def _share(value, name):
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(
            f"`{name}` must be a number of at least 0 and below 1. Received: {name}={value!r}."
        )
    return float(value)


def _seed(seed):
    if seed is None:
        # Python's generator, so that `keras.utils.set_random_seed` governs it.
        return random.randint(1, 10**9)
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"`seed` must be None or an integer of at least 0. Received: {seed!r}.")
    return int(seed)
