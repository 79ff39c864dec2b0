"""What an interrupted training resumes from: a file that is written now and then, and read once."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from freeconv.io import remove, whole_file

log = logging.getLogger(__name__)


class Snapshot(NamedTuple):
    """Where a training stands after an epoch. Random numbers follow from seed and epoch alone.

    Attributes:
        records: list of JSON-serialisable mappings, a record an epoch from 0.
        best_epoch: the best epoch so far.
        best_weights: list of arrays, the weights that it ended with.
        state: list of arrays, see `base.BaseTrainer.state`.
    """

    records: list
    best_epoch: int
    best_weights: list
    state: list


class Checkpoint:
    """A file that a training resumes from after an interruption.

    A NumPy archive (.npz) of arrays and one JSON text, without pickled objects. It is written whole
    or not at all; what cannot be read, or is of something else, is ignored.

    Args:
        path: where it is; its folder is made if it is missing.
        identity: JSON-serialisable mapping of everything that the numbers follow from. A file with
            another one is ignored.
        seconds: at least this long lies between the start and the first file, and between two. 0:
            one file per epoch.
    """

    def __init__(self, path, identity, seconds):
        self._path = Path(path)
        self._identity = json.loads(json.dumps(identity))  # as it is read back: tuples are lists
        self._seconds = seconds
        self._last = time.monotonic()

    def load(self) -> Snapshot | None:
        """The `Snapshot` to resume from; None, and a line in the log, where there is none."""
        if not self._path.exists():
            return None
        try:
            identity, snapshot = _read(self._path)
        # NumPy, zipfile and json raise errors of all kinds where a file is damaged.
        except Exception as error:
            log.warning("%s cannot be read (%s): training starts over", self._path, error)
            return None
        others = _differences(identity, self._identity)
        if others:
            log.warning(
                "%s is of another training (%s): training starts over",
                self._path,
                ", ".join(others),
            )
            return None
        log.info("resuming after epoch %d, from %s", len(snapshot.records) - 1, self._path)
        return snapshot

    def is_due(self) -> bool:
        """Whether the last file is old enough for another one."""
        return time.monotonic() - self._last >= self._seconds

    def write(self, snapshot: Snapshot) -> None:
        """Replace the file. Where that fails, the log says so and the one before stays."""
        try:
            _write(self._path, self._identity, snapshot)
        except OSError as error:
            problem = error.strerror or error
            log.warning("%s could not be written (%s): training continues", self._path, problem)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Delete the file: what it is for has ended."""
        remove(self._path)


def _write(path, identity, snapshot):
    document = {
        "identity": identity,
        "records": snapshot.records,
        "best_epoch": snapshot.best_epoch,
        "best_weights": len(snapshot.best_weights),
        "state": len(snapshot.state),
    }
    arrays = {"document": np.frombuffer(json.dumps(document).encode(), np.uint8)}
    for name in ("best_weights", "state"):
        arrays |= {f"{name}_{i}": array for i, array in enumerate(getattr(snapshot, name))}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def _read(path):
    """The identity and the `Snapshot` in a file."""
    with np.load(path, allow_pickle=False) as archive:
        document = json.loads(archive["document"].tobytes())
        best_weights, state = (
            [archive[f"{name}_{i}"] for i in range(document[name])]
            for name in ("best_weights", "state")
        )
    records, best_epoch = document["records"], document["best_epoch"]
    return document["identity"], Snapshot(records, best_epoch, best_weights, state)


def _differences(one, other, name=""):
    """The names of the values in which two JSON documents differ, nested ones behind a dot."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [name]
    return [
        difference
        for key in sorted(one.keys() | other.keys())
        for difference in _differences(
            one.get(key), other.get(key), f"{name}.{key}" if name else key
        )
    ]
