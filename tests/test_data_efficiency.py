"""How many images stand in for weight sharing, of curves whose crossings are known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from freeconv.analysis.data_efficiency import images_needed
from freeconv.report.render import render

SHARES = {0.1: 100, 0.2: 200, 0.4: 400, 1.0: 1000}


def records(accuracies, folds=3, level=0.3):
    """Of each network, accuracies by share; fold f has 0.01 f more throughout."""
    rows = [
        ("digits", model, "translation", level, share, images, fold, 0, value + 0.01 * fold)
        for model, values in accuracies.items()
        for (share, images), value in zip(SHARES.items(), values, strict=True)
        for fold in range(folds)
    ]
    names = ["dataset", "model", "augmentation", "level", "training_share", "images", "fold"]
    return pd.DataFrame(rows, columns=[*names, "repeat", "val_accuracy"]).assign(fold_count=5)


def row(needed, reference):
    return needed[needed["reference"] == reference].iloc[0]


def test_images_between_two_numbers_are_interpolated_in_logarithms():
    frame = records({"cnn": [0.5, 0.6, 0.7, 0.9], "fcn": [0.4, 0.5, 0.7, 0.8]})
    needed = images_needed(frame)
    assert set(needed["model"]) == {"fcn"}
    assert row(needed, 100)["needed"] == pytest.approx(200)
    # 0.6 is halfway between what the FCN has by 200 and by 400.
    assert row(needed, 200)["needed"] == pytest.approx(np.sqrt(200 * 400))
    assert row(needed, 400)[["needed", "low", "high"]].tolist() == pytest.approx([400] * 3)
    assert row(needed, 200)["accuracy"] == pytest.approx(0.61)
    last = row(needed, 1000)
    assert np.isnan(last["needed"])
    assert last[["reached", "folds", "most"]].tolist() == [0, 3, 1000]


def test_an_accuracy_once_reached_counts():
    """Where more images do worse, by chance; and nothing needs less than the fewest."""
    frame = records({"cnn": [0.6, 0.7, 0.7, 0.7], "fcn": [0.65, 0.75, 0.55, 0.8]})
    needed = images_needed(frame)
    assert row(needed, 100)["needed"] == pytest.approx(100)
    assert row(needed, 1000)["needed"] == pytest.approx(np.sqrt(100 * 200))


def test_the_interval_is_that_of_logarithms_over_folds():
    """Of four folds of five."""
    frame = records({"cnn": [0.5, 0.6, 0.7, 0.8], "fcn": [0.3, 0.4, 0.5, 0.6]}, folds=4)
    # The FCN of fold f reaches 0.5 + 0.01 f by 400 images; one fold is shifted to 200.
    shifted = (frame["model"] == "fcn") & (frame["fold"] == 3)
    frame.loc[shifted, "val_accuracy"] += 0.1
    found = row(images_needed(frame), 100)
    logarithms = np.log([400, 400, 400, 200])
    half = stats.t.ppf(0.975, 3) * logarithms.std(ddof=1) * np.sqrt(1 / 4 + 1 / 4)
    assert found["needed"] == pytest.approx(np.exp(logarithms.mean()))
    assert found["low"] == pytest.approx(np.exp(logarithms.mean() - half))
    assert found["high"] == pytest.approx(np.exp(logarithms.mean() + half))


def test_one_fold_that_does_not_reach_it_is_more_than_all():
    frame = records({"cnn": [0.5, 0.6, 0.7, 0.8], "fcn": [0.3, 0.4, 0.5, 0.6]})
    low = (frame["model"] == "fcn") & (frame["fold"] == 0)
    frame.loc[low, "val_accuracy"] = 0.1
    found = row(images_needed(frame), 100)
    assert found[["reached", "folds"]].tolist() == [2, 3]
    assert found[["needed", "low", "high"]].isna().all()


def test_the_table():
    frame = records({"cnn": [0.5, 0.6, 0.7, 0.9], "fcn": [0.4, 0.5, 0.7, 0.8]})
    lines = render("training_images", frame, "md").splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if "Digits" in line]
    assert cells[0] == [
        *("Digits", "translation 0.3", "FCN", "100", "0.51000"),
        *("200 (200 to 200)", "2.0 (2.0 to 2.0)", "3 of 3"),
    ]
    assert cells[3][5:] == ["more than 1,000", "more than 1.0", "0 of 3"]


def test_without_a_cnn_there_is_nothing_to_reach():
    assert images_needed(records({"fcn": [0.4, 0.5, 0.7, 0.8]})).empty
