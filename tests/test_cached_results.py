"""What is kept under results/ suffices for every table and figure of its study."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

# By what is read there: tables whose runs got lost are found out, too.
CACHED = sorted(path.parent.name for path in ROOT.glob("results/*/tables"))
OF_SHARING = {"sharing", "banks", "release", "phases", "soft_sharing", "data", "signal"}
AFTER_TRAINING = {"aggregate", "compare", "conclude", "figure", "table"}


@pytest.fixture(params=["as a clone writes them", "reversed"])
def clone(request, tmp_path):
    """A folder with the kept files of a study, in an order of time that tells nothing.

    A clone writes files by the order of their names, moments apart.
    """

    def copy(study):
        folder = tmp_path / "results" / study
        for name in ("runs", "examples", "networks"):
            shutil.copytree(ROOT / "results" / study / name, folder / name)
        files = sorted(folder.glob("**/*.parquet"), reverse=request.param == "reversed")
        for second, path in enumerate(files):
            os.utime(path, (second, second))
        # An extension lies there; a clone writes it first.
        for path in shutil.copytree(ROOT / "config", tmp_path / "config").iterdir():
            os.utime(path, (0, 0))
        return tmp_path

    return copy


@pytest.mark.parametrize("study", CACHED)
def test_tables_and_figures_of_a_cached_study_need_no_training(snakemake, clone, study):
    run = snakemake(
        clone(study),
        *("tables", "figures", "--dry-run", "--quiet", "rules"),
        *("--configfile", ROOT / f"config/{study}.yaml"),
    )
    assert run.returncode == 0, run.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
    of_some = {"degrees_of_sharing"} if study in OF_SHARING else set()
    assert set(jobs) - {"total", "tables", "figures"} == AFTER_TRAINING | of_some


def test_runs_of_kept_studies_are_committed():
    """Whatever `.gitignore` says: without them, tables say what nobody can check."""
    if not (ROOT / ".git").exists():
        pytest.skip("no Git repository")
    files = [f"results/{study}/runs/any/history.parquet" for study in CACHED if study != "demo"]
    ignored = subprocess.run(
        ["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    kept = subprocess.run(
        ["git", "ls-files", "results/*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    studies = {path.split("/")[1] for path in kept.stdout.split() if path.count("/") > 1}
    assert not [path for path in ignored.stdout.split() if path.split("/")[1] in studies]
