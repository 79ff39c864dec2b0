"""Write the table of a study's networks as CSV, Markdown, LaTeX and HTML."""

from functools import partial
from pathlib import Path

import pandas as pd

from freeconv.arguments import add_table_files, run_script
from freeconv.files import read_parquet, write_formats
from freeconv.history import NETWORKS_SCHEMA
from freeconv.tables import render_architectures


def add_arguments(parser):
    parser.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="layers, of every data set"
    )
    add_table_files(parser, "--output")


def main(arguments):
    networks = pd.concat([read_parquet(path, NETWORKS_SCHEMA) for path in arguments.networks])
    write_formats(arguments.output, partial(render_architectures, networks))


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
