"""Which runs a verdict may rest on: runs made by hand, and studies whose networks learn nothing."""

import numpy as np
import pandas as pd
import pytest
from test_conclusions import CHANCE, connections, distances, settings
from test_conclusions import run as of_run

from freeconv.analysis.conclusions import conclude
from freeconv.analysis.gates import chance_levels, plateaus, states_of_runs


def state(accuracies, patience=50, vcp=0.0):
    """What is said of one run with these validation accuracies after epochs 1, 2, ..."""
    history = of_run("fcn", vcp=vcp, folds=(0,))
    first = history[history["epoch"] == 0]
    rows = [first.assign(epoch=0)]
    rows += [
        first.assign(epoch=epoch, val_accuracy=accuracy, loss=1.0, val_loss=1.0)
        for epoch, accuracy in enumerate(accuracies, 1)
    ]
    history = pd.concat(rows)
    (found,) = states_of_runs(history, settings(history).assign(patience=patience), CHANCE)
    return found


@pytest.mark.parametrize(
    ("accuracies", "found"),
    [
        ([0.9] * 10, "settled"),
        ([0.9] * 9, "too short"),  # five epochs, and five to compare them with
        ([0.9] * 5 + [0.909] * 5, "settled"),
        ([0.9] * 5 + [0.911] * 5, "too short"),
        ([0.9] * 5 + [0.889] * 5, "too short"),
        ([0.8, 1.0] * 5, "too short"),  # 0.88 and 0.92
        ([0.1, 0.9] + [0.9] * 10, "settled"),
        ([0.212] * 10, "not trained"),  # the most frequent class is 0.1124 of MNIST
        ([0.213] * 10, "settled"),
        ([0.2], "not trained"),  # and too short
    ],
)
def test_states_by_hand(accuracies, found):
    assert state(accuracies) == found


def test_patience_is_a_plateau():
    rising = [0.5, 0.9, 0.7, 0.8, 0.6, 0.85]  # best after epoch 2, four before the end
    assert state(rising, patience=4) == "ended"
    assert state(rising, patience=5) == "too short"


def test_networks_with_hardly_a_connection_may_fail():
    assert state([0.1] * 10, vcp=0.9) == "not trained"
    assert state([0.1] * 10, vcp=0.99) == "settled"


def test_chance_is_the_most_frequent_class():
    rows = [
        ("mnist", fold, perturbation, strength, label, count)
        for fold, counts in enumerate([(3, 5), (4, 8)])
        for perturbation, strength in (("clean", 0.0), ("noise", 0.1))
        for label, count in enumerate(counts)
    ]
    columns = ["dataset", "fold", "perturbation", "strength", "label", "count"]
    evaluation = pd.DataFrame(rows, columns=columns)
    # Every run of a fold evaluates the same images.
    twice = pd.concat([evaluation, evaluation])
    assert chance_levels(twice) == {"mnist": 13 / 20}


def test_plateaus_are_the_last_five_epochs():
    history = of_run("fcn", folds=(0, 1))
    short = history[(history["fold"] == 0) | (history["epoch"] < 3)]
    found = plateaus(short).groupby("fold")["epoch"].agg(list)
    assert found.to_dict() == {0: [6, 7, 8, 9, 10], 1: [1, 2]}


COSINES = [f"{measure}_{r}" for measure in ("similarity", "matched_similarity") for r in (1, 4)]


@pytest.fixture
def reproducing():
    """A study of MNIST under translation that reproduces what it covers."""
    return pd.concat(
        [
            of_run(
                "fcn",
                accuracy=(1, 1),
                val_accuracy=(0.98, 0.98),
                val_translation=(0.3, 0.31),
                val_quadrant_swap=(0.3, 0.3),
                distance_1=[(1, 1.2)] * 2,
                distance_4=[(1, 1.4)] * 2,
                **dict.fromkeys(COSINES, [(0, -0.1)] * 2),
            ),
            of_run("cnn", accuracy=(1, 1), val_accuracy=(0.99, 0.99), val_quadrant_swap=(0.5, 0.5)),
            of_run("cnn", "translation", 0.1, val_accuracy=(0.98, 0.98)),
            *(
                of_run(
                    "fcn",
                    "translation",
                    level,
                    val_accuracy=(0.98, 0.98),
                    val_translation=(0.979, 0.979),
                    distance_1=[(1, 0.8)] * 2,
                    distance_4=[(1, 0.9)] * 2,
                    **dict.fromkeys(COSINES, [(0, 0.4)] * 2),
                )
                for level in (0.1, 0.3, 0.4)
            ),
        ]
    )


def verdicts(history):
    judged = conclude(history, settings(history), CHANCE)
    return judged.set_index("statistic")["verdict"]


def test_networks_that_learned_nothing_reproduce_nothing(reproducing):
    """Named the most frequent class by every network trained on translated images."""
    before = verdicts(reproducing)
    assert (before == "reproduced").sum() == 13
    failed = reproducing.copy()
    accuracies = [name for name in failed if name.startswith("val_") and name != "val_loss"]
    failed.loc[failed["augmentation"] == "translation", ["accuracy", *accuracies]] = 0.1124
    after = verdicts(failed)
    assert set(after[after == "reproduced"].index) < set(before[before == "reproduced"].index)
    needed = before.index.str.contains("ranslation 0|levels of translation|at translation")
    assert needed.sum() == 8
    assert set(after[needed]) == {"not trained"}


def test_networks_that_still_learn_are_too_short(reproducing):
    rising = reproducing["augmentation"] == "translation"
    reproducing.loc[rising, "val_accuracy"] = 0.5 + 0.04 * reproducing.loc[rising, "epoch"]
    after = verdicts(reproducing)
    assert set(
        after[after.index.str.contains("ranslation 0|levels of translation|at translation")]
    ) == {"too short"}


def test_folds_that_are_fit_are_judged_alone():
    history = of_run("fcn", folds=range(4), accuracy=[1] * 4, val_accuracy=[0.8, 0.8, 0.8, 0.1])
    row = conclude(history, settings(history), CHANCE).iloc[1]
    assert (row["verdict"], row["folds"], row["value"]) == ("reproduced", 3, pytest.approx(0.2))


def test_a_level_that_failed_is_not_left_out():
    """What is said of all levels is not judged on those that learned."""
    history = pd.concat(
        [
            distances("rotation", 0.1, 0.2),
            distances("rotation", 0.9, 0.2).assign(val_accuracy=0.1),
        ]
    )
    found = verdicts(history)
    assert found[found.index.str.contains("levels of rotation: relative")].item() == "not trained"


def test_criteria_by_plain_numpy():
    """One of each kind, recomputed from noisy records without pandas' groups."""
    rng = np.random.default_rng(30)
    history = pd.concat(
        [
            *connections({0.0: 0.98, 0.5: 0.97, 0.8: 0.965}),
            of_run("fcn", distance_1=[(1, 2)] * 3, distance_4=[(1, 3)] * 3, folds=range(3)),
            of_run("cnn", folds=range(3)),
        ]
    ).reset_index(drop=True)
    for metric in ("accuracy", "val_quadrant_swap"):
        history[metric] = rng.uniform(0.4, 0.6, len(history))
    for metric in ("distance_1", "distance_4", "val_accuracy"):
        history[metric] *= rng.uniform(0.995, 1.005, len(history))
    judged = conclude(history, settings(history), CHANCE).set_index("statistic")

    def values(metric, epochs, fold, **where):
        kept = (history["fold"] == fold) & history["epoch"].isin(epochs)
        for name, value in where.items():
            kept &= history[name] == value
        return history[metric].to_numpy()[kept.to_numpy()]

    def check(statistic, parts):
        """The part with the least certain mean, its mean and its interval."""
        row = judged[judged.index.str.startswith(statistic)].iloc[0]
        sign = 1 if row["side"] == "above" else -1
        found = {}
        for part, by_fold in parts.items():
            by_fold = np.asarray(by_fold)
            error = np.sqrt(np.sum((by_fold - by_fold.mean()) ** 2) / 2 * (1 / 3 + 1 / 4))
            certainty = sign * (by_fold.mean() - row["threshold"]) / error
            margin = 4.30265 * error
            found[part] = (certainty, by_fold.mean(), by_fold.mean() - margin)
        part = min(found, key=lambda name: found[name][0])
        assert (row["part"], row["parts"]) == (part, len(parts))
        np.testing.assert_allclose([row["value"], row["low"]], found[part][1:], rtol=1e-5)

    end, none = range(6, 11), {"augmentation": "none"}
    check(
        "FCN, no augmentation: training minus",
        {
            "": [
                values("accuracy", end, fold, model="fcn", **none).mean()
                - values("val_accuracy", end, fold, model="fcn", **none).mean()
                for fold in range(3)
            ]
        },
    )
    check(
        "No augmentation: relative change",
        {
            f"level 0, radius {radius}": [
                values(f"distance_{radius}", [10], fold, model="fcn", **none).item()
                / values(f"distance_{radius}", [0], fold, model="fcn", **none).item()
                - 1
                for fold in range(3)
            ]
            for radius in (1, 4)
        },
    )
    masked = {"model": "fcn", "augmentation": "translation"}
    check(
        "FCN: loss of validation accuracy up to 80",
        {
            f"{share:.0%} masked": [
                values("val_accuracy", end, fold, vcp=0.0, **masked).mean()
                - values("val_accuracy", end, fold, vcp=share, **masked).mean()
                for fold in range(3)
            ]
            for share in (0.5, 0.8)
        },
    )
