"""Write the table of a study's networks as CSV, Markdown and LaTeX."""

from pathlib import Path

import pandas as pd

from freeconv.arguments import run_script
from freeconv.files import read_parquet, whole_file
from freeconv.history import NETWORKS_SCHEMA
from freeconv.tables import render_architectures


def add_arguments(parser):
    parser.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="layers, of every data set"
    )
    parser.add_argument(
        "--output", type=Path, nargs="+", required=True, help="files to write: .csv, .md, .tex"
    )


def main(arguments):
    networks = pd.concat([read_parquet(path, NETWORKS_SCHEMA) for path in arguments.networks])
    for path in arguments.output:
        text = render_architectures(networks, path.suffix.removeprefix("."))
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
