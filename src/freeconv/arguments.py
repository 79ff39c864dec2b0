"""Settings as command line arguments: rules write them, scripts read them back."""

import argparse
import dataclasses
import logging
import shlex
import sys
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

    What a user can mend (`errors.explain`) ends as one line on standard error and status 1.

    Args:
        description: what the script does, for `--help`.
        add_own_arguments: function that adds arguments to a parser.
        main: function of the parsed arguments.
    """
    parser = argparse.ArgumentParser(description=description)
    add_own_arguments(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        main(arguments)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")


def _flag(name):
    return "--" + name.replace("_", "-")
