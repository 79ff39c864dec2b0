"""A look at one run: what was asked for, what came of it, and its curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import pandas as pd
import plotille
from matplotlib.ticker import MaxNLocator

from freeconv.errors import InputError
from freeconv.io import read_header, read_parquet
from freeconv.plots.style import STYLE, panels
from freeconv.results.best_epoch import best_epoch
from freeconv.results.schemas import HISTORY_SCHEMA, METRICS, RUN_COLUMNS, RUN_IDENTITY
from freeconv.study import labels
from freeconv.study.settings import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from matplotlib.figure import Figure

CURVES = {"accuracy": "training", "val_accuracy": "validation"}
"""The metrics drawn, with the words of the terminal's legend."""

# A letter tells the curves apart where there is no colour.
_TERMINAL_LOOKS = {"accuracy": ("bright_blue", "t"), "val_accuracy": ("bright_red", "v")}
_PICTURE_LOOKS = {
    "accuracy": {"color": "#0072B2", "linestyle": (0, (4, 1.5)), "marker": "s"},
    "val_accuracy": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
}
_FEW_EPOCHS = 40  # up to which each has its letter or marker

# Of the settings, by lines: the run, its network, how it was trained, how it was measured.
_LINES = (
    ("dataset", "model", "augmentation", "level", "vcp", "training_share", "fold", "repeat"),
    ("network", "layers", "glorot_fans", "vcp_kind"),
    ("learning_rate", "batch_size", "epochs", "patience", "seed"),
    ("backend", "precision"),
)


def read_run(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads the history of one run or trial.

    Args:
        path: file by `schemas.HISTORY_SCHEMA`.

    Returns:
        The history, `pandas.DataFrame` with its epochs in order, and the mapping that is stored in
        the file (`provenance.describe_origin`).

    Raises:
        InputError: if the file is no history, or one of several runs.
    """
    history = read_parquet(path, HISTORY_SCHEMA)
    origin = read_header(path, HISTORY_SCHEMA)
    runs = len(history[list(RUN_COLUMNS)].drop_duplicates())
    if runs != 1 or "settings" not in origin:
        raise InputError(
            f"{path}: holds {runs} runs and {'the' if 'settings' in origin else 'no'} settings of "
            "one; expected the history of one run: name one of "
            "results/<study>/runs/<...>/history.parquet"
        )
    return history.sort_values("epoch", ignore_index=True), origin


def describe_run(history: pd.DataFrame, origin: Mapping[str, Any]) -> str:
    """A text: settings that matter, the best epoch, and the accuracies of it and of the last one.

    Args:
        history: `pandas.DataFrame` of one run, by `schemas.HISTORY_SCHEMA`.
        origin: the metadata of its file, see `read_run`.
    """
    settings = origin["settings"]
    lines = [
        ", ".join(f"{name} {format_value(settings[name])}" for name in names if name in settings)
        for names in _LINES
    ]
    lines.append(f"device {origin['device']}")
    best, last = best_epoch(history), int(history["epoch"].max())
    seconds = history["seconds"].sum()
    lines.append(f"best epoch {best} of {last}, {seconds:.0f} s in all")
    return "\n".join(lines) + "\n\n" + _metrics(history, best, last)


def _metrics(history, best, last):
    """The metrics that were measured, of the best and the last epoch."""
    epochs = history.set_index("epoch")[list(METRICS)]
    lines = [f"{'epoch':<18}{f'best {best}':>10}{f'last {last}':>10}"]
    for name in METRICS:
        values = [epochs.loc[epoch, name] for epoch in (best, last)]
        if not all(map(pd.isna, values)):
            lines.append(f"{name:<18}" + "".join(f"{value:>10.4f}" for value in values))
    return "\n".join(lines) + "\n"


def _trained(history):
    """Leaves out epoch 0, whose chance level would flatten the curves."""
    return history[history["epoch"] >= 1]


def _limits(low, high, count):
    """Limits of an axis of so many characters: the ends are the middles of the outer ones."""
    half = ((high - low) or 0.01) / (count - 1) / 2
    return float(low - half), float(high + half)


def curves_as_text(history: pd.DataFrame, width: int = 72, height: int = 16) -> str:
    """The accuracies over the epochs, drawn by characters.

    Args:
        history: `pandas.DataFrame` of one run, by `schemas.HISTORY_SCHEMA`.
        width: characters of the area between the axes.
        height: lines of it.

    Returns:
        A string of lines, with dots of the Unicode block "Braille Patterns", a letter a point of
        few epochs and, where standard output is a terminal that wants them, colours.
    """
    plot = plotille.Figure()
    plot.width, plot.height, plot.origin = width, height, False
    plot.x_label, plot.y_label = "epoch", "accuracy"
    trained = _trained(history)
    values = trained[list(CURVES)]
    x = _limits(1, trained["epoch"].max(), width)
    y = _limits(values.min().min(), values.max().max(), height)
    plot.set_x_limits(*x)
    plot.set_y_limits(*y)
    # A label names the middle of its character; above the highest one there is nothing.
    plot.x_ticks_fkt = lambda low, _: f"{low + (x[1] - x[0]) / width / 2:.1f}"
    plot.y_ticks_fkt = lambda low, high: f"{(low + high) / 2:.3f}" if low < y[1] else ""
    for metric, words in CURVES.items():
        measured = trained.dropna(subset=metric)
        name, letter = _TERMINAL_LOOKS[metric]
        marker = letter if len(measured) <= _FEW_EPOCHS else None
        points = measured["epoch"].tolist(), measured[metric].tolist()
        plot.plot(*points, lc=name, label=words, marker=marker)
    return plot.show(legend=True)


def draw_run(history: pd.DataFrame) -> Figure:
    """The accuracies over the epochs as a `matplotlib.figure.Figure`; `style.save` writes it.

    A line marks the best epoch.

    Args:
        history: `pandas.DataFrame` of one run, by `schemas.HISTORY_SCHEMA`.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(1, 1, height=80, width=130)
        (ax,) = axes.flat
        for metric in CURVES:
            measured = _trained(history).dropna(subset=metric)
            look = _PICTURE_LOOKS[metric]
            marker = look["marker"] if len(measured) <= _FEW_EPOCHS else ""
            title = labels.METRIC_TITLES[metric]
            ax.plot(measured["epoch"], measured[metric], label=title, **look | {"marker": marker})
        best = best_epoch(history)
        ax.axvline(best, color="0.5", linewidth=0.6, zorder=0)
        row = history.iloc[0]
        ax.set_title(labels.run_title(**{name: row[name] for name in RUN_IDENTITY}))
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        ax.set_xlabel(f"Epoch (line: the best one, {best})")
        ax.set_ylabel("Accuracy")
        ax.legend(loc="best")
    return figure
