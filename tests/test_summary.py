"""Summaries against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from freeconv.analysis.summary import (
    RUN,
    accuracies,
    best_epochs,
    levels_of,
    summarise,
    variable_connections,
)
from freeconv.results.best_epoch import best_epoch
from freeconv.results.schemas import METRICS

CNN = {"dataset": "mnist", "model": "cnn", "augmentation": "none", "level": 0.0, "vcp": 0.0}
CNN |= {"training_share": 1.0}
FCN = CNN | {"model": "fcn", "augmentation": "translation", "level": 0.3}


def epochs(run, fold, **columns):
    """The history of one fold: epoch 0, then one row a value; metrics not named are null.

    But losses, without which no epoch is the best.
    """
    count = len(next(iter(columns.values())))
    rows = pd.DataFrame({metric: [np.nan] * count for metric in METRICS})
    columns = {"loss": 1.0, "val_loss": 1.0} | columns
    return rows.assign(
        **run,
        fold=fold,
        repeat=0,
        seed=0,
        epoch=range(count),
        seconds=1.0,
        **columns,
    )


@pytest.fixture
def history():
    return pd.concat(
        [
            epochs(
                CNN,
                fold=0,
                accuracy=[np.nan, 0.2, 0.4, 0.6],
                val_accuracy=[0.99, 0.5, 0.7, 0.7],  # untrained best must not count; a tie
                val_loss=[9.0, 3.0, 2.0, 1.0],
            ),
            epochs(
                CNN,
                fold=1,
                accuracy=[np.nan, 0.9],
                val_accuracy=[0.1, 0.8],
                val_loss=[9.0, 6.0],
            ),
            epochs(FCN, fold=0, val_accuracy=[0.1, 0.3], distance_1=[5.0, 7.0]),
        ]
    ).sample(frac=1, random_state=0)  # the order of rows must not matter


def row_of(summary, run, statistic):
    chosen = (summary[list(RUN)] == pd.Series(run)).all(axis=1)
    (index,) = summary.index[chosen & (summary["statistic"] == statistic)]
    return summary.loc[index]


@pytest.mark.parametrize(
    ("statistic", "accuracy", "val_accuracy", "val_loss", "rows"),
    [
        # Pooled: accuracies 0.2 0.4 0.6 0.9, validation 0.5 0.7 0.7 0.8, losses 1 2 3 6.
        ("pooled_median", 0.5, 0.7, 2.5, 4),
        # Best epochs: fold 0 epoch 2, the earlier of the tie; fold 1 epoch 1.
        ("best_median", 0.65, 0.75, 4.0, 2),
        # Last epochs: fold 0 epoch 3; fold 1 epoch 1.
        ("last_median", 0.75, 0.75, 3.5, 2),
    ],
)
def test_medians_by_hand(history, statistic, accuracy, val_accuracy, val_loss, rows):
    row = row_of(summarise(history), CNN, statistic)
    assert row["accuracy"] == pytest.approx(accuracy)
    assert row["val_accuracy"] == pytest.approx(val_accuracy)
    assert row["val_loss"] == pytest.approx(val_loss)
    assert (row["folds"], row["rows"]) == (2, rows)


def test_best_epochs_are_those_whose_weights_runs_end_with(history):
    diverged = epochs(CNN, fold=2, val_accuracy=[0.1, 0.9], val_loss=[2.0, np.inf])
    history = pd.concat([history, diverged])
    best = best_epochs(history).set_index(["model", "fold"])["epoch"].to_dict()
    assert best == {("cnn", 0): 2, ("cnn", 1): 1, ("cnn", 2): 0, ("fcn", 0): 1}
    for (model, fold), epoch in best.items():
        run = history[(history["model"] == model) & (history["fold"] == fold)]
        assert best_epoch(run.reset_index()) == epoch


def test_nulls_stay_null_and_are_skipped(history):
    history.loc[history["val_loss"] == 6.0, "val_loss"] = np.nan
    summary = summarise(history)
    assert summary.loc[summary["model"] == "cnn", "distance_1"].isna().all()
    assert row_of(summary, CNN, "pooled_median")["val_loss"] == 2.0
    assert row_of(summary, FCN, "pooled_median")["distance_1"] == 7.0


def test_shape_of_the_summary(history):
    summary = summarise(history)
    assert list(summary) == [*RUN, "statistic", *METRICS, "folds", "rows"]
    assert list(summary["model"]) == ["cnn"] * 3 + ["fcn"] * 3
    assert list(summary["statistic"]) == ["pooled_median", "best_median", "last_median"] * 2


def test_missing_column_is_named(history):
    with pytest.raises(ValueError, match="`history` lacks the columns fold, val_noise"):
        summarise(history.drop(columns=["fold", "val_noise"]))


def test_accuracies_pool_counts():
    counts = [(0, 0, 30, 30), (0, 1, 10, 0), (1, 0, 10, 5), (1, 1, 10, 10)]
    evaluation = pd.DataFrame(counts, columns=["fold", "label", "count", "correct"])
    evaluation = evaluation.assign(**CNN, perturbation="clean", strength=0.0)
    (pooled,) = accuracies(evaluation).to_dict("records")
    assert (pooled["count"], pooled["correct"]) == (60, 45)
    assert pooled["accuracy"] == 0.75  # not the 0.6875 that labels weighed alike would give
    assert list(accuracies(evaluation, by=(*RUN, "fold"))["accuracy"]) == [0.75, 0.75]


def test_level_zero_belongs_to_every_augmentation(history):
    with_vcp = pd.concat([history, history.assign(vcp=0.5)])
    for augmentation, levels in {"translation": {0.0, 0.3}, "noise": {0.0}}.items():
        rows = levels_of(with_vcp, augmentation)
        assert set(rows["level"]) == levels
        assert set(rows["vcp"]) == {0.0}


def test_absent_connections_stand_beside_the_same_training_without():
    """Of another level, and of a network that has none absent, there is nothing beside."""
    runs = [CNN | {"augmentation": "translation", "level": 0.3}]
    runs += [FCN | {"vcp": vcp} for vcp in (0.0, 0.5, 0.9)] + [FCN | {"level": 0.1}]
    frames = [epochs(run, fold=0, val_accuracy=[0.1, 0.3]) for run in runs]
    rows = variable_connections(pd.concat(frames))
    assert set(rows["model"]) == {"fcn"}
    assert set(rows["level"]) == {0.3}
    assert sorted(rows["vcp"]) == [0.0, 0.0, 0.5, 0.5, 0.9, 0.9]
