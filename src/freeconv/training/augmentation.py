"""Training augmentations and validation perturbations, as operations of the graph.

Everything here takes and gives float32 images of shape `(batch, height, width, channels)`. The
batch size may be unknown when the graph is traced, and `level` may be a Python number or a scalar
tensor, so that one traced graph serves a whole sweep of strengths. `seed` is an integer or a
`keras.random.SeedGenerator`: a generator draws new numbers at every call, an integer draws the same
numbers every time.

Source: Ott et al. (2020), section 3 and appendix B (levels 0, 0.1, ..., 0.9, 0.99).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import keras
from keras import ops

from freeconv.errors import InputError
from freeconv.study.extensions import own_augmentation

if TYPE_CHECKING:
    from typing import Any

AUGMENTATIONS = ("none", "translation", "rotation", "noise", "edge_noise")
"""What training images may undergo."""

PERTURBATIONS = ("clean", "translation", "rotation", "noise", "edge_noise", "quadrant_swap")
"""What validation images may undergo."""

EDGE_NOISE_FORMS = ("text", "code")
"""Edge noise as the paper's text has it, and as the published code has it."""

ROTATION_CENTRES = ("middle", "code")
"""Rotation about the middle of the images, and about the point that the published code takes."""

EDGE_WIDTH = 5
"""Width in pixels of the border that edge noise falls on."""


class Forms(NamedTuple):
    """Which form augmentations have where the paper's text and its published code disagree.

    Attributes:
        edge_noise: `"text"` or `"code"`, see `add_edge_noise`.
        rotation_centre: `"middle"` or `"code"`, see `rotate`.
    """

    edge_noise: str = "text"
    rotation_centre: str = "middle"

    @classmethod
    def of(cls, settings: Any) -> Forms:
        """Returns the forms that a run's settings, or a study's protocol, name."""
        return cls(settings.edge_noise, settings.rotation_centre)


PAPER = Forms()
"""The forms of the paper's text."""


def augment(
    images: keras.KerasTensor, kind: str, level: float, seed: Any, forms: Forms = PAPER
) -> keras.KerasTensor:
    """Augments or perturbs a batch of images, every image with its own random parameters.

    Args:
        images: Float tensor of images.
        kind: One of `AUGMENTATIONS` or `PERTURBATIONS`, or registered by an extension. `"none"`
            and `"clean"` return the images as they are.
        level: Strength, a number or a scalar tensor. Translation: largest shift as a share of
            width and height. Rotation: largest angle as a share of 360 degrees (45 degrees are
            0.125). Noise and edge noise: standard deviation, in units of the pixel values. Not
            used by `"none"`, `"clean"` and `"quadrant_swap"`.
        seed: Integer or `keras.random.SeedGenerator`.
        forms: `Forms`.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        The input shape.

    Returns:
        The augmented images.

    Raises:
        ValueError: If `kind` or a form is unknown, or `images` does not have four axes.
        InputError: If an extension's augmentation gives images of another shape or dtype.

    Example:
        >>> seed = keras.random.SeedGenerator(0)
        >>> images = augment(keras.ops.zeros((8, 28, 28, 1)), "translation", 0.3, seed)
        >>> tuple(images.shape)
        (8, 28, 28, 1)
    """
    _, height, width, _ = _image_shape(images)
    batch = ops.shape(images)[0]
    if kind in ("none", "clean"):
        return images
    if kind == "translation":
        return translate(images, draw_shifts(level, batch, height, width, seed))
    if kind == "rotation":
        return rotate(images, draw_angles(level, batch, seed), forms.rotation_centre)
    if kind == "noise":
        return add_noise(images, level, seed)
    if kind == "edge_noise":
        return add_edge_noise(images, level, seed, form=forms.edge_noise)
    if kind == "quadrant_swap":
        return swap_quadrants(images)
    if own_augmentation(kind):
        return _augment_by(own_augmentation(kind), images, kind, level, seed)
    allowed = ", ".join(dict.fromkeys(AUGMENTATIONS + PERTURBATIONS))
    raise ValueError(f"Unknown augmentation `kind`: {kind!r}. Expected one of: {allowed}.")


def _augment_by(function, images, kind, level, seed):
    """Augments by a function of an extension, and checks what it gives."""
    generator = keras.random.SeedGenerator(seed) if isinstance(seed, int) else seed
    augmented = function(images, level, generator)
    found = tuple(augmented.shape), keras.backend.standardize_dtype(augmented.dtype)
    expected = tuple(images.shape), keras.backend.standardize_dtype(images.dtype)
    if found != expected:
        raise InputError(
            f"augmentation {kind}: gives images {found[0]} of {found[1]}; expected "
            f"{expected[0]} of {expected[1]}, as it was given"
        )
    return augmented


def draw_shifts(level: float, batch: int, height: int, width: int, seed: Any) -> keras.KerasTensor:
    """Draws a translation for every image, down and right independently.

    Args:
        level: Largest shift as a share of the image's height and width.
        batch: Number of images, an integer or a scalar tensor.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        seed: Integer or `keras.random.SeedGenerator`.

    Output shape:
        `(batch, 2)`

    Returns:
        Shifts in pixels, (down, right), uniform in `±level * height` and `±level * width`.
    """
    unit = keras.random.uniform((batch, 2), minval=-1.0, maxval=1.0, dtype="float32", seed=seed)
    return unit * ops.cast(level, "float32") * ops.array([height, width], dtype="float32")


def draw_angles(level: float, batch: int, seed: Any) -> keras.KerasTensor:
    """Draws a rotation for every image.

    Args:
        level: Largest angle as a share of 360 degrees.
        batch: Number of images, an integer or a scalar tensor.
        seed: Integer or `keras.random.SeedGenerator`.

    Output shape:
        `(batch,)`

    Returns:
        Angles in degrees, uniform in `±level * 360`.
    """
    unit = keras.random.uniform((batch,), minval=-1.0, maxval=1.0, dtype="float32", seed=seed)
    return unit * ops.cast(level, "float32") * 360.0


def translate(images: keras.KerasTensor, shifts: keras.KerasTensor) -> keras.KerasTensor:
    """Shifts every image by its own amount: `out(i, j) = in(i - down, j - right)`.

    Values between pixels are interpolated bilinearly; what lies outside the image takes the value
    of the nearest pixel.

    Args:
        images: Float tensor of images.
        shifts: Shifts in pixels, (down, right). They need not be whole numbers and may exceed
            the size of the image.

    Input shape:
        `images`: `(batch, height, width, channels)`, `shifts`: `(batch, 2)`

    Output shape:
        The shape of `images`.

    Returns:
        The shifted images.

    Raises:
        ValueError: If `images` does not have four axes of which the last three are known.
    """
    _, height, width, channels = _image_shape(images)
    rows = _interpolation_band(shifts[:, 0], height)
    columns = _interpolation_band(shifts[:, 1], width)
    # Two products with banded matrices are several times faster than gathering the four
    # neighbours of every pixel, and faster than an einsum once a few channels are involved.
    images = ops.matmul(rows, ops.reshape(images, (-1, height, width * channels)))
    images = ops.transpose(ops.reshape(images, (-1, height, width, channels)), (0, 2, 1, 3))
    images = ops.matmul(columns, ops.reshape(images, (-1, width, height * channels)))
    return ops.transpose(ops.reshape(images, (-1, width, height, channels)), (0, 2, 1, 3))


def _interpolation_band(shift, size):
    """Returns the matrices, (batch, size, size), that shift an axis and interpolate linearly."""
    pixels = ops.arange(size, dtype="float32")
    source = ops.clip(pixels[None, :] - shift[:, None], 0.0, size - 1.0)
    return ops.relu(1.0 - ops.abs(source[:, :, None] - pixels))


def rotate(
    images: keras.KerasTensor, degrees: keras.KerasTensor, centre: str = "middle"
) -> keras.KerasTensor:
    """Rotates every image by its own angle.

    Values between pixels are interpolated bilinearly; what lies outside the image takes the value
    of the nearest pixel.

    Args:
        images: Float tensor of images.
        degrees: Angles in degrees, clockwise as seen on the screen.
        centre: `"middle"`: about `((height - 1) / 2, (width - 1) / 2)`. `"code"`: about
            `(height / 2 + 0.5, width / 2 + 0.5)`, one pixel further down and right, as the
            library of the published code had it (keras-preprocessing up to 1.1.2), so that
            rotated images also shift.

    Input shape:
        `images`: `(batch, height, width, channels)`, `degrees`: `(batch,)`

    Output shape:
        The shape of `images`.

    Returns:
        The rotated images.

    Raises:
        ValueError: If `centre` is unknown, or `images` does not have four axes of which the last
            three are known.
    """
    _, height, width, _ = _image_shape(images)
    if centre not in ROTATION_CENTRES:
        raise ValueError(
            f"Unknown `centre` of rotation: {centre!r}. Expected one of: "
            f"{', '.join(ROTATION_CENTRES)}."
        )
    beyond = 1 if centre == "code" else 0
    x_centre, y_centre = (width - 1) / 2 + beyond, (height - 1) / 2 + beyond
    angle = ops.reshape(degrees, (-1, 1, 1)) * (math.pi / 180.0)
    cos, sin = ops.cos(angle), ops.sin(angle)
    # Where every pixel comes from, so this is the inverse of the rotation wanted:
    # x' = cos x + sin y, y' = -sin x + cos y around the centre, y pointing down.
    x = ops.arange(width, dtype="float32") - x_centre
    y = ops.arange(height, dtype="float32")[:, None] - y_centre
    return _interpolate(images, y_centre + cos * y - sin * x, x_centre + cos * x + sin * y)


def _interpolate(images, rows, columns):
    """Returns images of bilinearly interpolated values at rows and columns, (batch, height, width).

    Made of gathering, as XLA has no kernel for TensorFlow's `ops.image.affine_transform`.
    """
    _, height, width, channels = _image_shape(images)
    rows, columns = ops.clip(rows, 0.0, height - 1.0), ops.clip(columns, 0.0, width - 1.0)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    # Neighbours beyond the last row and column have no weight, but must be there.
    padded = ops.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)))
    pixels = ops.reshape(padded, (-1, channels))
    start = ops.arange(ops.shape(images)[0])[:, None, None] * (height + 1)
    place = (start + ops.cast(top, "int32")) * (width + 1) + ops.cast(left, "int32")
    corners = (0, 1, width + 1, width + 2)
    a, b, c, d = (ops.take(pixels, place + corner, axis=0) for corner in corners)
    upper, lower = a + right * (b - a), c + right * (d - c)
    return upper + down * (lower - upper)


def add_noise(images: keras.KerasTensor, level: float, seed: Any) -> keras.KerasTensor:
    """Adds normal noise to every pixel; the result is not clipped.

    Args:
        images: Float tensor of images.
        level: Standard deviation of the noise, in units of the pixel values.
        seed: Integer or `keras.random.SeedGenerator`.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        The input shape.

    Returns:
        The noisy images.
    """
    return images + _noise(images, level, seed)


def add_edge_noise(
    images: keras.KerasTensor, level: float, seed: Any, form: str = "text"
) -> keras.KerasTensor:
    """Adds normal noise at the edge of the images; the result is not clipped.

    Args:
        images: Float tensor of images.
        level: Standard deviation of the noise, in units of the pixel values.
        seed: Integer or `keras.random.SeedGenerator`.
        form: `"text"`: the border of `EDGE_WIDTH` pixels gets noise. `"code"`: what the
            published code does, which cuts the interior out of the axes (image, row) instead of
            (row, column): the top and bottom `EDGE_WIDTH` rows get noise over the whole width,
            and the first and last `EDGE_WIDTH` images of the batch get it everywhere.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        The input shape.

    Returns:
        The noisy images.

    Raises:
        ValueError: If `form` is unknown, or `images` does not have four axes of which the last
            three are known.
    """
    _, height, width, _ = _image_shape(images)
    rows = _interior(height)[None, :, None, None]
    if form == "text":
        untouched = rows & _interior(width)[None, None, :, None]
    elif form == "code":
        untouched = rows & _interior(ops.shape(images)[0])[:, None, None, None]
    else:
        raise ValueError(
            f"Unknown edge noise `form`: {form!r}. Expected one of: {', '.join(EDGE_NOISE_FORMS)}."
        )
    return ops.where(untouched, images, images + _noise(images, level, seed))


def _interior(size):
    """Returns which of `size` places are at least `EDGE_WIDTH` from both ends."""
    places = ops.arange(size)
    return (places >= EDGE_WIDTH) & (places < size - EDGE_WIDTH)


def _noise(images, level, seed):
    """Returns normal noise of standard deviation `level` in the shape of the images."""
    return keras.random.normal(ops.shape(images), dtype="float32", seed=seed) * ops.cast(
        level, "float32"
    )


def swap_quadrants(images: keras.KerasTensor) -> keras.KerasTensor:
    """Exchanges the top right quadrant with the bottom left one.

    The quadrants have `height // 2` rows and `width // 2` columns; the middle row and column of
    an odd size stay where they are.

    Args:
        images: Tensor of images.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        The input shape.

    Returns:
        The images with the two quadrants exchanged.

    Raises:
        ValueError: If `images` does not have four axes of which the last three are known.
    """
    _, height, width, _ = _image_shape(images)
    top, bottom = height // 2, height - height // 2
    left, right = width // 2, width - width // 2
    upper_rows = [images[:, :top, :right], images[:, bottom:, :left]]
    lower_rows = [images[:, :top, right:], images[:, bottom:, left:]]
    return ops.concatenate(
        [
            ops.concatenate(upper_rows, axis=2),
            images[:, top:bottom],
            ops.concatenate(lower_rows, axis=2),
        ],
        axis=1,
    )


def _image_shape(images):
    """Returns the static shape (batch, height, width, channels); batch alone may be None."""
    shape = tuple(images.shape)
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            "`images` must have shape (batch, height, width, channels), "
            f"all but batch known. Received: shape={shape}."
        )
    return shape
