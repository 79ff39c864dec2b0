"""Random free convolutions against NumPy loops, with the backend of the process.

`FREECONV_RANDOM_LAYERS=300 pytest tests/test_random_layers.py` draws more of them than the few of
every run; `test_backends.py` runs this module with the other backends.
"""

import math
import os

import keras
import numpy as np
import pytest
from references import (
    forward_backward,
    from_format,
    loop_reference,
    output_grid,
    random_array,
    to_format,
)

from freeconv import FreeConv1D, FreeConv2D, FreeConv3D
from freeconv.layers import patches

FREE = {1: FreeConv1D, 2: FreeConv2D, 3: FreeConv3D}
COUNT = int(os.environ.get("FREECONV_RANDOM_LAYERS", "24"))
# Compiling takes most of the time.
WITH_XLA = COUNT if "FREECONV_RANDOM_LAYERS" in os.environ else 6


def draw(seed):
    """Arguments of a random layer, the shape of its images, and its seed for further draws."""
    rng = np.random.default_rng([20, seed])
    rank = int(rng.choice([1, 2, 2, 3]))
    shape = (*rng.integers(2, {1: 14, 2: 8, 3: 6}[rank], rank).tolist(), int(rng.integers(1, 5)))
    kernel_size = tuple(int(rng.integers(1, min(size, 4) + 1)) for size in shape[:-1])
    strides = tuple(rng.integers(1, 4, rank).tolist())
    padding = str(rng.choice(["valid", "same"]))
    grid = output_grid(shape, kernel_size, strides, padding)
    tile = tuple(int(rng.integers(1, positions + 2)) for positions in grid)
    arguments = {
        "filters": int(rng.choice([1, 2, 4, math.prod(grid)])),
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "sharing": [1, 1, tile, "all"][rng.integers(4)],
        "data_format": str(rng.choice(["channels_last", "channels_first"])),
        "use_bias": bool(rng.random() < 0.8),
        "connection_dropout": float(rng.choice([0.0, 0.0, 0.4])),
        "seed": seed,
    }
    return arguments, shape, rng


def draw_layer(seed):
    """A built random layer with random weights, images, and gradients of its outputs."""
    arguments, shape, rng = draw(seed)
    layer = FREE[len(shape) - 1](**arguments)
    layer.build(to_format(np.empty((1, *shape)), layer.data_format).shape)
    for place, weight in enumerate(layer.trainable_weights):
        weight.assign(random_array(weight.shape, seed=place))
    tiles, grid = math.prod(layer.tile_grid), layer.output_grid
    # Among them the sizes that other axes have.
    batch = int(rng.choice([1, 2, 5, tiles, layer.filters, math.prod(grid), math.prod(layer.tile)]))
    images = random_array((batch, *shape), seed=seed)
    return layer, images, random_array((batch, *grid, layer.filters), seed=seed + 1)


def expected(layer, images, upstream):
    """Output and gradients to images, kernel and bias, by loops, each with a bound of rounding.

    That is the largest of the sums of the absolute values of the terms.
    """
    values = _by_loops(layer, images, upstream, lambda value: value)
    magnitudes = _by_loops(layer, images, upstream, np.abs)
    return [(value, magnitude.max()) for value, magnitude in zip(values, magnitudes, strict=True)]


def _by_loops(layer, images, upstream, sign):
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    present = 1.0
    if layer.connection_mask is not None:
        present = keras.ops.convert_to_numpy(layer.connection_mask)
    bias = np.zeros((*layer.tile_grid, layer.filters))
    if layer.use_bias:
        bias = keras.ops.convert_to_numpy(layer.bias)
    geometry = (layer.kernel_size, layer.strides, layer.padding, layer.tile)
    outputs, to_images, to_kernel, to_bias = loop_reference(
        *map(sign, (images, kernel * present, bias, upstream)), *geometry
    )
    to_weights = [to_kernel * present, to_bias] if layer.use_bias else [to_kernel * present]
    return [outputs, to_images, *to_weights]


def computed(layer, images, upstream, **how):
    images, upstream = (to_format(values, layer.data_format) for values in (images, upstream))
    outputs, to_images, *to_weights = forward_backward(layer, images, upstream, **how)
    formed = [from_format(values, layer.data_format) for values in (outputs, to_images)]
    return [*formed, *to_weights]


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("band_values", [patches.BAND_VALUES, 60, 1])
def test_equals_loop(band_values, seed, monkeypatch):
    """With all patches made at once, as those of small images are, and band by band."""
    monkeypatch.setattr(patches, "BAND_VALUES", band_values)
    layer, images, upstream = draw_layer(seed)
    reference = expected(layer, images, upstream)
    compiled = [False]
    if keras.backend.backend() == "tensorflow" and seed < WITH_XLA and band_values != 1:
        compiled.append(True)
    for xla in compiled:
        found = computed(layer, images, upstream, xla=xla)
        for actual, (wanted, magnitude) in zip(found, reference, strict=True):
            assert actual.shape == wanted.shape
            assert np.abs(actual - wanted).max() <= 1e-5 * magnitude


@pytest.mark.parametrize("seed", range(COUNT))
def test_images_do_not_depend_on_their_batch(seed):
    """Alone, and in a batch of any size: to rounding."""
    layer, images, _ = draw_layer(seed)
    images = to_format(images, layer.data_format)
    together = keras.ops.convert_to_numpy(layer(images))
    for image, output in zip(images, together, strict=True):
        alone = keras.ops.convert_to_numpy(layer(image[np.newaxis]))[0]
        assert np.abs(alone - output).max() <= 1e-5 * np.abs(together).max()
