"""Free convolution, the locally connected layer of the paper, of sequences, images and volumes."""

import keras

from freeconv.layers.base_free_conv import BaseFreeConv


@keras.saving.register_keras_serializable(package="freeconv")
class FreeConv1D(BaseFreeConv):
    """1D free convolution, of sequences.

    As `FreeConv2D`, with its arguments, attributes and errors, along one axis: `kernel_size`,
    `strides` and `sharing` are ints or tuples of one. With one kernel and one bias for all
    positions it equals `keras.layers.Conv1D`.

    Input shape:
        3D tensor `(batch, steps, channels)` with `"channels_last"`, `(batch, channels, steps)` with
        `"channels_first"`. Only `batch` may be unknown.

    Output shape:
        3D tensor `(batch, out_steps, filters)` with `"channels_last"`, `(batch, filters,
        out_steps)` with `"channels_first"`.

    Attributes:
        kernel: weight of shape `(tiles, kernel_steps * channels, filters)`.
        bias: weight of shape `(tiles, filters)`, or `None`.

    Example:
    >>> import keras
    >>> layer = FreeConv1D(4, 3, strides=2)
    >>> tuple(layer(keras.ops.ones((2, 9, 5))).shape)
    (2, 4, 4)
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((4, 15, 4), (4, 4))
    """

    axes = ("steps",)


@keras.saving.register_keras_serializable(package="freeconv")
class FreeConv2D(BaseFreeConv):
    """2D free convolution: a convolution without weight sharing.

    Every output position has its own kernel and its own bias, as in the free convolutional networks
    (FCN) of Ott et al. 2020, "Learning in the machine: To share or not to share?" (Fig. 1 left).
    The input's size decides how many positions there are: rows, columns and channels must be known
    when the layer is built.

    `sharing` leads from there to a convolution: the positions of a tile of the output have one
    kernel and one bias together. With one tile for all, or one kernel and one bias repeated at
    every position, the layer equals `keras.layers.Conv2D`. There are `tiles * (kernel_rows *
    kernel_columns * channels + 1) * filters` parameters, less `tiles * filters` without a bias:
    `tiles` is the number of positions with `sharing=1`, and 1 with `sharing="all"`.

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
        connection_dropout: float in [0, 1), the probability that a weight of the kernel is masked
            for good: zero from the start, never trained, in training and testing (variable
            connection patterns, section 4.2 and Fig. 1 right). Every kernel, that is every tile,
            has its own pattern. `connection_mask` alone says which weights are masked: whatever is
            stored in their places has no effect on outputs, gradients and regularizers.
        glorot_fans: how initializers that scale with the fans (`keras.initializers.VarianceScaling`
            and its children: Glorot, He, LeCun) count them. `"kernel_shape"`: from the shape of the
            kernel as stored, as in the published code. Both fans are then `tiles` times those of
            the weights as a matrix: `fan_in = tiles * kernel_rows * kernel_columns * channels`,
            `fan_out = tiles * filters`. So initial weights grow with the degree of sharing; with
            `sharing="all"` they still differ from those of `keras.layers.Conv2D` in `fan_out`.
            `"per_location"`: as `keras.layers.Conv2D` does, `fan_in = kernel_rows * kernel_columns
            * channels`, `fan_out = kernel_rows * kernel_columns * filters`, whatever is shared.
            Other initializers are applied to the stored shape as they are.
        seed: int >= 0, seed of the connection pattern, which depends on nothing else (but the
            kernel's shape) and is the same with every backend; `None` draws one when the layer is
            made.
        sharing: degree of weight sharing, the rows and columns of a tile of positions that have one
            kernel and one bias: int or pair of ints of at least 1, or `"all"` for one tile of all
            positions. 1 shares nothing. Tiles start at the first row and column; where the grid is
            no multiple of them the last ones are smaller.
        banks: int of at least 1: low-rank weight sharing (Elsayed et al. 2020) instead of tiles.
            All positions have so many kernels and biases in common, and each mixes them by shares
            of its own, the softmax of its logits: 1 is a convolution, as many as positions can be
            anything that `sharing=1` can. They are mixed once a call, so that it costs about as
            much as `sharing=1`, however many there are. `"per_location"` then gives mixed kernels
            the variance of those of a convolution. `None` for none; not with `sharing`,
            `connection_dropout` or a penalty of `SoftSharing`.

    Input shape:
        4D tensor `(batch, rows, columns, channels)` with `"channels_last"`, `(batch, channels,
        rows, columns)` with `"channels_first"`. Only `batch` may be unknown when the layer is
        built. Images of any type, whole numbers and booleans among them, are cast to the layer's
        compute type.

    Output shape:
        4D tensor `(batch, out_rows, out_columns, filters)` with `"channels_last"`, `(batch,
        filters, out_rows, out_columns)` with `"channels_first"`.

    Attributes:
        kernel: weight of shape `(tiles, kernel_rows * kernel_columns * channels, filters)`; tiles
            in row-major order, inputs of a patch in the order (row, column, channel), for either
            data format. With `sharing=1` a tile is a position. Several `banks` have `(banks, ...)`.
        bias: weight of shape `(tile_rows, tile_columns, filters)`, for either data format, or
            `None`. With several `banks`, `(banks, filters)`.
        mixing: weight of shape `(out_rows, out_columns, banks)`, logits of the shares of banks;
            `None` without several of them.
        connection_mask: boolean non-trainable weight of the kernel's shape, true where the
            connection exists; `None` with `connection_dropout=0`.
        output_grid: `(out_rows, out_columns)`, the grid of positions. `None` before build.
        tile: rows and columns of positions of a (whole) tile. `None` before build.
        tile_grid: `(tile_rows, tile_columns)`, the grid of tiles; `tiles` is their product. `None`
            before build.

    Raises:
        ValueError: for an argument outside the stated range, and when the layer is built on a shape
            that is not 4D, has unknown rows, columns or channels, or is too small for the kernel.

    Example:
    >>> import keras
    >>> images = keras.ops.ones((256, 28, 28, 1))
    >>> layer = FreeConv2D(32, 3, strides=2, activation="relu")
    >>> tuple(layer(images).shape), tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((256, 13, 13, 32), (169, 9, 32), (13, 13, 32))
    >>> tiled = FreeConv2D(32, 3, strides=2, activation="relu", sharing=4)
    >>> tuple(tiled(images).shape), tuple(tiled.kernel.shape), tuple(tiled.bias.shape)
    ((256, 13, 13, 32), (16, 9, 32), (4, 4, 32))
    >>> layer.count_params(), tiled.count_params()
    (54080, 5120)
    """

    axes = ("rows", "columns")


@keras.saving.register_keras_serializable(package="freeconv")
class FreeConv3D(BaseFreeConv):
    """3D free convolution, of volumes or of sequences of images.

    As `FreeConv2D`, with its arguments, attributes and errors, along three axes: `kernel_size`,
    `strides` and `sharing` are ints or triples (planes, rows, columns). With one kernel and one
    bias for all positions it equals `keras.layers.Conv3D`.

    Input shape:
        5D tensor `(batch, planes, rows, columns, channels)` with `"channels_last"`, `(batch,
        channels, planes, rows, columns)` with `"channels_first"`. Only `batch` may be unknown.

    Output shape:
        5D tensor `(batch, out_planes, out_rows, out_columns, filters)` with `"channels_last"`,
        `(batch, filters, out_planes, out_rows, out_columns)` with `"channels_first"`.

    Attributes:
        kernel: weight of shape `(tiles, kernel_planes * kernel_rows * kernel_columns * channels,
            filters)`.
        bias: weight of shape `(tile_planes, tile_rows, tile_columns, filters)`, or `None`.

    Example:
    >>> import keras
    >>> layer = FreeConv3D(4, 3, padding="same", sharing=(1, 2, 2))
    >>> tuple(layer(keras.ops.ones((2, 5, 8, 7, 1))).shape)
    (2, 5, 8, 7, 4)
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((80, 27, 4), (5, 4, 4, 4))
    """

    axes = ("planes", "rows", "columns")
