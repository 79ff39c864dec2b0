"""Checks of the layers' arguments: each returns the value in its one form, or raises ValueError."""

from __future__ import annotations

import numbers
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import keras

SHARED_BY_ALL = "all"

_TUPLES = {1: "a tuple of one of them", 2: "a pair of them", 3: "a triple of them"}


def positive_int(value: Any, name: str) -> int:
    """Returns an integer of at least 1."""
    if not _is_size(value):
        raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={value!r}.")
    return int(value)


def positive_sizes(
    value: Any, name: str, axes: Sequence[str], alternative: str = ""
) -> tuple[int, ...]:
    """Returns a tuple of integers of at least 1, one an axis; a single one holds for all axes."""
    sizes = value if isinstance(value, (tuple, list)) else (value,) * len(axes)
    if len(sizes) != len(axes) or not all(map(_is_size, sizes)):
        raise ValueError(
            f"`{name}` must be {alternative}an integer of at least 1 or {_TUPLES[len(axes)]} "
            f"({', '.join(axes)}). Received: {name}={value!r}."
        )
    return tuple(map(int, sizes))


def degree_of_sharing(value: Any, name: str, axes: Sequence[str]) -> Any:
    """Returns the sizes of a tile as `positive_sizes`, or "all"."""
    if isinstance(value, str) and value.lower() == SHARED_BY_ALL:
        return SHARED_BY_ALL
    return positive_sizes(value, name, axes, f"{SHARED_BY_ALL!r}, ")


def choice(value: Any, name: str, choices: Sequence[str]) -> Any:
    """Returns one of the strings `choices`, in lower case."""
    chosen = value.lower() if isinstance(value, str) else value
    if chosen not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")
    return chosen


def share(value: Any, name: str) -> float:
    """Returns a float in [0, 1)."""
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(
            f"`{name}` must be a number of at least 0 and below 1. Received: {name}={value!r}."
        )
    return float(value)


def seed_or_new(seed: int | None) -> int:
    """Returns an integer of at least 0, a new one for `None`."""
    if seed is None:
        # Python's generator, so that `keras.utils.set_random_seed` governs it.
        return random.randint(1, 10**9)
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"`seed` must be None or an integer of at least 0. Received: {seed!r}.")
    return int(seed)


def images_of_shape(images: keras.KerasTensor, shape: Sequence[int]) -> keras.KerasTensor:
    """Returns `images`, which have `shape` but for the batch, with sizes that all are known.

    With TensorFlow the sizes of a tensor in a graph may be unknown (`tf.io.decode_image`), so that
    Keras does not check them; a wrong one is an error there when the graph runs.
    """
    if None not in images.shape[1:]:
        return images
    from tensorflow import ensure_shape

    return ensure_shape(images, (None, *shape))


def _is_size(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1
