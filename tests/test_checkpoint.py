"""Checkpoints as files: what is read back, and what is ignored."""

import json
import logging
import math
import resource

import numpy as np
import pytest

from freeconv.training.checkpoint import Checkpoint, Snapshot

IDENTITY = {"settings": {"seed": 1, "learning_rate": 0.001}, "data": "ab", "shape": (28, 28)}
SNAPSHOT = Snapshot(
    records=[{"epoch": 0, "loss": math.nan}, {"epoch": 1, "loss": 0.1 + 0.2}],
    best_epoch=1,
    best_weights=[np.full((2, 3), 1 / 3, np.float32), np.array([True, False])],
    state=[np.float32(7), np.array([-0.0, math.nan, math.inf, 1e-45], np.float32), np.zeros(0)],
)


def checkpoint(path, identity=IDENTITY, seconds=0):
    return Checkpoint(path, identity, seconds)


@pytest.fixture
def path(tmp_path):
    """A checkpoint in a folder that was missing."""
    path = tmp_path / "new" / "checkpoint.npz"
    checkpoint(path).write(SNAPSHOT)
    return path


def assert_same(one, other):
    assert json.dumps(one.records) == json.dumps(other.records)
    assert one.best_epoch == other.best_epoch
    for name in ("best_weights", "state"):
        for array, same in zip(getattr(one, name), getattr(other, name), strict=True):
            assert (array.dtype, array.shape) == (same.dtype, same.shape)
            assert array.tobytes() == same.tobytes()


def test_a_checkpoint_is_read_back_bit_for_bit(path, caplog):
    caplog.set_level(logging.INFO)
    assert_same(checkpoint(path).load(), SNAPSHOT)
    assert f"resuming after epoch 1, from {path}" in caplog.text
    assert list(path.parent.iterdir()) == [path]


def test_it_holds_no_pickled_objects(path):
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind != "O" for name in archive.files)


def test_no_checkpoint_is_none(tmp_path, caplog):
    assert checkpoint(tmp_path / "checkpoint.npz").load() is None
    assert not caplog.text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": {"seed": 1, "learning_rate": 0.01}}, "settings.learning_rate"),
        ({"settings": {"seed": 1}}, "settings.learning_rate"),
        ({"data": "ac", "code": "1"}, "code, data"),
    ],
)
def test_a_checkpoint_of_something_else_is_ignored(path, caplog, change, named):
    before = path.read_bytes()
    assert checkpoint(path, IDENTITY | change).load() is None
    assert f"{path} is of another training ({named}): training starts over" in caplog.text
    assert path.read_bytes() == before


def test_a_damaged_checkpoint_is_ignored(path, caplog):
    """Cut off anywhere, or with any byte changed: the same to the last bit, or nothing."""
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert checkpoint(path).load() is None
        assert f"{path} cannot be read" in caplog.text
        caplog.clear()
    ignored = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        snapshot = checkpoint(path).load()
        ignored += snapshot is None
        if snapshot:
            assert_same(snapshot, SNAPSHOT)
    assert ignored > len(whole) / 3 / 2


def test_other_files_are_ignored(path, caplog):
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").replace(path)
    assert checkpoint(path).load() is None
    np.savez(path, document=np.frombuffer(b"[1, 2]", np.uint8))
    assert checkpoint(path).load() is None
    assert caplog.text.count("cannot be read") == 2


def test_checkpoints_are_due_after_a_while(path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("freeconv.training.checkpoint.time.monotonic", lambda: now)
    rare, always = checkpoint(path, seconds=60), checkpoint(path, seconds=0)
    assert always.is_due()
    now += 59
    assert not rare.is_due()
    now += 1
    assert rare.is_due()
    rare.write(SNAPSHOT)
    assert not rare.is_due()
    now += 60
    assert rare.is_due()


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(path, caplog):
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        checkpoint(path).write(SNAPSHOT._replace(best_epoch=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"{path} could not be written" in caplog.text
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_it_is_removed_with_what_a_killed_job_left(path):
    (path.parent / ".checkpoint.77.partial.npz").write_bytes(b"half")
    (path.parent / "history.parquet").write_bytes(b"whole")
    checkpoint(path).remove()
    assert [file.name for file in path.parent.iterdir()] == ["history.parquet"]
    checkpoint(path).remove()
