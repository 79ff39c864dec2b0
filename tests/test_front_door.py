"""What meets a user first: make, another Python, other packages, other places, another workflow."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from PIL import Image


def make(*words, directory=ROOT, **environment):
    """Run make, not as a part of the make that runs the tests; return status and output."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    run = subprocess.run(
        list(map(str, ["make", "--no-print-directory", *words])),
        cwd=directory,
        env={**own, "GPU": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


@pytest.fixture
def bare(tmp_path):
    """A folder with what make needs to set up an environment, and none."""
    for name in ("Makefile", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("found", ["nothing", "another's environment", "a link that leads nowhere"])
def test_a_python_that_will_not_do_is_named(bare, found):
    """Before anything is made, or what was there is touched."""
    if found == "another's environment":
        (bare / ".venv").mkdir()
        (bare / ".venv/workflow").touch()
    elif found != "nothing":
        (bare / ".venv").symlink_to("nowhere")
    before = sorted(bare.iterdir())
    old = program(bare.parent / "python3.9", 'test "$1" != --version || echo Python 3.9.1; exit 1')
    for python, message in (
        (old, f"make: {old} is Python 3.9.1; expected Python 3.11 or later"),
        ("python2.9", "make: python2.9: no such program; name a Python of 3.11 or later"),
    ):
        status, output = make("study", f"PYTHON={python}", directory=bare)
        assert status != 0
        first, last = output.strip().splitlines()
        assert first.startswith(message)
        assert last.startswith("make: ***")
        assert sorted(bare.iterdir()) == before


def test_an_environment_that_will_not_do_is_recreated(bare):
    """Here by a program that notes what is asked of it, and makes none."""
    (bare / ".venv/bin").mkdir(parents=True)
    (bare / ".venv/workflow").touch()
    program(bare / ".venv/bin/python", "exit 1")
    python = program(bare / "python", f'echo "$@" >> {bare}/asked')
    status, output = make("study", f"PYTHON={python}", directory=bare)
    assert status != 0
    assert "make: .venv is not usable, and recreated" in output
    assert "-m venv .venv" in (bare / "asked").read_text()
    assert not (bare / ".venv").exists()


@pytest.mark.parametrize("target", ["status", "study", "report"])
def test_a_wrong_study_is_named_by_every_target(target, tmp_path):
    """A name with a space is one file; several files are merged."""
    study = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())
    (tmp_path / "wrong study.yaml").write_text(yaml.safe_dump(study | {"devise": "cpu"}))
    (tmp_path / "change.yaml").write_text("devise: cpu")
    wrong = "devise: unknown key"
    for name, message in (
        (tmp_path / "wrong study.yaml", wrong),
        (tmp_path / "none.yaml", "none.yaml: No such file or directory"),
        (
            f"{ROOT}/.test/config/config.yaml {tmp_path}/change.yaml",
            f"invalid configuration (config/README.md explains every key):\n  - {wrong}",
        ),
        ("", "the following arguments are required: study"),
    ):
        words = (f"STUDY={name}", f"VENV={sys.prefix}", f"--assume-old={sys.prefix}/workflow")
        status, output = make(target, *words)
        assert status != 0
        assert message in output
        assert "Traceback" not in output


def test_the_package_is_found_without_being_told():
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not the environment that make makes")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", "import freeconv; print(freeconv.__file__)"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(run.stdout.strip()) == ROOT / "src/freeconv/__init__.py"


SMOKE = ("--configfile", ROOT / ".test/config/config.yaml", "--dry-run")


def test_a_package_that_is_missing_is_named(snakemake, tmp_path, monkeypatch):
    """By whatever Python runs Snakemake."""
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('no', name='pyarrow')")
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    run = subprocess.run(
        list(map(str, [*command, *SMOKE])),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "lacks the package pyarrow; run .venv/bin/python -m snakemake" in run.stdout
    assert f"pip install '{ROOT}[tensorflow,workflow]'" in run.stdout


def test_a_folder_whose_name_holds_a_colon_is_refused(snakemake, tmp_path):
    (tmp_path / "a:b").symlink_to(ROOT)
    run = snakemake(tmp_path, *SMOKE, snakefile=tmp_path / "a:b/Snakefile")
    assert run.returncode != 0
    assert f"{tmp_path}/a:b/src: no program is found in a folder" in run.stdout


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_a_folder_may_have_its_own_study(snakemake, tmp_path, snakefile):
    """As .test, for `snakemake --directory .test`; without one, it is the paper's."""
    for own in (False, True):
        if own:
            shutil.copytree(ROOT / ".test/config", tmp_path / "config")
        run = snakemake(tmp_path, "--dry-run", "--quiet", "host", snakefile=ROOT / snakefile)
        assert run.returncode == 0, run.stdout
        assert "profiles/default for setting default" in run.stdout
        assert ("results/smoke/overview.html" in run.stdout) == own
        assert ("results/paper/overview.html" in run.stdout) != own


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
@pytest.mark.parametrize("prefix", ["", "free_"])
def test_as_a_module_of_another_workflow(snakemake, tmp_path, prefix, snakefile):
    """The study is the one that workflow gives; data sets are known without it."""
    (tmp_path / "Snakefile").write_text(
        f"""
configfile: "{ROOT}/.test/config/config.yaml"

module freeconv:
    snakefile: "{ROOT}/{snakefile}"
    config: config

use rule * from freeconv{f" as {prefix}*" if prefix else ""}

rule mine:
    default_target: True
    input: rules.{prefix}train.input
"""
    )
    run = snakemake(tmp_path, "--dry-run", snakefile=tmp_path / "Snakefile")
    assert run.returncode == 0, run.stdout
    assert f"\n{prefix}train_run " in run.stdout
    assert (
        "results/smoke/runs/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0/history.parquet"
        in run.stdout
    )


def test_a_job_that_fails_says_why_on_the_terminal(snakemake, tmp_path):
    study = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())
    study |= {
        "study": "own",
        "datasets": {"own": study["datasets"]["digits"]},
        "search": None,
        "sources": {"own": {"format": "folder", "path": "images"}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(study))
    for name, size in (("a/1", 12), ("b/1", 12), ("b/2", 13)):
        path = tmp_path / f"images/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (size, size)).save(path)
    run = snakemake(tmp_path, "data/own.npy", "--configfile", tmp_path / "own.yaml")
    assert run.returncode != 0
    assert "error: images/b/2.png: an image of 13x13x1" in run.stdout
    assert "Traceback" not in run.stdout
