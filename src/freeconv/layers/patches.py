"""The patches of a free convolution, and their products with the kernels of their positions.

Pixels are kept as (pixels, channels, batch), with the batch innermost: a patch is then a list of
contiguous rows, one a pixel and channel, which one gather makes and whole rows of which the
products read and write. Images have any number of axes: a pixel is a step of a sequence and a voxel
of a volume, too.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops


def output_grid(size, kernel_size, strides, padding):
    """Returns how many positions a convolution has along each axis, 0 and less for too few pixels.

    Args:
        size: pixels of the image along each axis.
        kernel_size: pixels of a patch along each axis.
        strides: pixels from a patch to the next along each axis.
        padding: `"valid"` or `"same"`.
    """
    sizes = zip(size, kernel_size, strides, strict=True)
    if padding == "same":
        return tuple(-(-pixels // stride) for pixels, _, stride in sizes)
    return tuple((pixels - kernel) // stride + 1 for pixels, kernel, stride in sizes)


def zero_margins(size, kernel_size, strides, padding):
    """Returns how many zeros padding adds (before, behind) the pixels of each axis.

    Args:
        size: pixels of the image along each axis.
        kernel_size: pixels of a patch along each axis.
        strides: pixels from a patch to the next along each axis.
        padding: `"valid"` or `"same"`, which centres as `keras.layers.Conv2D` does.
    """
    if padding == "valid":
        return ((0, 0),) * len(size)
    grid = output_grid(size, kernel_size, strides, padding)
    sizes = zip(size, grid, kernel_size, strides, strict=True)
    margins = [
        max((positions - 1) * stride + kernel - pixels, 0)
        for pixels, positions, kernel, stride in sizes
    ]
    return tuple((margin // 2, margin - margin // 2) for margin in margins)


def tile_grid(grid, tile):
    """Returns how many tiles of `tile` positions cover `grid` along each axis."""
    return tuple(-(-positions // width) for positions, width in zip(grid, tile, strict=True))


def tile_of_positions(grid, tile):
    """Returns the number of the tile of each position, an int array of the grid's shape."""
    axes = [place // width for place, width in zip(np.indices(grid), tile, strict=True)]
    return np.ravel_multi_index(axes, tile_grid(grid, tile))


class PatchTable(NamedTuple):
    """Which pixels the patches of an image consist of; pixels are numbered in row-major order.

    Attributes:
        pixels: int array (patches, pixels of a patch), the pixels of each patch; patches tile by
            tile, in row-major order both of the tiles and within each.
        entries: int array, the flat entries of `pixels` in the order of the pixels they name.
        named: int array, those pixels, ascending.
    """

    pixels: np.ndarray
    entries: np.ndarray
    named: np.ndarray

    @classmethod
    def of(cls, grid, kernel_size, strides, size, tile):
        """Returns the table of a convolution.

        Tiles have equally many patches: where the last tile of an axis reaches beyond the grid, the
        patch of the grid's last position stands in for those of the positions that are not there.

        Args:
            grid: positions of the output along each axis.
            kernel_size: pixels of a patch along each axis.
            strides: pixels from a patch to the next along each axis.
            size: pixels of the image along each axis, padding included.
            tile: positions of a tile along each axis.
        """
        tiles, rank = tile_grid(grid, tile), len(grid)
        # Of every entry, for each axis: its tile, its place in the tile, its place in the patch.
        places = np.indices((*tiles, *tile, *kernel_size), sparse=True)
        coordinates = [
            np.minimum(places[axis] * tile[axis] + places[rank + axis], grid[axis] - 1)
            * strides[axis]
            + places[2 * rank + axis]
            for axis in range(rank)
        ]
        pixels = np.ravel_multi_index(coordinates, size).astype("int32")
        entries = np.argsort(pixels, axis=None, kind="stable").astype("int32")
        pixels = pixels.reshape(math.prod(tiles) * math.prod(tile), -1)
        return cls(pixels, entries, pixels.ravel()[entries])


def multiply_patches(kernel, pixels, table):
    """Multiplies the patches of every tile by the kernel of that tile.

    The patches of a tile stand side by side in one matrix, so that there is one product per tile;
    with tiles of one position it is the batch alone that stands there.

    Args:
        kernel: float tensor (tiles, pixels of a patch * channels, filters).
        pixels: float tensor (pixels, channels, batch) of the same type.
        table: `PatchTable`.

    Returns:
        Tensor (tiles, filters, positions of a tile * batch). It can be differentiated any number of
        times.
    """
    if keras.backend.backend() == "tensorflow":
        return _product_by_sorted_sums(kernel, pixels, table)
    return _product(kernel, _patches(pixels, table, kernel.shape))


def _patches(pixels, table, shape):
    """Returns the patches as matrices (tiles, length, members * batch) for a kernel of `shape`."""
    tiles, length, _ = shape
    # As a matrix: the lookup of its rows is a separate operation with PyTorch, which ONNX has.
    rows = ops.reshape(pixels, (pixels.shape[0], -1))
    return _side_by_side(ops.take(rows, table.pixels, axis=0), len(table.pixels) // tiles, length)


def _product(kernel, patches):
    # The operator, as `ops.matmul` takes float64 down to float32 with PyTorch.
    return _swapped(kernel) @ patches


def _swapped(matrices):
    return ops.transpose(matrices, (0, 2, 1))


def _product_by_sorted_sums(kernel, pixels, table):
    """Multiplies as `multiply_patches` says, with gradients spelled out for TensorFlow.

    Automatic ones take a fifth longer there: they transpose the kernel's as a whole, and add up
    those of overlapping patches in the order of the patches instead of the pixels.
    """
    count, channels = pixels.shape[:2]
    members = len(table.pixels) // kernel.shape[0]

    @ops.custom_gradient
    def product(kernel, pixels):
        patches = _patches(pixels, table, kernel.shape)

        def gradients(upstream):
            to_kernel = patches @ _swapped(upstream)
            to_patches = _one_by_one(kernel @ upstream, members)
            to_entries = ops.reshape(to_patches, (table.entries.size, channels, -1))
            to_entries = ops.take(to_entries, table.entries, axis=0)
            return to_kernel, _sum_rows(to_entries, table.named, count)

        return _product(kernel, patches), gradients

    return product(kernel, pixels)


def _side_by_side(patches, members, length):
    """Turns patches into matrices (length, members * batch), `members` patches each."""
    tiles = patches.shape[0] // members
    if members > 1:
        patches = ops.reshape(patches, (tiles, members, length, -1))
        patches = ops.transpose(patches, (0, 2, 1, 3))
    return ops.reshape(patches, (tiles, length, -1))


def _one_by_one(matrices, members):
    """Turns what `_side_by_side` returns into patches again, (tiles, members, length, batch)."""
    if members == 1:
        return matrices
    matrices = ops.reshape(matrices, (*matrices.shape[:2], members, -1))
    return ops.transpose(matrices, (0, 2, 1, 3))


def _sum_rows(rows, targets, count):
    """Sums rows by their targets, ascending numbers below `count`; zeros where there are none."""
    if _compiled_by_xla():
        # XLA has no sum that relies on the order.
        return ops.segment_sum(rows, targets, num_segments=count)
    # This sum ends at the last target.
    sums = ops.segment_sum(rows, targets, sorted=True)
    left = count - 1 - int(targets[-1])
    return ops.pad(sums, ((0, left), (0, 0), (0, 0))) if left else sums


def _compiled_by_xla():
    """Whether TensorFlow traces a function that is to be compiled by XLA."""
    from tensorflow import compat
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return GraphOrParentsInXlaContext(compat.v1.get_default_graph())
