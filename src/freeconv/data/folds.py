"""Cross-validation folds.

Source: Ott et al. (2020), section 3 (five folds, no shuffling); other folds are this project's
options.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from freeconv.data.formats import class_count, open_dataset
from freeconv.errors import InputError
from freeconv.io import read_parquet

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

# One row per image, in the order of the data set, with the fold in whose validation part it is.
FOLDS_SCHEMA = pa.schema([("index", pa.int64()), ("fold", pa.int32())])


METHODS = ("contiguous", "content", "shuffled", "stratified")
"""How the images are spread over the folds."""


def assign_folds(
    labels: np.ndarray, count: int, method: str = "contiguous", seed: int = 0
) -> np.ndarray:
    """Assigns every image to the fold in whose validation part it is.

    Args:
        labels: Class of every image, shape `(n,)`.
        count: Number of folds, 2 to n.
        method: `"contiguous"`: in file order, as in the paper; the first `n % count` folds have
            one image more. `"content"`: the same, of images that are sorted by their content
            (`formats.by_content`). `"shuffled"`: in random order. `"stratified"`: in random order
            with the same share of every class in all folds.
        seed: Non-negative integer, seed of the random order; not used by `"contiguous"` and
            `"content"`.

    Returns:
        Integer array of shape `(n,)`, the fold of each image, 0 to `count - 1`.

    Raises:
        InputError: If `count` or `method` is not among those allowed, a fold stays empty, or a
            class has fewer images than there are `"stratified"` folds.

    Example:
        >>> assign_folds([1, 0, 1, 0, 1], 2)
        array([0, 0, 0, 1, 1], dtype=int32)
    """
    labels = np.asarray(labels)
    if not 2 <= count <= len(labels):
        raise InputError(
            f"folds.count must be 2 to the number of images, {len(labels)}. Received: {count}."
        )
    if seed < 0:
        raise InputError(f"`seed` must be at least 0. Received: {seed}.")
    if method == "stratified":
        _check_classes(labels, count)
    folds = np.full(len(labels), -1, dtype=np.int32)
    for fold, (_, validation) in enumerate(_splitter(count, method, seed).split(labels, labels)):
        folds[validation] = fold
    sizes = np.bincount(folds, minlength=count)
    if not sizes.all():
        raise InputError(
            f"Fold {sizes.argmin()} of {count} is empty with method={method!r} "
            f"and {len(labels)} images; ask for fewer folds."
        )
    return folds


def _splitter(count, method, seed):
    """Returns scikit-learn's splitter for a method."""
    # Imported here since training reads folds without making any, and this import takes a second.
    from sklearn.model_selection import KFold, StratifiedKFold

    if method in ("contiguous", "content"):
        return KFold(count)
    if method == "shuffled":
        return KFold(count, shuffle=True, random_state=seed)
    if method == "stratified":
        return StratifiedKFold(count, shuffle=True, random_state=seed)
    raise InputError(f"Unknown fold `method`: {method!r}. Expected one of: {', '.join(METHODS)}.")


def _check_classes(labels, count):
    """Raises unless every class has an image for each fold."""
    small = _small_classes(labels, count)
    if small:
        least = int(np.unique(labels, return_counts=True)[1].min())
        fewer = f"set folds.count to at most {least}, " if least > 1 else ""
        raise InputError(
            f"{small}: fewer images than the {count} folds, each of which gets some of every class "
            f"by folds.method: stratified. Add images, {fewer}or leave these classes out. The log "
            "of prepare says which class is which."
        )


def _small_classes(labels, count):
    """Names the classes with fewer images than folds, and how many; empty without any."""
    sizes = zip(*np.unique(labels, return_counts=True), strict=True)
    return _listed([f"class {name} with {size}" for name, size in sizes if size < count])


def _listed(words):
    """Joins words, of many the first ones."""
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return ", ".join(words[:5]) + more


def check_folds(labels: np.ndarray, folds: np.ndarray, method: str) -> list[str]:
    """Finds classes that a fold's training part lacks, and folds whose classes differ.

    Args:
        labels: Class of every image, shape `(n,)`.
        folds: Fold of every image, as `assign_folds` returns it.
        method: The method they were assigned by.

    Returns:
        Warnings, a list of texts; empty for folds as they should be.

    Raises:
        InputError: If there is one class alone, or most images of a validation part are of classes
            that its training part lacks.
    """
    names, classes = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"all images are of class {names[0]}; expected at least two classes.")
    counts = np.zeros((folds.max() + 1, len(names)), int)
    np.add.at(counts, (folds, classes), 1)
    contiguous = method == "contiguous"
    remedy = "Set folds.method: stratified" if contiguous else "Add images, or leave these out"
    small = _small_classes(labels, len(counts))
    warnings = [f"{small}: fewer images than the {len(counts)} folds"] if small else []
    only_here = (counts > 0) & (counts == counts.sum(axis=0))
    shares = (counts * only_here).sum(axis=1) / counts.sum(axis=1)
    found = _listed([f"class {names[c]} (fold {fold})" for fold, c in np.argwhere(only_here)])
    if shares.max() > 0.5:
        fold = shares.argmax()
        raise InputError(
            f"{shares[fold]:.0%} of the validation images of fold {fold} are of classes that none "
            f"of its training images has, and would never be recognised: {found}. {remedy}."
        )
    if found:
        warnings.append(f"the training part of a fold lacks classes: {found}. {remedy}")
    elif contiguous and (odd := _odd_fold(counts)) is not None:
        warnings.append(
            f"the images are in the order of their classes: fold {odd} has another mixture of them "
            f"than the others. {remedy}"
        )
    return warnings


def _odd_fold(counts):
    """Returns the fold whose classes differ most from the others', unless by chance; else None.

    Args:
        counts: Images of each class in each fold, shape `(folds, classes)`.
    """
    from scipy.stats import chi2_contingency

    others = counts.sum(axis=0) - counts
    shares = [part / part.sum(axis=1, keepdims=True) for part in (counts, others)]
    # The total variation: the share of images that would have to be of another class.
    differences = np.abs(shares[0] - shares[1]).sum(axis=1) / 2
    if differences.max() < 0.25 or chi2_contingency(counts).pvalue > 1e-3:
        return None
    return int(differences.argmax())


def check_batch(labels: np.ndarray, folds: np.ndarray, batch_size: int, share: float = 1.0) -> None:
    """Raises InputError where a share of the training part of a fold is less than a batch.

    Args:
        labels: Class of every image.
        folds: Fold of every image, as `assign_folds` returns it.
        batch_size: Images a training step.
        share: The smallest share of training images that is trained on.
    """
    sizes = [len(nested_subset(labels[folds != fold], share, 0)) for fold in range(max(folds) + 1)]
    if min(sizes) < batch_size:
        of = f"of training_share {share:g} " if share < 1 else ""
        raise InputError(
            f"batch_size: {batch_size} is more than the {min(sizes)} training images {of}of fold "
            f"{np.argmin(sizes)}; expected at most {min(sizes)}."
        )


def fold_table(folds: np.ndarray) -> pd.DataFrame:
    """Returns the assignment as a data frame with the columns `index` and `fold`.

    Args:
        folds: Fold of each image, as `assign_folds` returns it.

    Returns:
        `pandas.DataFrame`, one row per image in file order.
    """
    # Imported here, as Snakemake reads this module for its schema whenever it starts.
    import pandas as pd

    return pd.DataFrame({"index": np.arange(len(folds)), "fold": np.asarray(folds, np.int32)})


def split(folds: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns which images a fold trains on and which it validates on.

    Args:
        folds: Fold of each image, shape `(n,)`, as `assign_folds` returns it.
        fold: The fold wanted.

    Returns:
        `(train_indices, validation_indices)`, both ascending, together 0 to n - 1.

    Raises:
        InputError: If `folds` has no such fold.

    Example:
        >>> split(np.array([0, 0, 1]), 1)
        (array([0, 1]), array([2]))
    """
    folds = np.asarray(folds)
    validation = folds == fold
    if not validation.any():
        raise InputError(f"Received fold={fold!r}; the folds are {np.unique(folds).tolist()}.")
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def nested_subset(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Chooses a share of images, of every class alike.

    Those of a smaller share are among those of a larger one with the same seed.

    Args:
        labels: Class of every image, shape `(n,)`.
        share: Above 0, at most 1; of each class it gives a whole number of images, at least one.
        seed: Non-negative integer.

    Returns:
        Integer array, the chosen images, ascending; all of them with `share=1`.

    Raises:
        InputError: If `share` is out of its range.

    Example:
        >>> nested_subset(np.array([0, 1, 0, 1, 0, 1]), 0.3, seed=0).size
        2
    """
    if not 0 < share <= 1:
        raise InputError(f"`share` must be above 0 and at most 1. Received: {share}.")
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [
        (of_class := order[labels[order] == label])[: max(round(share * len(of_class)), 1)]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


class Split(NamedTuple):
    """Images and labels of one part of a data set.

    Attributes:
        images: uint8 array (images, height, width, channels).
        labels: integer array (images,).
    """

    images: np.ndarray
    labels: np.ndarray


class Splits(NamedTuple):
    """What a run works on.

    Attributes:
        training: `Split` of every fold but one.
        validation: `Split` of that fold.
        classes: number of classes of the data set.
    """

    training: Split
    validation: Split
    classes: int

    def digest(self) -> str:
        """SHA-256 of all images and labels in their order, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for array in (*self.training, *self.validation):
            digest.update(f"{array.shape} {array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def read_splits(data: Path, folds: Path, fold: int) -> Splits:
    """Read the images that a run of a given fold works on.

    Args:
        data: path of a prepared data set (`formats.pack`).
        folds: path of its folds, Parquet by `folds.FOLDS_SCHEMA`.
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


def make_splits(records: np.ndarray, assignment: np.ndarray, fold: int) -> Splits:
    """The images that a run of a given fold works on.

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
