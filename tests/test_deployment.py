"""The workflow as snakedeploy deploys it from GitHub, for which Git takes a copy of this clone."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from forks import run_snakemake

URL = "https://github.com/owner/freeconv"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables by which Git finds the files of this clone at `URL`; Snakemake's cache is empty."""
    folder = tmp_path_factory.mktemp("origin")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", ":!results"]
    try:
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a clone")
    for name in filter(None, os.fsdecode(names).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "results").mkdir()
    (folder / "results/kept.txt").touch()
    (folder / "gitconfig").write_text(
        f'[url "file://{folder}/.git"]\ninsteadOf = {URL}\n[user]\nname = a\nemail = a@b.c\n'
    )
    variables = {
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for words in ("init --quiet -b main", "add --all", "commit --quiet -m all", "tag v1"):
        subprocess.run(["git", *words.split()], cwd=folder, env=own | variables, check=True)
    return own | variables


def snakemake(folder, environment, *words):
    words = ["--directory", folder, "--snakefile", folder / "workflow/Snakefile", *words]
    # Without what a user's shell does not have: the workflow finds its library by itself.
    variables = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
    return run_snakemake([*map(str, words), "--cores", "1"], variables)


def deploy(source, folder, environment, *words):
    if not find_spec("snakedeploy"):
        pytest.skip("snakedeploy is not installed")
    code = "import sys; from snakedeploy.client import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "deploy-workflow", source, str(folder), *words]
    subprocess.run(command, env=environment, check=True)


def write_module(folder, source):
    """What snakedeploy writes."""
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(
        f"""
configfile: "config/config.yaml"

module freeconv:
    snakefile: {source}
    config: config

use rule * from freeconv
"""
    )


def test_a_deployed_workflow_runs_by_its_own_configuration(environment, tmp_path):
    """Without a clone: scripts and library come with the workflow."""
    deploy(URL, tmp_path, environment, "--tag", "v1")
    study = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(study | {"study": "mine"}))
    run = snakemake(tmp_path, environment, "--dry-run")
    assert run.returncode == 0, run.stdout
    assert "results/mine/overview.html" in run.stdout
    assert "\ntrain_run " in run.stdout
    run = snakemake(tmp_path, environment, "results/mine/folds/digits.parquet")
    assert run.returncode == 0, run.stdout
    assert (tmp_path / "results/mine/folds/digits.parquet").is_file()


def test_a_deployed_clone_needs_its_path(environment, tmp_path):
    """As docs/extending.md says: snakedeploy leaves it out."""
    clone = environment["GIT_CONFIG_GLOBAL"].removesuffix("/gitconfig")
    deploy(clone, tmp_path, environment, "--branch", "main")
    snakefile = tmp_path / "workflow/Snakefile"
    text = snakefile.read_text()
    assert text.count('"workflow/Snakefile"') == 1
    snakefile.write_text(text.replace('"workflow/Snakefile"', f'"{clone}/workflow/Snakefile"'))
    run = snakemake(tmp_path, environment, "--dry-run", "--quiet", "host")
    assert run.returncode == 0, run.stdout
    assert "results/paper/overview.html" in run.stdout


@pytest.mark.parametrize("path", ["workflow/Snakefile", "Snakefile"])
def test_a_branch_of_a_repository_as_a_module(environment, tmp_path, path):
    write_module(tmp_path, f'github("owner/freeconv", path="{path}", branch="main")')
    run = snakemake(tmp_path, environment, "--dry-run", "--quiet", "host")
    assert run.returncode == 0, run.stdout
    assert "results/paper/overview.html" in run.stdout


def test_the_copy_of_a_repository_holds_no_results(environment, tmp_path):
    write_module(tmp_path, 'github("owner/freeconv", path="workflow/Snakefile", tag="v1")')
    run = snakemake(tmp_path, environment, "--list-rules")
    assert run.returncode == 0, run.stdout
    (copy,) = Path(environment["XDG_CACHE_HOME"]).glob("**/freeconv/*/scripts")
    assert not (copy.parent / "results").exists()
    assert (copy.parent / "src/freeconv").is_dir()


def test_a_source_without_scripts_is_refused_in_one_line(environment, tmp_path):
    """Snakemake gives single files of it alone."""
    repository = environment["GIT_CONFIG_GLOBAL"].removesuffix("/gitconfig")
    write_module(tmp_path, f'gitfile("{repository}", path="workflow/Snakefile", ref="main")')
    run = snakemake(tmp_path, environment, "--dry-run")
    assert run.returncode != 0
    assert "FreeConv runs from a copy on this machine: git clone it and name its" in run.stdout
    assert "Traceback" not in run.stdout
