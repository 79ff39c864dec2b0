"""Images that are drawn from a distribution of which theory says how many a network needs.

Source: Lahoti, Karp, Winston, Singh, Li, "Role of locality and weight sharing in image-based tasks:
a sample complexity separation between CNNs, LCNs, and FCNs" (2024): dynamic signal distribution.
"""

from __future__ import annotations

import numpy as np

from freeconv.errors import InputError

NOISE = 32
"""Standard deviation of the noise, in steps of 8-bit pixels: four of them either side of grey."""


def signal_in_noise(
    *, patches: int, patch_size: int, images: int, strength: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws images with one signal at an unknown place in Gaussian noise, told apart by its sign.

    An image is a square grid of `k = patches^2` square patches of `d = patch_size^2` pixels. One
    vector of `d` numbers of random directions is the signal of all images. It is added to one patch
    of an image, each as probable, or subtracted from it; which of the two is the class. A network
    that shares weights needs of the order of `k + d` images, one that is local without sharing at
    least of the order of `k d` and at most of `k (k + d)` (Lahoti et al. 2024).

    Args:
        patches: Patches along a side.
        patch_size: Pixels along the side of a patch.
        images: Number of images.
        strength: Norm of the signal, in standard deviations of the noise of a pixel.
        seed: Non-negative integer.

    Returns:
        `(images, labels)`: uint8 of shape `(images, side, side, 1)` with `side = patches *
        patch_size`, grey 128 being 0 and `NOISE` steps a standard deviation; uint8 of shape
        `(images,)`, 0 or 1.

    Raises:
        InputError: If a number is not positive, or fewer than two images are asked for.

    Example:
        >>> images, labels = signal_in_noise(
        ...     patches=4, patch_size=3, images=10, strength=5, seed=0
        ... )
        >>> images.shape, sorted(set(labels.tolist()))
        ((10, 12, 12, 1), [0, 1])
    """
    if min(patches, patch_size, strength) <= 0 or images < 2:
        raise InputError(
            "a signal in noise needs at least one patch of one pixel, a strength above 0 and two "
            f"images. Received: patches={patches}, patch_size={patch_size}, strength={strength}, "
            f"images={images}."
        )
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal((patch_size, patch_size))
    signal *= strength / np.sqrt(np.square(signal).sum())
    labels = generator.permutation(np.arange(images) % 2)
    places = generator.integers(patches, size=(images, 2))
    values = generator.standard_normal((images, patches, patch_size, patches, patch_size))
    rows, columns = places.T
    signs = np.where(labels, 1.0, -1.0)[:, None, None]
    values[np.arange(images), rows, :, columns, :] += signs * signal
    size = patches * patch_size
    pixels = np.rint(128 + NOISE * values.reshape(images, size, size, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8), labels.astype(np.uint8)
