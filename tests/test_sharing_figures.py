"""What figures of ways of sharing weights show, of records whose every number is known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from test_figures import complete, history

from freeconv.analysis.summary import mean_over_folds
from freeconv.plots.figures import draw, draw_routes
from freeconv.plots.sharing_figures import ROUTES

SCHEMES = {
    "cnn": {},
    "fcn": {"common_share": 0.01},
    "at_once": {"release": 0, "common_share": 0.9},
    "later": {"release": 5, "common_share": 0.99},
    "mixed": {"banks": 4, "common_share": 0.6},
    "slept": {"release": 0, "phase_period": 2, "phase_strength": 0.5, "common_share": 0.999},
    "held": {"release": 0, "mean_penalty": 0.1, "common_share": 0.995},
    "tiled": {"sharing": "2", "common_share": 0.3},
}
FOLDS = 3


def records(shares=(1.0,)):
    """Accuracies that fall with the place of a network, and rise with its fold and images."""
    rows = []
    for (place, (model, scheme)), level, fold, share in product(
        enumerate(SCHEMES.items()), (0.0, 0.3), range(FOLDS), shares
    ):
        accuracy = 0.9 - 0.01 * place * (1 + level) + 0.02 * fold + 0.05 * share
        row = {"dataset": "digits", "model": model, "kind": "cnn" if model == "cnn" else "fcn"}
        row |= {"sharing": "1", "glorot_fans": "per_location", "kernels": 9, "parameters": 99}
        row |= {"augmentation": "translation" if level else "none", "level": level, "fold": fold}
        row |= {"fold_count": 5, "val_accuracy": accuracy, "val_translation": accuracy / 2}
        rows.append(row | {"training_share": share, "images": round(1000 * share)} | scheme)
    usual = {"common_share": 1.0}
    frame = pd.DataFrame(rows).fillna(usual)
    for name, value in {"release": -1, "banks": 0, "phase_period": 0}.items():
        frame[name] = frame[name].fillna(value).astype(int)
    return complete(frame.fillna({"phase_strength": 0.0, "mean_penalty": 0.0}))


def dots(ax):
    """(place of the network, level) -> (mean, low, high) of its dot and bar."""
    found = {}
    for bar in ax.containers:
        line, _, (segments,) = bar
        x, y = line.get_xydata()[0]
        (low, _), (high, _) = segments.get_segments()[0]
        found[round(y), y > round(y)] = x, low, high
    return found


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("banks", ["fcn", "mixed", "cnn"]),
        ("release", ["fcn", "at_once", "later", "cnn"]),
        ("phases", ["fcn", "at_once", "slept", "cnn"]),
        ("soft_sharing", ["fcn", "at_once", "held", "cnn"]),
    ],
)
def test_networks_of_a_way_of_sharing_from_the_fcn_to_the_cnn(name, networks):
    frame = records()
    frame = frame[frame["model"] != "tiled"]
    titles = {model: model.capitalize() for model in SCHEMES}
    figure = draw(name, frame, "digits", {"network_titles": titles})
    accuracy, difference, own = figure.axes
    ticks = [text.get_text() for text in accuracy.get_yticklabels()]
    assert ticks == [model.capitalize() for model in networks]
    for ax, column in ((accuracy, "val_accuracy"), (own, "common_share")):
        found = dots(ax)
        for place, model in enumerate(networks):
            for translated in (False, True):
                rows = frame[(frame["model"] == model) & ((frame["level"] > 0) == translated)]
                means = mean_over_folds(rows.assign(at=0), column, "at").iloc[0]
                expected = means[["mean", "low", "high"]].to_numpy()
                if column == "common_share":
                    expected = np.full(3, 1 - expected[0])
                assert found[place, translated] == pytest.approx(expected)
    # Fold by fold, folds do not matter: 0.01 a place, times 1.3 at the level.
    found = dots(difference)
    for place, model in enumerate(networks[:-1]):
        expected = -0.01 * list(SCHEMES).index(model)
        assert found[place, False] == pytest.approx([expected] * 3)
        assert found[place, True] == pytest.approx([1.3 * expected] * 3)
    assert (len(networks) - 1, False) not in found


def test_accuracy_against_the_number_of_training_images():
    frame = records(shares=(0.1, 0.5, 1.0))
    frame = frame[frame["model"].isin(["cnn", "fcn"])]
    figure = draw("training_images", frame, "digits")
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == [
        *("(a) Translation 0", "(b) Translation 0.3")
    ]
    for ax, level in zip(figure.axes[:2], (0.0, 0.3), strict=True):
        lines = [line for line in ax.get_lines() if line.get_label() in SCHEMES]
        assert [line.get_label() for line in lines] == ["fcn", "cnn"]
        for line in lines:
            np.testing.assert_allclose(line.get_xdata(), [100, 500, 1000], rtol=0.02)
            rows = frame[(frame["model"] == line.get_label()) & (frame["level"] == level)]
            np.testing.assert_allclose(
                line.get_ydata(), rows.groupby("images")["val_accuracy"].mean()
            )
        assert sorted(ax.get_xticks()) == [100, 500, 1000]


def test_translated_accuracy_is_of_networks_trained_on_translated_images():
    frame = records(shares=(0.5, 1.0))
    assert len(draw("training_images", frame, "digits").axes) == 4
    (ax,) = draw("training_images", frame[frame["level"] == 0], "digits").axes
    assert ax.get_ylabel() == "Validation accuracy"


def test_other_figures_are_of_all_training_images():
    """A share of them, with which accuracies are lower, changes nothing."""
    whole = records()
    both = pd.concat([whole, records(shares=(0.1,))])
    for one, other in zip(
        *(draw("sharing", frame, "digits").axes for frame in (whole, both)), strict=True
    ):
        for ours, theirs in zip(one.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(ours.get_xydata(), theirs.get_xydata())


@pytest.mark.parametrize("name", ["phases_over_epochs", "release_over_epochs"])
def test_networks_over_epochs(name):
    frame = history(epochs=(3, 3, 3))
    other = frame[frame["model"] == "fcn"].assign(model="later", common_share=0.75)
    titles = {"later": "Released later", "cnn": "CNN", "fcn": "FCN"}
    figure = draw(name, pd.concat([frame, other]), "digits", {"network_titles": titles})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["FCN", "Released later", "CNN"]
    columns = len(figure.axes) // 2
    for column, level in enumerate((0.0, 0.3, 0.9)):
        above, below = figure.axes[column], figure.axes[column + columns]
        lines = {line.get_label(): line for line in above.get_lines()}
        rows = frame[(frame["model"] == "cnn") & (frame["level"] == level) & (frame["epoch"] > 0)]
        rows = rows[rows["augmentation"].isin(["none", "translation"]) & (rows["vcp"] == 0)]
        expected = rows.groupby("epoch")["val_accuracy"].mean()
        np.testing.assert_allclose(lines["cnn"].get_ydata(), expected)
        (own,) = [line for line in below.get_lines() if line.get_label() == "later"]
        np.testing.assert_allclose(own.get_xydata(), [[e, 0.25] for e in range(4)])


def test_every_route_has_its_colour():
    frame = records()
    figure = draw_routes(pd.concat([frame.assign(study="one"), frame.assign(study="two")]))
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        *("(a) Translation 0", "(b) Translation 0.3")
    ]
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["FCN", "CNN", *ROUTES.values()]
    by_word = dict(zip(words, [h.get_color() for h in legend.legend_handles], strict=True))
    way = {"tiled": "tiles", "mixed": "banks", "later": "release", "at_once": "release"}
    way |= {"slept": "phases", "held": "penalty"}
    for ax, level in zip(figure.axes, (0.0, 0.3), strict=True):
        assert len(ax.containers) == 2 * len(SCHEMES)
        for place, model in enumerate(SCHEMES):
            share = 1 - frame.loc[frame["model"] == model, "common_share"].iloc[0]
            title = {"cnn": "CNN", "fcn": "FCN"}.get(model) or ROUTES[way[model]]
            points = [
                bar[0]
                for bar in ax.containers
                if np.allclose(bar[0].get_xydata(), [[share, -0.01 * place * (1 + level)]])
            ]
            assert [point.get_color() for point in points] == [by_word[title]] * 2


def test_what_learned_nothing_stands_at_the_edge():
    """So that it does not press all others together; its value is told."""
    frame = records()
    failed = (frame["model"] == "slept") & (frame["level"] > 0)
    frame.loc[failed, "val_accuracy"] = 0.1
    translated = draw_routes(frame.assign(study="one")).axes[1]
    assert translated.get_ylim()[0] > -0.2
    cnn = frame[(frame["model"] == "cnn") & (frame["level"] > 0)]["val_accuracy"].mean()
    assert [text.get_text() for text in translated.texts] == [f"\N{MINUS SIGN}{cnn - 0.1:.2f}"]
    accuracy, difference, _ = draw("phases", frame, "digits").axes
    assert [text.get_text() for text in accuracy.texts] == ["0.10"]
    assert [text.get_text() for text in difference.texts] == [f"\N{MINUS SIGN}{cnn - 0.1:.2f}"]
