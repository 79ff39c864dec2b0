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

    The patches of a tile stand side by side in one matrix, so that there is a product a tile; with
    tiles of one position it is the batch alone that stands there.

    The gradients are spelled out, as automatic ones take a fifth longer: they transpose the
    kernel's as a whole, and add up those of overlapping patches in the order of the patches instead
    of the pixels.

    Args:
        kernel: tensor (tiles, pixels of a patch * channels, filters).
        pixels: tensor (pixels, channels, batch).
        table: `PatchTable`.

    Returns:
        Tensor (tiles, filters, positions of a tile * batch). It can be differentiated any number of
        times, with JAX in reverse mode alone.
    """
    count, channels = pixels.shape[:2]
    entries = table.pixels.size
    members = len(table.pixels) // kernel.shape[0]

    @ops.custom_gradient
    def product(kernel, pixels):
        patches = ops.take(pixels, table.pixels, axis=0)
        patches = _side_by_side(patches, members, kernel.shape[1])

        def gradients(*arguments, upstream=None):
            # PyTorch names it, the other backends do not.
            (upstream,) = arguments if upstream is None else (upstream,)
            to_kernel = ops.matmul(patches, ops.transpose(upstream, (0, 2, 1)))
            to_patches = _one_by_one(ops.matmul(kernel, upstream), members)
            to_entries = ops.reshape(to_patches, (entries, channels, -1))
            to_entries = ops.take(to_entries, table.entries, axis=0)
            return to_kernel, _sum_rows(to_entries, table.named, count)

        return ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches), gradients

    # TensorFlow wants tensors here, and a variable is none: what it reads is.
    return product(ops.cast(kernel, pixels.dtype), pixels)


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
    if keras.backend.backend() != "tensorflow":
        return ops.segment_sum(rows, targets, num_segments=count, sorted=True)
    # TensorFlow's sum of sorted rows ends at the last target.
    sums = ops.segment_sum(rows, targets, sorted=True)
    left = count - 1 - int(targets[-1])
    return ops.pad(sums, ((0, left), (0, 0), (0, 0))) if left else sums
