"""What the command lines of scripts have in common."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from freeconv.errors import InputError, explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def add_extension(parser: argparse.ArgumentParser) -> None:
    """Add the argument of the file with a study's own augmentations and networks."""
    parser.add_argument(
        "--extension", type=Path, help="Python file with augmentations and networks of its own"
    )


def add_settings(
    parser: argparse.ArgumentParser, cls: type, option: str = "--settings", required: bool = True
) -> None:
    """Add the argument that `read_settings` reads: the fields of a data class."""
    parser.add_argument(
        option,
        required=required,
        metavar="JSON",
        help=f"fields of {cls.__module__}.{cls.__name__}: a JSON file, or its text",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of where a job computes (`devices.use_device`)."""
    parser.add_argument("--device", choices=["auto", "gpu", "cpu"], default="auto")
    parser.add_argument("--gpu-share", default="1/1", help="of a card, as 1/4 (default: 1/1, all)")
    parser.add_argument("--threads", type=int, default=1, help="threads of a CPU (default: 1)")


def read_settings(cls, argument: str) -> Any:
    """Reads a data class from an argument of a script.

    Args:
        cls: Data class of `str`, `int`, `float`, `bool` and `dict` fields.
        argument: Path of a JSON file, or the text of one, that maps every field to its value.

    Returns:
        An instance of `cls`.

    Raises:
        InputError: If it is not JSON, a field is missing, unknown, or of another type.
    """
    where = "settings" if argument.lstrip().startswith("{") else argument
    try:
        text = argument if where == "settings" else Path(argument).read_text(encoding="utf-8")
        values = json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{where}: {error}; expected the fields of {cls.__name__} as JSON"
        ) from None
    types = {item.name: item.type for item in dataclasses.fields(cls)}
    if not isinstance(values, dict) or values.keys() != types.keys():
        named = ", ".join(sorted(values)) if isinstance(values, dict) else type(values).__name__
        raise InputError(
            f"{where}: expected the fields of {cls.__name__}, {', '.join(types)}; found {named}"
        )
    for name, kind in types.items():
        if kind is float and type(values[name]) is int:
            values[name] = float(values[name])
        if type(values[name]) is not kind:
            raise InputError(
                f"{where}: {name}: {values[name]!r} is not allowed; expected {kind.__name__}"
            )
    return cls(**values)


def run_commands(description: str, **commands: tuple) -> None:
    """Runs a script of several sub-commands, see `run_script`.

    Args:
        description: What the script does, for `--help`.
        **commands: Name of a sub-command -> a function that adds its arguments to a parser, and
            the function of the parsed arguments that runs it, whose docstring describes it.
    """

    def add_arguments(parser):
        parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        for name, (add_own_arguments, main) in commands.items():
            text = main.__doc__.partition("\n")[0].rstrip(".")
            own = parsers.add_parser(name, help=text, description=main.__doc__)
            add_own_arguments(own)
            own.set_defaults(main=main)

    run_script(description, add_arguments, lambda arguments: arguments.main(arguments))


def run_script(description: str, add_own_arguments: Callable, main: Callable) -> None:
    """Parse the command line of a script and run it.

    A user error (`errors.explain`) ends as one line on standard error and status 1. If who
    reads standard output has left (`| head`), the script ends with status 1 and without a word.

    Args:
        description: what the script does, for `--help`.
        add_own_arguments: function that adds arguments to a parser.
        main: function of the parsed arguments.
    """
    parser = argparse.ArgumentParser(description=description)
    add_own_arguments(parser)
    if sys.stdout is None:  # closed by who started it
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the end
    try:
        try:
            arguments = parser.parse_args()
            _start_logging()
            main(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still to be written would fail again at the end of Python.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in [_OUTPUT, _ERROR] if _one_stream() else [_OUTPUT]:
            os.dup2(nowhere, stream)
        sys.exit(1)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")


def _start_logging():
    """Log to standard error; the library's warnings to standard output, too, if it is elsewhere.

    Rules put standard error into a log file, but a warning is to be seen where Snakemake runs.
    """
    logging.addLevelName(logging.INFO, "")
    logging.addLevelName(logging.WARNING, "warning: ")
    layout = "%(asctime)s %(levelname)s%(message)s"
    logging.basicConfig(level=logging.INFO, format=layout, datefmt="%H:%M:%S")
    if not _one_stream():
        logging.getLogger("freeconv").addHandler(_WarningsOnOutput(logging.WARNING))


_OUTPUT, _ERROR = 1, 2


def _one_stream():
    """Whether both streams are the same, or one of them is closed."""
    try:
        return os.path.sameopenfile(_OUTPUT, _ERROR)
    except OSError:
        return True


class _WarningsOnOutput(logging.Handler):
    """Writes warnings to standard output, past its buffer; who reads it may have left."""

    def emit(self, record):
        with suppress(OSError):
            os.write(_OUTPUT, f"warning: {record.getMessage()}\n".encode(errors="replace"))
