"""Draws any figure of a study by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from freeconv.analysis.summary import on_all_images
from freeconv.errors import InputError
from freeconv.plots.sharing_figures import routes
from freeconv.plots.style import STYLE
from freeconv.study import outputs


def draw(
    name: str,
    frame: pd.DataFrame,
    dataset: str,
    choices: Mapping[str, Mapping] | None = None,
) -> Figure:
    """Draws a figure.

    Args:
        name: The figure's name, see `outputs.FIGURES`.
        frame: The frame that figure is drawn from, see `outputs.Figure`.
        dataset: The data set shown.
        choices: Those of a study, see `outputs.choices_of`: `shown_levels`, augmentation -> level,
            of figures of one level of each (by default those in the middle of the study's), and
            `network_titles`, model -> title (by default from its name).

    Returns:
        The figure. A panel without data says so.

    Raises:
        InputError: If there is no such figure, or the frame has no row of the data set.

    Example:
        >>> from freeconv.plots.style import save
        >>> history = pd.DataFrame({
        ...     "dataset": "mnist", "model": ["cnn", "fcn"], "augmentation": "translation",
        ...     "level": 0.3, "vcp": 0.0, "training_share": 1.0, "fold": 0, "fold_count": 5,
        ...     "repeat": 0, "epoch": 1, "accuracy": [0.97, 0.96], "val_accuracy": [0.99, 0.98],
        ...     "val_translation": [0.97, 0.95],
        ... })
        >>> save(draw("translation_curves", history, "mnist"), "translation_curves.png")
    """
    chosen = {key: tuple(value.items()) for key, value in (choices or {}).items()}
    entry = replace(outputs.figure(name), **chosen)
    rows = frame[frame["dataset"] == dataset]
    if rows.empty:
        known = ", ".join(sorted(set(frame["dataset"]))) or "no row at all"
        raise InputError(
            f"`dataset` must be one of the frame's ({known}) to draw {name!r}. "
            f"Received: {dataset!r}"
        )
    if "training_share" in rows and entry.needs.varied != "training_share":
        rows = on_all_images(rows)
    module, _, function = entry.function.partition(".")
    with matplotlib.rc_context(STYLE):
        return getattr(import_module(f"freeconv.plots.{module}"), function)(rows, entry)


def draw_routes(records: pd.DataFrame) -> Figure:
    """Draws the figure that compares all ways of sharing weights: `sharing_figures.routes`.

    Args:
        records: Those of several studies, see there.
    """
    with matplotlib.rc_context(STYLE):
        return routes(records)
