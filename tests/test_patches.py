"""The bands that the patches of large images are made by, with TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from references import output_grid, random_array

from freeconv.layers import FreeConv2D, base_free_conv, patch_products, patches
from freeconv.training.models import build_model

# Shape of an image, kernel_size, strides, tile.
GEOMETRIES = [
    ((9, 7, 2), (3, 3), (1, 1), (1, 1)),
    ((12, 5, 1), (2, 3), (3, 1), (1, 1)),  # pixels between the patches belong to none
    ((11, 6, 3), (4, 2), (1, 2), (2, 3)),
    ((10, 6, 1), (3, 3), (1, 1), (3, 4)),  # the last tiles reach beyond the grid
]


def tables(shape, kernel_size, strides, tile, monkeypatch, values):
    monkeypatch.setattr(patches, "BAND_VALUES", values)
    grid = output_grid(shape, kernel_size, strides, "valid")
    return patches.PatchTable.of(grid, kernel_size, strides, shape[:2], tile, shape[2])


@pytest.mark.parametrize("values", [1, 40, 70])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_bands_join_to_the_whole(geometry, values, monkeypatch):
    whole = tables(*geometry, monkeypatch, 10**6)
    table = tables(*geometry, monkeypatch, values)
    assert len(whole.bands) == 1 < len(table.bands)
    np.testing.assert_array_equal(table.pixels(), whole.pixels())
    ends = [0, *(band.tiles.stop for band in table.bands)]
    assert [band.tiles.start for band in table.bands] == ends[:-1]
    assert ends[-1] == whole.bands[0].tiles.stop


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_pixels_of_a_band_by_counting(geometry, monkeypatch):
    shape, kernel_size, strides, tile = geometry
    columns = shape[1]
    grid = output_grid(shape, kernel_size, strides, "valid")
    wanted = []
    for tile_row in range(0, grid[0], tile[0]):
        for tile_column in range(0, grid[1], tile[1]):
            for row in range(tile_row, tile_row + tile[0]):
                for column in range(tile_column, tile_column + tile[1]):
                    top = min(row, grid[0] - 1) * strides[0]
                    left = min(column, grid[1] - 1) * strides[1]
                    wanted.append(
                        [
                            (top + y) * columns + left + x
                            for y in range(kernel_size[0])
                            for x in range(kernel_size[1])
                        ]
                    )
    np.testing.assert_array_equal(tables(*geometry, monkeypatch, 1).pixels(), wanted)


def test_a_large_image_has_few_numbers():
    """Bands alike share arrays: 218 rows of positions, of which a band has 16."""
    table = patches.PatchTable.of((218, 218), (7, 7), (1, 1), (224, 224), (1, 1), 3)
    arrays = {id(array): array for band in table.bands for array in band[3:]}
    assert len(table.bands) == 13 + 1
    assert len(arrays) == 2 * 3
    assert sum(array.size for array in arrays.values()) <= 3 * 2 * 16 * 218 * 49


@pytest.mark.parametrize(("network", "shape"), [("mnist", (28, 28, 1)), ("cifar10", (32, 32, 3))])
def test_images_of_the_paper_are_one_band(network, shape, monkeypatch):
    """Those train as they did before there were bands, without making patches anew."""
    made = []
    monkeypatch.setattr(patch_products, "_product_of_bands", lambda *_: made.append("bands"))
    build_model("fcn", network, shape, 10)
    assert not made


@pytest.mark.parametrize("sharing", [1, (2, 3)])
def test_second_derivatives_of_bands(sharing, monkeypatch):
    """Gradients of the norm of gradients, against those of all patches at once."""
    images = tf.constant(random_array((3, 9, 7, 2), seed=1))

    def norms(values):
        monkeypatch.setattr(patches, "BAND_VALUES", values)
        layer = FreeConv2D(4, 3, activation="tanh", sharing=sharing, seed=5)
        layer.build(images.shape)
        layer.kernel.assign(random_array(layer.kernel.shape, seed=2))
        kernel = layer.kernel.value
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as inner:
                inner.watch(images)
                loss = tf.reduce_sum(layer(images) ** 2)
            first = inner.gradient(loss, [images, kernel])
            norm = sum(tf.reduce_sum(gradient**2) for gradient in first)
        return [*first, *outer.gradient(norm, [images, kernel])]

    for band_by_band, at_once in zip(norms(1), norms(10**6), strict=True):
        scale = np.abs(at_once).max()
        assert np.abs(band_by_band - at_once).max() <= 1e-5 * scale


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "orthogonal", "zeros"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_large_kernels_are_drawn_as_small_ones(initializer, dropout, monkeypatch):
    def kernel():
        made = keras.initializers.get(initializer)
        made.seed = 3
        layer = FreeConv2D(
            4,
            3,
            kernel_initializer=made,
            connection_dropout=dropout,
            glorot_fans="per_location",
            seed=7,
        )
        layer.build((None, 8, 8, 2))
        return keras.ops.convert_to_numpy(layer.kernel)

    small = kernel()
    monkeypatch.setattr(base_free_conv, "LARGE_KERNEL", 1)
    options = tf.config.optimizer.get_experimental_options()
    np.testing.assert_array_equal(kernel(), small)
    after = tf.config.optimizer.get_experimental_options()
    assert after.get("constant_folding", True) == options.get("constant_folding", True)
