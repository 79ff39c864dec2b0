"""Write one table of a study as CSV, Markdown, LaTeX and HTML."""

from functools import partial
from pathlib import Path

from freeconv.arguments import add_table_files, run_script
from freeconv.catalogue import STATISTICS
from freeconv.files import read_parquet, write_formats
from freeconv.history import SUMMARY_SCHEMA
from freeconv.tables import render


def add_arguments(parser):
    parser.add_argument("--summary", type=Path, required=True, help="summary of a study")
    parser.add_argument("--table", required=True, help="name of the table, e.g. translation_mnist")
    parser.add_argument("--statistic", choices=STATISTICS, required=True)
    add_table_files(parser, "--output")


def main(arguments):
    summary = read_parquet(arguments.summary, SUMMARY_SCHEMA)
    write_formats(arguments.output, partial(render, arguments.table, summary, arguments.statistic))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
