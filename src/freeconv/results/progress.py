"""How far a study is, and about how long it will still take.

A study consists of jobs: of every run a training, then an evaluation.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from freeconv.io import read_parquet
from freeconv.results.schemas import HISTORY_SCHEMA
from freeconv.results.staleness import MISSING, RUNNING, STALE, VALID
from freeconv.study.labels import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

DONE = "done"
_WORDS = (DONE, RUNNING, STALE, MISSING)

_BAR = 24
"""Characters of a bar."""

_EPOCH = re.compile(r" epoch (\d+/\d+) ")


class Job(NamedTuple):
    """A training or an evaluation.

    Attributes:
        kind: `training` or `evaluation`.
        dataset: name of the data set.
        model: name of the network.
        is_over: whether nothing is left to do.
        seconds: what it took, where it is over and that is known; else None.
        elapsed: seconds since it was started, where it is running; else 0.
    """

    kind: str
    dataset: str
    model: str
    is_over: bool
    seconds: float | None = None
    elapsed: float = 0.0


class TimeLeft(NamedTuple):
    """About how long the jobs of a study will still take.

    Attributes:
        seconds: of all jobs that can be estimated; None where there is none.
        unknown: mapping, (kind, data set, model) -> number of jobs left of which none is over yet,
            so that nothing is known of their time.
    """

    seconds: float | None
    unknown: dict[tuple[str, str, str], int]


def word_of_run(training: Any, evaluation: Any, is_running: bool) -> str:
    """What a run is: `done`, `running`, `stale` or `missing`.

    Args:
        training: `staleness.State` of its history.
        evaluation: the same of its evaluation.
        is_running: whether one of its jobs has been started and is not over.
    """
    if is_running:
        return RUNNING
    words = {training.word, evaluation.word}
    if words == {VALID}:
        return DONE
    return STALE if STALE in words else MISSING


def time_left(jobs: Sequence[Any], at_a_time: int) -> float | None:
    """Estimate the time that is left.

    A job that is not over takes the median of those of its kind, data set and model that are,
    less what has passed since its start. Jobs fill all places until the last, and none is split.

    Args:
        jobs: iterable of `Job`, all of a study.
        at_a_time: int, how many run at once.

    Returns:
        `TimeLeft`.
    """
    known, pending = defaultdict(list), []
    for job in jobs:
        if not job.is_over:
            pending.append(job)
        elif job.seconds is not None:
            known[job[:3]].append(job.seconds)
    left = [max(0.0, median(known[job[:3]]) - job.elapsed) for job in pending if job[:3] in known]
    unknown = Counter(job[:3] for job in pending if job[:3] not in known)
    seconds = max(max(left), sum(left) / at_a_time) if left else None
    return TimeLeft(seconds, dict(unknown))


def seconds_of_training(history: Path, benchmark: Path) -> float | None:
    """How many seconds a finished training took.

    Args:
        history: file by `schemas.HISTORY_SCHEMA`; it knows the time of the epochs, also of those
            before an interruption.
        benchmark: file that Snakemake measured the job in; it knows the start of the job, too. It
            is missing where a run was trained elsewhere.
    """
    epochs = float(read_parquet(history, HISTORY_SCHEMA)["seconds"].sum())
    return max(epochs, seconds_of_job(benchmark) or 0.0)


def seconds_of_job(benchmark: Path) -> float | None:
    """The seconds in a file of Snakemake's directive `benchmark`; None where there is none."""
    try:
        with Path(benchmark).open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        return float(row["s"])
    # A file that is being written, or of a job that was too short to be measured.
    except (FileNotFoundError, KeyError, ValueError):
        return None


def last_epoch(log: Path) -> str | None:
    """The last epoch that the log of a training reports, such as `7/12`.

    Args:
        log: text.

    Returns:
        The string, or None where it reports none.
    """
    epochs = _EPOCH.findall(log)
    return epochs[-1] if epochs else None


def describe_progress(words: Sequence[tuple[str, str, str]], left: TimeLeft, at_a_time: int) -> str:
    """A text that counts runs, and says how long the rest will take where that is known.

    Args:
        words: data set, network and word of every run, see `word_of_run`.
        left: `TimeLeft`.
        at_a_time: how many jobs at a time it assumes.
    """
    counts = Counter(word for *_, word in words)
    runs = ", ".join(f"{counts[word]} {word}" for word in _WORDS)
    lines = [f"{counted(counts.total(), 'run')}: {runs}"]
    lines += _bars(words)
    if left.seconds is not None:
        jobs = counted(at_a_time, "job")
        lines.append(f"about {format_duration(left.seconds)} left, with {jobs} at a time")
    for (kind, dataset, model), count in left.unknown.items():
        lines.append(f"time unknown of {counted(count, kind)}, {dataset} {model}: none is over yet")
    return "\n".join(lines) + "\n"


def _bars(words):
    """A line for every network of every data set: how much of it is done, drawn and in words."""
    networks = defaultdict(Counter)
    for dataset, model, word in words:
        networks[dataset, model][word] += 1
    widths = [max(map(len, names)) for names in zip(*networks, strict=True)]
    lines = []
    for names, counts in networks.items():
        name = "  ".join(f"{text:<{width}}" for text, width in zip(names, widths, strict=True))
        full = _BAR * counts[DONE] // counts.total()
        others = "".join(f", {counts[word]} {word}" for word in _WORDS[1:] if counts[word])
        bar = "#" * full + "." * (_BAR - full)
        lines.append(f"  {name}  [{bar}] {counts[DONE]} of {counts.total()}{others}")
    return lines


def format_duration(seconds: float) -> str:
    """A time in its two largest units, rounded: `40 s`, `12 min`, `3 h 20 min`, `2 d 5 h`."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // (24 * 60)
    if not hours:
        return f"{minutes} min"
    if not days:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
