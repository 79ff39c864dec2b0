"""Figures of how weights are shared: how much, when, by what force, and of how many images.

Accuracies are those of the best epoch of each fold (`summary.best_epochs`), drawn as the mean over
folds with a bar of its 95 % interval (`summary.mean_over_folds`).
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from freeconv.analysis.data_efficiency import REFERENCE, with_images_of_share
from freeconv.analysis.summary import levels_of, mean_over_folds
from freeconv.plots.style import (
    MODEL_LOOKS,
    VARIANT_LOOKS,
    accuracy_axis,
    draw_curve,
    epoch_axis,
    epoch_marker,
    legend,
    letter_panels,
    level_legend,
    level_looks,
    level_title,
    model_looks,
    network_legend,
    panels,
    place_among,
    say_if_empty,
)
from freeconv.study import labels, outputs
from freeconv.study.settings import UNAUGMENTED, SharingScheme

OWN_SHARE = "Own share of kernels"
"""One minus `filter_similarity.common_share`: 0 in a convolution, nearly 1 for separate kernels."""

_ACCURACIES = {"val_accuracy": "Validation accuracy", "val_translation": "Translation accuracy"}

_TICKS = (0, 0.0001, 0.001, 0.01, 0.1, 1)

FARTHEST = 0.2
"""Accuracies lower by more than that have no place on the axes of `sweep`."""


def sharing(records: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the number of kernels: one column per scale of the initial weights.

    Lines are networks of free convolutions, a level of translation each; squares those of ordinary
    ones, which have the fewest kernels there are.
    """
    records = _translated(records)
    free = records[records["kind"] == "fcn"]
    scales = sorted(set(free["glorot_fans"]))
    width = 110 if len(scales) == 1 else 180
    figure, axes = panels(2, len(scales), 120, width, sharex=True, sharey="row")
    level_styles = level_looks(records["level"])
    for column, scale in zip(axes.T, scales, strict=True):
        for ax, metric in zip(column, _ACCURACIES, strict=True):
            of_scale = free[free["glorot_fans"] == scale]
            _kernel_curves(ax, of_scale, records[records["kind"] == "cnn"], metric, level_styles)
        column[-1].set_xlabel("Kernels of all layers (squares: ordinary convolutions)")
    for row, title in zip(axes, _ACCURACIES.values(), strict=True):
        accuracy_axis(row[0], title)
    letter_panels(axes.flat, [f"Initial weights: {scale.replace('_', ' ')}" for scale in scales])
    level_legend(figure, level_styles, level_title("translation"))
    return figure


def training_images(records: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracies against the number of training images: one column per level.

    That on translated images is drawn where networks were trained on some.
    """
    records = _translated(records)
    levels, looks = sorted(set(records["level"])), model_looks(records["model"])
    metrics = _ACCURACIES if any(levels) else {"val_accuracy": _ACCURACIES["val_accuracy"]}
    height, width = 30 + 45 * len(metrics), 90 * max(len(levels), 1)
    figure, axes = panels(len(metrics), len(levels), height, width, sharex=True, sharey="row")
    records = with_images_of_share(records)
    for column, level in zip(axes.T, levels, strict=True):
        of_level = records[records["level"] == level]
        for ax, metric in zip(column, metrics, strict=True):
            for model, look in looks.items():
                rows = of_level[of_level["model"] == model]
                beside = rows.assign(images=rows["images"] * 1.03 ** place_among(model, looks))
                draw_curve(ax, beside, metric, model, by="images", bars=True, **look)
            say_if_empty(ax)
            _log_counts(ax, sorted(set(records["images"])))
        column[-1].set_xlabel("Training images")
    for row, title in zip(axes, metrics.values(), strict=True):
        accuracy_axis(row[0], title)
    letter_panels(axes.flat, [f"Translation {level:g}" for level in levels])
    network_legend(figure, looks, entry)
    return figure


def sweep(records: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws networks of one way of sharing, one below the other, from the FCN to the CNN.

    Accuracy, its difference from that of the CNN, taken fold by fold, and how much of the kernels
    of the first layer is not common to all positions; a colour a level of translation.
    """
    records = _translated(records[_of_way(records, entry.needs.varied)])
    order = _in_order(records["model"], entry)
    looks = level_looks(records["level"])
    titles = {
        "val_accuracy": "Validation accuracy",
        "difference": "Difference from the CNN",
        "own_share": OWN_SHARE,
    }
    figure, axes = panels(1, 3, 22 + 7 * len(order), sharey=True)
    records = _beside_the_cnn(records)
    best = records.groupby(["level", "model"])["val_accuracy"].mean().max()
    floors = {"val_accuracy": best - FARTHEST, "difference": -FARTHEST, "own_share": -1}
    for ax, (metric, title) in zip(axes.flat, titles.items(), strict=True):
        for level, runs in records.groupby("level"):
            aside = 0.16 * place_among(level, looks)
            _dots(ax, runs, metric, order, aside, looks[level], floors[metric])
        ax.set_xlabel(title)
        say_if_empty(ax)
    axes[0, 1].axvline(0, color="0.6", linewidth=0.6, zorder=0)
    _own_share_axis(axes[0, 2], "x")
    axes[0, 0].set_yticks(range(len(order)), [entry.network_title(model) for model in order])
    axes[0, 0].set_ylim(len(order) - 0.5, -0.5)
    letter_panels(axes.flat, [])
    level_legend(figure, looks, level_title("translation"))
    return figure


def networks_over_epochs(history: pd.DataFrame, entry: outputs.Figure) -> Figure:
    """Draws accuracy, and how much of the kernels is not common, over epochs, by network."""
    rows = levels_of(history, "translation")
    levels, looks = sorted(set(rows["level"])), _looks_in_order(_in_order(rows["model"], entry))
    rows = _with_own_share(rows)
    metrics = {"val_accuracy": "Validation accuracy", "own_share": OWN_SHARE}
    figure, axes = panels(2, len(levels), 130, sharex=True, sharey="row")
    for column, level in zip(axes.T, levels, strict=True):
        for ax, metric in zip(column, metrics, strict=True):
            first = 0 if metric == "own_share" else 1
            trained = rows[(rows["level"] == level) & (rows["epoch"] >= first)]
            for model, look in looks.items():
                of_model = trained[trained["model"] == model]
                # Many lines are told apart without; of a single epoch there is no line.
                lone = epoch_marker(of_model, "o") if of_model["epoch"].nunique() < 3 else {}
                bands = model in MODEL_LOOKS
                draw_curve(ax, of_model, metric, model, bands=bands, **look | lone)
            say_if_empty(ax, "not measured")
    accuracy_axis(axes[0, 0], "Validation accuracy")
    axes[1, 0].set_ylabel(OWN_SHARE)
    _own_share_axis(axes[1, 0], "y")
    letter_panels(axes.flat, [f"Translation {level:g}" for level in levels])
    epoch_axis(axes[-1])
    network_legend(figure, looks, entry)
    return figure


ROUTES = {
    "tiles": "Tiles of positions",
    "banks": "Banks of kernels",
    "release": "Released after some epochs",
    "phases": "Phases of sharing",
    "penalty": "Penalties",
}
"""Way of sharing weights -> its title where all of them are compared."""


def routes(records: pd.DataFrame) -> Figure:
    """Draws accuracy against how much is shared, by every way of sharing weights.

    Across studies whose networks have the CNN in common: the difference from it, fold by fold,
    against how much of the kernels of the first layer is not common to all positions; one panel a
    level of translation that all studies have.

    Args:
        records: Those of several studies, one after the other, see
            `sharing_degrees.degrees_of_sharing`, with the column `study`.
    """
    records = _translated(records)
    in_common = records.groupby("level")["study"].nunique() == records["study"].nunique()
    levels = sorted(in_common.index[in_common])
    figure, axes = panels(1, len(levels), 85, sharey=True)
    route, looks = _route(records), dict(zip(ROUTES, VARIANT_LOOKS, strict=True))
    for ax, level in zip(axes.flat, levels, strict=True):
        of_level = records[records["level"] == level]
        for study, runs in of_level.groupby("study", sort=False):
            compared = _beside_the_cnn(runs)
            for model, of_model in compared.groupby("model", sort=False):
                look = MODEL_LOOKS.get(model) or looks.get(route[study, model])
                if look:
                    _point(ax, of_model, look)
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
        _own_share_axis(ax, "x")
        ax.set_xlabel(OWN_SHARE)
        say_if_empty(ax)
        bottom, top = ax.get_ylim()
        ax.set_ylim(max(bottom, -FARTHEST), top)
    axes[0, 0].set_ylabel("Validation accuracy,\ndifference from the CNN")
    letter_panels(axes.flat, [f"Translation {level:g}" for level in levels])
    plain = {labels.MODEL_TITLES[model]: look for model, look in MODEL_LOOKS.items()}
    named = plain | {title: looks[name] for name, title in ROUTES.items()}
    handles = [
        Line2D([], [], **look | {"linestyle": ""}, label=title) for title, look in named.items()
    ]
    legend(figure, handles)
    return figure


def _point(ax, runs, look):
    """A network as a point with the bar of its difference; one too low for the axis at the edge."""
    share, accuracy = (
        mean_over_folds(runs.assign(at=0), metric, "at") for metric in ("own_share", "difference")
    )
    if share.empty or accuracy.empty:
        return
    x, (y, low, high) = share["mean"].iloc[0], accuracy[["mean", "low", "high"]].iloc[0]
    look = look | {"linestyle": "", "markersize": 4}
    if y < -FARTHEST:
        edge = ax.get_xaxis_transform()
        ax.plot(x, 0.02, transform=edge, **look)
        ax.annotate(_minus(y), (x, 0.02), xycoords=edge, xytext=(5, -1), **_BESIDE)
        return
    ax.errorbar(x, y, yerr=[[y - low], [high - y]], **look, elinewidth=0.5)


_BESIDE = {"textcoords": "offset points", "fontsize": 7}


def _minus(number):
    """Two digits, with the sign that Matplotlib has on axes."""
    return f"{number:.2f}".replace("-", "\N{MINUS SIGN}")


def _route(records):
    """(study, network) -> its way of sharing; of those of the paper none."""
    rows = records.drop_duplicates(["study", "model"]).set_index(["study", "model"])
    found = pd.Series("", index=rows.index)
    found[rows["release"] >= 0] = "release"
    for way in ("banks", "phases", "penalty"):
        found[_differs(rows, way)] = way
    found[(rows["kind"] == "fcn") & (rows["sharing"] != "1")] = "tiles"
    return found


def _of_way(records, way):
    """Which rows are of networks of one way of sharing, or of what these are compared with."""
    others = [name for name in SharingScheme().choices if name not in (way, "sharing")]
    compared_with = {"phases": ["release"], "penalty": ["release"]}.get(way, [])
    has_way = _differs(records, way)
    keep = pd.Series(True, index=records.index)
    for name in others:
        if name not in compared_with:
            keep &= ~_differs(records, name)
    return keep & (has_way | ~_differs(records, "release") | (records["release"] == 0))


def _differs(records, way):
    """Which rows have this way of sharing."""
    plain = SharingScheme()
    schemes = records[list(vars(plain))].to_dict("records")
    differs = [SharingScheme(**each).choices[way] != plain.choices[way] for each in schemes]
    return pd.Series(differs, index=records.index, dtype=bool)


def _in_order(models, entry):
    """Networks in the order of their study, the FCN first and the CNN last."""
    present = set(models)
    order = [model for model, _ in entry.network_titles if model in present]
    order += labels.ordered(present - set(order), labels.MODEL_TITLES)
    ends = {"fcn": 0, "cnn": 2}
    return sorted(order, key=lambda model: ends.get(model, 1))


def _looks_in_order(models):
    """Looks of the paper's networks, and for the others the colours of levels in their order."""
    others = level_looks(range(len([model for model in models if model not in MODEL_LOOKS])))
    ramp = iter(others.values())
    return {
        model: (MODEL_LOOKS[model] | {"marker": ""}) if model in MODEL_LOOKS else next(ramp)
        for model in models
    }


def _beside_the_cnn(records):
    """Adds the difference of each run's accuracy from that of the CNN on its fold."""
    keys = ["level", "fold"]
    reference = records[records["model"] == REFERENCE].groupby(keys)["val_accuracy"].mean()
    there = reference.reindex(pd.MultiIndex.from_frame(records[keys])).to_numpy()
    return _with_own_share(records).assign(difference=records["val_accuracy"] - there)


def _with_own_share(rows):
    """Adds what the common share of kernels lacks of 1; in float32 it is no less than 0."""
    return rows.assign(own_share=(1 - rows["common_share"]).clip(lower=0))


def _own_share_axis(ax, which):
    """Makes an axis, "x" or "y", logarithmic down to a ten-thousandth, and linear below."""
    axis, set_scale = (ax.xaxis, ax.set_xscale) if which == "x" else (ax.yaxis, ax.set_yscale)
    set_scale("symlog", linthresh=_TICKS[1])
    ax.set(**{f"{which}lim": (-2e-5, 1.6)})
    # Along x there is room for every other one.
    words = [f"{t:g}" if which == "y" or n % 2 else "" for n, t in enumerate(_TICKS)]
    axis.set_ticks(_TICKS, ["0", *words[1:]])
    axis.set_minor_locator(NullLocator())


def _dots(ax, runs, metric, order, aside, look, floor):
    """Means of networks with the bars of their intervals, one below the other.

    Those below a floor, which would press all others together, are told at the edge.
    """
    for place, model in enumerate(order):
        means = mean_over_folds(runs[runs["model"] == model].assign(at=0), metric, "at")
        if means.empty or (metric == "difference" and model == REFERENCE):
            continue
        mean, low, high = means[["mean", "low", "high"]].iloc[0]
        if mean < floor:
            edge = ax.get_yaxis_transform()
            ax.plot(0.02, place + aside, transform=edge, marker="<", color=look["color"])
            ax.text(0.06, place + aside, _minus(mean), transform=edge, va="center", fontsize=7)
            continue
        look = look | {"linestyle": "", "marker": "o", "markersize": 3}
        bar = [[mean - low], [high - mean]]
        ax.errorbar(mean, place + aside, xerr=bar, **look, elinewidth=0.7)


def _translated(records):
    """The rows of translation, of level 0 on."""
    return records[records["augmentation"].isin([UNAUGMENTED, "translation"])]


def _kernel_curves(
    ax: Axes,
    free: pd.DataFrame,
    shared: pd.DataFrame,
    metric: str,
    level_styles: dict[float, dict],
) -> None:
    """Lines of free convolutions, squares of ordinary ones, a colour a level; bars side by side."""
    looks = [
        (free, {"marker": "o"}),
        (shared, {"marker": "s", "markersize": 5, "linestyle": ""}),
    ]
    for records, look in looks:
        for level, runs in records.groupby("level"):
            beside = runs.assign(kernels=runs["kernels"] * 1.04 ** place_among(level, level_styles))
            look_of_level = level_styles[level] | look
            draw_curve(ax, beside, metric, f"{level:g}", by="kernels", bars=True, **look_of_level)
    say_if_empty(ax)
    _log_counts(ax, sorted(set(free["kernels"])))


def _log_counts(ax: Axes, counts: list[float]) -> None:
    """A logarithmic axis with ticks at these counts alone."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(counts)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
