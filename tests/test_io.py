import errno
import os

import pandas as pd
import pyarrow as pa
import pytest

from freeconv.errors import InputError
from freeconv.io import read_metadata, read_parquet, whole_file, write_parquet

SCHEMA = pa.schema([("name", pa.string()), ("value", pa.float64())])
FRAME = pd.DataFrame({"name": ["a", "b"], "value": [1.5, None]})


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "result.txt"
    with whole_file(path) as partial:
        assert partial.suffix == ".txt"
        assert partial.parent == path.parent
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_writer_changes_nothing(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("before")

    def fail():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_job_left_is_deleted_and_never_a_result(tmp_path):
    path = tmp_path / "a[1].history.parquet"
    left = tmp_path / ".a[1].history.12345.partial.parquet"
    others = [
        tmp_path / ".history.12345.partial.parquet",
        tmp_path / ".a[1].history.more.12345.partial.parquet",
        tmp_path / ".a[1].history.12345.partial.png",
    ]
    for file in (left, *others):
        file.write_text("half")
    with whole_file(path) as partial:
        assert not left.exists()
        assert not path.exists()
        partial.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_content_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    """What is synchronised, in order: the file under its temporary name, then its folder."""
    path, synchronised = tmp_path / "result.txt", []

    def record(descriptor):
        synchronised.append((os.fstat(descriptor).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", record)
    with whole_file(path) as partial:
        partial.write_text("whole")
    assert synchronised == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_an_error_of_writing_names_the_file(tmp_path):
    """Not its temporary name; errors of other files keep theirs."""
    path = tmp_path / "result.txt"

    def write(number, *name):
        with whole_file(path):
            raise OSError(number, os.strerror(number), *name)

    for name in ((), (str(tmp_path / f".result.{os.getpid()}.partial.txt"),)):
        with pytest.raises(OSError, match="No space left") as caught:
            write(errno.ENOSPC, *name)
        assert caught.value.filename == str(path)
    with pytest.raises(FileNotFoundError) as caught:
        write(errno.ENOENT, "other.txt")
    assert caught.value.filename == "other.txt"
    assert not list(tmp_path.iterdir())


def test_parquet_round_trip_with_metadata(tmp_path):
    path = tmp_path / "frame.parquet"
    write_parquet(FRAME[["value", "name"]], path, SCHEMA, {"settings": {"seed": 3}})
    pd.testing.assert_frame_equal(read_parquet(path, SCHEMA), FRAME)
    assert read_metadata(path) == {"settings": {"seed": 3}}
    # Readable without this library, too.
    assert pd.read_parquet(path)["name"].tolist() == ["a", "b"]


def test_no_metadata_is_an_empty_mapping(tmp_path):
    write_parquet(FRAME, tmp_path / "frame.parquet", SCHEMA)
    assert read_metadata(tmp_path / "frame.parquet") == {}


def test_bad_parquet_files_are_refused(tmp_path):
    garbage = tmp_path / "garbage.parquet"
    garbage.write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match=r"garbage\.parquet: not a Parquet file"):
        read_parquet(garbage, SCHEMA)

    whole = tmp_path / "whole.parquet"
    write_parquet(FRAME, whole, SCHEMA)
    truncated = tmp_path / "truncated.parquet"
    truncated.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"truncated\.parquet: not a Parquet file"):
        read_parquet(truncated, SCHEMA)

    other = pa.schema([("name", pa.string()), ("other", pa.float64())])
    with pytest.raises(InputError, match=r"whole\.parquet.*'value'.*expected.*'other'.*delete it"):
        read_parquet(whole, other)
