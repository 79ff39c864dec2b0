"""One image of a data set, as the networks see it under every augmentation and perturbation.

The images are made by the very functions that training and validation use, at a fixed shift or
angle instead of a drawn one.

Source: Ott et al. (2020), Figs. 2 and B.1 to B.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from keras import ops

from freeconv.results.schemas import EXAMPLES_SCHEMA
from freeconv.study.extensions import own_augmentations
from freeconv.training.augmentation import (
    add_edge_noise,
    add_noise,
    augment,
    rotate,
    swap_quadrants,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
"""The levels above 0 of the paper's figures."""

NOISE_SEED = 0
"""Of the noise: the same draw at all levels, so that the images differ in its strength alone."""


def example_image(records: np.ndarray) -> np.ndarray:
    """The image shown: the first of the last class, a figure that no rotation leaves as it was.

    Args:
        records: Data set as `formats.open_dataset` returns it.

    Returns:
        Pixel values from 0 to 1, float32 of shape `(height, width, channels)`.
    """
    labels = np.asarray(records["label"])
    return records["image"][np.argmax(labels == labels.max())].astype(np.float32) / 255


def perturbed_images(image: np.ndarray, rotation_centre: str = "middle") -> dict[Any, np.ndarray]:
    """Makes one image of every kind and strength.

    Args:
        image: Pixel values from 0 to 1.
        rotation_centre: See `augmentation.rotate`.

    Input shape:
        `(height, width, channels)`

    Returns:
        A dict (perturbation, strength) -> image of the same shape, not clipped. `clean` and
        `quadrant_swap` have strength 0; `translation` shifts leftwards by strength times the
        width, `rotation` turns clockwise by strength times 360 degrees, `noise` and `edge_noise`
        have that standard deviation, edge noise on the border as in Fig. B.1, whatever form the
        study trains with. Augmentations of an extension draw the same numbers at all
        strengths.
    """
    images = ops.convert_to_tensor(image)[None]
    made = {("clean", 0.0): images, ("quadrant_swap", 0.0): swap_quadrants(images)}
    for level in LEVELS:
        turned = ops.convert_to_tensor([level * 360.0])
        left = ops.convert_to_tensor([[0.0, -level * image.shape[1]]])
        made |= {
            ("translation", level): translate(images, left),
            ("rotation", level): rotate(images, turned, rotation_centre),
            ("noise", level): add_noise(images, level, NOISE_SEED),
            ("edge_noise", level): add_edge_noise(images, level, NOISE_SEED),
        }
        for kind in own_augmentations():
            made[kind, level] = augment(images, kind, level, NOISE_SEED)
    return {key: ops.convert_to_numpy(images)[0] for key, images in made.items()}


def example_records(dataset: str, images: Mapping[Any, np.ndarray]) -> pd.DataFrame:
    """Turns images into a data frame, rounded to what a screen can show.

    Noise takes pixels below 0 and above 1, which a screen does not have. Such an image is shown
    from its least value, black, to its largest, white; any other as it is.

    Args:
        dataset: Name of the data set.
        images: See `perturbed_images`.

    Returns:
        `pandas.DataFrame` by `schemas.EXAMPLES_SCHEMA`.
    """
    rows = [
        (
            dataset,
            *key,
            *image.shape,
            np.rint(255 * _within_range(image)).astype(np.uint8).tobytes(),
        )
        for key, image in images.items()
    ]
    return pd.DataFrame(rows, columns=EXAMPLES_SCHEMA.names)


def _within_range(image):
    """Pixels from 0 to 1, whatever range they had."""
    low, high = min(image.min(), 0.0), max(image.max(), 1.0)
    return (image - low) / (high - low)
