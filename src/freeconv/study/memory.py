"""How much memory a training and its evaluation take, from the sizes of network, images and batch.

The factors were fitted to the largest of several peaks measured on a CPU, by one thread in
TensorFlow, for both networks of the paper and 28 to 64 pixels (docs/performance.md). Peaks of
equal runs differ by up to half, as it is chance when an allocator gives memory back.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from freeconv.study.networks import NETWORKS, first_convolutions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freeconv.study.settings import RunSettings

# MiB of Python with TensorFlow and Keras; of a GPU, with CUDA's libraries, an assumption.
_PROGRAMS = {"cpu": 620, "gpu": 4000}

# Weights, their gradients, two moments of Adam, the best epoch's, and what an allocator keeps.
_COPIES_OF_WEIGHTS = 5.5

# Activations of consecutive layers are there together, and twice while they are rearranged.
_COPIES_OF_ACTIVATIONS = 3.5

# As read, and as tensors.
_COPIES_OF_IMAGES = 2

# Conditions of the validation sets after an epoch, and the bytes of activations at once, as
# `training.engine` has them.
_CONDITIONS, _BYTES_AT_ONCE = 6, 300 * 2**20

USUAL_IMAGES = {"mnist": ((28, 28, 1), 70_000), "cifar10": ((32, 32, 3), 60_000)}
"""Network -> shape and number of the images that it was made for."""

UNKNOWN = 5000
"""MiB that is asked for where an extension builds the network itself."""


def memory_of_run(
    settings: RunSettings, image_shape: Sequence[int], images: int, device: str
) -> int:
    """Returns about how many MiB a training with its evaluation takes.

    Args:
        settings: of the run.
        image_shape: `(rows, columns, channels)`.
        images: number of images of the data set.
        device: `cpu` or `gpu`.
    """
    if settings.network not in NETWORKS:
        return UNKNOWN
    weights, activations = sizes_of_network(settings, image_shape)
    conditions = _BYTES_AT_ONCE // (4 * activations * settings.batch_size)
    at_once = settings.batch_size * min(max(conditions, 1), _CONDITIONS)
    taken = 4 * _COPIES_OF_WEIGHTS * weights + 4 * _COPIES_OF_ACTIVATIONS * activations * at_once
    taken += _COPIES_OF_IMAGES * images * math.prod(image_shape)
    return _PROGRAMS[device] + round(taken / 2**20)


def memory_of_machine() -> int:
    """Returns how many MiB this machine has, or as many as its container may take."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path("/sys/fs/cgroup", name).read_text()))
        except (OSError, ValueError):  # no such file, or `max`
            continue
    return min(limits) // 2**20


def sizes_of_network(settings: RunSettings, image_shape: Sequence[int]) -> tuple[int, int]:
    """Returns the numbers of weights, and of activations of one image with the patches.

    The few of the output layer are left out.

    Args:
        settings: of the run; its degree of sharing is taken for none.
        image_shape: `(rows, columns, channels)`.
    """
    network = first_convolutions(NETWORKS[settings.network], settings.layers)
    rows, columns, channels = image_shape
    weights, activations = 0, rows * columns * channels
    for convolution in network.convolutions:
        patch = convolution.kernel_size**2 * channels
        rows, columns = convolution.output_size(rows), convolution.output_size(columns)
        channels, positions = convolution.filters, rows * columns
        free = settings.kind == "fcn"
        weights += (positions if free else 1) * (patch + 1) * channels
        activations += positions * (channels + (patch if free else 0))
    features = rows * columns * channels
    weights += (features + 1) * network.hidden
    return weights, activations + features + network.hidden
