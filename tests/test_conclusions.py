"""Conclusions judged on small histories: intervals and verdicts worked out by hand."""

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from freeconv.analysis.comparison import PUBLISHED_TRAINING, published_values
from freeconv.analysis.conclusions import (
    CONCLUSIONS_SCHEMA,
    CRITERIA,
    STATEMENTS,
    conclude,
    together,
)
from freeconv.report.render import render
from freeconv.results.schemas import METRICS, RUN_IDENTITY, SETTINGS_SCHEMA
from freeconv.study.settings import RunSettings

T = 4.30265
"""Quantile of Student's t at 0.975 for three values, from a printed table."""

ERROR = sqrt(1 / 3 + 1 / 4)
"""Standard error of a mean of three of five folds, in standard deviations (Nadeau and Bengio)."""

CHANGING = ("distance", "similarity", "matched_similarity")

CHANCE = {"mnist": 0.1124, "cifar10": 0.1, "digits": 0.1018}

EPOCHS = 10


def run(model, augmentation="none", level=0.0, vcp=0.0, folds=None, dataset="mnist", **metrics):
    """The history of a run: a metric has a value a fold, the same at all trained epochs.

    Of two values, and no folds said, a third fold has their mean. Distances have a pair a fold, at
    the first and the last epoch. What epoch 0 says of accuracies must not count.
    """
    if folds is None:
        folds = range(3)
        metrics = {metric: _three(values) for metric, values in metrics.items()}
    rows = pd.DataFrame(
        [(fold, epoch) for fold in folds for epoch in range(EPOCHS + 1)], columns=["fold", "epoch"]
    )
    rows = rows.assign(
        dataset=dataset, model=model, augmentation=augmentation, level=level, vcp=vcp, seed=0
    ).assign(repeat=0, training_share=1.0)
    rows[list(METRICS)] = np.nan
    rows["val_accuracy"] = 0.7
    for metric, by_fold in metrics.items():
        for fold, value in zip(folds, by_fold, strict=True):
            first, *_, last = value if metric.startswith(CHANGING) else (0.5, value)
            rows.loc[rows["fold"] == fold, metric] = [first] + [last] * EPOCHS
    return rows.sample(frac=1, random_state=0)  # the order of rows must not matter


def _three(values):
    """Two values and their mean, of single numbers or of pairs."""
    if len(values) != 2:
        return values
    return [values[0], np.mean(values, axis=0), values[1]]


def settings(history):
    """Settings of every run; all that counts here are data set and protocol."""
    strengths = {f"validation_{k}": 0.1 for k in ("translation", "rotation", "noise", "edge_noise")}
    identity = list(RUN_IDENTITY)
    rows = [
        RunSettings(
            **row,
            seed=0,
            kind=row["model"],
            subset_seed=0,
            **PUBLISHED_TRAINING["mnist"],
            glorot_fans="kernel_shape",
            vcp_kind="kernel",
            edge_noise="text",
            rotation_centre="middle",
            noise_order="shuffled",
            validation_batches="all",
            **strengths,
            backend="tensorflow",
            precision="float32",
            fold_count=5,
            fold_method="contiguous",
            fold_seed=0,
            source="digits",
        )
        for row in history[identity].drop_duplicates().to_dict("records")
    ]
    return pd.DataFrame(map(vars, rows))[SETTINGS_SCHEMA.names]


def judge(*runs, words, conclusion):
    """The row of the one criterion of a conclusion whose statistic has these words."""
    history = pd.concat(runs)
    judged = conclude(history, settings(history), CHANCE)
    (index,) = judged.index[
        (judged["conclusion"] == conclusion) & judged["statistic"].str.contains(words, regex=False)
    ]
    return judged.loc[index]


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["reproduced"] * 2, "reproduced"),
        (["reproduced", "not reproduced", "not covered"], "not reproduced"),
        (["undecided", "reproduced"], "undecided"),
        (["reproduced", "not covered"], "undecided"),
        (["not covered"] * 2, "not covered"),
        (["reproduced", "too short"], "too short"),
        (["too short", "not trained", "undecided"], "not trained"),
        (["not trained", "not reproduced"], "not reproduced"),
    ],
)
def test_verdict_of_all_criteria(verdicts, verdict):
    assert together(pd.Series(verdicts)) == verdict


@pytest.mark.parametrize(
    ("validation", "verdict", "mean", "deviation"),
    [
        # Gaps to a training accuracy of 1: 0.35 to 0.351; 0.20 to 0.201; 0.2 to 0.4.
        ((0.65, 0.649), "reproduced", 0.3505, 0.0005),
        ((0.80, 0.799), "not reproduced", 0.2005, 0.0005),
        ((0.80, 0.600), "undecided", 0.3, 0.1),
    ],
)
def test_overfitting_above_a_threshold(validation, verdict, mean, deviation):
    trained = {"accuracy": (1, 1), "val_accuracy": validation, "dataset": "cifar10"}
    row = judge(run("fcn", **trained), conclusion=1, words="FCN")
    assert (row["side"], row["threshold"]) == ("above", 0.3)
    margin = T * deviation * ERROR
    np.testing.assert_allclose([row["low"], row["high"]], [mean - margin, mean + margin], rtol=1e-5)
    assert (row["folds"], row["verdict"]) == (3, verdict)


@pytest.mark.parametrize(
    ("dataset", "threshold", "verdict"),
    [("mnist", 0.002, "not reproduced"), ("cifar10", 0.045, "reproduced"), ("digits", 0.045, None)],
)
def test_deficit_below_a_threshold_of_the_data_set(dataset, threshold, verdict):
    trained = {"augmentation": "translation", "level": 0.1, "dataset": dataset}
    row = judge(
        run("cnn", **trained, val_accuracy=(0.99, 0.98)),
        run("fcn", **trained, val_accuracy=(0.96, 0.95)),  # 0.03 less in both folds
        conclusion=2,
        words="CNN minus FCN",
    )
    assert row["value"] == pytest.approx(0.03)
    assert (row["side"], row["threshold"]) == ("below", threshold)
    assert row["verdict"] == (verdict or "reproduced")


def test_accuracy_of_a_fold_is_its_mean_over_the_last_five_epochs():
    history = run("fcn", accuracy=(1, 1), val_accuracy=(0.9, 0.9))
    for epoch, accuracy in enumerate([0.1, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6, 0.7, 0.8, 0.9], 1):
        history.loc[history["epoch"] == epoch, "val_accuracy"] = accuracy
    assert judge(history, conclusion=1, words="FCN")["value"] == pytest.approx(0.3)


@pytest.mark.parametrize("folds", [(3,), (1, 4)])
def test_fewer_than_three_folds_are_undecided_and_show_their_value(folds):
    row = judge(
        run("fcn", folds=folds, accuracy=[1.0] * len(folds), val_accuracy=[0.5] * len(folds)),
        conclusion=1,
        words="FCN",
    )
    assert (row["value"], row["folds"], row["verdict"]) == (0.5, len(folds), "undecided")
    assert np.isnan([row["low"], row["high"]]).all()


def test_only_folds_with_all_runs_count():
    unaugmented = run("fcn", folds=(0, 1, 2), val_accuracy=[0.9] * 3, val_translation=[0.3] * 3)
    translated = run(
        "fcn",
        "translation",
        0.3,
        folds=(1, 2, 4),
        val_accuracy=[0.9] * 3,
        val_translation=[0.8, 0.7, 0.1],
    )
    row = judge(unaugmented, translated, conclusion=3, words="minus with translation 0.3")
    assert row["folds"] == 2
    assert row["value"] == pytest.approx(((0.6 - 0.1) + (0.6 - 0.2)) / 2)


@pytest.mark.parametrize(
    ("dataset", "level", "threshold"), [("mnist", 0.3, 0.0035), ("cifar10", 0.4, 0.025)]
)
@pytest.mark.parametrize(("share", "verdict"), [(0.9, "reproduced"), (1.1, "not reproduced")])
def test_gap_under_translation(dataset, level, threshold, share, verdict):
    gap = threshold * share
    accuracies = {"val_accuracy": (0.9, 0.8), "val_translation": (0.9 - gap, 0.8 - gap)}
    row = judge(
        run("fcn", "translation", level, dataset=dataset, **accuracies),
        conclusion=3,
        words=f"FCN, translation {level}",
    )
    assert row["value"] == pytest.approx(gap)
    assert (row["threshold"], row["verdict"]) == (threshold, verdict)


def distances(augmentation, level, *changes, start=1.0):
    """An FCN whose distances change by a share, the same at both radii unless two are given."""
    near, far = changes if len(changes) == 2 else changes * 2
    return run(
        "fcn",
        augmentation,
        level,
        distance_1=[(start, start * (1 + near))] * 2,
        distance_4=[(start, start * (1 + far))] * 2,
    )


@pytest.mark.parametrize(
    ("words", "runs", "value", "verdict"),
    [
        # Translation of 0.4 and more: the highest of both radii and all levels counts.
        (
            "Translation 0.4 and more: relative",
            [("translation", 0.3, 0.5), ("translation", 0.4, -0.1), ("translation", 0.9, -0.3)],
            -0.1,
            "reproduced",
        ),
        (
            "Translation 0.4 and more: relative",
            [("translation", 0.4, -0.2), ("translation", 0.9, -0.3, 0.05)],
            0.05,
            "not reproduced",
        ),
        ("Translation 0.4 and more: relative", [("translation", 0.3, -0.5)], None, "not covered"),
        ("No augmentation", [("none", 0.0, 0.2, 0.1)], 0.1, "reproduced"),
        ("No augmentation", [("none", 0.0, 0.2, -0.1)], -0.1, "not reproduced"),
        ("rotation", [("rotation", 0.1, 0.2), ("rotation", 0.99, 0.1)], 0.1, "reproduced"),
        ("rotation", [("rotation", 0.1, 0.2), ("rotation", 0.99, -0.1)], -0.1, "not reproduced"),
        # Level 0 alone is no rotation and no noise.
        ("rotation", [("none", 0.0, 0.2)], None, "not covered"),
        ("Noise below", [("none", 0.0, 0.2)], None, "not covered"),
        ("Noise below", [("noise", 0.7, 0.1), ("noise", 0.8, -0.1)], 0.1, "reproduced"),
        ("Noise 0.8", [("noise", 0.7, 0.1), ("noise", 0.8, -0.1)], -0.1, "reproduced"),
        ("Noise 0.8", [("noise", 0.8, -0.1), ("noise", 0.9, 0.1)], 0.1, "not reproduced"),
    ],
)
def test_changes_of_the_distance(words, runs, value, verdict):
    row = judge(*(distances(*c) for c in runs), conclusion=4, words=words)
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value) if value is not None else np.isnan(row["value"])


@pytest.mark.parametrize(
    ("before", "patience", "verdict"),
    [
        # Of ten epochs, to 0.97: ten more at the pace of the last five bring it to 1.01,
        (0.95, 50, "too short"),
        # which patience would not let them,
        (0.95, 8, "not reproduced"),
        # to 0.99, and 0.93, where it began at 1.
        (0.96, 50, "not reproduced"),
        (0.99, 50, "not reproduced"),
    ],
)
def test_filters_that_move_on_to_the_other_side(before, patience, verdict):
    history = distances("none", 0.0, 0.97 - 1)
    history.loc[history["epoch"].between(1, 5), ["distance_1", "distance_4"]] = before
    history.loc[history["epoch"] == 2, "val_accuracy"] = 0.71
    judged = conclude(history, settings(history).assign(patience=patience), CHANCE)
    (row,) = judged[judged["statistic"].str.startswith("No augmentation: relative")].itertuples()
    assert (row.value, row.verdict) == (pytest.approx(-0.03), verdict)


@pytest.mark.parametrize("measure", ["similarity", "matched_similarity"])
def test_changes_of_the_cosine(measure):
    """By how much it is higher at the last epoch; the least of both radii and all levels counts."""
    words = {"similarity": "equal number", "matched_similarity": "matched filters"}[measure]
    names = [f"{measure}_{radius}" for radius in (1, 4)]

    def translated(level, near, far):
        changes = {names[0]: [(0.25, 0.25 + near)] * 2, names[1]: [(0.25, 0.25 + far)] * 2}
        return run("fcn", "translation", level, **changes)

    rising = [
        translated(0.3, -0.5, -0.5),
        translated(0.4, 0.5, 0.125),
        translated(0.9, 0.75, 0.625),
    ]
    row = judge(*rising, conclusion=4, words=words)
    assert (row["verdict"], row["value"]) == ("reproduced", pytest.approx(0.125))
    row = judge(*rising, translated(0.8, 0.5, -0.125), conclusion=4, words=words)
    assert (row["verdict"], row["value"]) == ("not reproduced", pytest.approx(-0.125))


def test_repeats_of_a_fold_are_averaged():
    """Of single values, three folds of two repeats each: their means are judged."""
    first = run("fcn", accuracy=(1.0, 0.9, 0.8), val_accuracy=[0.7] * 3, folds=range(3))
    again = run("fcn", accuracy=(0.8, 0.9, 0.8), val_accuracy=[0.7] * 3, folds=range(3))
    row = judge(first, again.assign(repeat=1), conclusion=1, words="FCN")
    values = np.array([0.2, 0.2, 0.1])
    assert row["value"] == pytest.approx(values.mean())
    margin = T * np.sqrt(np.sum((values - values.mean()) ** 2) / 2) * ERROR
    assert row["low"] == pytest.approx(values.mean() - margin, rel=1e-4)
    start = distances("none", 0.0, 0.2)
    other = distances("none", 0.0, 0.4, start=3.0).assign(repeat=1)
    row = judge(start, other, conclusion=4, words="No augmentation")
    assert row["value"] == pytest.approx((1.2 + 4.2) / (1 + 3) - 1)


@pytest.mark.parametrize(
    ("conclusion", "words", "condition", "metrics"),
    [
        (4, "levels of rotation", "level", {"distance_1": (1, 2), "distance_4": (1, 2)}),
        (4, "radius 4 minus", "level", {"distance_1": (1, 2), "distance_4": (1, 3)}),
        (5, "levels of rotation", "level", {"val_accuracy": 0.9, "val_translation": 0.1}),
        (7, "up to 80 %", "vcp", {"val_accuracy": 0.9}),
    ],
)
def test_a_fold_that_lacks_a_level_is_left_out(conclusion, words, condition, metrics):
    """What is said of all levels is not judged on some; fold 2 ran two of three."""
    augmentation = "rotation" if "rotation" in words else "translation"
    base = {"augmentation": augmentation, "level": 0.3}
    conditions = [(0.0 if condition == "vcp" else 0.3, 3), (0.5, 2), (0.8, 3)]
    runs = []
    for value, count in conditions:
        values = {metric: [value] * count for metric, value in metrics.items()}
        trained = base | {condition: value, "folds": range(count)}
        runs.append(run("fcn", **trained, **values))
    assert judge(*runs, conclusion=conclusion, words=words)["folds"] == 2


@pytest.mark.parametrize(
    ("near", "verdict"), [(0.1, "reproduced"), (0.3, "not reproduced"), (0.2, "undecided")]
)
def test_nearer_filters_are_more_alike_at_every_level(near, verdict):
    """Of level 0 the farther filters are 0.4 farther; of level 0.5, `0.2 - near`."""
    row = judge(
        distances("none", 0.0, 0.1, 0.5),
        distances("translation", 0.5, near, 0.2),
        distances("rotation", 0.5, 0.9, 0.1),  # has no part in this
        conclusion=4,
        words="radius 4 minus",
    )
    assert row["value"] == pytest.approx(0.2 - near)
    assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("translated", "value", "verdict"),
    [((0.2, 0.3), 0.625, "reproduced"), ((0.2, 0.4), 0.5, "not reproduced")],
)
def test_smallest_loss_of_all_levels(translated, value, verdict):
    levels = [
        run("fcn", "noise", level, val_accuracy=[0.8] * 2, val_translation=[accuracy] * 2)
        for level, accuracy in zip((0.1, 0.9), translated, strict=True)
    ]
    row = judge(*levels, conclusion=5, words="levels of noise")
    assert row["value"] == pytest.approx(value)
    assert (row["threshold"], row["verdict"]) == (0.6, verdict)
    unlike = judge(*levels, conclusion=5, words="levels of edge noise")
    assert unlike["verdict"] == "not covered"


@pytest.mark.parametrize(
    ("fcn", "verdict"), [((0.3, 0.29), "reproduced"), ((0.34, 0.33), "not reproduced")]
)
def test_nearly_twenty_percent_worse_in_the_papers_words(fcn, verdict):
    swapped = run("cnn", val_quadrant_swap=(0.47, 0.46)), run("fcn", val_quadrant_swap=fcn)
    row = judge(*swapped, conclusion=6, words="does worse")
    assert (row["threshold"], row["verdict"]) == (0.15, verdict)
    assert row["basis"] == "the paper's words"


@pytest.mark.parametrize(("fcn", "verdict"), [(0.992, "reproduced"), (0.989, "not reproduced")])
def test_free_networks_surpass_those_without_augmentation(fcn, verdict):
    row = judge(
        run("cnn", val_accuracy=(0.991, 0.9905)),
        run("fcn", "translation", 0.1, val_accuracy=(fcn, fcn - 0.0005)),
        conclusion=2,
        words="without augmentation",
    )
    assert row["value"] == pytest.approx(fcn - 0.991)
    assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("fcn", "verdict"),
    [((0.34, 0.33), "reproduced"), ((0.48, 0.47), "not reproduced"), ((0.3, 0.5), "undecided")],
)
def test_quadrant_swap(fcn, verdict):
    row = judge(
        run("cnn", val_quadrant_swap=(0.47, 0.46)),
        run("fcn", val_quadrant_swap=fcn),
        conclusion=6,
        words="CNN minus FCN",
    )
    assert row["value"] == pytest.approx(0.465 - sum(fcn) / 2)
    assert row["verdict"] == verdict


def connections(accuracies):
    """FCNs at 0.3 translation: probability of masking -> accuracy, in fold 1 0.01 less."""
    return [
        run("fcn", "translation", 0.3, vcp, val_accuracy=(accuracy, accuracy - 0.01))
        for vcp, accuracy in accuracies.items()
    ]


@pytest.mark.parametrize(
    ("accuracies", "value", "verdict"),
    [
        ({0.0: 0.98, 0.5: 0.965, 0.8: 0.97, 0.9: 0.5}, 0.015, "reproduced"),
        ({0.0: 0.98, 0.5: 0.95, 0.8: 0.97}, 0.03, "not reproduced"),
        ({0.0: 0.98, 0.5: 0.97}, None, "not covered"),
        ({0.5: 0.98, 0.8: 0.97}, None, "not covered"),
    ],
)
def test_connections_up_to_80_percent(accuracies, value, verdict):
    others = run("fcn", "translation", 0.5, val_accuracy=(0.1, 0.1))  # not trained alike
    row = judge(*connections(accuracies), others, conclusion=7, words="up to 80 %")
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value) if value is not None else np.isnan(row["value"])


@pytest.mark.parametrize(
    ("accuracies", "value", "verdict"),
    [
        ({0.0: 0.98, 0.9: 0.9, 0.99: 0.5}, 0.4 - 0.08, "reproduced"),
        ({0.0: 0.98, 0.9: 0.7, 0.99: 0.6}, 0.1 - 0.28, "not reproduced"),
        ({0.0: 0.98, 0.8: 0.7, 0.99: 0.6}, None, "not covered"),
    ],
)
def test_collapse_beyond_90_percent(accuracies, value, verdict):
    row = judge(*connections(accuracies), conclusion=7, words="90 % to 99 %")
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value) if value is not None else np.isnan(row["value"])


def test_the_papers_own_tables_reproduce_what_it_concludes_from_them():
    """Thresholds are on the right side of the published numbers; other runs are not in them."""
    published = published_values()
    published["augmentation"] = published["augmentation"].mask(published["level"] == 0, "none")
    keys = ["dataset", "model", "augmentation", "level"]
    numbers = published.drop_duplicates([*keys, "metric"])
    numbers = numbers.pivot(index=keys, columns="metric", values="value").reset_index()
    history = pd.concat(
        [
            numbers.assign(vcp=0.0, fold=fold, training_share=1.0, repeat=0, epoch=epoch, seed=0)
            for fold in range(5)
            for epoch in range(1, EPOCHS + 1)
        ]
    ).reindex(columns=[*keys, "vcp", "training_share", "fold", "repeat", "epoch", "seed", *METRICS])
    judged = conclude(history, settings(history), CHANCE)
    verdicts = judged.groupby("conclusion")["conclusion_verdict"].unique()
    for conclusion, verdict in verdicts.items():
        assert list(verdict) == ["not covered" if conclusion in (4, 6, 7) else "reproduced"]
    assert set(judged["dataset"]) == {"mnist", "cifar10"}


def test_frame_of_conclusions():
    history = pd.concat(
        [
            run("fcn", accuracy=(1, 1), val_accuracy=(0.9, 0.8)),
            run("cnn", accuracy=(1, 1), val_accuracy=(0.9, 0.8), dataset="digits"),
        ]
    )
    history = history[(history["dataset"] == "mnist") | (history["epoch"] < 2)]
    judged = conclude(history, settings(history), CHANCE)
    assert list(judged) == CONCLUSIONS_SCHEMA.names
    assert list(judged["dataset"].unique()) == ["mnist", "digits"]
    for _, rows in judged.groupby("dataset"):
        assert set(rows["conclusion"]) == set(STATEMENTS)
    for dataset, epochs in {"mnist": EPOCHS, "digits": 1}.items():
        rows = judged[judged["dataset"] == dataset]
        assert set(rows["fewest_epochs"]) == set(rows["most_epochs"]) == {epochs}
    assert set(judged["protocol"]) == {
        "glorot_fans: kernel_shape, vcp_kind: kernel, edge_noise: text, rotation_centre: middle, "
        "noise_order: shuffled, validation_batches: all"
    }
    # Of the criteria of the first conclusion, one for each network, one is covered.
    first = judged[(judged["conclusion"] == 1) & (judged["dataset"] == "mnist")]
    assert set(first["conclusion_verdict"]) == {"undecided"}


def test_every_criterion_says_what_the_paper_says():
    for criterion in CRITERIA:
        assert criterion.side in ("above", "below")
        assert "section" in criterion.source or "appendix" in criterion.source
    assert {c.conclusion for c in CRITERIA} == set(STATEMENTS) == set(range(1, 8))


@pytest.fixture
def judged():
    history = run("fcn", accuracy=(1, 1), val_accuracy=(0.9, 0.8))
    return conclude(history, settings(history), CHANCE)


def test_markdown(judged):
    text = render("conclusions", judged, "md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    runs = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    overview, criteria = runs[:9], runs[9:]
    assert overview[0] == ["No.", "Conclusion", "MNIST"]
    assert overview[2] == ["1", STATEMENTS[1], "undecided"]
    assert overview[5] == ["4", STATEMENTS[4], "not covered"]
    (row,) = (c for c in criteria if c[2].startswith("FCN, no augmentation: training"))
    low, high = 0.15 - T * 0.05 * ERROR, 0.15 + T * 0.05 * ERROR
    interval_text = f"{low:+.5f} to {high:+.5f}"
    assert row[3:9] == ["+0.15000", interval_text, "above 0", "undecided", "3", "10"]
    assert "nan" not in text


def test_latex(judged):
    text = render("conclusions", judged, "tex")
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 2
    assert text.count("{") == text.count("}")
    rows = [line for line in text.splitlines() if "& MNIST &" in line]
    assert len(rows) == len(judged)
    assert {line.count(" & ") for line in rows} == {9}
    assert r"up to 80 \% of connections" in text


def test_csv(judged):
    head, *_ = render("conclusions", judged, "csv").splitlines()
    assert head == ",".join(CONCLUSIONS_SCHEMA.names)
