"""Declare results valid although code changed, since the change does not alter their numbers.

For changes of form: a renamed function, a module split in two. The files record who said so: why,
when, and which code had computed them. Compare some cells, trained again, before you say it of all.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

from freeconv.arguments import add_extension, run_script
from freeconv.errors import InputError
from freeconv.files import read_metadata, read_parquet, write_parquet
from freeconv.fingerprints import evaluation_code, training_code
from freeconv.history import EVALUATION_SCHEMA, HISTORY_SCHEMA
from freeconv.study import CellSettings


def add_arguments(parser):
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        help="histories and evaluations, of cells whole: an evaluation names its history's code",
    )
    add_extension(parser)
    parser.add_argument("--why", required=True, help="why the numbers are the same")


def main(arguments):
    date = datetime.now(UTC).date().isoformat()
    changed = [_accept(path, arguments.why, date, arguments.extension) for path in arguments.files]
    logging.info("%d files, %d of them changed", len(changed), sum(changed))


def _accept(path, why, date, extension):
    """Give a file the code of today; whether it had another."""
    run = read_metadata(path)
    if not {"settings", "code"} <= run.keys():
        raise InputError(f"{path}: does not say what it was computed from; run it again")
    settings = CellSettings(**run["settings"])
    evaluates = "evaluation" in run
    code_of = evaluation_code if evaluates else training_code
    accepted = {**run, "code": code_of(settings, _extension_of(path, run, extension))}
    if evaluates:
        code = training_code(settings, _extension_of(path, run["training"], extension))
        accepted["training"] = {**run["training"], "code": code}
    if accepted == run:
        return False
    note = {"date": date, "why": why, "code": run["code"]}
    accepted["accepted"] = [*run.get("accepted", []), note]
    schema = EVALUATION_SCHEMA if evaluates else HISTORY_SCHEMA
    write_parquet(read_parquet(path, schema), path, schema, accepted)
    return True


def _extension_of(path, run, extension):
    """The extension, where a result was computed by it."""
    if "extension" not in run["code"]:
        return None
    if extension is None:
        raise InputError(f"{path}: computed by an extension, too; name it by --extension")
    return extension


if __name__ == "__main__":
    run_script(__doc__, add_arguments, main)
