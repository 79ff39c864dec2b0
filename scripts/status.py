"""Look at single results: show one run, export runs, or declare results valid after a change."""

import logging
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from freeconv.command_line import add_extension, run_commands
from freeconv.errors import InputError
from freeconv.io import read_metadata, read_parquet, whole_file, write_parquet
from freeconv.results.components import evaluation_code, training_code
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA
from freeconv.study.settings import RunSettings


def add_show(parser):
    parser.add_argument("history", type=Path, help="history of a run or a trial (.parquet)")
    parser.add_argument("--picture", type=Path, help="file to draw the curves to: .png or .svg")


def show(arguments):
    """Show one run in the terminal: settings, best epoch, accuracies, curves; and as a picture."""
    from freeconv.plots.single_run import curves_as_text, describe_run, draw_run, read_run
    from freeconv.plots.style import save

    history, origin = read_run(arguments.history)
    if arguments.picture:
        with whole_file(arguments.picture) as partial:
            save(draw_run(history), partial)
    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no dots gets question marks
    # The labels of the axis stand beside the curves.
    width = max(20, min(100, shutil.get_terminal_size().columns - 16))
    print(describe_run(history, origin))
    print(curves_as_text(history, width))


def add_export(parser):
    parser.add_argument("histories", type=Path, nargs="+", help="histories of runs (.parquet)")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="log directory to write to")
    parser.add_argument("--mlflow", type=Path, metavar="DIR", help="store of runs to write to")
    parser.add_argument("--study", default="freeconv", help="MLflow's experiment")


def export(arguments):
    """Write runs for other tools to read: TensorBoard, MLflow."""
    from freeconv.results.exports import to_mlflow, to_tensorboard

    if not (arguments.tensorboard or arguments.mlflow):
        raise InputError("nothing to write; expected --tensorboard DIR, --mlflow DIR, or both")
    for path in arguments.histories:
        history, settings = read_parquet(path, HISTORY_SCHEMA), read_metadata(path)["settings"]
        if arguments.tensorboard:
            to_tensorboard(history, settings, arguments.tensorboard)
        if arguments.mlflow:
            to_mlflow(history, settings, arguments.study, arguments.mlflow)
    logging.info("%d runs written", len(arguments.histories))


def add_accept(parser):
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        help="histories and evaluations, of runs whole: an evaluation names its history's code",
    )
    add_extension(parser)
    parser.add_argument("--why", required=True, help="why the numbers are the same")


def accept(arguments):
    """Declare results valid although code changed, since the change does not alter their numbers.

    For changes of form, such as a renamed variable. The files record who said so: why, when, and
    which code had computed them. Retrain and compare some runs before you say it of all.
    """
    date = datetime.now(UTC).date().isoformat()
    changed = [_accept(path, arguments.why, date, arguments.extension) for path in arguments.files]
    logging.info("%d files, %d of them changed", len(changed), sum(changed))


def _accept(path, why, date, extension):
    """Give a file the code of today; whether it had another."""
    origin = read_metadata(path)
    if not {"settings", "code"} <= origin.keys():
        raise InputError(f"{path}: does not say what it was computed from; run it again")
    settings = RunSettings(**origin["settings"])
    evaluates = "evaluation" in origin
    code_of = evaluation_code if evaluates else training_code
    accepted = {**origin, "code": code_of(settings, _extension_of(path, origin, extension))}
    if evaluates:
        code = training_code(settings, _extension_of(path, origin["training"], extension))
        accepted["training"] = {**origin["training"], "code": code}
    if accepted == origin:
        return False
    note = {"date": date, "why": why, "code": origin["code"]}
    accepted["accepted"] = [*origin.get("accepted", []), note]
    schema = EVALUATION_SCHEMA if evaluates else HISTORY_SCHEMA
    write_parquet(read_parquet(path, schema), path, schema, accepted)
    return True


def _extension_of(path, origin, extension):
    """The extension, where a result was computed by it."""
    if "extension" not in origin["code"]:
        return None
    if extension is None:
        raise InputError(f"{path}: computed by an extension, too; name it by --extension")
    return extension


if __name__ == "__main__":
    run_commands(
        __doc__,
        show=(add_show, show),
        export=(add_export, export),
        accept=(add_accept, accept),
    )
