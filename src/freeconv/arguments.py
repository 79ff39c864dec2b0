"""Settings as command line arguments: rules write them, scripts read them back."""

import argparse
import dataclasses
import logging
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from freeconv.errors import explain


def format_arguments(settings):
    """A data class as a command line, every value quoted for the shell.

    Args:
        settings: a data class instance of str, int and float fields.

    Returns:
        A string such as `--dataset digits --learning-rate 0.001`.
    """
    words = []
    for name, value in vars(settings).items():
        words += [_flag(name), format_value(value)]
    return shlex.join(words)


def format_value(value):
    """A value as the shortest text that reads back as the same value (0.3, 0, fcn)."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def add_arguments(parser, cls):
    """Add one required argument a field of a data class to an argument parser."""
    group = parser.add_argument_group(cls.__doc__.partition("\n")[0].rstrip("."))
    for item in dataclasses.fields(cls):
        group.add_argument(
            _flag(item.name),
            type=item.type,
            required=True,
            metavar=item.type.__name__.upper(),
            help=item.metadata["help"],
        )


def add_extension(parser):
    """Add the argument of the file with augmentations and networks of a study's own."""
    parser.add_argument(
        "--extension", type=Path, help="Python file with augmentations and networks of its own"
    )


def add_device(parser):
    """Add the arguments of where a job computes (`devices.use_device`)."""
    parser.add_argument("--device", choices=["auto", "gpu", "cpu"], default="auto")
    parser.add_argument("--gpu-share", default="1/1", help="of a card, as 1/4 (default: 1/1, all)")
    parser.add_argument("--threads", type=int, default=1, help="threads of a CPU (default: 1)")


def add_table_files(parser, flag):
    """Add the argument of the files that a table is written to, one a format."""
    parser.add_argument(
        flag,
        type=Path,
        nargs="+",
        required=True,
        help="files to write, whose endings name the formats: .csv, .md, .tex, .html",
    )


def parse_settings(cls, namespace):
    """The data class instance that parsed arguments describe."""
    return cls(**{item.name: getattr(namespace, item.name) for item in dataclasses.fields(cls)})


def run_script(description, add_own_arguments, main):
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


def _flag(name):
    return "--" + name.replace("_", "-")
