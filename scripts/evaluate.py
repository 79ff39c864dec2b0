"""Evaluate the best epoch's model of one cell on its validation fold, under perturbations."""

from pathlib import Path

from freeconv.arguments import add_device, add_extension, run_script
from freeconv.extensions import load


def add_arguments(parser):
    parser.add_argument(
        "--history", type=Path, required=True, help="history of the cell (.parquet)"
    )
    parser.add_argument("--model-file", type=Path, required=True, help="its model (.keras)")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set (.npy)")
    parser.add_argument("--folds", type=Path, required=True, help="folds (.parquet)")
    parser.add_argument(
        "--strengths",
        action="append",
        default=[],
        nargs="+",
        metavar=("PERTURBATION", "STRENGTH"),
        help="a perturbation and the strengths it is measured at; may be given several times",
    )
    add_extension(parser)
    parser.add_argument("--seed", type=int, required=True, help="of the perturbations")
    add_device(parser)
    parser.add_argument("--output", type=Path, required=True, help="evaluation to write (.parquet)")


def main(arguments):
    # Imported here so that --help and errors in the arguments do not wait for it, and Keras only
    # once its backend is chosen.
    from freeconv.devices import use_device
    from freeconv.files import read_header, read_parquet, write_parquet
    from freeconv.fingerprints import evaluation_code
    from freeconv.history import EVALUATION_SCHEMA, HISTORY_SCHEMA
    from freeconv.selection import best_epoch
    from freeconv.study import CellSettings

    history = read_parquet(arguments.history, HISTORY_SCHEMA)
    training = read_header(arguments.history, HISTORY_SCHEMA)
    settings = CellSettings(**training["settings"])
    device = use_device(arguments.device, arguments.threads, settings.backend, arguments.gpu_share)
    if arguments.extension:
        load(arguments.extension)

    from freeconv.evaluation import evaluate_model, sweep_conditions
    from freeconv.models import load_model
    from freeconv.provenance import describe_run
    from freeconv.splits import read_splits
    from freeconv.validity import evaluation_request, training_identity

    request = evaluation_request(
        {kind: values for kind, *values in arguments.strengths}, arguments.seed
    )
    splits = read_splits(arguments.data, arguments.folds, settings.fold)
    evaluation = evaluate_model(
        settings,
        load_model(arguments.model_file),
        best_epoch(history),
        splits.validation,
        sweep_conditions(request["strengths"]),
        request["seed"],
    )
    run = {
        **describe_run(settings, splits, device, evaluation_code(settings, arguments.extension)),
        "training": training_identity(training),
        "evaluation": request,
    }
    write_parquet(evaluation, arguments.output, EVALUATION_SCHEMA, run)


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
