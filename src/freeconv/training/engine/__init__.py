"""The compiled loops: a training epoch, and measuring a network on perturbed images.

Images stay where the network is, as uint8; shuffling, gathering, augmentation and the training
step run inside one compiled epoch. There is a form in TensorFlow and one in JAX, chosen by the
backend that Keras computes with; what they share, and what they promise, is in `engine.base`. Both
train in the same way: from the same weights, on the same order of images, to rounding. Their random
numbers differ, so that initial weights, orders and augmentations of a run are other ones.

Raises:
    InputError: on import, where Keras has another backend.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import keras

from freeconv.errors import InputError
from freeconv.training.engine.base import Condition, Measurement, on_device

if TYPE_CHECKING:
    from collections.abc import Iterator

if keras.backend.backend() == "tensorflow":
    from freeconv.training.engine.tensorflow import Evaluator, Trainer, matrix_products
elif keras.backend.backend() == "jax":
    from freeconv.training.engine.jax import Evaluator, Trainer, matrix_products
else:
    raise InputError(
        f"backend: Keras computes with {keras.backend.backend()}, for which there is no compiled "
        "epoch; set the environment variable KERAS_BACKEND to tensorflow or jax"
    )

__all__ = [
    "PRECISIONS",
    "Condition",
    "Evaluator",
    "Measurement",
    "Trainer",
    "computing_in",
    "on_device",
]

PRECISIONS = ("float32", "tf32", "mixed_bfloat16")
"""How exactly networks compute: see `computing_in`."""


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """A block in which networks are built, trained and measured at a precision.

    Args:
        precision: `float32` on every device. `tf32`: on a GPU that knows it, factors of matrix
            products and convolutions are rounded to 10 bits behind the point. `mixed_bfloat16`:
            layers built in the block compute in bfloat16 (7 bits); weights, the softmax output,
            losses and Adam stay float32. The range of float32 is kept by all of them.

    Raises:
        InputError: for any other precision.
    """
    if precision not in PRECISIONS:
        allowed = ", ".join(PRECISIONS)
        raise InputError(f"precision: {precision} is not known; expected one of {allowed}")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "tf32" else precision)
    try:
        with matrix_products(tf32=precision == "tf32"):
            yield
    finally:
        keras.config.set_dtype_policy(policy)
