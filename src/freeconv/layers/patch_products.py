"""Products of the patches of a free convolution with the kernels of their positions.

Pixels are kept as (pixels, channels, batch), with the batch innermost: a patch is then a list of
contiguous rows, one a pixel and channel, which one gather makes and whole rows of which the
products read and write.
"""

from itertools import pairwise

import keras
from keras import ops

from freeconv.layers.patches import Band


def multiply_patches(kernel, pixels, table):
    """Multiplies the patches of every tile by the kernel of that tile.

    The patches of a tile stand side by side in one matrix, so that there is one product per tile;
    with tiles of one position it is the batch alone that stands there.

    Args:
        kernel: float tensor (tiles, pixels of a patch * channels, filters).
        pixels: float tensor (pixels, channels, batch) of the same type.
        table: `patches.PatchTable`.

    Returns:
        Tensor (tiles, filters, positions of a tile * batch). It can be differentiated any number of
        times.
    """
    if keras.backend.backend() != "tensorflow":
        return _product(kernel, _patches(pixels, table.pixels(), table.members))
    if len(table.bands) == 1:
        return _product_of_one_band(kernel, pixels, table)
    return _product_of_bands(kernel, pixels, table)


def _patches(pixels, numbers, members):
    """Returns the patches of so many pixels as matrices (tiles, length, members * batch)."""
    length = numbers.shape[1] * pixels.shape[1]
    # As a matrix: the lookup of its rows is a separate operation with PyTorch, which ONNX has.
    rows = ops.reshape(pixels, (pixels.shape[0], -1))
    return _side_by_side(ops.take(rows, numbers, axis=0), members, length)


def _product(kernel, patches):
    # The operator, as `ops.matmul` takes float64 down to float32 with PyTorch.
    return _swapped(kernel) @ patches


def _swapped(matrices):
    return ops.transpose(matrices, (0, 2, 1))


def _product_of_one_band(kernel, pixels, table):
    """Multiplies as `multiply_patches` says, with gradients spelled out for TensorFlow.

    Automatic ones take a fifth longer there: they transpose the kernel's as a whole, and add up
    those of overlapping patches in the order of the patches instead of the pixels.
    """
    (band,) = table.bands

    @ops.custom_gradient
    def product(kernel, pixels):
        patches = _patches(pixels, band.pixels, table.members)

        def gradients(upstream):
            to_kernel = patches @ _swapped(upstream)
            return to_kernel, _to_pixels(kernel, upstream, band, table.members, pixels.shape)

        return _product(kernel, patches), gradients

    return product(kernel, pixels)


def _product_of_bands(kernel, pixels, table):
    """Multiplies as `_product_of_one_band` does, holding the patches of one band at a time.

    They are made anew for the gradients, band after band: what is made `_after` something waits for
    it, as TensorFlow would otherwise make the patches of all bands first.
    """
    bands, members = _with_shared_constants(table.bands), table.members

    def patches_of(band, pixels, earlier):
        with _after(earlier):
            return _patches(pixels[band.first :], band.pixels, members)

    def to_kernel(pixels, upstream):
        if members == 1:
            # Larger than the patches of all bands, so that it is not put together from pieces.
            with _after([upstream]):
                numbers = ops.concatenate([band.first + band.pixels for band in bands])
                patches = _patches(pixels, numbers, members)
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
                tiles = kernel[band.tiles], upstream[band.tiles]
                sums = _to_pixels(*tiles, band, members, (rows, *shape[1:]))
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
            outputs.append(_product(kernel[band.tiles], patches))

        def gradients(upstream):
            return to_kernel(pixels, upstream), to_pixels(kernel, upstream, pixels.shape)

        return ops.concatenate(outputs), gradients

    return product(kernel, pixels)


def _with_shared_constants(bands):
    """Returns bands with tensors in place of arrays, one for each array however many share it."""
    arrays = {id(array): array for band in bands for array in band[3:]}
    tensors = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    return [Band(*band[:3], *(tensors[id(array)] for array in band[3:])) for band in bands]


def _to_pixels(kernel, upstream, band, members, shape):
    """Returns the gradient of a band's products towards its pixels, (pixels, channels, batch)."""
    to_patches = _one_by_one(kernel @ upstream, members)
    to_entries = ops.reshape(to_patches, (band.entries.shape[0], shape[1], -1))
    to_entries = ops.take(to_entries, band.entries, axis=0)
    return _sum_rows(to_entries, band.named, band.reach, shape[0])


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
