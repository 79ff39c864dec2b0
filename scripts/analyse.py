"""From the records of runs to the frames that tables and figures are made from."""

import logging
from pathlib import Path

import pandas as pd

from freeconv.analysis.comparison import compare
from freeconv.analysis.conclusions import conclude
from freeconv.analysis.frames import SCHEMAS
from freeconv.analysis.gates import chance_levels
from freeconv.analysis.search import search_records
from freeconv.analysis.sharing_degrees import degrees_of_sharing
from freeconv.analysis.summary import summarise
from freeconv.command_line import run_commands
from freeconv.io import read_metadata, read_parquet, write_parquet
from freeconv.results.checks import check_evaluation, check_history, check_mixture
from freeconv.results.provenance import flatten_origin
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA


def add_aggregate(parser):
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="+",
        required=True,
        help="folders of all runs, with history.parquet and evaluation.parquet each",
    )
    for name in ("history", "evaluation", "settings", "provenance", "summary"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="file to write (.parquet)")


def aggregate(arguments):
    """Join records, settings and provenance of all runs of a study, and summarise the records."""
    origins, histories, evaluations = {}, [], []
    for folder in arguments.runs:
        path = folder / "history.parquet"
        origin, history, evaluation = _read_run(path, folder / "evaluation.parquet")
        origins[path] = origin
        fold_count = origin["settings"]["fold_count"]
        histories.append(history.assign(fold_count=fold_count))
        evaluations.append(evaluation.assign(fold_count=fold_count))
    check_mixture(origins)
    history = pd.concat(histories, ignore_index=True)
    frames = {
        "history": history,
        "evaluation": pd.concat(evaluations, ignore_index=True),
        "settings": pd.DataFrame([origin["settings"] for origin in origins.values()]),
        "provenance": pd.DataFrame([flatten_origin(origin) for origin in origins.values()]),
        "summary": summarise(history),
    }
    for name, frame in frames.items():
        write_parquet(frame, getattr(arguments, name), SCHEMAS[name])
    logging.info("%d runs, %d epochs", len(origins), (history["epoch"] > 0).sum())


def _read_run(history_path, evaluation_path):
    """What a history keeps, its rows, and those of the evaluation; or an error."""
    origin = read_metadata(history_path)
    history = read_parquet(history_path, HISTORY_SCHEMA)
    check_history(history_path, history, origin)
    evaluation = read_parquet(evaluation_path, EVALUATION_SCHEMA)
    evaluated = read_metadata(evaluation_path)
    check_evaluation(evaluation_path, evaluation, evaluated, history, origin)
    return origin, history, evaluation


def add_study_records(parser):
    parser.add_argument("--history", type=Path, required=True, help="joined history of a study")
    parser.add_argument("--settings", type=Path, required=True, help="settings of its runs")
    _add_output(parser)


def comparison(arguments):
    """Compare a study with the numbers that the paper published."""
    frame = compare(*_read_study(arguments))
    write_parquet(frame, arguments.output, SCHEMAS["comparison"])
    counts = frame["verdict"].value_counts().to_dict()
    logging.info("%d published numbers: %s", len(frame), counts)


def add_conclusions(parser):
    parser.add_argument(
        "--evaluation", type=Path, required=True, help="joined evaluations of a study"
    )
    add_study_records(parser)


def conclusions(arguments):
    """Test the conclusions of the paper on a study."""
    chance = chance_levels(read_parquet(arguments.evaluation, SCHEMAS["evaluation"]))
    frame = conclude(*_read_study(arguments), chance)
    write_parquet(frame, arguments.output, SCHEMAS["conclusions"])
    logging.info("%d criteria: %s", len(frame), frame["verdict"].value_counts().to_dict())


def add_sharing(parser):
    parser.add_argument(
        "--networks", type=Path, nargs="+", required=True, help="layers of the networks (.parquet)"
    )
    parser.add_argument("--evaluation", type=Path, required=True, help="of all runs (.parquet)")
    add_study_records(parser)


def sharing(arguments):
    """Relate the accuracies of a study's networks to their degree of weight sharing."""
    networks = pd.concat(read_parquet(path, SCHEMAS["networks"]) for path in arguments.networks)
    evaluation = read_parquet(arguments.evaluation, SCHEMAS["evaluation"])
    frame = degrees_of_sharing(*_read_study(arguments), networks, evaluation)
    write_parquet(frame, arguments.output, SCHEMAS["sharing"])


def add_search(parser):
    parser.add_argument(
        "--histories", type=Path, nargs="+", required=True, help="histories of all trials"
    )
    _add_output(parser)


def search(arguments):
    """Gather the trials of a hyperparameter search."""
    histories = [read_parquet(path, HISTORY_SCHEMA) for path in arguments.histories]
    settings = [read_metadata(path)["settings"] for path in arguments.histories]
    frame = search_records(list(zip(settings, histories, strict=True)))
    write_parquet(frame, arguments.output, SCHEMAS["search"])
    logging.info("%d trials, %d diverged", len(frame), frame["diverged"].sum())


def _add_output(parser):
    parser.add_argument("--output", type=Path, required=True, help="file to write (.parquet)")


def _read_study(arguments):
    return tuple(read_parquet(getattr(arguments, n), SCHEMAS[n]) for n in ("history", "settings"))


if __name__ == "__main__":
    run_commands(
        __doc__,
        aggregate=(add_aggregate, aggregate),
        comparison=(add_study_records, comparison),
        conclusions=(add_conclusions, conclusions),
        sharing=(add_sharing, sharing),
        search=(add_search, search),
    )
