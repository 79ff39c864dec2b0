"""The overview of a study: verdicts, comparison with the paper, and where its numbers come from."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from freeconv.analysis.comparison import PROTOCOL
from freeconv.analysis.selection import unbiased_accuracies
from freeconv.report.render import (
    DASH,
    interval,
    render_template,
    signed,
    statistic_and_part,
    whole_range,
)
from freeconv.results.provenance import SOFTWARE
from freeconv.study import labels
from freeconv.study.settings import UNAUGMENTED, TrainingSettings

DIGEST_DIGITS = 12
"""Digits of a digest that are shown: enough to tell data apart."""


@dataclass(frozen=True)
class Background:
    """What no record of a run says of the study.

    Attributes:
        study: name of the study.
        seed: from which the runs' own seeds follow.
        seed_policy: `per_run` (one seed per run) or `zero` (seed 0 in every run).
        fold_count: folds of the cross-validation, of which not all need to have run.
        fold_method: how images are assigned to folds.
    """

    study: str
    seed: int
    seed_policy: str
    fold_count: int
    fold_method: str


@dataclass(frozen=True)
class Records:
    """The data frames of a study, by the schemas of `freeconv.results.schemas`.

    Attributes:
        history: One row per epoch.
        settings: One row per run.
        provenance: One row per run.
        comparison: One row per published number; empty where the paper has none of the data sets.
        conclusions: One row per (data set, criterion).
    """

    history: pd.DataFrame
    settings: pd.DataFrame
    provenance: pd.DataFrame
    comparison: pd.DataFrame
    conclusions: pd.DataFrame


def render_overview(
    background: Background,
    records: Records,
    pictures: Mapping[tuple[str, int], bytes] | None = None,
    links: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Renders the overview of a study as an HTML page that needs no network.

    Args:
        background: What no record says.
        records: The records of the study.
        pictures: (data set, number of a conclusion) -> the figure shown beside it, as PNG.
        links: Heading -> title -> address, relative to the page, of what lies beside it. They are
            shown where the page lies there, too, and not within a report.
    """
    return render_template(
        "overview.html.jinja",
        title=f"Overview of the study {background.study}",
        background=background,
        size=_size(records.history, records.settings),
        findings=_findings(records.conclusions, pictures or {}),
        pictured=bool(pictures),
        links=links or {},
        conclusions=_conclusions(records.conclusions),
        comparison=_comparison(records.comparison, records.settings),
        grid=_grid(records.settings),
        networks=_networks(records.settings),
        selection=_selection(records.history),
        provenance=_provenance(records.provenance),
        conclusion_verdicts=labels.CONCLUSION_VERDICTS,
        comparison_verdicts=labels.COMPARISON_VERDICTS,
    )


def _size(history: pd.DataFrame, settings: pd.DataFrame) -> dict:
    """How much was trained; epoch 0 is the untrained network."""
    trained = history[history["epoch"] >= 1]
    models = labels.ordered(settings["model"], labels.MODEL_TITLES)
    return {
        "runs": len(settings),
        "datasets": _titles(settings["dataset"]),
        "models": ", ".join(map(labels.model_title, models)),
        "folds": sorted(settings["fold"].unique().tolist()),
        "epochs": len(trained),
        "duration": _duration(history["seconds"].sum()),
    }


def _findings(conclusions: pd.DataFrame, pictures: Mapping[tuple[str, int], bytes]) -> list[dict]:
    """What was found, a sentence per conclusion and data set, and the figure beside it."""
    return [
        {
            "number": number,
            "statement": rows["statement"].iloc[0],
            "datasets": [
                {
                    "title": labels.dataset_title(dataset),
                    "verdict": criteria["conclusion_verdict"].iloc[0],
                    "sentence": sentence(criteria),
                    "picture": _inline(pictures.get((dataset, number))),
                }
                for dataset, criteria in rows.groupby("dataset", sort=False)
            ],
        }
        for number, rows in conclusions.groupby("conclusion")
    ]


def sentence(criteria: pd.DataFrame) -> str:
    """Says of a conclusion what its verdict rests on: the first criterion that has the same.

    Args:
        criteria: Of one conclusion and data set, see `conclusions.conclude`.
    """
    decisive = criteria["verdict"] == criteria["conclusion_verdict"]
    row = next((criteria[decisive] if decisive.any() else criteria).itertuples())
    if pd.isna(row.value):
        return f"{row.statistic}: no run of this study tells."
    spread = f" ({interval(row.low, row.high, 3)})" if not pd.isna(row.low) else ""
    folds = labels.counted(row.folds, "fold")
    statistic = statistic_and_part(row.statistic, row.part, row.parts)
    paper = f"the paper has it {row.side} {row.threshold:g}"
    return f"{statistic}: {signed(row.value, 3)}{spread} on {folds}; {paper}."


def _inline(picture: bytes | None) -> str | None:
    return picture and f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _conclusions(conclusions: pd.DataFrame) -> dict:
    """The verdict of each conclusion by data set, and below it every criterion."""
    groups = [
        {
            "number": number,
            "statement": rows["statement"].iloc[0],
            "verdicts": rows.groupby("dataset", sort=False)["conclusion_verdict"].first().to_dict(),
            "criteria": [_criterion(row) for row in rows.itertuples()],
        }
        for number, rows in conclusions.groupby("conclusion")
    ]
    titles = {name: labels.dataset_title(name) for name in conclusions["dataset"].unique()}
    return {"datasets": titles, "groups": groups}


def _criterion(row) -> dict:
    return {
        "dataset": labels.dataset_title(row.dataset),
        "statistic": statistic_and_part(row.statistic, row.part, row.parts),
        "source": f"{row.source}. Threshold: {row.basis}",
        "value": signed(row.value, 4),
        "interval": interval(row.low, row.high, 4),
        "paper": f"{row.side} {row.threshold:g}",
        "folds": row.folds,
        "epochs": whole_range(row.fewest_epochs, row.most_epochs),
        "verdict": row.verdict,
    }


def _comparison(comparison: pd.DataFrame, settings: pd.DataFrame) -> dict:
    """Verdicts on distinct numbers, by the first table that has them, and how ours departs."""
    comparison = comparison[~comparison["repeated"]]
    rows = [
        {
            "table": table,
            "dataset": labels.dataset_title(dataset),
            **_counts(numbers),
        }
        for (table, dataset), numbers in comparison.groupby(["table", "dataset"], sort=False)
    ]
    departures = comparison["departures"].replace("", None).value_counts()
    unpublished = settings["dataset"][~settings["dataset"].isin(comparison["dataset"])]
    return {
        "rows": rows,
        "total": _counts(comparison),
        "departures": list(departures.items()),
        "unpublished": _titles(unpublished),
    }


def _counts(numbers: pd.DataFrame) -> dict:
    counts = numbers["verdict"].value_counts()
    difference = numbers["difference"].abs().median()
    return {
        "verdicts": {
            verdict: int(counts.get(verdict, 0)) for verdict in labels.COMPARISON_VERDICTS
        },
        "numbers": len(numbers),
        "difference": DASH if pd.isna(difference) else f"{difference:.4f}",
    }


def _selection(history: pd.DataFrame) -> list[dict]:
    """By data set, by how much the choice of the best epoch favours its validation accuracy."""
    runs = unbiased_accuracies(history)
    return [
        {
            "dataset": labels.dataset_title(dataset),
            "runs": len(rows),
            "favoured": f"{rows['favoured'].mean():.4f}",
            "unbiased": f"{rows['unbiased'].mean():.4f}",
            "most": f"{(rows['favoured'] - rows['unbiased']).max():.4f}",
        }
        for dataset, rows in runs.groupby("dataset", sort=False)
    ]


def _grid(settings: pd.DataFrame) -> dict[str, str]:
    """The conditions that were trained, as the runs have them."""
    plain = settings[settings["vcp"] == 0]
    masked = settings[settings["vcp"] > 0]
    grid = {}
    own = set(plain["augmentation"]) - {UNAUGMENTED}
    for name in dict.fromkeys((*labels.AUGMENTATION_TITLES, *sorted(own))):
        levels = plain.loc[plain["augmentation"] == name, "level"]
        if len(levels):
            grid[f"Levels of {labels.augmentation_title(name).lower()}"] = _numbers(levels)
    grid["Without augmentation"] = "yes" if (plain["augmentation"] == UNAUGMENTED).any() else "no"
    if len(shares := settings.loc[settings["training_share"] < 1, "training_share"]):
        grid["Share of the training images"] = f"{_numbers(shares)} and 1"
    if len(masked):
        grid["Share of masked connections"] = (
            f"{_numbers(masked['vcp'])} (at translation {_numbers(masked['level'])})"
        )
    for key in PROTOCOL:
        grid[f"Protocol: {key}"] = " or ".join(sorted(settings[key].unique()))
    for name, title in labels.AUGMENTATION_TITLES.items():
        grid[f"Validated under {title.lower()}"] = _numbers(settings[f"validation_{name}"])
    for key in ("backend", "precision"):
        grid[key.capitalize()] = " or ".join(sorted(settings[key].unique()))
    return grid


def _networks(settings: pd.DataFrame) -> list[dict]:
    """How the networks of each data set were built and trained; a row each way."""
    keys = ["dataset", *TrainingSettings.__dataclass_fields__]
    rows = settings[keys].drop_duplicates().assign(dataset=settings["dataset"])
    rows["dataset"] = rows["dataset"].map(labels.dataset_title)
    rows["learning_rate"] = rows["learning_rate"].map("{:g}".format)
    return rows.to_dict("records")


def _provenance(provenance: pd.DataFrame) -> dict:
    """Versions, devices and data of the runs, each with the number of runs that share them."""
    versions = provenance.groupby(list(SOFTWARE), dropna=False).size()
    devices = provenance.groupby(["device", "machine"], dropna=False).size()
    data = provenance.groupby(["dataset", "fold"])["data"].unique()
    return {
        "software": SOFTWARE,
        "versions": [
            {"runs": runs, "versions": [DASH if pd.isna(v) else v for v in found]}
            for found, runs in versions.items()
        ],
        "devices": [
            {"device": device, "machine": machine, "runs": runs}
            for (device, machine), runs in devices.items()
        ],
        "data": [
            {
                "dataset": labels.dataset_title(dataset),
                "fold": fold,
                "digests": [digest[:DIGEST_DIGITS] for digest in digests],
            }
            for (dataset, fold), digests in data.items()
        ],
    }


def _titles(datasets: pd.Series) -> str:
    return ", ".join(labels.dataset_title(dataset) for dataset in datasets.unique())


def _numbers(values: pd.Series) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values.unique()))


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
