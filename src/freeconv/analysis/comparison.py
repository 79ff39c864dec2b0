"""Ours beside the paper's: every published number, what a study found, and whether they agree.

Published numbers are medians over all epochs of five folds, pooled; ours are the same statistic
over the folds that ran. Two such numbers of the same experiment differ by chance, and by how much
is estimated from the spread over our folds: with `s` the standard deviation of the medians of the
single folds, and `n` folds of ours, the true difference lies with 95 % probability within

    t(0.975, n - 1) * s * sqrt(1 / n + 1 / 5)

of the one that was found, plus the rounding of the published number. This takes the medians of
folds as normal and equally spread in both experiments, and a pooled median as varying like the mean
of its folds. It is generous where our folds are the paper's, since what is hard about a fold is
then hard in both.

That two numbers cannot be told apart does not make them equal, the less the fewer folds there are.
They agree if the whole interval of their difference is within a margin (an equivalence test), and
differ if it is wholly outside. The margin is ours: one point of accuracy.
"""

from __future__ import annotations

from importlib.resources import files

import pandas as pd
import pyarrow as pa

from freeconv.analysis.inference import margin
from freeconv.analysis.summary import on_all_images
from freeconv.study import labels
from freeconv.study.settings import UNAUGMENTED

# One row per number that the paper published: see `comparison.compare`.
COMPARISON_SCHEMA = pa.schema(
    [
        ("table", pa.string()),
        ("dataset", pa.string()),
        ("model", pa.string()),
        ("augmentation", pa.string()),
        ("level", pa.float64()),
        ("metric", pa.string()),
        ("published", pa.float64()),
        ("ours", pa.float64()),
        ("difference", pa.float64()),
        ("tolerance", pa.float64()),
        ("repeated", pa.bool_()),
        ("verdict", pa.string()),
        ("folds", pa.int64()),
        ("epochs", pa.int64()),
        ("protocol", pa.string()),
        ("departures", pa.string()),
    ]
)

PUBLISHED_FOLDS = 5
"""Folds behind every published number (section 4)."""

MARGIN = 0.01
"""Differences of accuracy that make no difference."""

PACE = ("epochs", "patience")
"""Settings without which medians over epochs are of other things than the published ones."""

PUBLISHED_TRAINING = {
    "mnist": {
        "network": "mnist",
        "layers": 3,
        "learning_rate": 1e-3,
        "batch_size": 256,
        "epochs": 250,
        "patience": 50,
    },
    "cifar10": {
        "network": "cifar10",
        "layers": 3,
        "learning_rate": 1e-4,
        "batch_size": 128,
        "epochs": 500,
        "patience": 100,
    },
}
"""How the published numbers were trained (Table A.2, section A.3, published code)."""

PROTOCOL = (
    *("glorot_fans", "vcp_kind", "edge_noise", "rotation_centre"),
    *("noise_order", "validation_batches"),
)
"""The settings in which the paper's text and its published code may disagree."""

_RUN = ["dataset", "model", "augmentation", "level"]


def published_values() -> pd.DataFrame:
    """Returns the 396 numbers of the paper's Tables 1, 2, B.1, B.2 and B.3.

    Returns:
        One row per number: `table`, `dataset`, `model`, `augmentation` (that of the table, also at
        level 0), `level`, `metric` (`accuracy`, `val_accuracy` or `val_translation`), `value`, an
        accuracy from 0 to 1, and `repeated`: whether an earlier table has the number, as all have
        those of level 0.
    """
    with (files("freeconv.analysis") / "published_tables.csv").open(encoding="utf-8") as file:
        values = pd.read_csv(file)
    runs = values.assign(augmentation=_trained_with(values))
    return values.assign(repeated=runs.duplicated([*_RUN, "metric"]))


def compare(history: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Compares a study with the published numbers of its data sets.

    Args:
        history: One row per epoch, see `schemas.HISTORY_SCHEMA`.
        settings: One row per run of the history, see `schemas.SETTINGS_SCHEMA`.

    Returns:
        A row for each published number of the history's data sets, none where the paper has none
        of them. Beside the columns of `published_values`, with `value` named `published`:

        - `ours`: the pooled median of the same run, `difference`: `ours - published`;
        - `tolerance`: how much of the difference may be chance, see above; null with fewer than
          three folds;
        - `verdict`: one of `labels.COMPARISON_VERDICTS`;
        - `folds` and `epochs` behind ours, the epochs of all folds counted together;
        - `protocol`: which side ours took where the paper and its published code disagree;
        - `departures`: the settings of ours that differ from those behind the published number and
          bear on it, empty where none does. The tolerance does not allow for them.
    """
    history, settings = on_all_images(history), on_all_images(settings)
    published = published_values().rename(columns={"value": "published"})
    published = published[published["dataset"].isin(history["dataset"])]
    rows = published.assign(trained_with=_trained_with(published)).merge(
        _medians(history).rename(columns={"augmentation": "trained_with"}),
        how="left",
        on=["dataset", "model", "trained_with", "level", "metric"],
    )
    rows = rows.fillna({"folds": 0, "epochs": 0}).astype({"folds": int, "epochs": int})
    rows["difference"] = rows["ours"] - rows["published"]
    rows["tolerance"] = _tolerance(rows["spread"], rows["folds"]) + _rounding(rows["table"])
    notes = [_notes(row, settings) for row in rows.itertuples()]
    columns = ["protocol", "departures", "other_pace"]
    rows[columns] = pd.DataFrame(notes, index=rows.index, columns=columns)
    rows["verdict"] = _verdicts(rows)
    return rows[COMPARISON_SCHEMA.names]


def protocol_of(settings: pd.DataFrame) -> str:
    """Says which side runs took where the paper and its published code disagree."""
    return ", ".join(f"{key}: {_joined(settings[key])}" for key in PROTOCOL)


def _trained_with(published: pd.DataFrame) -> pd.Series:
    """Level 0 of every augmentation is the run without augmentation."""
    return published["augmentation"].mask(published["level"] == 0, UNAUGMENTED)


def _medians(history: pd.DataFrame) -> pd.DataFrame:
    """One row per (run, metric): the pooled median, and the spread of the medians of its folds."""
    trained = history[(history["epoch"] >= 1) & (history["vcp"] == 0)]
    values = trained.melt([*_RUN, "fold"], list(labels.METRIC_TITLES), "metric").dropna()
    pooled = values.groupby([*_RUN, "metric"])["value"]
    by_fold = values.groupby([*_RUN, "metric", "fold"])["value"].median()
    folds = by_fold.groupby([*_RUN, "metric"])
    medians = pd.DataFrame(
        {
            "ours": pooled.median(),
            "epochs": pooled.size(),
            "folds": folds.size(),
            "spread": folds.std(ddof=1),
        }
    )
    return medians.reset_index()


def _tolerance(spread: pd.Series, folds: pd.Series) -> pd.Series:
    """Half the interval of the difference; null with too few folds."""
    return margin(folds, spread, 1 / PUBLISHED_FOLDS)


def _rounding(table: pd.Series) -> pd.Series:
    """Half a unit of the last published digit: 6 digits in Tables 1 and 2, 5 in appendix B."""
    return (table.str.startswith("Table B.")).map({True: 0.5e-5, False: 0.5e-6})


def _verdicts(rows: pd.DataFrame) -> pd.Series:
    size, tolerance = rows["difference"].abs(), rows["tolerance"]
    verdicts = pd.Series("inconclusive", index=rows.index)
    verdicts = verdicts.mask(size + tolerance <= MARGIN, "agrees")
    verdicts = verdicts.mask(size - tolerance > MARGIN, "differs")
    verdicts = verdicts.mask(rows["other_pace"], "not comparable")
    return verdicts.mask(rows["folds"] == 0, "not run")


def _notes(row, settings: pd.DataFrame) -> tuple[str | None, str | None, bool]:
    """Protocol and departures of one number, null where nothing ran; whether these are of pace."""
    if row.folds == 0:
        return None, None, False
    here = settings[
        (settings["dataset"] == row.dataset)
        & (settings["model"] == row.model)
        & (settings["augmentation"] == row.trained_with)
        & (settings["level"] == row.level)
        & (settings["vcp"] == 0)
    ]
    departures = {
        key: f"{key}: {_joined(here[key])} instead of {value}"
        for key, value in _published_settings(row).items()
        if (here[key] != value).any()
    }
    return protocol_of(here), ", ".join(departures.values()), not departures.keys().isdisjoint(PACE)


def _published_settings(row) -> dict[str, object]:
    """The settings behind a published number that bear on it."""
    folds = {"fold_count": PUBLISHED_FOLDS, "fold_method": "contiguous"}
    settings = {**PUBLISHED_TRAINING[row.dataset], "precision": "float32", **folds}
    if row.model == "fcn":
        settings["glorot_fans"] = "kernel_shape"
    if row.trained_with == "edge_noise":
        settings["edge_noise"] = "code"
    if row.trained_with in ("noise", "edge_noise"):
        settings["noise_order"] = "consecutive"
    if row.trained_with == "rotation":
        settings["rotation_centre"] = "code"
    if row.metric == "val_translation":
        settings |= {"validation_batches": "whole", "validation_translation": 0.25}
    return settings


def _joined(values: pd.Series) -> str:
    """The distinct values of runs, which as a rule is one."""
    return " or ".join(map(str, sorted(set(values))))
