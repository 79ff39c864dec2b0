"""Figures from synthetic frames: what is drawn, not how it looks."""

import hashlib
import re
from itertools import pairwise, product

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from freeconv.analysis.sharing_degrees import SHARING_SCHEMA
from freeconv.analysis.summary import mean_over_folds
from freeconv.plots.figures import draw
from freeconv.plots.style import level_looks, save
from freeconv.results.schemas import EXAMPLES_SCHEMA, METRICS, NETWORKS_SCHEMA, RUN_COLUMNS
from freeconv.study import labels, outputs
from freeconv.study.settings import SharingScheme

LEVELS = {"none": [0.0], "translation": [0.3, 0.9], "rotation": [0.5], "noise": [0.1, 0.2, 0.4]}
PROBABILITIES = [0.5, 0.9]


def history(epochs=(4, 3), models=("cnn", "fcn"), levels=LEVELS, probabilities=PROBABILITIES):
    """One fold of five for each number of epochs; random values, null where a history has nulls."""
    runs = [(m, a, level, 0.0) for m in models for a in levels for level in levels[a]]
    runs += [("fcn", "translation", 0.3, p) for p in probabilities if "fcn" in models]
    rows = [
        ("digits", *run, 1.0, fold, 0, 0, epoch)
        for run, (fold, last) in product(runs, enumerate(epochs))
        for epoch in range(last + 1)
    ]
    identity = [*RUN_COLUMNS, "epoch"]
    frame = pd.DataFrame(rows, columns=identity).assign(fold_count=5)
    frame[list(METRICS)] = np.random.default_rng(0).uniform(0.2, 0.9, (len(frame), len(METRICS)))
    frame.loc[frame["epoch"] == 0, ["loss", "accuracy"]] = np.nan
    frame.loc[frame["epoch"] == 0, "val_accuracy"] = 0.1
    frame.loc[frame["epoch"] > 0, "val_accuracy"] += 0.1  # all have learned
    kernels_shared_or_masked = (frame["model"] == "cnn") | (frame["vcp"] > 0)
    frame.loc[kernels_shared_or_masked, ["distance_1", "distance_4"]] = np.nan
    return frame


def evaluation(strengths=None):
    strengths = strengths or dict.fromkeys(labels.AUGMENTATION_TITLES, (0.1, 0.25))
    sweep = [("clean", 0.0), ("quadrant_swap", 0.0)]
    sweep += [(kind, strength) for kind in strengths for strength in strengths[kind]]
    best = select(history(), epoch=1)
    rows = best.merge(pd.DataFrame(sweep, columns=["perturbation", "strength"]), how="cross")
    rows = rows.merge(pd.DataFrame({"label": [0, 1], "count": [30, 10]}), how="cross")
    return rows.assign(correct=np.random.default_rng(1).integers(0, 11, len(rows)))


def examples():
    """An image of random pixels for every perturbation; of odd height and in colour."""
    sweep = [("clean", 0.0), ("quadrant_swap", 0.0)]
    sweep += [(kind, level) for kind in labels.AUGMENTATION_TITLES for level in (0.99, 0.1, 0.5)]
    pixels = np.random.default_rng(2).integers(0, 256, (len(sweep), 5, 4, 3), np.uint8)
    rows = [("digits", *key, 5, 4, 3, p.tobytes()) for key, p in zip(sweep, pixels, strict=True)]
    return pd.DataFrame(rows, columns=EXAMPLES_SCHEMA.names)


def networks(rows=9, columns=12):
    layers = [("image", "input", 0, 0, 28, 28, 1, 0, 0)]
    layers += [("conv1", "free_convolution", 3, 2, rows, columns, 32, 100, rows * columns)]
    return pd.DataFrame(
        [("digits", "fcn", 0.1, *layer) for layer in layers], columns=NETWORKS_SCHEMA.names
    )


def compared_numbers():
    """Of each network and verdict one number, of the training accuracy alone."""
    rows = [
        ("cnn", 0.99, 0.98, -0.01, 0.02, "agrees", 3),
        ("fcn", 0.97, 0.93, -0.04, 0.02, "differs", 3),
        ("fcn", 0.95, 0.96, 0.01, np.nan, "inconclusive", 1),
        ("cnn", 0.40, np.nan, np.nan, np.nan, "not run", 0),
    ]
    columns = ["model", "published", "ours", "difference", "tolerance", "verdict", "folds"]
    return pd.DataFrame(rows, columns=columns).assign(
        dataset="digits", metric="accuracy", repeated=False
    )


def sharing_records():
    """Two folds of free networks with 8 and 2 kernels and two scales, and an ordinary one of 2."""
    networks = [
        *(("fcn", "1", scale, 8) for scale in ("per_location", "kernel_shape")),
        *(("fcn", "all", scale, 2) for scale in ("per_location", "kernel_shape")),
        ("cnn", None, None, 2),
    ]
    conditions = [("none", 0.0), ("translation", 0.3)]
    rows = [
        ("digits", f"{kind}_{n}", *network, 9 * n, *condition, fold, 0.5 + 0.1 * fold, 0.01 * n)
        for (kind, *network), condition, fold in product(networks, conditions, (0, 1))
        for n in [network[-1]]
    ]
    names = ["dataset", "model", "sharing", "glorot_fans", "kernels", "parameters", "augmentation"]
    names += ["level", "fold", "val_accuracy", "val_translation"]
    return complete(pd.DataFrame(rows, columns=names), kind=lambda rows: rows["model"].str[:3])


def complete(records, **columns):
    """Records of networks that share weights by nothing else, trained on all of 100 images."""
    usual = vars(SharingScheme()) | {"training_share": 1.0, "images": 100, "repeat": 0}
    usual |= {"common_share": 1.0, "fold_count": 5}
    absent = {name: value for name, value in usual.items() if name not in records}
    return records.assign(**absent, **columns)[SHARING_SCHEMA.names]


def frame_of(name):
    makers = {"history": history, "evaluation": evaluation, "examples": examples}
    makers |= {"networks": networks, "comparison": compared_numbers, "sharing": sharing_records}
    return makers[outputs.figure(name).frame]()


def select(frame, **values):
    return frame[(frame[list(values)] == pd.Series(values)).all(axis=1)]


def curves(ax):
    """The lines that a legend would name: without what is fainter, or marks a place."""
    return [line for line in ax.get_lines() if not line.get_label().startswith("_")]


def colours(ax):
    return {line.get_label(): to_rgba(line.get_color()) for line in curves(ax)}


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


TRANSLATION = ["0", "0.3", "0.9"]
TRAINED = ["No augmentation", "Translation 0.3", "Rotation 0.5", "Noise 0.2"]


@pytest.mark.parametrize(
    ("name", "panels", "lines"),
    [
        ("translation_curves", 6, TRANSLATION),
        ("filter_distance_translation", 2, TRANSLATION),
        ("filter_distance_rotation", 2, ["0", "0.5"]),
        ("filter_distance_noise", 2, ["0", "0.1", "0.2", "0.4"]),
        ("quadrant_swap", 1, ["FCN", "CNN"]),
        ("vcp_curves", 6, ["0", "0.5", "0.9"]),
        ("six_panels_cnn_translation", 6, TRANSLATION),
        ("six_panels_fcn_noise", 6, ["0", "0.1", "0.2", "0.4"]),
        ("perturbation_strength", 8, TRAINED),
    ],
)
def test_panels_lines_and_legend(name, panels, lines):
    figure = draw(name, frame_of(name), "digits")
    assert len(figure.axes) == panels
    for ax in figure.axes:
        assert list(colours(ax)) == lines
        assert len(set(colours(ax).values())) == len(lines)
        assert colours(ax) == colours(figure.axes[0])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == lines
    assert {h.get_label(): to_rgba(h.get_color()) for h in legend.legend_handles} == colours(ax)
    assert all(ax.get_legend() is None for ax in figure.axes)
    assert not texts(figure)


def test_every_figure_of_the_catalogue_is_drawn():
    for entry in outputs.FIGURES:
        assert draw(entry.name, frame_of(entry.name), "digits").axes


def test_curve_is_the_mean_over_folds_by_hand():
    frame = history(epochs=(2, 1, 1))
    run = (frame["model"] == "fcn") & (frame["level"] == 0.9)
    values = {(0, 0): np.nan, (0, 1): 0.5, (0, 2): 0.7, (1, 1): 0.6, (2, 1): 0.8}
    for (fold, epoch), value in values.items():
        rows = run & (frame["fold"] == fold) & (frame["epoch"] == epoch)
        frame.loc[rows, "accuracy"] = value
    figure = draw("translation_curves", frame, "digits")
    lines = figure.axes[0].get_lines()
    (line,) = (line for line in lines if line.get_label() == "0.9")
    (rest,) = (rest for rest in lines if rest is not line and rest.get_color() == line.get_color())
    # The untrained network is left out; fold 0 alone reaches epoch 2.
    np.testing.assert_allclose(line.get_xydata(), [[1, 1.9 / 3]])
    np.testing.assert_allclose(rest.get_xydata(), [[1, 1.9 / 3], [2, 0.7]])
    assert (line.get_alpha() or 1) > rest.get_alpha()
    for band in figure.axes[0].collections:
        assert band.get_paths()[0].vertices[:, 0].max() == 1
    assert len(figure.axes[0].collections) == 3  # a band a line


def test_one_of_two_repeats_that_ends_makes_the_rest_fainter():
    frame = history(epochs=(3,))
    short = frame[frame["epoch"] <= 2].assign(repeat=1)
    figure = draw("translation_curves", pd.concat([frame, short]), "digits")
    for ax in figure.axes:
        assert {line.get_xdata()[-1] for line in curves(ax)} == {2}
        assert {line.get_xdata()[-1] for line in ax.get_lines()} == {2, 3}


def test_runs_that_end_together_have_no_fainter_part():
    figure = draw("translation_curves", history(epochs=(3, 3)), "digits")
    assert all(ax.get_lines() == curves(ax) for ax in figure.axes)


def test_band_by_hand():
    rows = pd.DataFrame({"epoch": [1, 1, 1, 2], "fold": [0, 1, 2, 0], "loss": [1.0, 2.0, 6.0, 5.0]})
    band = mean_over_folds(rows.assign(fold_count=5), "loss")
    deviation = np.sqrt(((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2)
    margin = 4.30265 * deviation * np.sqrt(1 / 3 + 1 / 4)
    np.testing.assert_allclose(band.loc[1], [3, 3 - margin, 3 + margin], rtol=1e-5)
    np.testing.assert_allclose(band.loc[2], [5, np.nan, np.nan])


def test_panels_show_their_metric_and_network():
    frame = history()
    figure = draw("translation_curves", frame, "digits")
    panels = product(("accuracy", "val_accuracy", "val_translation"), ("fcn", "cnn"))
    for ax, (metric, model) in zip(figure.axes, panels, strict=True):
        rows = select(frame, model=model, augmentation="none", epoch=2)
        line = curves(ax)[0]
        assert line.get_ydata()[1] == pytest.approx(rows[metric].mean())


def test_vcp_panels_show_their_metric():
    frame = history()
    metrics = ["accuracy", "val_accuracy"]
    metrics += [f"val_{kind}" for kind in labels.AUGMENTATION_TITLES]
    figure = draw("vcp_curves", frame, "digits")
    for ax, metric in zip(figure.axes, metrics, strict=True):
        for line in curves(ax):
            trained = {"model": "fcn", "augmentation": "translation", "level": 0.3}
            rows = select(frame, **trained, vcp=float(line.get_label()), epoch=2)
            assert line.get_ydata()[1] == pytest.approx(rows[metric].mean())


@pytest.mark.parametrize("model", ["cnn", "fcn"])
def test_six_panels_show_their_network_and_metric(model):
    frame = history()
    figure = draw(f"six_panels_{model}_rotation", frame, "digits")
    assert figure.get_suptitle() == f"{model.upper()}, Digits"
    metrics = ["accuracy", "val_accuracy"]
    metrics += [f"val_{kind}" for kind in labels.AUGMENTATION_TITLES]
    for ax, metric in zip(figure.axes, metrics, strict=True):
        assert [line.get_label() for line in curves(ax)] == ["0", "0.5"]
        for line in curves(ax):
            rows = select(frame, model=model, level=float(line.get_label()), epoch=2)
            rows = rows[rows["augmentation"].isin(["none", "rotation"])]
            assert line.get_ydata()[1] == pytest.approx(rows[metric].mean())


def test_distance_starts_at_the_untrained_network():
    frame = history()
    figure = draw("filter_distance_translation", frame, "digits")
    first = select(frame, model="fcn", augmentation="none", epoch=0)
    for ax, radius in zip(figure.axes, (1, 4), strict=True):
        line = curves(ax)[0]
        assert line.get_xdata()[0] == 0
        assert line.get_ydata()[0] == pytest.approx(first[f"distance_{radius}"].mean())


def test_perturbations_start_at_clean_images_and_rotate_by_degrees():
    frame = evaluation()
    figure = draw("perturbation_strength", frame, "digits")
    line = next(ln for ln in figure.axes[5].get_lines() if ln.get_label() == "Rotation 0.5")
    np.testing.assert_allclose(line.get_xdata(), [0, 36, 90])
    runs = select(frame, model="cnn", augmentation="rotation")
    for strength, accuracy in zip((0, 0.1, 0.25), line.get_ydata(), strict=True):
        perturbation = "rotation" if strength else "clean"
        rows = select(runs, perturbation=perturbation, strength=strength)
        folds = [fold["correct"].sum() / fold["count"].sum() for _, fold in rows.groupby("fold")]
        assert accuracy == pytest.approx(np.mean(folds))


def test_accuracy_against_kernels():
    figure = draw("sharing", sharing_records(), "digits")
    assert len(figure.axes) == 4  # two accuracies x two scales of the initial weights
    for ax, values in zip(figure.axes, [[0.55, 0.55]] * 2 + [[0.02, 0.08]] * 2, strict=True):
        *free, low, high = ax.get_lines()
        assert [line.get_label() for line in (*free, low, high)] == ["0", "0.3"] * 2
        for line in free:
            np.testing.assert_allclose(line.get_xdata(), [2, 8], rtol=0.02)  # side by side
            np.testing.assert_allclose(line.get_ydata(), values)
        for line in (low, high):  # the ordinary networks: a square each
            assert (line.get_marker(), *line.get_xdata()) == ("s", pytest.approx(2, rel=0.02))
            np.testing.assert_allclose(line.get_ydata(), values[:1])
        np.testing.assert_allclose(ax.get_xticks(), [2, 8])


@pytest.mark.parametrize(
    ("name", "key", "points", "trained", "metrics"),
    [
        (
            *("edge_noise_kinds", "level", [0, 0.4], ["none", "edge_noise"]),
            ["accuracy", "val_accuracy", "val_edge_noise"],
        ),
        (
            "vcp_kinds",
            "vcp",
            [0, 0.5, 0.9],
            ["translation"],
            ["accuracy", "val_accuracy", "val_translation"],
        ),
    ],
)
def test_networks_side_by_side_at_their_best_epochs(name, key, points, trained, metrics):
    levels = {"none": [0.0], "edge_noise": [0.4], "translation": [0.3]}
    frame = history(levels=levels)
    other = frame[frame["model"] == "fcn"].assign(model="fcn_other")
    other[list(METRICS)] = other[list(METRICS)] / 2
    figure = draw(name, pd.concat([frame, other]), "digits")
    (legend,) = figure.legends
    named = {"FCN": "fcn", "FCN other": "fcn_other"}
    named = named if key == "vcp" else {"FCN": "fcn", "CNN": "cnn", **named}
    assert [text.get_text() for text in legend.get_texts()] == list(named)
    for ax, metric in zip(figure.axes[:3], metrics, strict=True):
        for line in ax.get_lines():
            halved = 2 if line.get_label() == "fcn_other" else 1
            model = "cnn" if line.get_label() == "cnn" else "fcn"
            np.testing.assert_allclose(line.get_xdata(), points, atol=0.0121)  # side by side
            for point, value in zip(points, line.get_ydata(), strict=True):
                runs = select(frame, model=model, **{key: point})
                runs = runs[runs["augmentation"].isin(trained) & (runs["epoch"] > 0)]
                folds = (fold for _, fold in runs.groupby("fold"))
                best = [fold.loc[fold["val_accuracy"].idxmax(), metric] for fold in folds]
                mean = np.mean(best)
                assert value == pytest.approx(mean / halved)


def test_distances_of_networks_side_by_side():
    frame = history(levels={"none": [0.0], "translation": [0.9]})
    other = frame[frame["model"] == "fcn"].assign(model="fcn_other", distance_1=0.1, distance_4=0.2)
    both = pd.concat([frame, other])
    titles = {"fcn": "FCN, published scale"}
    figure = draw("glorot_fans_distance", both, "digits", {"network_titles": titles})
    assert figure.axes[0].get_title(loc="left") == "(a) FCN, published scale"
    figure = draw("glorot_fans_distance", both, "digits")
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["(a) FCN", "(b) FCN other"]
    for ax, value in zip(figure.axes[1::2], (0.1, 0.2), strict=True):
        for line in curves(ax):
            assert set(line.get_ydata()) == {value}
            assert line.get_xdata()[0] == 0  # from the untrained network on


def test_published_numbers_are_points_filled_by_verdict():
    figure = draw("published_numbers", compared_numbers(), "digits")
    against, _, _, difference, _, _ = figure.axes
    fills = {"full": (0.99, 0.98, -0.01), "none": (0.97, 0.93, -0.04), "bottom": (0.95, 0.96, 0.01)}
    for ax, value in ((against, 1), (difference, 2)):
        points = [line for line in ax.get_lines() if line.get_marker() in ("o", "s")]
        drawn = {p.get_fillstyle(): (*p.get_xdata(), *p.get_ydata()) for p in points}
        assert drawn == {fill: (point[0], point[value]) for fill, point in fills.items()}
    bars = np.concatenate([bar.get_segments() for bar in difference.collections])
    np.testing.assert_allclose(
        sorted(bars[:, :, 1].tolist()), [[-0.06, -0.02], [-0.03, 0.01]], atol=1e-12
    )
    assert texts(figure) == ["not in this study"] * 4


@pytest.mark.parametrize("levels", [[0, 0.1, 0.3], [0.9, 0.5, 0.5, 0], np.arange(11) / 10])
def test_colours_are_spread_from_cool_to_warm_over_the_levels_shown(levels):
    looks = level_looks(levels)
    assert list(looks) == sorted(set(levels))
    warmth = [red - blue for red, _, blue in (look["color"] for look in looks.values())]
    assert warmth == sorted(warmth)
    assert warmth[0] < -0.4
    assert warmth[-1] > 0.4
    steps = [str(look["linestyle"]) for look in looks.values()]
    assert all(one != other for one, other in pairwise(steps))


def test_many_lines_have_no_bands():
    few, many = [0.0, 0.3, 0.9], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    for levels, bands in ((few, 3), (many, 0)):
        frame = history(epochs=(3, 3, 3), levels={"none": [], "translation": levels})
        ax = draw("translation_curves", frame, "digits").axes[0]
        assert (len(ax.get_lines()), len(ax.collections)) == (len(levels), bands)


def test_bars_of_networks_stand_side_by_side():
    figure = draw("sharing", sharing_records(), "digits")
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    middle = np.sqrt(lines[0].get_xdata() * lines[1].get_xdata())
    np.testing.assert_allclose(middle, [2, 8])
    np.testing.assert_allclose(lines[1].get_xdata() / lines[0].get_xdata(), 1.04)


def test_networks_differ_in_more_than_colour():
    lines = curves(draw("quadrant_swap", history(), "digits").axes[0])
    assert len({line.get_linestyle() for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2


def test_missing_network_is_said():
    """By its absence: there is no empty column."""
    figure = draw("translation_curves", history(models=("fcn",)), "digits")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(a) FCN", "(b)", "(c)"]
    assert [len(curves(ax)) for ax in figure.axes] == [3] * 3
    assert not texts(figure)


def test_variants_have_lines_and_rows_of_their_own():
    tiles = history(models=("fcn",)).assign(model="tiles_2")
    figure = draw("quadrant_swap", pd.concat([history(), tiles]), "digits")
    assert list(colours(figure.axes[0])) == ["FCN", "CNN", "Tiles 2"]
    tiles = evaluation().query("model == 'fcn'").assign(model="tiles_2")
    figure = draw("perturbation_strength", pd.concat([evaluation(), tiles]), "digits")
    rows = [ax.get_ylabel() for ax in figure.axes[::4]]
    assert rows == ["FCN accuracy", "CNN accuracy", "Tiles 2 accuracy"]


def test_levels_shown_may_be_chosen():
    frame = evaluation()
    choices = {"shown_levels": {"translation": 0.9, "noise": 0.4}}
    figure = draw("perturbation_strength", frame, "digits", choices)
    chosen = ["No augmentation", "Translation 0.9", "Rotation 0.5", "Noise 0.4"]
    assert list(colours(figure.axes[0])) == chosen


def test_two_points_are_not_joined():
    frame = evaluation({"translation": (0.1, 0.25), "noise": (0.1,)})
    translation, _, noise, _ = draw("perturbation_strength", frame, "digits").axes[:4]
    assert {line.get_linestyle() for line in noise.get_lines()} == {"None"}
    assert "None" not in {line.get_linestyle() for line in translation.get_lines()}


def test_a_single_level_is_the_only_tick():
    frame = history()
    below = draw("translation_levels", frame[frame["level"] == 0], "digits").axes[3:]
    assert [list(ax.get_xticks()) for ax in below] == [[0]] * 3
    assert len(draw("translation_levels", frame, "digits").axes[3].get_xticks()) > 2


def test_networks_that_learned_nothing_are_crossed():
    """Those of one level, at 0.19 in the end, where untrained networks are at 0.1."""
    frame = history()
    failed = (frame["level"] == 0.9) & (frame["model"] == "fcn") & (frame["epoch"] > 0)
    frame.loc[failed, "val_accuracy"] = 0.19
    figure = draw("translation_curves", frame, "digits")
    crosses = [[line for line in ax.get_lines() if line.get_marker() == "x"] for ax in figure.axes]
    assert [len(lines) for lines in crosses] == [1, 0] * 3
    assert crosses[2][0].get_xydata().tolist() == [[frame["epoch"].max(), pytest.approx(0.19)]]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == [*TRANSLATION, "learned\nnothing"]
    frame.loc[failed, "val_accuracy"] = 0.21
    assert len(draw("translation_curves", frame, "digits").legends[0].get_texts()) == 3


def test_accuracies_that_hardly_differ_do_not_look_dramatic():
    frame = history()
    frame.loc[frame["epoch"] > 0, "val_accuracy"] = 0.98 + frame["level"] / 100
    ax = draw("translation_curves", frame, "digits").axes[2]
    low, high = ax.get_ylim()
    assert high - low == pytest.approx(0.1)
    assert high <= 1.005


def test_panels_of_a_network_share_their_axes():
    figure = draw("six_panels_fcn_translation", history(), "digits")
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    low, high = draw("filter_distance_translation", history(), "digits").axes[0].get_ylim()
    assert low <= 0.05
    assert high >= 0.12


def test_random_filters_are_what_similarity_compares_with():
    """The dotted line is the mean of the untrained networks."""
    frame = history()
    figure = draw("filter_similarity_translation", frame, "digits")
    rows = frame[(frame["model"] == "fcn") & (frame["epoch"] == 0) & (frame["vcp"] == 0)]
    rows = rows[rows["augmentation"].isin(["none", "translation"])]
    for ax, metric in zip(figure.axes, ("similarity_1", "similarity_4"), strict=False):
        *_, random = ax.get_lines()
        assert len(curves(ax)) == 3
        np.testing.assert_allclose(random.get_ydata(), rows[metric].mean())
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_differences_are_paired_by_folds():
    """Folds that differ by 0.3 have one difference: it has a line without any spread."""
    frame = history(epochs=(3, 3, 3), levels={"none": [0.0], "edge_noise": [0.4]})
    other = frame[frame["model"] == "fcn"].assign(model="fcn_other")
    other["val_accuracy"] -= 0.05
    figure = draw("edge_noise_kinds", pd.concat([frame, other]), "digits")
    below = figure.axes[4]
    (line,) = [line for line in below.get_lines() if line.get_label() == "fcn_other"]
    np.testing.assert_allclose(line.get_ydata(), [-0.05, -0.05])
    assert figure.axes[3].get_ylabel() == "Difference from\nplain network"


def test_missing_perturbation_is_said():
    frame = evaluation({"translation": (0.1,)})
    assert texts(draw("perturbation_strength", frame, "digits")) == ["not in this study"] * 6


def test_missing_distance_is_said():
    frame = history().assign(distance_4=np.nan)  # as where no position has a ring of radius 4
    assert texts(draw("filter_distance_noise", frame, "digits")) == ["not measured"]
    frame.loc[frame["level"] > 0, "val_accuracy"] = 0.1  # learned nothing: no cross at no curve
    assert texts(draw("filter_distance_noise", frame, "digits")) == ["not measured"]


@pytest.mark.parametrize("name", [f.name for f in outputs.FIGURES if f.frame == "history"])
def test_one_fold_one_level_one_epoch(name, tmp_path):
    frame = history(epochs=(1,), levels={"none": [0.0]}, probabilities=[0.5])
    figure = draw(name, frame, "digits")
    save(figure, tmp_path / "figure.png")
    for ax in figure.axes:
        assert len(ax.collections) == 0  # no band, no bars
        lines = curves(ax)
        assert all(
            line.get_marker() == "o" for line in lines if line.get_label() not in ("CNN", "cnn")
        )
        if ax.get_xlabel() == "Epoch":
            assert all(tick == int(tick) for tick in ax.get_xticks())


def test_accuracy_axis_stays_within_accuracies():
    frame = history()
    frame["val_accuracy"] = np.where(frame["fold"] == 0, 1.0, 0.7)  # bands up to 1.14
    ax = draw("translation_curves", frame, "digits").axes[2]
    assert 1 < ax.get_ylim()[1] <= 1.04


def test_svg_paths_are_compact_and_true(tmp_path):
    figure = draw("quadrant_swap", history(epochs=(30, 25, 25)), "digits")
    figure.savefig(tmp_path / "plain.svg")
    save(figure, tmp_path / "figure.svg")
    plain, compact = (
        re.findall(r' d="(M[^"]*)"', (tmp_path / name).read_text())
        for name in ("plain.svg", "figure.svg")
    )
    straight = [path for path in plain if set(re.findall("[A-Za-z]", path)) <= set("MLz")]
    assert len(straight) > 20
    for absolute, relative in zip(plain, compact, strict=True):
        if absolute in straight:
            np.testing.assert_allclose(points(relative), points(absolute), rtol=0, atol=0.00501)
        else:
            assert relative == absolute
    band = max(range(len(plain)), key=lambda number: len(plain[number]))
    assert len(compact[band]) < 0.6 * len(plain[band])


def points(path):
    """The points of a path of the commands M, L, l and z, absolute."""
    visited = []
    for command, arguments in re.findall("([MLl])([^MLlz]*)", path):
        point = np.array(arguments.split(), float)
        visited.append(visited[-1] + point if command == "l" else point)
    return visited


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_same_frame_gives_same_bytes(tmp_path, ending):
    digests = set()
    for number in range(2):
        path = tmp_path / f"{number}.{ending}"
        save(draw("filter_distance_noise", history(), "digits"), path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_png_has_print_resolution(tmp_path):
    save(draw("quadrant_swap", history(), "digits"), tmp_path / "figure.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "figure.png").shape
    assert (width, height) == (int(120 / 25.4 * 200), int(72 / 25.4 * 200))


def test_global_style_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    save(draw("quadrant_swap", history(), "digits"), tmp_path / "figure.svg")
    assert dict(matplotlib.rcParams) == before


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be one of.*Received: 'quadrants'"):
        draw("quadrants", history(), "digits")
    with pytest.raises(ValueError, match=r"\(digits\) to draw 'quadrant_swap'.*'mnist'"):
        draw("quadrant_swap", history(), "mnist")
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg"):
        save(draw("quadrant_swap", history(), "digits"), tmp_path / "figure.pdf")
