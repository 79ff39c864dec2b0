"""Join records, settings and provenance of all cells of a study, and summarise the records."""

import logging
from pathlib import Path

import pandas as pd

from freeconv.arguments import run_script
from freeconv.files import read_metadata, read_parquet, write_parquet
from freeconv.history import (
    EVALUATION_SCHEMA,
    HISTORY_SCHEMA,
    PROVENANCE_SCHEMA,
    SETTINGS_SCHEMA,
    SUMMARY_SCHEMA,
)
from freeconv.provenance import flatten_run
from freeconv.summary import summarise


def add_arguments(parser):
    parser.add_argument(
        "--cells",
        type=Path,
        nargs="+",
        required=True,
        help="folders of all cells, with history.parquet and evaluation.parquet each",
    )
    parser.add_argument("--history", type=Path, required=True, help="joined histories to write")
    parser.add_argument(
        "--evaluation", type=Path, required=True, help="joined evaluations to write"
    )
    parser.add_argument(
        "--settings", type=Path, required=True, help="settings to write, a row a cell"
    )
    parser.add_argument(
        "--provenance", type=Path, required=True, help="versions and devices to write, a row a cell"
    )
    parser.add_argument("--summary", type=Path, required=True, help="summary to write")


def main(arguments):
    histories = [folder / "history.parquet" for folder in arguments.cells]
    evaluations = [folder / "evaluation.parquet" for folder in arguments.cells]
    history = _joined(histories, HISTORY_SCHEMA)
    runs = [read_metadata(path) for path in histories]
    settings = pd.DataFrame([run["settings"] for run in runs])
    provenance = pd.DataFrame([flatten_run(run) for run in runs])
    write_parquet(history, arguments.history, HISTORY_SCHEMA)
    write_parquet(_joined(evaluations, EVALUATION_SCHEMA), arguments.evaluation, EVALUATION_SCHEMA)
    write_parquet(settings, arguments.settings, SETTINGS_SCHEMA)
    write_parquet(provenance, arguments.provenance, PROVENANCE_SCHEMA)
    write_parquet(summarise(history), arguments.summary, SUMMARY_SCHEMA)
    logging.info("%d cells, %d epochs", len(arguments.cells), (history["epoch"] > 0).sum())


def _joined(paths, schema):
    return pd.concat([read_parquet(path, schema) for path in paths], ignore_index=True)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
