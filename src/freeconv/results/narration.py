"""What is said of a study while it runs: a line a finished training.

The records are those of one start of the workflow; runs that were finished before it do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from freeconv.io import read_parquet
from freeconv.results.best_epoch import best_epoch
from freeconv.results.progress import Job, format_duration, seconds_of_training, time_left
from freeconv.results.schemas import HISTORY_SCHEMA
from freeconv.study.labels import counted


class Narration:
    """Tells of trainings as they end.

    Args:
        titles: run (or trial of a search), hashable, with a data set and a model -> what it is
            called; of all that are to be trained.
        others: how many other jobs there are.
        at_a_time: how many trainings run at once.
    """

    def __init__(self, titles: Mapping[Any, str], others: int, at_a_time: int):
        self._titles, self._others, self._at_a_time = titles, others, at_a_time
        self._starts: dict[Any, float] = {}
        self._seconds: dict[Any, float] = {}

    def plan(self) -> str:
        """What there is to do, before the first job."""
        if not self._titles:
            return f"nothing to train; {counted(self._others, 'other job')}"
        networks = counted(len(self._titles), "network")
        return f"{networks} to train, {counted(self._others, 'other job')}"

    def start(self, run: Any, now: float) -> None:
        """Notes that a training was started, at a time in seconds."""
        self._starts[run] = now

    def finish(self, run: Any, history: Path, benchmark: Path, now: float) -> str:
        """Notes that a training has ended, and returns its line.

        Args:
            run: which one.
            history: the file that it has left.
            benchmark: see `progress.seconds_of_training`.
            now: the time in seconds.
        """
        rows = read_parquet(history, HISTORY_SCHEMA)
        best = best_epoch(rows)
        accuracy = rows.loc[rows["epoch"] == best, "val_accuracy"].item()
        seconds = self._seconds[run] = seconds_of_training(history, benchmark)
        done, total = len(self._seconds), len(self._titles)
        words = (
            f"{done:>{len(str(total))}} of {total}  {self._titles[run]}: "
            f"accuracy {accuracy:.4f} at epoch {best}, {format_duration(seconds)}"
        )
        if done == total:
            return f"{words}; all networks are trained"
        return f"{words}; about {format_duration(self._time_left(now))} left"

    def _time_left(self, now: float) -> float:
        """Seconds until the last training ends; what no network of a kind has told, all tell."""
        jobs = [
            Job(
                *("training", run.dataset, run.model, run in self._seconds),
                seconds=self._seconds.get(run),
                elapsed=now - self._starts.get(run, now),
            )
            for run in self._titles
        ]
        left = time_left(jobs, self._at_a_time)
        unknown = Counter(left.unknown).total() * median(self._seconds.values())
        return (left.seconds or 0.0) + unknown / self._at_a_time


def of_interest(message: str) -> bool:
    """Whether a message of the workflow engine that tells of no job is for the user of a study."""
    return not message.strip().startswith(_ROUTINE)


_ROUTINE = (
    *("Assuming unrestricted shared", "Building DAG", "Using shell", "Provided ", "Job stats"),
    *("Rules claiming more threads", "Conda environments: ignored", "Singularity containers"),
    *("Select jobs to execute", "Execute ", "Finished job"),
)
