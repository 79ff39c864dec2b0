"""The two parts of a data set that a cell trains and validates on."""

import hashlib
from typing import NamedTuple

import numpy as np

from freeconv.datasets import class_count, open_dataset
from freeconv.errors import InputError
from freeconv.files import read_parquet
from freeconv.folds import split
from freeconv.history import FOLDS_SCHEMA


class Split(NamedTuple):
    """Images and labels of one part of a data set.

    Attributes:
        images: uint8 array (images, height, width, channels).
        labels: integer array (images,).
    """

    images: np.ndarray
    labels: np.ndarray


class Splits(NamedTuple):
    """What a cell works on.

    Attributes:
        training: `Split` of every fold but one.
        validation: `Split` of that fold.
        classes: number of classes of the data set.
    """

    training: Split
    validation: Split
    classes: int

    def digest(self):
        """SHA-256 of all images and labels in their order, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for array in (*self.training, *self.validation):
            digest.update(f"{array.shape} {array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def read_splits(data, folds, fold):
    """Read the images that a cell of a given fold works on.

    Args:
        data: path of a prepared data set (`datasets.pack`).
        folds: path of its folds, Parquet by `history.FOLDS_SCHEMA`.
        fold: number of the validation fold.

    Returns:
        `Splits`.

    Raises:
        InputError: if a file is not what it should be, the folds are of another
            data set, or the fold does not exist.
    """
    records = open_dataset(data)
    assignment = read_parquet(folds, FOLDS_SCHEMA)["fold"].to_numpy()
    if len(assignment) != len(records):
        raise InputError(
            f"{folds}: assigns {len(assignment)} images to folds, but {data} holds "
            f"{len(records)}; delete {folds} and run again"
        )
    return make_splits(records, assignment, fold)


def make_splits(records, assignment, fold):
    """The images that a cell of a given fold works on.

    Args:
        records: data set, structured array (images,) of `image` and `label`.
        assignment: fold of each image, integer array (images,).
        fold: number of the validation fold.

    Returns:
        `Splits`.

    Raises:
        InputError: if the fold does not exist.
    """
    parts = [
        Split(records["image"][indices], records["label"][indices])
        for indices in split(assignment, fold)
    ]
    return Splits(*parts, class_count(records["label"]))
