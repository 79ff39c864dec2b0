"""Cross-validation folds.

Source: Ott et al. (2020), section 3 (five folds, no shuffling); shuffled and stratified folds
are this project's options.
"""

import numpy as np
import pandas as pd

from freeconv.errors import InputError

METHODS = ("contiguous", "shuffled", "stratified")
"""How the images are spread over the folds."""


def assign_folds(labels, count, method="contiguous", seed=0):
    """Assigns every image to the fold in whose validation part it is.

    Args:
        labels: Class of every image, shape `(n,)`.
        count: Number of folds, 2 to n.
        method: `"contiguous"`: in file order, as in the paper; the first `n % count` folds have
            one image more. `"shuffled"`: in random order. `"stratified"`: in random order with
            the same share of every class in all folds.
        seed: Non-negative integer, seed of the random order; not used by `"contiguous"`.

    Returns:
        Integer array of shape `(n,)`, the fold of each image, 0 to `count - 1`.

    Raises:
        InputError: If `count` or `method` is not among those allowed, or a fold stays empty.

    Example:
        >>> assign_folds([1, 0, 1, 0, 1], 2)
        array([0, 0, 0, 1, 1], dtype=int32)
    """
    labels = np.asarray(labels)
    if not 2 <= count <= len(labels):
        raise InputError(
            f"`count` must be 2 to the number of images, {len(labels)}. Received: count={count}."
        )
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

    if method == "contiguous":
        return KFold(count)
    if method == "shuffled":
        return KFold(count, shuffle=True, random_state=seed)
    if method == "stratified":
        return StratifiedKFold(count, shuffle=True, random_state=seed)
    raise InputError(f"Unknown fold `method`: {method!r}. Expected one of: {', '.join(METHODS)}.")


def fold_table(folds):
    """Returns the assignment as a data frame with the columns `index` and `fold`.

    Args:
        folds: Fold of each image, as `assign_folds` returns it.

    Returns:
        `pandas.DataFrame`, a row an image in file order.
    """
    return pd.DataFrame({"index": np.arange(len(folds)), "fold": np.asarray(folds, np.int32)})


def split(folds, fold):
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
