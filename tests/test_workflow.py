"""A small study through the whole workflow, and what the workflow refuses."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, as_settings, run_script

from freeconv.io import read_metadata
from freeconv.report.render import FORMATS
from freeconv.results.provenance import PROVENANCE_SCHEMA
from freeconv.results.schemas import EVALUATION_SCHEMA, HISTORY_SCHEMA
from freeconv.study.outputs import figures_of, tables_of
from freeconv.study.settings import format_value

RUNS = [
    "cnn/none-0/vcp-0/data-1",
    "cnn/translation-0.3/vcp-0/data-1",
    "fcn/none-0/vcp-0/data-1",
    "fcn/translation-0.3/vcp-0/data-1",
    "fcn/translation-0.3/vcp-0.5/data-1",
]


@pytest.mark.skipif(
    "PYTEST_XDIST_WORKER" not in os.environ, reason="one process has all tests (no --numprocesses)"
)
def test_one_process_has_all_tests_of_the_smoke_study(request, smoke):
    """Or each of them would train a study of its own."""
    assert request.node.nodeid.endswith("@smoke")


def test_every_run_has_its_records(results):
    folders = sorted(
        str(p.parents[2].relative_to(results / "runs/digits"))
        for p in results.glob("runs/**/history.parquet")
    )
    assert folders == sorted(RUNS)
    history = pd.read_parquet(results / "history.parquet")
    assert history.columns.tolist() == [*HISTORY_SCHEMA.names, "fold_count"]
    assert len(history) == len(RUNS) * 3
    assert set(zip(history["fold"], history["fold_count"], strict=True)) == {(1, 4)}
    evaluation = pd.read_parquet(results / "evaluation.parquet")
    assert evaluation.columns.tolist() == [*EVALUATION_SCHEMA.names, "fold_count"]
    # Clean, quadrant swap and five strengths of ten classes.
    assert len(evaluation) == len(RUNS) * 7 * 10
    # The larger folds of 1,797 images in four hold 450, the smaller ones 449.
    assert set(
        evaluation.groupby(["model", "vcp", "level", "perturbation", "strength"])["count"].sum()
    ) <= {449, 450}
    assert len(pd.read_parquet(results / "summary.parquet")) == len(RUNS) * 3


def test_a_run_says_where_it_comes_from(results, study):
    cell = next(cell for cell in study.runs() if cell.vcp == 0.5)
    metadata = read_metadata(
        results / "runs/digits/fcn/translation-0.3/vcp-0.5/data-1/fold-1/repeat-0/history.parquet"
    )
    assert metadata["settings"] == vars(study.settings_of(cell))
    assert metadata["device"] == "cpu, 1 thread"
    assert re.fullmatch("[0-9a-f]{64}", metadata["data"])
    assert {"keras", "numpy", "python", "tensorflow"} <= metadata["versions"].keys()


def test_provenance_is_that_of_every_run(results):
    provenance = pd.read_parquet(results / "provenance.parquet")
    assert provenance.columns.tolist() == PROVENANCE_SCHEMA.names
    assert len(provenance) == len(RUNS)
    for row in provenance.itertuples():
        cell = f"{row.model}/{row.augmentation}-{row.level:g}/vcp-{row.vcp:g}/data-1"
        history = results / f"runs/digits/{cell}/fold-{row.fold}/repeat-0/history.parquet"
        run = read_metadata(history)
        assert row.seed == run["settings"]["seed"]
        assert (row.data, row.device, row.machine) == (run["data"], run["device"], run["machine"])
        assert {name: getattr(row, name) for name in run["versions"]} == run["versions"]


def test_evaluation_agrees_with_the_history(results):
    """The best epoch's model, evaluated clean, has the validation accuracy of that epoch."""
    keys = ["model", "augmentation", "level", "vcp", "fold"]
    history = pd.read_parquet(results / "history.parquet").set_index([*keys, "epoch"])
    evaluation = pd.read_parquet(results / "evaluation.parquet")
    clean = evaluation[evaluation["perturbation"] == "clean"]
    counts = clean.groupby([*keys, "epoch"])[["count", "correct"]].sum()
    accuracy = counts["correct"] / counts["count"]
    assert len(accuracy) == len(RUNS)
    pd.testing.assert_series_equal(
        accuracy, history["val_accuracy"].loc[accuracy.index], check_names=False
    )


def test_tables_and_figures_are_there(results, study):
    for table in tables_of(study):
        for suffix in FORMATS:
            assert (results / f"tables/{table}.{suffix}").stat().st_size > 0
    for figure in figures_of(study, "digits"):
        png = results / f"figures/digits/{figure}.png"
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in png.with_suffix(".svg").read_text()


def test_models_are_temporary_unless_kept(results):
    assert not list(results.glob("**/*.keras"))


def test_every_job_has_a_log_and_runs_a_benchmark(smoke, results):
    log = smoke / "logs/smoke/train/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0.log"
    lines = [line for line in log.read_text().splitlines() if " epoch " in line]
    assert len(lines) == 3
    assert re.search(
        r"epoch 2/2 loss \S+ accuracy \S+ .*val_accuracy .*images/s, 0 s left", lines[2]
    )
    for stage in ("train", "evaluate"):
        assert len(list(results.glob(f"benchmarks/{stage}/**/*.tsv"))) == len(RUNS)


def test_a_second_run_has_nothing_to_do(root, snakemake, smoke):
    run = snakemake(smoke, "--configfile", root / ".test/config/config.yaml", "--dry-run")
    assert run.returncode == 0, run.stdout
    assert "Nothing to be done" in run.stdout


def test_the_search_is_no_part_of_all(results):
    assert not (results / "search").exists()
    assert not (results / "search.parquet").exists()


def test_the_search_shows_every_trial(root, snakemake, tmp_path, study):
    """It needs no run, and no trial leaves a model behind."""
    run = snakemake(tmp_path, "search", "--configfile", root / ".test/config/config.yaml")
    assert run.returncode == 0, run.stdout
    results = tmp_path / "results/smoke"
    assert not (results / "runs").exists()
    records = pd.read_parquet(results / "search.parquet")
    expected = pd.DataFrame([vars(trial) for trial in study.trials()])
    pd.testing.assert_frame_equal(records[expected.columns], expected, check_dtype=False)
    assert records["val_accuracy"].between(0, 1).all()
    (rate,) = study.search.learning_rates
    folder = results / f"search/digits/fcn/layers-2/rate-{format_value(rate)}/fold-0"
    settings = read_metadata(folder / "history.parquet")["settings"]
    assert settings == vars(study.settings_of_trial(study.trials()[-1]))
    assert [path.name for path in folder.iterdir()] == ["history.parquet"]
    assert "1e-06" in (results / "tables/search.md").read_text("utf-8")
    assert (results / "tables/search.tex").stat().st_size > 0
    assert pd.read_csv(results / "tables/search.csv")["seed"].tolist() == records["seed"].tolist()


def test_a_search_of_a_study_without_one_is_refused(root, snakemake, tmp_path):
    run = snakemake(tmp_path, "search", "--configfile", root / "config/demo.yaml")
    assert run.returncode != 0
    assert "search: null, so study demo has no hyperparameter search" in run.stdout
    assert not (tmp_path / "results").exists()


def test_a_lost_figure_is_redrawn_without_training(root, snakemake, smoke, results):
    figure = results / "figures/digits/quadrant_swap.png"
    before = figure.read_bytes()
    figure.unlink()
    run = snakemake(smoke, "--configfile", root / ".test/config/config.yaml")
    assert run.returncode == 0, run.stdout
    assert "train_run" not in run.stdout
    assert figure.read_bytes() == before


@pytest.fixture
def train_by_hand(root, smoke, results, tmp_path):
    """Run the training script on its own, in an empty folder."""

    def train(settings, device):
        command = [sys.executable, root / "scripts/train.py", *as_settings(settings)]
        command += ["--data", smoke / "data/digits.npy"]
        command += ["--folds", results / "folds/digits.parquet", "--device", device]
        command += ["--history", "history.parquet", "--model-file", "model.keras"]
        return subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root / "src"), "CUDA_VISIBLE_DEVICES": "-1"},
            text=True,
            stderr=subprocess.PIPE,
            check=False,
        )

    return train


def test_a_run_by_hand_gives_the_rows_of_the_workflow(train_by_hand, results, study, tmp_path):
    """Alone and by its script, a run that ran beside another one repeats to the last bit."""
    cell = next(c for c in study.runs() if (c.model, c.level, c.vcp) == ("fcn", 0.3, 0))
    run = train_by_hand(study.settings_of(cell), "cpu")
    assert run.returncode == 0, run.stderr
    folder = results / "runs/digits/fcn/translation-0.3/vcp-0/data-1/fold-1/repeat-0"
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "history.parquet").drop(columns="seconds"),
        pd.read_parquet(folder / "history.parquet").drop(columns="seconds"),
        check_exact=True,
    )


def test_a_missing_gpu_is_an_error_before_training(train_by_hand, study, tmp_path):
    run = train_by_hand(study.settings_of(study.runs()[0]), "gpu")
    assert run.returncode == 1
    assert "error: device: gpu was requested but TensorFlow finds no GPU" in run.stderr
    assert "Traceback" not in run.stderr
    assert "epoch" not in run.stderr
    assert not list(tmp_path.iterdir())


def test_the_paper_is_920_training_jobs(snakemake, tmp_path):
    run = snakemake(tmp_path, "train", "--dry-run", "--quiet", "rules")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
    assert (counts["train_run"], counts["folds"], counts["prepare"]) == ("920", "2", "2")


def test_the_paper_s_study_takes_single_values_of_the_command_line(snakemake, tmp_path):
    """It is read exactly when no file is named; its name may be another one."""
    words = ("keep_models=true", "vcp=null", "study=mine", "folds={run: [0]}")
    run = snakemake(tmp_path, "train", "--dry-run", "--config", *words)
    assert run.returncode == 0, run.stdout
    jobs = set(re.findall(r"results/(mine/runs/\S+)/history.parquet", run.stdout))
    assert len(jobs) == 2 * (1 + 40) * 2
    assert not [job for job in jobs if "vcp-0/" not in job]


def test_a_study_without_a_name_is_not_mixed_with_the_paper_s(root, snakemake, tmp_path):
    study = yaml.safe_load((root / ".test/config/config.yaml").read_text())
    del study["study"]
    (tmp_path / "nameless.yaml").write_text(yaml.safe_dump(study))
    run = snakemake(tmp_path, "--configfile", tmp_path / "nameless.yaml", "--dry-run")
    assert run.returncode != 0
    assert f"{tmp_path}/nameless.yaml: study: missing; this key is required" in run.stdout
    assert run.stdout.count("missing") == 1


def test_another_address_is_no_other_file(snakemake, tmp_path):
    """What was downloaded stays when the mirror is gone, even where it is asked for again."""
    (tmp_path / "mirror/mini").mkdir(parents=True)
    (tmp_path / "mirror/mini/a.npz").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    archive = f"{{name: a.npz, sha256: {digest}}}"
    source = f"sources={{mini: {{format: npz, files: {{archive: {archive}}}}}}}"
    target, file = "data/raw/mini/a.npz", tmp_path / "data/raw/mini/a.npz"
    run = snakemake(tmp_path, target, "--config", source, f"mirror={tmp_path}/mirror")
    assert run.returncode == 0, run.stdout
    shutil.rmtree(tmp_path / "mirror")
    for mirror in ("null", f"{tmp_path}/./mirror/", "~/elsewhere"):
        run = snakemake(tmp_path, target, "--dry-run", "--config", source, f"mirror={mirror}")
        assert "Nothing to be done" in run.stdout
    again = ("--forcerun", "download", "--config", source)
    assert snakemake(tmp_path, target, *again).returncode == 0
    assert file.read_bytes() == b"content"
    file.write_bytes(b"damaged")
    run = snakemake(tmp_path, target, *again)
    assert run.returncode != 0
    assert file.read_bytes() == b"damaged"


def test_copies_in_any_order_have_the_same_folds_by_content(snakemake, tmp_path):
    """Once their order in the file decides no more, and only then."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 28, 28), np.uint8), np.arange(40) % 4
    target, data = "results/mini/folds/mini.parquet", {"content": set(), "contiguous": set()}
    for order in (np.arange(40), rng.permutation(40)):
        np.savez(tmp_path / "mini.npz", x=images[order], y=labels[order])
        for method, found in data.items():
            study = {
                "study": "mini",
                "datasets": {"mini": {"batch_size": 8}},
                "sources": {"mini": {"format": "npz", "path": str(tmp_path / "mini.npz")}},
                "folds": {"count": 4, "method": method},
            }
            (tmp_path / "mini.yaml").write_text(yaml.safe_dump(study))
            run = snakemake(tmp_path, target, "--configfile", tmp_path / "mini.yaml")
            assert run.returncode == 0, run.stdout
            found.add(tuple(read_metadata(tmp_path / target)["data"].values()))
    assert {method: len(found) for method, found in data.items()} == {"content": 1, "contiguous": 2}
    folds = ("--count", 4, "--method", "content", "--seed", 0, "--source", "")
    files = ("--data", tmp_path / "data/mini.npy", "--output", tmp_path / "folds.parquet")
    unsorted = run_script("data", "folds", *folds, *files)
    assert unsorted.returncode == 1
    assert "mini.npy: folds by content are of images sorted by" in unsorted.stderr


def test_where_jobs_will_compute_is_said_before_them(root, snakemake, tmp_path, monkeypatch):
    """Without a card, runs do not wait for one another; with one that fails, nothing starts."""
    auto = (*("--configfile", root / ".test/config/config.yaml"), "--config", "device=auto")
    words = ("train", "--dry-run", *auto, "--resources", "gpu=1")
    run = snakemake(tmp_path, *words)
    assert run.returncode == 0, run.stdout
    said = "device: cpu (no NVIDIA card found), 2 trainings at a time, 1 thread each"
    assert run.stdout.count("device: ") == run.stdout.count(said) == 1
    assert len(re.findall(r"\bgpu=0", run.stdout)) == len(RUNS)
    run = snakemake(tmp_path, *words, "mem_mb=1500")
    assert said.replace("2 trainings", "1 training") in run.stdout
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA Fake (UUID: GPU-aaaa)'\n")
    smi.chmod(0o755)
    monkeypatch.setattr(os, "defpath", f"{tmp_path}{os.pathsep}{os.defpath}")
    run = snakemake(tmp_path, *words)
    assert run.returncode != 0
    assert "device: there is an NVIDIA GPU (1 card), but TensorFlow cannot use it" in run.stdout


@pytest.mark.parametrize(
    ("attempt", "gpu"), [(1, "gpu=1, gpu_share=1/4"), (2, "gpu=4, gpu_share=4/4")]
)
def test_a_job_that_failed_has_a_whole_card_next(root, snakemake, tmp_path, attempt, gpu):
    """With --jobs, which has jobs run elsewhere, as here there may be no card."""
    (tmp_path / "change.yaml").write_text(yaml.safe_dump({"device": "gpu", "gpu_shares": 4}))
    studies = [root / ".test/config/config.yaml", tmp_path / "change.yaml"]
    run = snakemake(
        tmp_path, "train", "--configfile", *studies, "--dry-run", "--attempt", attempt, "--jobs", 8
    )
    assert run.returncode == 0, run.stdout
    assert len(re.findall(gpu, run.stdout)) == len(RUNS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"devise": "cpu"}, ["devise: unknown key", "did you mean device?"]),
        ({"folds": {"count": 1}}, ["folds.count: 1 is not allowed; expected at least 2"]),
        ({"augmentations": {"noise": [1.5]}}, ["augmentations.noise[0]: 1.5", "at most 1"]),
    ],
)
def test_a_wrong_configuration_fails_at_once(root, snakemake, tmp_path, change, words):
    (tmp_path / "change.yaml").write_text(yaml.safe_dump(change))
    run = snakemake(
        tmp_path, "--configfile", root / ".test/config/config.yaml", tmp_path / "change.yaml"
    )
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    for word in words:
        assert word in run.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "scripts").glob("*.py")))
def test_scripts_explain_themselves(script):
    run = run_script(script, "--help")
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout
    for command in re.findall(r"^    (\w+) {2,}\w", run.stdout, re.MULTILINE):
        explained = run_script(script, command, "--help")
        assert explained.returncode == 0, explained.stderr
        assert f"{script}.py {command}" in explained.stdout
