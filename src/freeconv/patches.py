"""The patches of a free convolution, and their products with a kernel of their own each.

Pixels are kept as (pixels, channels, batch), with the batch innermost: a patch is then a list of
contiguous rows, one a pixel and channel, which one gather makes and whole rows of which the
products read and write.
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops


class PatchTable(NamedTuple):
    """Which pixels the patches of an image consist of; pixels are numbered row by row.

    Attributes:
        pixels: int array (positions, kernel_rows * kernel_columns), the pixels of each patch.
        entries: int array, the flat entries of `pixels` in the order of the pixels they name.
        named: int array, those pixels, ascending.
    """

    pixels: np.ndarray
    entries: np.ndarray
    named: np.ndarray

    @classmethod
    def of(cls, grid, kernel_size, strides, columns):
        """Returns the table of a convolution.

        Args:
            grid: `(rows, columns)` of the output.
            kernel_size: `(rows, columns)` of a patch.
            strides: `(rows, columns)` from a patch to the next.
            columns: int, columns of the image, padding included.
        """
        row, column, kernel_row, kernel_column = np.indices((*grid, *kernel_size))
        pixel_row = row * strides[0] + kernel_row
        pixel_column = column * strides[1] + kernel_column
        pixels = (pixel_row * columns + pixel_column).astype("int32")
        entries = np.argsort(pixels, axis=None, kind="stable").astype("int32")
        return cls(pixels.reshape(grid[0] * grid[1], -1), entries, pixels.ravel()[entries])


def multiply_patches(kernel, pixels, table):
    """Multiplies the patch of every position by the kernel of that position.

    The gradients are spelled out, as automatic ones take a fifth longer: they transpose the
    kernel's as a whole, and add up those of overlapping patches in the order of the patches instead
    of the pixels.

    Args:
        kernel: tensor (positions, kernel_rows * kernel_columns * channels, filters).
        pixels: tensor (pixels, channels, batch).
        table: `PatchTable`.

    Returns:
        Tensor (positions, filters, batch). It can be differentiated any number of times, with JAX
        in reverse mode alone.
    """
    count, channels = pixels.shape[:2]
    entries = table.pixels.size

    @ops.custom_gradient
    def product(kernel, pixels):
        patches = ops.take(pixels, table.pixels, axis=0)
        patches = ops.reshape(patches, (*kernel.shape[:2], -1))

        def gradients(*arguments, upstream=None):
            # PyTorch names it, the other backends do not.
            (upstream,) = arguments if upstream is None else (upstream,)
            to_kernel = ops.matmul(patches, ops.transpose(upstream, (0, 2, 1)))
            to_entries = ops.reshape(ops.matmul(kernel, upstream), (entries, channels, -1))
            to_entries = ops.take(to_entries, table.entries, axis=0)
            return to_kernel, _sum_rows(to_entries, table.named, count)

        return ops.matmul(ops.transpose(kernel, (0, 2, 1)), patches), gradients

    # TensorFlow wants tensors here, and a variable is none: what it reads is.
    return product(ops.cast(kernel, pixels.dtype), pixels)


def _sum_rows(rows, targets, count):
    """Sums rows by their targets, ascending numbers below `count`; zeros where there are none."""
    if keras.backend.backend() != "tensorflow":
        return ops.segment_sum(rows, targets, num_segments=count, sorted=True)
    # TensorFlow's sum of sorted rows ends at the last target.
    sums = ops.segment_sum(rows, targets, sorted=True)
    left = count - 1 - int(targets[-1])
    return ops.pad(sums, ((0, left), (0, 0), (0, 0))) if left else sums
