"""Where the patches of a free convolution are, and which pixels they consist of.

Images have any number of axes: a pixel is a step of a sequence and a voxel of a volume, too.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

BAND_VALUES = 2**19
"""How many values of the patches of one image a band has, about: 2 MiB of 32-bit numbers."""


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


class Band(NamedTuple):
    """Consecutive tiles of an image, and which pixels their patches consist of.

    Attributes:
        tiles: slice, of the numbers of the tiles.
        first: int, the number of the pixel that those below are counted from.
        reach: int, one more than the largest of those numbers.
        pixels: int array (patches, pixels of a patch), the pixels of each patch; patches tile by
            tile, in row-major order both of the tiles and within each.
        entries: int array, the flat entries of `pixels` in the order of the pixels they name.
        named: int array, those pixels, ascending.
    """

    tiles: slice
    first: int
    reach: int
    pixels: np.ndarray
    entries: np.ndarray
    named: np.ndarray


class PatchTable(NamedTuple):
    """Which pixels the patches of an image consist of; pixels are numbered in row-major order.

    Attributes:
        bands: tuple of `Band`, which cover all tiles in their order. Those of a small image are one
            band. Those of a large one, whose patches are many times the image, are several of as
            many patches as are held at once; bands alike but for where they begin share arrays.
        members: int, patches of a tile.
        order: int array (positions), the patch of each position of the grid, positions in row-major
            order; `None` where that is all patches in their order. They are numbered tile by tile.
    """

    bands: tuple[Band, ...]
    members: int
    order: np.ndarray | None

    @classmethod
    def of(cls, grid, kernel_size, strides, size, tile, channels):
        """Returns the table of a convolution.

        Tiles have equally many patches: where the last tile of an axis reaches beyond the grid, the
        patch of the grid's last position stands in for those of the positions that are not there.

        Args:
            grid: positions of the output along each axis.
            kernel_size: pixels of a patch along each axis.
            strides: pixels from a patch to the next along each axis.
            size: pixels of the image along each axis, padding included.
            tile: positions of a tile along each axis.
            channels: int, values of a pixel.
        """
        rows, *others = tile_grid(grid, tile)
        values = math.prod((*others, *tile, *kernel_size, channels))
        height = max(1, BAND_VALUES // values)

        @cache
        def arrays(count, first):
            return _arrays_of_band(grid, kernel_size, strides, size, tile, count, first)

        bands, width = [], math.prod(others)
        for row in range(0, rows, height):
            count = min(height, rows - row)
            tiles = slice(row * width, (row + count) * width)
            first = row * tile[0] * strides[0] * math.prod(size[1:])
            # Tiles beyond the grid are in the last band alone.
            same = 0 if row + count < rows else row
            bands.append(Band(tiles, first, *arrays(count, same)))
        return cls(tuple(bands), math.prod(tile), _order_of_patches(grid, tile))

    def pixels(self):
        """Returns the pixels of the patches of all bands, an int array as in `Band`."""
        return np.concatenate([band.first + band.pixels for band in self.bands])


def _order_of_patches(grid, tile):
    """Returns the attribute `order` of a `PatchTable`."""
    patches = math.prod(tile_grid(grid, tile)) * math.prod(tile)
    places = [place % width for place, width in zip(np.indices(grid), tile, strict=True)]
    order = tile_of_positions(grid, tile) * math.prod(tile) + np.ravel_multi_index(places, tile)
    order = order.ravel().astype("int32")
    return None if np.array_equal(order, np.arange(patches)) else order


def _arrays_of_band(grid, kernel_size, strides, size, tile, rows, first):
    """Returns the reach and arrays of a `Band` of so many rows of tiles, from the row `first`."""
    rank, others = len(grid), tile_grid(grid, tile)[1:]
    # Of every entry, for each axis: its tile, its place in the tile, its place in the patch.
    places = np.indices((rows, *others, *tile, *kernel_size), sparse=True)
    starts = [first * tile[0], *(0 for _ in others)]
    coordinates = [
        np.minimum(places[axis] * tile[axis] + places[rank + axis], grid[axis] - 1 - starts[axis])
        * strides[axis]
        + places[2 * rank + axis]
        for axis in range(rank)
    ]
    pixels = np.ravel_multi_index(coordinates, size).astype("int32")
    entries = np.argsort(pixels, axis=None, kind="stable").astype("int32")
    pixels = pixels.reshape(rows * math.prod(others) * math.prod(tile), -1)
    named = pixels.ravel()[entries]
    return int(named[-1]) + 1, pixels, entries, named
