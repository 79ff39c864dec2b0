"""Write the tables of studies as CSV, Markdown, LaTeX and HTML, and their pages."""

import json
from pathlib import Path

import pandas as pd

from freeconv.analysis.frames import SCHEMAS
from freeconv.command_line import add_settings, read_settings, run_commands
from freeconv.io import read_parquet, whole_file
from freeconv.report.overview import Background, Records, render_overview
from freeconv.report.render import markdown, render
from freeconv.study import outputs


def add_table(parser):
    parser.add_argument(
        "--table", required=True, help="its name, e.g. comparison, pooled_median/translation_mnist"
    )
    parser.add_argument(
        "--frames", type=Path, nargs="+", required=True, help="records of the table (.parquet)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        nargs="+",
        required=True,
        help="files to write, whose endings name the formats: .csv, .md, .tex, .html",
    )


def table(arguments):
    """Write one table of a study in several formats."""
    schema = SCHEMAS[outputs.table(arguments.table).frame]
    frame = pd.concat([read_parquet(path, schema) for path in arguments.frames])
    for path in arguments.output:
        _write(path, render(arguments.table, frame, path.suffix.removeprefix(".")))


def add_overview(parser):
    add_settings(parser, Background, "--background")
    for name in Records.__dataclass_fields__:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} of the study")
    parser.add_argument(
        "--picture",
        nargs=3,
        action="append",
        default=[],
        metavar=("DATASET", "CONCLUSION", "FILE"),
        help="figure (.png) shown beside a conclusion, by its number; repeatable",
    )
    parser.add_argument(
        "--links",
        type=json.loads,
        default={},
        help="heading -> title -> address of what lies beside the page (JSON)",
    )
    parser.add_argument("--output", type=Path, required=True, help="page to write (.html)")


def overview(arguments):
    """Write the overview of a study: verdicts, comparison with the paper, and provenance."""
    frames = {
        name: read_parquet(getattr(arguments, name), SCHEMAS[name])
        for name in Records.__dataclass_fields__
    }
    background = read_settings(Background, arguments.background)
    pictures = {
        (dataset, int(number)): Path(path).read_bytes()
        for dataset, number, path in arguments.picture
    }
    page = render_overview(background, Records(**frames), pictures, arguments.links)
    _write(arguments.output, page)


def add_explorer(parser):
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--history", type=Path, required=True, help="history of the study")
    parser.add_argument(
        "--titles", type=json.loads, default={}, help="model -> title (JSON; default: their names)"
    )
    parser.add_argument("--output", type=Path, required=True, help="page to write (.html)")


def explorer(arguments):
    """Write the page on which the curves of a study are chosen and compared."""
    from freeconv.report.explorer import render_explorer

    history = read_parquet(arguments.history, SCHEMAS["history"])
    _write(arguments.output, render_explorer(arguments.study, history, arguments.titles))


def add_evidence(parser):
    for name, what in (
        ("comparison", "a study's numbers beside the published ones"),
        ("conclusions", "its verdicts"),
        ("history", "its epochs"),
    ):
        parser.add_argument(
            f"--{name}",
            nargs=2,
            action="append",
            required=True,
            metavar=("STUDY", "FILE"),
            help=what,
        )
    parser.add_argument("--output", type=Path, required=True, help="page to write (.md)")


def evidence(arguments):
    """Write what several studies say of the paper together: conclusions, numbers, effort."""
    from freeconv.report.evidence import evidence as tables_of

    frames = [
        {study: read_parquet(path, SCHEMAS[name]) for study, path in getattr(arguments, name)}
        for name in ("comparison", "conclusions", "history")
    ]
    _write(arguments.output, markdown(tables_of(*frames)))


def _write(path, text):
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_commands(
        __doc__,
        table=(add_table, table),
        overview=(add_overview, overview),
        explorer=(add_explorer, explorer),
        evidence=(add_evidence, evidence),
    )
