"""Fixtures that several test modules share."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forks import run_snakemake

ROOT = Path(__file__).parent.parent

# A shell's background job ignores Ctrl-C, and so would the runs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Networks of tests are small: threads beyond one only wait for each other.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def run_script(name, *words, **environment):
    """Run a script as a user would by hand, in an environment that holds nothing else."""
    return subprocess.run(
        list(map(str, [sys.executable, ROOT / f"scripts/{name}.py", *words])),
        env={"PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": "-1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def as_settings(settings):
    """A data class as the arguments of a script."""
    return ["--settings", json.dumps(vars(settings))]


def pytest_itemcollected(item):
    """Of processes that share the tests, one has all that need the smoke study, and each file one.

    What the tests of a file have in common is made once, and so is the study.
    """
    name = "smoke" if "smoke" in item.fixturenames else item.path.name
    item.add_marker(pytest.mark.xdist_group(name))


def pytest_make_parametrize_id(val, argname):
    """Name a test the same in every process: what gzip compresses holds the second it did so."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def schema():
    # Imported here, as the tests of the layer lack what it needs.
    from freeconv.study.config import read_yaml

    return read_yaml(ROOT / "workflow/schemas/config.schema.yaml")


@pytest.fixture
def read_config(schema):
    """The configuration of a study as the workflow sees it: data sources, study and defaults."""
    from freeconv.study.config import complete, read_yaml

    def read(name="config/demo.yaml"):
        sources = read_yaml(ROOT / "config/datasets.yaml")
        return complete(sources | read_yaml(ROOT / name), schema)

    return read


@pytest.fixture(scope="session")
def snakemake():
    """Run the workflow in a folder; standard output and error come back together.

    Only the interpreter is named: the jobs must find its packages by themselves.
    """

    def run(directory, *arguments, snakefile=ROOT / "Snakefile"):
        words = ["--snakefile", snakefile, "--directory", directory, "--cores", "2", *arguments]
        return run_snakemake(list(map(str, words)), {**os.environ, "PATH": os.defpath})

    return run


@pytest.fixture(scope="session")
def smoke(root, snakemake, tmp_path_factory):
    """The folder of a finished run of the smoke study; a name that needs quoting.

    Tests leave it as they found it.
    """
    directory = tmp_path_factory.mktemp("it's a run")
    run = snakemake(directory, "--configfile", root / ".test/config/config.yaml")
    assert run.returncode == 0, run.stdout
    (directory / "terminal.txt").write_text(run.stdout)
    return directory


@pytest.fixture(scope="session")
def results(smoke):
    return smoke / "results/smoke"


@pytest.fixture
def study(read_config):
    """The smoke study."""
    from freeconv.study.grid import Study

    return Study.from_config(read_config(".test/config/config.yaml"))
