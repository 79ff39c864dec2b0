"""Compare a study with the paper's published numbers, as records and as a table."""

import logging
from functools import partial
from pathlib import Path

from freeconv.arguments import add_table_files, run_script
from freeconv.comparison import compare
from freeconv.files import read_parquet, write_formats, write_parquet
from freeconv.findings import render_comparison
from freeconv.history import COMPARISON_SCHEMA, HISTORY_SCHEMA, SETTINGS_SCHEMA


def add_arguments(parser):
    parser.add_argument("--history", type=Path, required=True, help="joined history of a study")
    parser.add_argument("--settings", type=Path, required=True, help="settings of its cells")
    parser.add_argument(
        "--records", type=Path, required=True, help="comparison to write (.parquet)"
    )
    add_table_files(parser, "--tables")


def main(arguments):
    history = read_parquet(arguments.history, HISTORY_SCHEMA)
    settings = read_parquet(arguments.settings, SETTINGS_SCHEMA)
    comparison = compare(history, settings)
    write_parquet(comparison, arguments.records, COMPARISON_SCHEMA)
    write_formats(arguments.tables, partial(render_comparison, comparison))
    counts = comparison["verdict"].value_counts().to_dict()
    logging.info("%d published numbers: %s", len(comparison), counts)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
