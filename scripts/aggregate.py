"""Join the records of all cells of a study, and summarise them."""

import logging
from pathlib import Path

import pandas as pd

from freeconv.arguments import run_script
from freeconv.files import read_parquet, write_parquet
from freeconv.history import EVALUATION_SCHEMA, HISTORY_SCHEMA, SUMMARY_SCHEMA
from freeconv.summary import summarise


def add_arguments(parser):
    parser.add_argument("--histories", type=Path, nargs="+", required=True, help="of every cell")
    parser.add_argument("--evaluations", type=Path, nargs="+", required=True, help="of every cell")
    parser.add_argument("--history", type=Path, required=True, help="joined histories to write")
    parser.add_argument(
        "--evaluation", type=Path, required=True, help="joined evaluations to write"
    )
    parser.add_argument("--summary", type=Path, required=True, help="summary to write")


def main(arguments):
    history = _joined(arguments.histories, HISTORY_SCHEMA)
    evaluation = _joined(arguments.evaluations, EVALUATION_SCHEMA)
    write_parquet(history, arguments.history, HISTORY_SCHEMA)
    write_parquet(evaluation, arguments.evaluation, EVALUATION_SCHEMA)
    write_parquet(summarise(history), arguments.summary, SUMMARY_SCHEMA)
    logging.info("%d cells, %d epochs", len(arguments.histories), (history["epoch"] > 0).sum())


def _joined(paths, schema):
    return pd.concat([read_parquet(path, schema) for path in paths], ignore_index=True)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
