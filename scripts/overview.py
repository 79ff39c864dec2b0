"""Write the overview of a study: verdicts, comparison with the paper, and provenance."""

from pathlib import Path

from freeconv.arguments import add_arguments as add_fields
from freeconv.arguments import parse_settings, run_script
from freeconv.files import read_parquet, whole_file
from freeconv.history import (
    COMPARISON_SCHEMA,
    CONCLUSIONS_SCHEMA,
    HISTORY_SCHEMA,
    PROVENANCE_SCHEMA,
    SETTINGS_SCHEMA,
)
from freeconv.overview import Background, Records, render_overview

SCHEMAS = {
    "history": HISTORY_SCHEMA,
    "settings": SETTINGS_SCHEMA,
    "provenance": PROVENANCE_SCHEMA,
    "comparison": COMPARISON_SCHEMA,
    "conclusions": CONCLUSIONS_SCHEMA,
}


def add_arguments(parser):
    add_fields(parser, Background)
    for name in SCHEMAS:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name} of the study")
    parser.add_argument("--output", type=Path, required=True, help="page to write (.html)")


def main(arguments):
    frames = {
        name: read_parquet(getattr(arguments, name), schema) for name, schema in SCHEMAS.items()
    }
    text = render_overview(parse_settings(Background, arguments), Records(**frames))
    with whole_file(arguments.output) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
