"""Counts and times left by hand, and what the workflow says of a study while it runs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from freeconv.io import write_parquet
from freeconv.results.progress import (
    Job,
    TimeLeft,
    describe_progress,
    format_duration,
    last_epoch,
    seconds_of_job,
    seconds_of_training,
    time_left,
    word_of_run,
)
from freeconv.results.schemas import HISTORY_SCHEMA
from freeconv.results.staleness import MISSING, STALE, VALID, State

FCN = ("training", "mnist", "fcn")
CNN = ("training", "mnist", "cnn")


def over(kind, *seconds):
    return [Job(*kind, True, value) for value in seconds]


def pending(kind, *elapsed):
    return [Job(*kind, False, elapsed=value) for value in elapsed]


@pytest.mark.parametrize(
    ("training", "evaluation", "word"),
    [
        (VALID, VALID, "done"),
        (VALID, MISSING, "missing"),
        (VALID, STALE, "stale"),
        (STALE, STALE, "stale"),
        (MISSING, STALE, "stale"),
        (MISSING, MISSING, "missing"),
    ],
)
def test_the_word_of_a_run(training, evaluation, word):
    assert word_of_run(State(training), State(evaluation), False) == word
    assert word_of_run(State(training), State(evaluation), True) == "running"


def test_every_kind_of_job_has_its_own_median():
    jobs = over(FCN, 10, 100, 30) + over(CNN, 1, 3) + pending(FCN, 0, 0) + pending(CNN, 0, 0, 0)
    # Two of 30 seconds and three of 2.
    assert time_left(jobs, 1) == TimeLeft(66, {})
    assert time_left(jobs, 2) == TimeLeft(33, {})


def test_no_job_is_split():
    assert time_left(over(FCN, 60) + pending(FCN, 0, 0), 8).seconds == 60


def test_what_runs_takes_the_rest_of_its_time():
    assert time_left(over(FCN, 60) + pending(FCN, 0, 45), 1).seconds == 75
    assert time_left(over(FCN, 60) + pending(FCN, 0, 100), 1).seconds == 60


def test_of_what_is_not_known_nothing_is_said():
    evaluation = ("evaluation", "mnist", "fcn")
    unmeasured = [Job(*evaluation, True)]
    jobs = over(FCN, 5) + unmeasured + pending(FCN, 0) + pending(evaluation, 0, 0) + pending(CNN, 0)
    assert time_left(jobs, 1) == TimeLeft(5, {evaluation: 2, CNN: 1})
    assert time_left(pending(CNN, 0), 1).seconds is None
    assert time_left(over(FCN, 5), 1) == TimeLeft(None, {})


def test_the_text_by_hand():
    words = ["done", "done", "missing", "running", "stale", "missing"]
    left = TimeLeft(4800, {CNN: 1, ("evaluation", "mnist", "fcn"): 2})
    networks = ["cnn", "cnn", "cnn", "fcn", "fcn", "cnn"]
    runs = [("mnist", model, word) for model, word in zip(networks, words, strict=True)]
    assert describe_progress(runs, left, 2).splitlines() == [
        "6 runs: 2 done, 1 running, 1 stale, 2 missing",
        "  mnist  cnn  [############............] 2 of 4, 2 missing",
        "  mnist  fcn  [........................] 0 of 2, 1 running, 1 stale",
        "about 1 h 20 min left, with 2 jobs at a time",
        "time unknown of 1 training, mnist cnn: none is over yet",
        "time unknown of 2 evaluations, mnist fcn: none is over yet",
    ]
    assert describe_progress([("my_data", "fcn", "done")], TimeLeft(None, {}), 1) == (
        f"1 run: 1 done, 0 running, 0 stale, 0 missing\n  my_data  fcn  [{24 * '#'}] 1 of 1\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3570, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (190_800, "2 d 5 h"),
    ],
)
def test_durations_by_hand(seconds, text):
    assert format_duration(seconds) == text


def test_the_last_epoch_of_a_log():
    log = "16:01:02 fcn: 9 parameters\n16:01:05 epoch 0/12 val_loss 2.3\n"
    assert last_epoch(log) == "0/12"
    assert last_epoch(log + "16:01:09 epoch 11/12 loss 0.1 | 3,000 images/s, 2 s left\n") == "11/12"
    assert last_epoch("16:01:02 device: cpu\n") is None


@pytest.fixture
def history(tmp_path):
    """A history whose epochs took 2 and 3 seconds."""
    frame = pd.DataFrame({"epoch": [0, 1, 2], "seconds": [np.nan, 2, 3]})
    frame = frame.reindex(columns=HISTORY_SCHEMA.names)
    write_parquet(frame.astype({"dataset": object}), tmp_path / "history.parquet", HISTORY_SCHEMA)
    return tmp_path / "history.parquet"


def benchmark(path, seconds):
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:07\t101.5\n")
    return path


def test_seconds_of_a_training(history, tmp_path):
    """With the job's start where it was measured; with the epochs before an interruption."""
    assert seconds_of_training(history, tmp_path / "none.tsv") == 5
    assert seconds_of_training(history, benchmark(tmp_path / "a.tsv", 7.25)) == 7.25
    assert seconds_of_training(history, benchmark(tmp_path / "b.tsv", 4)) == 5


def test_seconds_of_a_job(tmp_path):
    assert seconds_of_job(benchmark(tmp_path / "a.tsv", 7.25)) == 7.25
    assert seconds_of_job(tmp_path / "none.tsv") is None
    for number, text in enumerate(["", "s\th:m:s\n", "s\th:m:s\n-\t-\n", "h:m:s\n0:00:07\n"]):
        path = tmp_path / f"{number}.tsv"
        path.write_text(text)
        assert seconds_of_job(path) is None


@pytest.fixture
def status(snakemake, root):
    """Lines of the status of the smoke study in a folder."""

    def ask(folder, *words):
        configuration = ("--configfile", root / ".test/config/config.yaml")
        run = snakemake(folder, *configuration, "--nolock", *words, "--", "status")
        assert run.returncode == 0, run.stdout
        return run.stdout.splitlines()

    return ask


def test_status_of_a_finished_study(status, smoke):
    lines = status(smoke)
    assert "5 runs: 5 done, 0 running, 0 stale, 0 missing" in lines
    assert not any(" left, with" in line or "time unknown" in line for line in lines)
    assert not any("Where to look" in line for line in lines)


def test_status_of_a_half_finished_study(status, smoke, tmp_path, monkeypatch):
    """Three FCNs, of which one is over: what it took, twice, by two jobs at a time."""
    for name in ("data", "results", ".snakemake"):
        shutil.copytree(smoke / name, tmp_path / name)
    cells = tmp_path / "results/smoke/runs/digits/fcn"
    for cell in ("none-0", "translation-0.3/vcp-0.5"):
        shutil.rmtree(cells / cell)
    benchmarks = tmp_path / "results/smoke/benchmarks"
    (fcn,) = (f.parents[4].name for f in cells.glob("**/history.parquet"))
    for stage, seconds in (("train", 3600), ("evaluate", 600)):
        benchmark(
            benchmarks / stage / f"digits/fcn/{fcn}/vcp-0/data-1/fold-1/repeat-0.tsv", seconds
        )
    lines = status(tmp_path)
    assert "5 runs: 3 done, 0 running, 0 stale, 2 missing" in lines
    assert "  digits  fcn  [########................] 1 of 3, 2 missing" in lines
    assert not any(line.startswith("missing ") for line in lines)
    monkeypatch.setenv("FREECONV_LIST_MISSING", "1")
    missing = {line for line in status(tmp_path) if line.startswith("missing ")}
    assert len(missing) == 2 * 2 + 2  # of two runs history and evaluation, and the two trials
    assert (
        "missing results/smoke/runs/digits/fcn/none-0/vcp-0/data-1/fold-1/repeat-0/history.parquet"
        in (missing)
    )
    assert "about 1 h 10 min left, with 2 jobs at a time" in status(tmp_path)
    assert "about 2 h 20 min left, with 1 job at a time" in status(tmp_path, "--cores", "1")
    shutil.rmtree(benchmarks / "evaluate")
    unknown = "time unknown of 2 evaluations, digits fcn: none is over yet"
    assert unknown in status(tmp_path)


def test_status_of_a_running_study(status, root, tmp_path):
    """A training counts as running while it runs, and not once it is interrupted."""
    configuration = (root / ".test/config/config.yaml").read_text()
    long = re.sub(r"(epochs|patience): 2\n", r"\1: 5000\n", configuration)
    (tmp_path / "long.yaml").write_text(long)
    cell = "digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0"
    history = f"results/smoke/runs/{cell}/history.parquet"
    command = [sys.executable, "-m", "snakemake", "--snakefile", root / "Snakefile", history]
    command += ["--directory", tmp_path, "--cores", "1", "--configfile", tmp_path / "long.yaml"]
    log = tmp_path / f"logs/smoke/train/{cell}.log"
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=output, start_new_session=True
        )
    try:
        while run.poll() is None and not (log.exists() and last_epoch(log.read_text())):
            time.sleep(0.2)
        assert run.poll() is None, (tmp_path / "output").read_text()
        lines = status(tmp_path)
    finally:
        # As Ctrl-C does; at SIGTERM Snakemake would wait for the end of the training.
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGINT)
        run.wait(timeout=300)
    assert "5 runs: 0 done, 1 running, 0 stale, 4 missing" in lines
    (running,) = (line for line in lines if line.startswith("running "))
    assert re.fullmatch(
        rf"running {history}: since \d+ (s|min); epoch \d+/5000; log \d+ (s|min) old", running
    )
    assert "5 runs: 0 done, 0 running, 0 stale, 5 missing" in status(tmp_path)


def test_what_a_killed_job_left_is_not_running(status, tmp_path):
    """Its mark stays, but nobody holds it."""
    history = (
        tmp_path
        / "results/smoke/runs/digits/cnn/none-0/vcp-0/data-1/fold-1/repeat-0/history.parquet"
    )
    code = f"from freeconv.io import *; m = marked_as_running({str(history)!r}); m.__enter__()\n"
    code += "print(flush=True); import time; time.sleep(600)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as job:
        try:
            job.stdout.readline()
            counted = [status(tmp_path)]
        finally:
            job.kill()
    assert (history.parent / ".history.running").exists()
    counted.append(status(tmp_path))
    assert "5 runs: 0 done, 1 running, 0 stale, 4 missing" in counted[0]
    assert "5 runs: 0 done, 0 running, 0 stale, 5 missing" in counted[1]
