"""What the layers of a race compute: sizes, weights, images and the products they need.

Every framework gets the same numbers, as NumPy arrays, and none is imported here.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# (kernel size, filters, stride) of each convolution, and the image (paper, Table A.2).
NETWORKS = {
    "mnist": ((28, 28, 1), ((3, 32, 2), (3, 64, 2), (3, 128, 1))),
    "cifar10": ((32, 32, 3), ((5, 64, 2), (5, 128, 2), (3, 256, 1))),
}

BATCHES = {"mnist": 256, "cifar10": 128}
"""Images a training step (paper, section A.3)."""

CLASSES = 10

FILES = {"mnist": 70_000, "cifar10": 60_000}
"""Images of a data set, of which four fifths are trained on."""


class Layer(NamedTuple):
    """Sizes of one convolution."""

    rows: int
    columns: int
    channels: int
    kernel_size: int
    filters: int
    stride: int
    padding: str
    sharing: int | str = 1

    @property
    def output_grid(self):
        """(rows, columns) of the output."""
        sizes = (self.rows, self.columns)
        if self.padding == "same":
            return tuple(-(-size // self.stride) for size in sizes)
        return tuple((size - self.kernel_size) // self.stride + 1 for size in sizes)

    @property
    def kernels(self):
        """How many kernels it has: one per tile of positions."""
        if self.sharing == "all":
            return 1
        return math.prod(-(-size // self.sharing) for size in self.output_grid)

    @property
    def patch(self):
        """Inputs of a kernel."""
        return self.kernel_size**2 * self.channels


@dataclass(frozen=True)
class Stack:
    """Consecutive convolutions with bias and ReLU.

    Attributes:
        network: name in `NETWORKS`; empty where the layer is of none.
        layers: tuple of `Layer`.
        batch: images.
        input_gradient: whether the gradient towards the input is computed too. The first layer
            of a network needs none.
        aim: at most this many times as long as Conv2D; None where there is no aim.
    """

    network: str
    layers: tuple[Layer, ...]
    batch: int
    input_gradient: bool
    aim: float | None = 1.3

    @property
    def is_network(self):
        """Whether these are all layers of the network."""
        return len(self.layers) > 1

    def weights(self):
        """List of (kernel, bias): (kernels, patch, filters) and (rows, columns, filters).

        Inputs of a patch are in the order (row, column, channel), as in `FreeConv2D`.
        """
        random = np.random.default_rng(0)
        weights = []
        for layer in self.layers:
            kernel = random.standard_normal((layer.kernels, layer.patch, layer.filters), np.float32)
            grid = layer.output_grid if layer.sharing == 1 else (layer.kernels, 1)
            bias = 0.1 * random.standard_normal((*grid, layer.filters), np.float32)
            weights.append((kernel * layer.patch**-0.5, bias))
        return weights

    @property
    def image_shape(self):
        """(rows, columns, channels) of the input."""
        return self.layers[0][:3]

    def images(self):
        """Float32 images, (batch, rows, columns, channels), in [0, 1)."""
        shape = (self.batch, *self.image_shape)
        return np.random.default_rng(1).random(shape, np.float32)

    def output_gradient(self):
        """Gradient that reaches the features, (batch, rows, columns, filters)."""
        last = self.layers[-1]
        shape = (self.batch, *last.output_grid, last.filters)
        return np.random.default_rng(2).normal(size=shape).astype(np.float32)

    def product_flops(self):
        """Floating point operations of all matrix products: forward, and the gradients.

        A layer multiplies forward, towards its kernel, and towards its input where that is
        wanted: 2 operations a weight of each position and image every time.
        """
        total = 0
        for number, layer in enumerate(self.layers):
            products = 3 if number > 0 or self.input_gradient else 2
            rows, columns = layer.output_grid
            weights = rows * columns * layer.patch * layer.filters
            total += products * 2 * weights * self.batch
        return total


def network(name, batch):
    """The convolutions of a network as it is trained, as a `Stack`."""
    (rows, columns, channels), sizes = NETWORKS[name]
    layers = []
    for kernel_size, filters, stride in sizes:
        layer = Layer(rows, columns, channels, kernel_size, filters, stride, "valid")
        layers.append(layer)
        (rows, columns), channels = layer.output_grid, filters
    return Stack(name, tuple(layers), batch, input_gradient=False)


def single_layer(name, number, padding, batch):
    """One convolution of a network, from 1; all but the first have a gradient towards the input."""
    layer = network(name, batch).layers[number - 1]._replace(padding=padding)
    return Stack(name, (layer,), batch, input_gradient=number > 1)


def images(network, count):
    """Random images of the size that a network takes, and labels.

    Returns:
        (images, labels): uint8 arrays (count, rows, columns, channels) and (count,).
    """
    shape, _ = NETWORKS[network]
    pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return pixels, (np.arange(count) % CLASSES).astype(np.uint8)


LARGE_AIMS = {1: 1.3, "all": 1.1}
"""Degree of sharing -> how many times as long as Conv2D a layer takes at most."""


def _large(size, channels, kernel_size, filters, batch, sharing=1):
    layer = Layer(size, size, channels, kernel_size, filters, 1, "same", sharing)
    return Stack("", (layer,), batch, channels > 3, aim=LARGE_AIMS.get(sharing))


LARGE = {
    "224 x 224 x 3 -> 64, 3 x 3, batch 8": _large(224, 3, 3, 64, 8),
    "224 x 224 x 3 -> 16, 7 x 7, batch 4": _large(224, 3, 7, 16, 4),
    "56 x 56 x 64 -> 64, 3 x 3, batch 16": _large(56, 64, 3, 64, 16),
    "112 x 112 x 64 -> 64, 3 x 3, sharing all, batch 8": _large(112, 64, 3, 64, 8, "all"),
}
"""Layers on large images."""

TILES = {
    "13 x 13 x 32 -> 64, 3 x 3, sharing 2, batch 256": _large(13, 32, 3, 64, 256, 2),
    "56 x 56 x 64 -> 64, 3 x 3, sharing 7, batch 16": _large(56, 64, 3, 64, 16, 7),
}
"""Layers whose tiles of positions share a kernel."""
