"""Evaluate the best epoch's model of one run on its validation fold, under perturbations."""

from pathlib import Path

from freeconv.command_line import add_device, add_extension, add_settings, read_settings, run_script
from freeconv.io import marked_as_running
from freeconv.study.extensions import load
from freeconv.study.settings import EvaluationSettings, RunSettings


def add_arguments(parser):
    parser.add_argument("--history", type=Path, required=True, help="history of the run (.parquet)")
    parser.add_argument("--model-file", type=Path, required=True, help="its model (.keras)")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--folds", type=Path, required=True, help="folds (.parquet)")
    add_settings(parser, EvaluationSettings)
    add_extension(parser)
    add_device(parser)
    parser.add_argument("--output", type=Path, required=True, help="evaluation to write (.parquet)")


def main(arguments):
    with marked_as_running(arguments.output):
        _evaluate(arguments)


def _evaluate(arguments):
    # Imported here so that --help and errors in the arguments do not wait for it, and Keras only
    # once its backend is chosen.
    from freeconv.io import read_header, read_parquet, write_parquet
    from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA
    from freeconv.training.devices import use_device

    request = read_settings(EvaluationSettings, arguments.settings)
    history = read_parquet(arguments.history, HISTORY_SCHEMA)
    training = read_header(arguments.history, HISTORY_SCHEMA)
    settings = RunSettings(**training["settings"])
    device = use_device(arguments.device, arguments.threads, settings.backend, arguments.gpu_share)
    if arguments.extension:
        load(arguments.extension)

    from freeconv.data.folds import read_splits
    from freeconv.training.evaluate import evaluate_trained
    from freeconv.training.models import load_model

    splits = read_splits(arguments.data, arguments.folds, settings.fold)
    evaluation, origin = evaluate_trained(
        request,
        load_model(arguments.model_file),
        history,
        training,
        splits,
        device,
        arguments.extension,
    )
    write_parquet(evaluation, arguments.output, EVALUATION_SCHEMA, origin)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
