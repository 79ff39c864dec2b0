"""What is kept under results/ suffices for every table and figure of its study."""

import os
import re
import shutil

import pytest
from conftest import ROOT

CACHED = sorted(path.parent.name for path in ROOT.glob("results/*/runs"))
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
    of_some = {"degrees_of_sharing"} if study == "sharing" else set()
    assert set(jobs) - {"total", "tables", "figures"} == AFTER_TRAINING | of_some
