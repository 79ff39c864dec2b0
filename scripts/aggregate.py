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
from freeconv.integrity import check_evaluation, check_history, check_mixture
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
        "--settings", type=Path, required=True, help="settings to write, one row per cell"
    )
    parser.add_argument(
        "--provenance",
        type=Path,
        required=True,
        help="versions, devices to write, one row per cell",
    )
    parser.add_argument("--summary", type=Path, required=True, help="summary to write")


def main(arguments):
    runs, histories, evaluations = {}, [], []
    for folder in arguments.cells:
        path = folder / "history.parquet"
        run, history, evaluation = _read_cell(path, folder / "evaluation.parquet")
        runs[path] = run
        histories.append(history)
        evaluations.append(evaluation)
    check_mixture(runs)
    history = pd.concat(histories, ignore_index=True)
    evaluation = pd.concat(evaluations, ignore_index=True)
    settings = pd.DataFrame([run["settings"] for run in runs.values()])
    provenance = pd.DataFrame([flatten_run(run) for run in runs.values()])
    write_parquet(history, arguments.history, HISTORY_SCHEMA)
    write_parquet(evaluation, arguments.evaluation, EVALUATION_SCHEMA)
    write_parquet(settings, arguments.settings, SETTINGS_SCHEMA)
    write_parquet(provenance, arguments.provenance, PROVENANCE_SCHEMA)
    write_parquet(summarise(history), arguments.summary, SUMMARY_SCHEMA)
    logging.info("%d cells, %d epochs", len(runs), (history["epoch"] > 0).sum())


def _read_cell(history_path, evaluation_path):
    """What a history keeps, its rows, and those of the evaluation; or an error."""
    run = read_metadata(history_path)
    history = read_parquet(history_path, HISTORY_SCHEMA)
    check_history(history_path, history, run)
    evaluation = read_parquet(evaluation_path, EVALUATION_SCHEMA)
    evaluated = read_metadata(evaluation_path)
    check_evaluation(evaluation_path, evaluation, evaluated, history, run)
    return run, history, evaluation


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
