"""Measurements and comparisons as Parquet, a Markdown table and a plot."""

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks import augmentation, epochs, layers
from freeconv.errors import InputError
from freeconv.files import read_metadata, read_parquet, whole_file, write_parquet
from freeconv.style import STYLE, panels, save

MEASUREMENTS_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("case", pa.string()),
        ("implementation", pa.string()),
        ("metric", pa.string()),
        ("median", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("repetitions", pa.int64()),
        ("unit", pa.string()),
        ("note", pa.string()),
    ]
)

COMPARISONS_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("case", pa.string()),
        ("words", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("side", pa.string()),
        ("limit", pa.float64()),
        ("verdict", pa.string()),
    ]
)

TITLES = {
    "floors": "Floors",
    "layers": "Layers, forward and backward",
    "epochs": "Training epochs",
    "augmentation": "Augmentation",
    "fixed_costs": "Fixed cost of a cell",
    "grid": "The grid",
}

BEGIN, END = "<!-- figures of make bench: begin -->", "<!-- figures of make bench: end -->"
"""Between these lines of a document the tables of a run are put."""

# Okabe and Ito: told apart with every kind of colour vision.
OURS_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#0072B2", "#E69F00", "#999999"
REFERENCES = (layers.OURS, epochs.OURS, augmentation.OURS)
OURS = (*REFERENCES, epochs.COMPLETE)


def write_records(folder, measurements, compared, machine):
    """Write what was measured, and what follows from it.

    Args:
        folder: where to.
        measurements: list of `harness.Measurement`.
        compared: list of `comparisons.Compared`.
        machine: mapping of `machine.describe`, kept in both files.
    """
    tables = {
        "measurements": (measurements, MEASUREMENTS_SCHEMA),
        "comparisons": (compared, COMPARISONS_SCHEMA),
    }
    for name, (rows, schema) in tables.items():
        frame = pd.DataFrame(rows, columns=schema.names)
        write_parquet(frame, folder / f"{name}.parquet", schema, machine)


def render(folder):
    """Write `benchmarks.md`, `.png` and `.svg` from the records in a folder.

    Returns:
        The Markdown text.

    Raises:
        InputError: if the folder has no records.
    """
    path = folder / "measurements.parquet"
    if not path.exists():
        raise InputError(f"{folder}: no measurements.parquet there; run the benchmarks first")
    measurements = read_parquet(path, MEASUREMENTS_SCHEMA)
    compared = read_parquet(folder / "comparisons.parquet", COMPARISONS_SCHEMA)
    text = markdown(measurements, compared, read_metadata(path))
    with whole_file(folder / "benchmarks.md") as partial:
        partial.write_text(text, encoding="utf-8")
    figure = plot(measurements)
    for suffix in ("png", "svg"):
        with whole_file(folder / f"benchmarks.{suffix}") as partial:
            save(figure, partial)
    return text


def insert(text, document):
    """Put the tables of a run into a document, between the lines `BEGIN` and `END`.

    Raises:
        InputError: if the document lacks these lines.
    """
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{document}: has no place for the tables; expected {BEGIN} ... {END}")
    with whole_file(document) as partial:
        partial.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def markdown(measurements, compared, machine):
    """The tables of a run: comparisons first, then every subject.

    Args:
        measurements: data frame by `MEASUREMENTS_SCHEMA`.
        compared: data frame by `COMPARISONS_SCHEMA`.
        machine: mapping of `machine.describe`.
    """
    parts = [_machine_words(machine)]
    if len(compared):
        parts += ["### Comparisons", _comparison_table(compared)]
    for subject, title in TITLES.items():
        rows = measurements[measurements["subject"] == subject]
        if len(rows):
            parts += [f"### {title}", _measurement_table(rows)]
    return "\n\n".join(parts) + "\n"


def _machine_words(machine):
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    quick = "; a quick run, of few repetitions" if machine["quick"] else ""
    return (
        f"{machine['date']}, commit {machine['commit']}{quick}. {machine['processor']}, "
        f"{machine['cores']} cores, {machine['threads']} threads used, "
        f"{machine['memory_gib']} GiB of memory, {machine['system']}. {versions}."
    )


def _comparison_table(compared):
    table = pd.DataFrame(
        {
            "case": compared["case"],
            "comparison": compared["words"],
            "value": [
                _number(*row) for row in zip(compared["value"], compared["unit"], strict=True)
            ],
            "aim": [
                "" if np.isnan(limit) else f"{side} {limit:g} {unit}".strip()
                for side, limit, unit in zip(
                    compared["side"], compared["limit"], compared["unit"], strict=True
                )
            ],
            "verdict": compared["verdict"],
        }
    )
    return table.to_markdown(index=False, disable_numparse=True)


def _measurement_table(rows):
    table = pd.DataFrame(
        {
            "case": rows["case"],
            "implementation": rows["implementation"],
            "metric": rows["metric"],
            "median": [_number(*row) for row in zip(rows["median"], rows["unit"], strict=True)],
            "quartiles": [
                "" if np.isnan(low) else f"{low:.3g} to {high:.3g}"
                for low, high in zip(rows["low"], rows["high"], strict=True)
            ],
            "of": rows["repetitions"].astype(str),
            "note": rows["note"],
        }
    )
    # A case is named in its first row alone.
    table["case"] = table["case"].mask(table["case"].duplicated(), "")
    return table.to_markdown(index=False, disable_numparse=True)


def _number(value, unit):
    if np.isnan(value):
        return "-"
    digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def plot(measurements):
    """Horizontal bars: times of layers, epochs and augmentation, as multiples of ours.

    Args:
        measurements: data frame by `MEASUREMENTS_SCHEMA`.

    Returns:
        `matplotlib.figure.Figure`, a panel a case that peers take part in.
    """
    cases = _plotted_cases(measurements)
    rows = max(1, -(-len(cases) // 2))
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(rows, 2, height=10 + 48 * rows)
        for ax in axes.ravel()[len(cases) :]:
            ax.remove()
        for ax, (case, bars) in zip(axes.ravel(), cases.items(), strict=False):
            _draw_bars(ax, case, bars)
    return figure


def _plotted_cases(measurements):
    """Case -> its measured times, of the cases in which others than ours and Conv2D take part."""
    times = measurements[(measurements["metric"] == "time") & measurements["median"].notna()]
    by_us = {layers.FLOOR, layers.CONV, *OURS}
    return {
        case: bars
        for case, bars in times.groupby("case", sort=False)
        if set(bars["implementation"]) & set(OURS) and set(bars["implementation"]) - by_us
    }


def _draw_bars(ax, case, bars):
    (ours,) = bars.loc[
        bars["implementation"].isin([layers.OURS, epochs.OURS, augmentation.OURS]), "median"
    ]
    bars = bars.sort_values("median", ascending=False)
    colours = [
        OURS_COLOUR if name in OURS else FLOOR_COLOUR if name == layers.FLOOR else PEER_COLOUR
        for name in bars["implementation"]
    ]
    ratios = bars["median"] / ours
    errors = np.array([bars["median"] - bars["low"], bars["high"] - bars["median"]]) / ours
    ax.barh(bars["implementation"], ratios, xerr=errors, color=colours, ecolor="0.3", height=0.7)
    for place, (ratio, median, unit) in enumerate(
        zip(ratios, bars["median"], bars["unit"], strict=True)
    ):
        ax.text(ratio * 1.1, place, f" {_number(median, unit)}", va="center", fontsize=6.5)
    ax.set(title=case, xlabel="time, as a multiple of ours", xscale="log")
    ax.set_xlim(right=ratios.max() * 4)
    ax.axvline(1.0, color=OURS_COLOUR, linewidth=0.8)
    ax.grid(visible=False, axis="y")
