"""How many images stand in for weight sharing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from freeconv.analysis.inference import interval

REFERENCE = "cnn"
"""The network whose accuracies the others are to reach."""


def images_needed(records: pd.DataFrame) -> pd.DataFrame:
    """Finds of how many images networks need to be as accurate as the CNN is by fewer.

    Fold by fold, a network's accuracy is taken as the highest of any number of images up to the one
    at hand, and between two numbers as linear in their logarithms. Of the images needed by all
    folds the geometric mean is taken, with the corrected 95 % interval of `inference.interval` in
    logarithms.

    Args:
        records: One row per run, see `sharing_degrees.degrees_of_sharing`.

    Returns:
        One row per (`dataset`, `augmentation`, `level`, `model`, `reference`), for all networks but
        the CNN and every number `reference` of images that it was trained on:

        - `accuracy`: of the CNN by them, the mean over folds, 0 to 1;
        - `needed`, `low`, `high`: images that the network needs, and the interval, NaN where a fold
          does not reach that accuracy with all its images. `needed` is at least the fewest images
          trained on;
        - `most`: images of the whole training part;
        - `folds`, and `reached`: how many of them reach the accuracy.
    """
    rows = []
    keys = ["dataset", "augmentation", "level"]
    for condition, runs in records.groupby(keys):
        curves = _curves(runs)
        if REFERENCE not in curves:
            continue
        shared, fold_count = curves.pop(REFERENCE), runs["fold_count"].max()
        for model, curve in curves.items():
            for images in shared.columns:
                needed = _reach(curve, shared[images])
                low, high = interval(np.log(needed), fold_count)
                row = dict(zip(keys, condition, strict=True)) | {
                    "model": model,
                    "reference": images,
                    "accuracy": shared[images].mean(),
                    "needed": np.exp(np.log(needed).mean(skipna=False)),
                    "low": np.exp(low) if needed.notna().all() else np.nan,
                    "high": np.exp(high) if needed.notna().all() else np.nan,
                    "most": curve.columns.max(),
                    "folds": len(needed),
                    "reached": int(needed.notna().sum()),
                }
                rows.append(row)
    return pd.DataFrame(rows)


def with_images_of_share(records: pd.DataFrame) -> pd.DataFrame:
    """Returns records with one number of images a share, the median: folds differ by an image.

    Args:
        records: Of one data set, see `sharing_degrees.degrees_of_sharing`.
    """
    images = records.groupby("training_share")["images"].transform("median")
    return records.assign(images=images.round().astype(int))


def _curves(runs):
    """Network -> its accuracies, a row a fold and a column a number of images, never falling."""
    runs = with_images_of_share(runs)
    means = runs.groupby(["model", "fold", "images"])["val_accuracy"].mean()
    return {
        model: values.unstack("images").droplevel("model").cummax(axis="columns").dropna()
        for model, values in means.groupby("model")
    }


def _reach(curve, targets):
    """By fold, the images at which a curve reaches an accuracy; NaN where it does not."""
    sizes = np.log(curve.columns.to_numpy(float))
    needed = {}
    for fold in curve.index.intersection(targets.index):
        values, target = curve.loc[fold].to_numpy(), targets[fold]
        place = int(np.searchsorted(values, target))
        if place == len(values):
            needed[fold] = np.nan
        elif place == 0:
            needed[fold] = np.exp(sizes[0])
        else:
            share = (target - values[place - 1]) / (values[place] - values[place - 1])
            needed[fold] = np.exp(sizes[place - 1] + share * (sizes[place] - sizes[place - 1]))
    return pd.Series(needed, dtype=float)
