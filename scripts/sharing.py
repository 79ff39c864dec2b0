"""Set the accuracies of a study's networks beside their degree of weight sharing."""

from functools import partial
from pathlib import Path

import pandas as pd

from freeconv.arguments import add_table_files, run_script
from freeconv.files import read_parquet, write_formats, write_parquet
from freeconv.findings import render_sharing
from freeconv.history import HISTORY_SCHEMA, NETWORKS_SCHEMA, SETTINGS_SCHEMA, SHARING_SCHEMA
from freeconv.sharing import degrees_of_sharing


def add_arguments(parser):
    parser.add_argument("--history", type=Path, required=True, help="all epochs (.parquet)")
    parser.add_argument("--settings", type=Path, required=True, help="of all cells (.parquet)")
    parser.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="layers of the networks (.parquet)"
    )
    parser.add_argument("--records", type=Path, required=True, help="one row per cell (.parquet)")
    add_table_files(parser, "--tables")


def main(arguments):
    records = degrees_of_sharing(
        read_parquet(arguments.history, HISTORY_SCHEMA),
        read_parquet(arguments.settings, SETTINGS_SCHEMA),
        pd.concat(read_parquet(path, NETWORKS_SCHEMA) for path in arguments.networks),
    )
    write_parquet(records, arguments.records, SHARING_SCHEMA)
    write_formats(arguments.tables, partial(render_sharing, records))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
