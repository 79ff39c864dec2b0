"""Snakemake in processes that are forked from one that has imported it, which takes a second."""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).parent.parent

# Of the workflow itself nothing is imported before: each run finds its own.
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["snakemake.cli", "jsonschema", "pandas", "pyarrow.parquet", "yaml"])


def run_snakemake(arguments, environment):
    """Run `python -m snakemake`.

    Args:
        arguments: sequence of strings.
        environment: mapping, all variables of its environment.

    Returns:
        `subprocess.CompletedProcess`; standard output and error come back together.
    """
    with tempfile.NamedTemporaryFile("r") as output:
        process = _server.Process(target=_snakemake, args=(arguments, environment, output.name))
        process.start()
        process.join()
        return CompletedProcess(arguments, process.exitcode, output.read())


def _snakemake(arguments, environment, output):
    with Path(output).open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(environment)
    ours = {str(ROOT / folder) for folder in (".", "src", "tests")}
    sys.path[:] = [folder for folder in sys.path if folder not in ours]
    sys.argv = ["snakemake", *arguments]

    from snakemake.cli import main

    main(arguments)
