"""Jobs that are killed, and full disks: what is left, and what the next run makes of it."""

import os
import re
import resource
import runpy
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import as_settings
from test_training import SETTINGS

from freeconv.data.folds import FOLDS_SCHEMA, assign_folds, fold_table
from freeconv.data.formats import digits, pack
from freeconv.io import write_parquet
from freeconv.training.models import load_model


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The arguments of the training script that name data and folds: 64 images to train on."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = digits()
    np.save(folder / "digits.npy", pack(images[:96], labels[:96]))
    write_parquet(fold_table(assign_folds(labels[:96], 3)), folder / "folds.parquet", FOLDS_SCHEMA)
    return ["--data", folder / "digits.npy", "--folds", folder / "folds.parquet"]


LONG = replace(SETTINGS, kind="cnn", epochs=60, patience=60)


@pytest.fixture
def start_training(root, given):
    """Start to train a run of 60 epochs into a folder."""

    def start(folder, *words):
        command = [sys.executable, root / "scripts/train.py", *as_settings(LONG)]
        command += [*given, "--device", "cpu", "--history", folder / "history.parquet"]
        command += ["--model-file", folder / "model.keras"]
        command += ["--checkpoint", folder / "checkpoint.npz", *words]
        return subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, "PYTHONPATH": str(root / "src"), "CUDA_VISIBLE_DEVICES": "-1"},
            text=True,
            stderr=subprocess.PIPE,
            # So little of a log that is not read holds the training up before its end.
            pipesize=4096,
        )

    return start


def test_a_killed_training_ends_as_an_uninterrupted_one(start_training, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with start_training(killed, "--checkpoint-seconds", 0) as training:
        for line in training.stderr:
            if " epoch 3/60 " in line:
                break
        training.send_signal(signal.SIGKILL)
    assert training.returncode == -signal.SIGKILL
    assert (killed / "checkpoint.npz").exists()
    assert not (killed / "history.parquet").exists()

    with start_training(killed) as again, start_training(whole) as other:
        logs = [training.communicate()[1] for training in (again, other)]
    assert (again.returncode, other.returncode) == (0, 0), logs
    (resumed,) = re.findall(r"resuming after epoch (\d+), from .*checkpoint.npz", logs[0])
    assert 2 <= int(resumed) < 60
    assert logs[0].count("images/s") == 60 - int(resumed)
    assert "resuming" not in logs[1]

    histories, models = [], []
    for folder in (killed, whole):
        assert sorted(file.name for file in folder.iterdir()) == ["history.parquet", "model.keras"]
        histories.append(pd.read_parquet(folder / "history.parquet").drop(columns="seconds"))
        models.append(load_model(folder / "model.keras").get_weights())
    assert histories[0]["epoch"].max() == 60
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for one, other in zip(*models, strict=True):
        np.testing.assert_array_equal(one, other)


def test_snakemake_leaves_the_checkpoint_of_a_failed_job_and_asks_for_more_memory(
    root, snakemake, tmp_path
):
    results = tmp_path / "results/smoke"
    folder = results / "runs/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0"
    files = [tmp_path / "data/digits.npy", results / "folds/digits.parquet"]
    files += [folder / "checkpoint.npz", folder / "evaluated.parquet"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not looked at")
    run = snakemake(
        *(tmp_path, (folder / "history.parquet").relative_to(tmp_path), "--retries", "1"),
        # There is no such device: the script ends before it begins.
        *("--set-resources", "train_run:device=none"),
        *("--configfile", root / ".test/config/config.yaml", "--verbose"),
    )
    assert run.returncode != 0
    first, again = map(int, re.findall(r"resources: .*mem_mb=(\d+)", run.stdout))
    assert again == 2 * first > 1000, run.stdout
    log = tmp_path / "logs/smoke/train/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0.log"
    assert "invalid choice: 'none'" in log.read_text()
    assert [file.name for file in folder.iterdir()] == ["checkpoint.npz"]


@pytest.fixture
def disk(tmp_path):
    """An empty disk of 100 megabytes."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("to mount a small disk takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, stderr=subprocess.PIPE, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk may be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk):
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**20))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def limited(_folder):
    """No file of this process may be longer than what a test may print."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="module")
def run_script(root):
    """Run a script in this process; returns what it exits with, None where all is well."""

    def run(name, *words):
        with pytest.MonkeyPatch.context() as patch:
            # This process computes already: its device cannot be chosen again.
            patch.setattr("freeconv.training.devices.use_device", lambda *_: "cpu")
            patch.setattr(sys, "argv", [name, *map(str, words)])
            try:
                runpy.run_path(str(root / f"scripts/{name}.py"), run_name="__main__")
            except SystemExit as end:
                return end.code
        return None

    return run


SHORT = as_settings(replace(SETTINGS, kind="cnn", epochs=1))


@pytest.fixture(scope="module")
def cell(given, run_script, tmp_path_factory):
    """The folder of a run that was trained and evaluated."""
    folder = tmp_path_factory.mktemp("run")
    files = ["--history", folder / "history.parquet", "--model-file", folder / "model.keras"]
    request = ["--settings", '{"seed": 1, "strengths": {}}']
    evaluation = [*request, "--output", folder / "evaluation.parquet"]
    assert run_script("train", *SHORT, *given, *files) is None
    assert run_script("evaluate", *given, *files, *evaluation) is None
    return folder


FRAMES = ["history", "evaluation", "settings", "provenance", "summary"]


@pytest.fixture(scope="module")
def joined(cell, run_script, tmp_path_factory):
    """The folder of the frames that join the run of `cell`, as figures read them."""
    folder = tmp_path_factory.mktemp("joined")
    outputs = [word for name in FRAMES for word in (f"--{name}", folder / f"{name}.parquet")]
    assert run_script("analyse", "aggregate", "--runs", cell, *outputs) is None
    return folder


@pytest.fixture
def writing(given, cell, joined):
    """The arguments of a script that are no outputs, and its outputs: argument -> names."""
    figure = ["--figure", "quadrant_swap", "--dataset", "digits"]
    return {
        "data": (["prepare", "--format", "digits"], {"--output": ["digits.npy"]}),
        "train": (
            [*SHORT, *given, "--checkpoint-seconds", 0],
            {"--model-file": ["model.keras"], "--history": ["history.parquet"]},
        ),
        "analyse": (
            ["aggregate", "--runs", cell],
            {f"--{name}": [f"{name}.parquet"] for name in FRAMES},
        ),
        "draw": (
            ["figure", *figure, "--frame", joined / "history.parquet"],
            {"--output": ["a.png", "a.svg"]},
        ),
    }


@pytest.mark.parametrize("script", ["data", "train", "analyse", "draw"])
@pytest.mark.parametrize(
    ("obstacle", "place", "words"),
    [
        (full, "disk", "no space left on its disk: free some and run again"),
        (limited, "tmp_path", "larger than a file may be here: raise the limit"),
    ],
    ids=["full", "limited"],
)
def test_a_script_that_cannot_write_says_so_and_leaves_what_there_was(
    request, run_script, writing, script, obstacle, place, words
):
    given, outputs = writing[script]
    folder = request.getfixturevalue(place) / "results"
    folder.mkdir()
    files = [folder / name for names in outputs.values() for name in names]
    for flag, names in outputs.items():
        given += [flag, *(folder / name for name in names)]
    if script == "train":
        given += ["--checkpoint", folder / "checkpoint.npz"]
    for file in files:
        file.write_bytes(b"before")

    with obstacle(folder.parent):
        message = run_script(script, *given)
    assert message.startswith(f"error: {files[0]}: {words}")
    assert "\n" not in message
    assert sorted(folder.iterdir()) == sorted(files)
    assert {file.read_bytes() for file in files} == {b"before"}

    assert run_script(script, *given) is None
    assert sorted(folder.iterdir()) == sorted(files)
    assert b"before" not in {file.read_bytes() for file in files}
