"""Measurements and comparisons as Parquet and as Markdown tables."""

import numpy as np
import pandas as pd
import pyarrow as pa

from freeconv.io import put_between, read_metadata, read_parquet, whole_file, write_parquet

MEASUREMENTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("subject", "case", "implementation", "metric")),
        *((name, pa.float64()) for name in ("median", "low", "high")),
        ("repetitions", pa.int64()),
        ("unit", pa.string()),
        ("note", pa.string()),
    ]
)

COMPARISONS_SCHEMA = pa.schema(
    [
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
    "layers": "Layers, forward and backward",
    "epochs": "Training epochs",
    "costs": "Processes: time, processor time, memory",
}

BEGIN, END = "<!-- figures of make bench: begin -->", "<!-- figures of make bench: end -->"
"""Between these lines of a document the tables of a run are put."""


def compare(aims, measurements):
    """Judge what was measured by what is aimed at.

    Args:
        aims: list of `harness.Aim`.
        measurements: list of `harness.Measurement`.

    Returns:
        List of rows by `COMPARISONS_SCHEMA`: `value` is a ratio of two medians (`unit` is then
        empty) or a median, `verdict` is `met`, `missed`, `not measured`, or empty without a limit.
    """
    found = {
        (row.case, row.metric, row.implementation): row
        for row in measurements
        if row.median is not None
    }
    return [_compare(aim, found) for aim in aims]


def _compare(aim, found):
    above, below = (
        min(
            (
                found[aim.case, aim.metric, name]
                for name in names
                if (aim.case, aim.metric, name) in found
            ),
            key=lambda row: row.median,
            default=None,
        )
        for names in (aim.above, aim.below)
    )
    value, unit = None, ""
    if above and below:
        value = above.median / below.median
    elif above and not aim.below:
        value, unit = above.median, above.unit
    return aim.case, aim.words, value, unit, aim.side, aim.limit, _verdict(value, aim)


def _verdict(value, aim):
    if aim.limit is None:
        return ""
    if value is None:
        return "not measured"
    met = value <= aim.limit if aim.side == "at most" else value >= aim.limit
    return "met" if met else "missed"


def write_records(folder, measurements, compared, machine):
    """Write what was measured and what follows from it, with the machine in their metadata."""
    tables = {
        "measurements": (measurements, MEASUREMENTS_SCHEMA),
        "comparisons": (compared, COMPARISONS_SCHEMA),
    }
    for name, (rows, schema) in tables.items():
        frame = pd.DataFrame(rows, columns=schema.names)
        write_parquet(frame, folder / f"{name}.parquet", schema, machine)


def render(folder):
    """Write `benchmarks.md` from the records in a folder, and return its text."""
    path = folder / "measurements.parquet"
    measurements = read_parquet(path, MEASUREMENTS_SCHEMA)
    compared = read_parquet(folder / "comparisons.parquet", COMPARISONS_SCHEMA)
    parts = [_machine_words(read_metadata(path)), "### Comparisons", _comparison_table(compared)]
    for subject, rows in measurements.groupby("subject", sort=False):
        parts += [f"### {TITLES[subject]}", _measurement_table(rows)]
    text = "\n\n".join(parts) + "\n"
    with whole_file(folder / "benchmarks.md") as partial:
        partial.write_text(text, encoding="utf-8")
    return text


def insert(text, document):
    """Put the tables of a run into a document, between the lines `BEGIN` and `END`.

    Raises:
        InputError: if the document lacks these lines.
    """
    put_between(document, BEGIN, END, text)


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
            "value": list(map(_number, compared["value"], compared["unit"])),
            "aim": [
                "" if np.isnan(limit) else f"{side} {limit:,g} {unit}".strip()
                for side, limit, unit in compared[["side", "limit", "unit"]].itertuples(index=False)
            ],
            "verdict": compared["verdict"],
        }
    )
    return table.to_markdown(index=False, disable_numparse=True)


def _measurement_table(rows):
    table = pd.DataFrame(
        {
            # A case is named in its first row alone.
            "case": rows["case"].mask(rows["case"].duplicated(), ""),
            "implementation": rows["implementation"],
            "metric": rows["metric"],
            "median": list(map(_number, rows["median"], rows["unit"])),
            "quartiles": [
                "" if np.isnan(low) else f"{low:.3g} to {high:.3g}"
                for low, high in zip(rows["low"], rows["high"], strict=True)
            ],
            "of": rows["repetitions"].astype(str),
            "note": rows["note"],
        }
    )
    return table.to_markdown(index=False, disable_numparse=True)


def _number(value, unit):
    if np.isnan(value):
        return "-"
    digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()
