"""Train one run: write the history of its epochs, its best epoch's model, and how that does."""

from pathlib import Path

from freeconv.command_line import add_device, add_extension, add_settings, read_settings, run_script
from freeconv.errors import InputError
from freeconv.io import marked_as_running
from freeconv.study.extensions import load
from freeconv.study.settings import EvaluationSettings, RunSettings


def add_arguments(parser):
    add_settings(parser, RunSettings)
    add_extension(parser)
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--folds", type=Path, required=True, help="folds (.parquet)")
    add_device(parser)
    parser.add_argument("--history", type=Path, required=True, help="history to write (.parquet)")
    parser.add_argument("--model-file", type=Path, help="model to write (.keras); none without it")
    parser.add_argument(
        "--evaluation",
        type=Path,
        help="evaluation of the model to write (.parquet), as evaluate.py does; none without it",
    )
    add_settings(parser, EvaluationSettings, "--evaluation-settings", required=False)
    parser.add_argument(
        "--evaluation-extension", type=Path, help="the extension, if the evaluation needs it"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="file (.npz) to resume from after an interruption, deleted at the end",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        default=60,
        help="at least this long between two checkpoints; 0: one an epoch (default: 60)",
    )


def main(arguments):
    if bool(arguments.evaluation) != bool(arguments.evaluation_settings):
        raise InputError("--evaluation and --evaluation-settings: only together")
    with marked_as_running(arguments.history):
        _train(arguments)


def _train(arguments):
    # Imported here so that --help and errors in the arguments do not wait for it, and Keras only
    # once its backend is chosen.
    from freeconv.training.devices import use_device

    settings = read_settings(RunSettings, arguments.settings)
    request = arguments.evaluation and read_settings(
        EvaluationSettings, arguments.evaluation_settings
    )
    device = use_device(arguments.device, arguments.threads, settings.backend, arguments.gpu_share)
    for extension in {arguments.extension, arguments.evaluation_extension} - {None}:
        load(extension)

    from freeconv.data.folds import read_splits
    from freeconv.io import whole_file, write_parquet
    from freeconv.results.components import training_code
    from freeconv.results.provenance import describe_origin
    from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA
    from freeconv.training.checkpoint import Checkpoint
    from freeconv.training.evaluate import evaluate_trained
    from freeconv.training.train import train_run

    splits = read_splits(arguments.data, arguments.folds, settings.fold)
    origin = describe_origin(settings, splits, device, training_code(settings, arguments.extension))
    checkpoint = None
    if arguments.checkpoint:
        checkpoint = Checkpoint(arguments.checkpoint, origin, arguments.checkpoint_seconds)
    run = train_run(settings, splits, checkpoint)
    if arguments.model_file:
        with whole_file(arguments.model_file) as partial:
            run.model.save(partial)
    if request:
        evaluation, evaluated = evaluate_trained(
            request,
            run.model,
            run.history,
            origin,
            splits,
            device,
            arguments.evaluation_extension,
        )
        write_parquet(evaluation, arguments.evaluation, EVALUATION_SCHEMA, evaluated)
    write_parquet(run.history, arguments.history, HISTORY_SCHEMA, origin)
    if checkpoint:
        checkpoint.remove()


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
