"""Gather the trials of a hyperparameter search, as records and as a table."""

import logging
from functools import partial
from pathlib import Path

from freeconv.arguments import add_table_files, run_script
from freeconv.files import read_metadata, read_parquet, write_formats, write_parquet
from freeconv.history import HISTORY_SCHEMA, SEARCH_SCHEMA
from freeconv.search import search_records
from freeconv.tables import render_search


def add_arguments(parser):
    parser.add_argument(
        "--histories", type=Path, nargs="+", required=True, help="histories of all trials"
    )
    parser.add_argument("--records", type=Path, required=True, help="trials to write (.parquet)")
    add_table_files(parser, "--tables")


def main(arguments):
    histories = [read_parquet(path, HISTORY_SCHEMA) for path in arguments.histories]
    settings = [read_metadata(path)["settings"] for path in arguments.histories]
    records = search_records(list(zip(settings, histories, strict=True)))
    write_parquet(records, arguments.records, SEARCH_SCHEMA)
    write_formats(arguments.tables, partial(render_search, records))
    logging.info("%d trials, %d diverged", len(records), records["diverged"].sum())


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
