"""Products of the patches of a free convolution with the kernels of their positions.

Pixels are kept as (pixels, channels, batch), with the batch innermost: a patch is then a list of
contiguous rows, one a pixel and channel, which one gather makes and whole rows of which the
products read and write.
"""

from itertools import pairwise

import keras
import numpy as np
from keras import ops

from freeconv.layers.patches import Band


def multiply_patches(kernel, pixels, table):
    """Multiplies every patch by the kernel of its tile.

    Args:
        kernel: float tensor (tiles, pixels of a patch * channels, filters).
        pixels: float tensor (pixels, channels, batch) of the same type.
        table: `patches.PatchTable`.

    Returns:
        Tensor (tiles, patches of a tile, filters, batch). It can be differentiated any number of
        times.
    """
    if keras.backend.backend() != "tensorflow":
        patches = _patches(pixels, table.pixels(), table.members)
        return _one_by_one(_swapped(kernel) @ _side_by_side(patches), table.members)
    if len(table.bands) == 1:
        return _product_of_one_band(kernel, pixels, table)
    return _one_by_one(_product_of_bands(kernel, pixels, table), table.members)


def in_order_of_positions(outputs, table):
    """Brings what `multiply_patches` returns into the order of the grid's positions.

    Whole rows are looked up: to transpose the axes of the tiles and of the places in them would
    take longer than all products of a small layer.

    Args:
        outputs: tensor (tiles, patches of a tile, filters, batch).
        table: `patches.PatchTable`.

    Returns:
        Tensor (positions, filters, batch).
    """
    tiles, members, filters, _ = outputs.shape
    rows = ops.reshape(outputs, (tiles * members, filters, -1))
    if table.order is None:
        return rows
    if keras.backend.backend() != "tensorflow":
        return ops.take(rows, table.order, axis=0)
    return _take_each_once(rows, table.order)


def _take_each_once(rows, numbers):
    """Returns rows by their numbers, none of which stands there twice.

    The automatic gradient would add rows up where this one looks them up in turn.
    """
    # A row of zeros, behind the others, is the gradient of rows that are left out.
    places = np.full(rows.shape[0], len(numbers), "int32")
    places[numbers] = np.arange(len(numbers))

    @ops.custom_gradient
    def take(rows):
        def gradient(upstream):
            return ops.take(ops.pad(upstream, ((0, 1), (0, 0), (0, 0))), places, axis=0)

        return ops.take(rows, numbers, axis=0), gradient

    return take(rows)


def _patches(pixels, numbers, members):
    """Returns the patches of so many pixels, (tiles, members, length, batch)."""
    count, area = numbers.shape
    # As a matrix: the lookup of its rows is a separate operation with PyTorch, which ONNX has.
    rows = ops.reshape(pixels, (pixels.shape[0], -1))
    patches = ops.take(rows, numbers, axis=0)
    return ops.reshape(patches, (count // members, members, area * pixels.shape[1], -1))


def _swapped(matrices):
    *others, rows, columns = range(len(matrices.shape))
    return ops.transpose(matrices, (*others, columns, rows))


def _product_of_one_band(kernel, pixels, table):
    """Multiplies as `multiply_patches` says, with gradients spelled out for TensorFlow.

    Automatic ones take a fifth longer there: they transpose the kernel's as a whole, and add up
    those of overlapping patches in the order of the patches instead of the pixels. Every patch is
    multiplied by itself: to bring those of a tile together moves as many bytes as the products.
    """
    (band,) = table.bands

    @ops.custom_gradient
    def product(kernel, pixels):
        patches = _patches(pixels, band.pixels, table.members)
        kernels = ops.expand_dims(kernel, 1)

        def gradients(upstream):
            to_kernel = patches @ _swapped(upstream)
            if table.members > 1:
                to_kernel = ops.sum(to_kernel, axis=1)
            to_kernel = ops.reshape(to_kernel, kernel.shape)
            return to_kernel, _to_pixels(kernels @ upstream, band, pixels.shape)

        # The operator, as `ops.matmul` takes float64 down to float32 with PyTorch.
        return _swapped(kernels) @ patches, gradients

    return product(kernel, pixels)


def _product_of_bands(kernel, pixels, table):
    """Multiplies as `_product_of_one_band` does, holding the patches of one band at a time.

    They are made anew for the gradients, band after band: what is made `_after` something waits for
    it, as TensorFlow would otherwise make the patches of all bands first. Those of a tile stand
    side by side in one matrix, as the gradients of one kernel for each of them would fill more
    memory than they do.

    Returns:
        Tensor (tiles, filters, patches of a tile * batch).
    """
    bands, members = _with_shared_constants(table.bands), table.members

    def patches_of(band, pixels, earlier):
        with _after(earlier):
            return _side_by_side(_patches(pixels[band.first :], band.pixels, members))

    def to_kernel(pixels, upstream):
        if members == 1:
            # Larger than the patches of all bands, so that it is not put together from pieces.
            with _after([upstream]):
                numbers = ops.concatenate([band.first + band.pixels for band in bands])
                patches = _side_by_side(_patches(pixels, numbers, members))
            return patches @ _swapped(upstream)
        gradients = []
        for band in bands:
            patches = patches_of(band, pixels, [upstream, *gradients[-1:]])
            gradients.append(patches @ _swapped(upstream[band.tiles]))
        return ops.concatenate(gradients)

    def to_pixels(kernel, upstream, shape):
        finished, carried, overlap = [], upstream[:0], 0
        ends = [*(band.first for band in bands), shape[0]]
        for band, (first, end) in zip(bands, pairwise(ends), strict=True):
            rows = max(end - first, band.reach, overlap)
            with _after([carried]):
                to_patches = kernel[band.tiles] @ upstream[band.tiles]
                sums = _to_pixels(_one_by_one(to_patches, members), band, (rows, *shape[1:]))
            if overlap:
                # What the band before gave to pixels of this one.
                sums = sums + _padded(carried, rows - overlap)
            finished.append(sums[: end - first])
            carried, overlap = sums[end - first :], rows - (end - first)
        return ops.concatenate(finished)

    @ops.custom_gradient
    def product(kernel, pixels):
        outputs = []
        for band in bands:
            patches = patches_of(band, pixels, outputs[-1:])
            outputs.append(_swapped(kernel[band.tiles]) @ patches)

        def gradients(upstream):
            return to_kernel(pixels, upstream), to_pixels(kernel, upstream, pixels.shape)

        return ops.concatenate(outputs), gradients

    return product(kernel, pixels)


def _with_shared_constants(bands):
    """Returns bands with tensors in place of arrays, one for each array however many share it."""
    arrays = {id(array): array for band in bands for array in band[3:]}
    tensors = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    return [Band(*band[:3], *(tensors[id(array)] for array in band[3:])) for band in bands]


def _to_pixels(to_patches, band, shape):
    """Returns the gradient to a band's pixels, of the shape `shape`, from that to its patches."""
    to_entries = ops.reshape(to_patches, (band.entries.shape[0], shape[1], -1))
    to_entries = ops.take(to_entries, band.entries, axis=0)
    return _sum_rows(to_entries, band.named, band.reach, shape[0])


def _side_by_side(patches):
    """Turns (tiles, members, length, batch) into matrices (tiles, length, members * batch)."""
    tiles, members, length, _ = patches.shape
    if members > 1:
        patches = ops.transpose(patches, (0, 2, 1, 3))
    return ops.reshape(patches, (tiles, length, -1))


def _one_by_one(matrices, members):
    """Turns (tiles, length, members * batch) into (tiles, members, length, batch) again."""
    tiles, length, _ = matrices.shape
    if members == 1:
        return ops.reshape(matrices, (tiles, 1, length, -1))
    matrices = ops.reshape(matrices, (tiles, length, members, -1))
    return ops.transpose(matrices, (0, 2, 1, 3))


def _sum_rows(rows, targets, reach, count):
    """Sums rows by their targets, ascending numbers below `reach`, into `count` rows."""
    if _compiled_by_xla():
        # XLA has no sum that relies on the order.
        return ops.segment_sum(rows, targets, num_segments=count)
    # This sum ends at the last target.
    return _padded(ops.segment_sum(rows, targets, sorted=True), count - reach)


def _padded(rows, left):
    """Returns rows and behind them `left` rows of zeros."""
    return ops.pad(rows, ((0, left), (0, 0), (0, 0))) if left else rows


def _after(tensors):
    """A context in which TensorFlow computes nothing before these tensors."""
    from tensorflow import control_dependencies

    return control_dependencies(tensors)


def _compiled_by_xla():
    """Whether TensorFlow traces a function that is to be compiled by XLA."""
    from tensorflow import compat
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return GraphOrParentsInXlaContext(compat.v1.get_default_graph())
