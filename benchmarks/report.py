"""Measurements and comparisons as Parquet, a Markdown table and a plot."""

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks import augmentation, epochs, layers
from freeconv.errors import InputError
from freeconv.io import put_between, read_metadata, read_parquet, whole_file, write_parquet
from freeconv.plots.style import STYLE, panels, save, say_if_empty

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

PLOTTED = ("layers", "epochs", "augmentation")

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
    put_between(document, BEGIN, END, text)


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
    """Times as multiples of ours: bars to the right are slower than ours, to the left faster.

    Args:
        measurements: data frame by `MEASUREMENTS_SCHEMA`.

    Returns:
        `matplotlib.figure.Figure`, with one panel per case of layers in which peers take part, and
        one for all epochs and all augmentations each.
    """
    bars = _bars(measurements)
    groups = [group for _, group in bars.groupby("panel", sort=False)]
    sizes = [len(group) + 3 for group in groups] or [1]
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(
            len(sizes), 1, height=4.5 * sum(sizes), gridspec_kw={"height_ratios": sizes}
        )
        for ax, group in zip(axes.ravel(), groups, strict=False):
            _draw_bars(ax, group)
        if not groups:
            say_if_empty(axes[0, 0], "no case with peers in this run")
    return figure


def _bars(measurements):
    """The measured times of cases with peers, with the columns panel, label and ours besides."""
    times = measurements[(measurements["metric"] == "time") & measurements["median"].notna()]
    own = {layers.FLOOR, layers.CONV, *OURS}
    peers = times[times["subject"].isin(PLOTTED) & ~times["implementation"].isin(own)]
    times = times[times["case"].isin(peers["case"])]
    references = times[times["implementation"].isin(REFERENCES)].set_index("case")["median"]
    alone = times["subject"] == "layers"
    return times.assign(
        panel=times["case"].where(alone, times["subject"].map(TITLES)),
        label=times["implementation"].where(alone, times["case"] + ": " + times["implementation"]),
        ours=times["case"].map(references),
    )


def _draw_bars(ax, bars):
    if bars["case"].nunique() == 1:
        bars = bars.sort_values("median")
    bars = bars.iloc[::-1]
    low, ratios, high = (bars[name] / bars["ours"] for name in ("low", "median", "high"))
    ax.barh(
        bars["label"],
        ratios - 1,
        left=1,
        xerr=[ratios - low, high - ratios],
        color=[_colour(name) for name in bars["implementation"]],
        ecolor="0.3",
        height=0.7,
    )
    values = zip(np.maximum(high, 1), bars["median"], bars["unit"], strict=True)
    for place, (end, median, unit) in enumerate(values):
        ax.text(end * 1.03, place, _number(median, unit), va="center", fontsize=6.5)
    ax.set(title=bars["panel"].iloc[0], xlabel="time, as a multiple of ours", xscale="log")
    ax.set_xlim(min(low.min() / 1.2, 0.8), max(high.max() * 1.5, 2))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.axvline(1, color=OURS_COLOUR, linewidth=0.8)
    ax.grid(visible=False, axis="y")


def _colour(implementation):
    if implementation in OURS:
        return OURS_COLOUR
    return FLOOR_COLOUR if implementation == layers.FLOOR else PEER_COLOUR
