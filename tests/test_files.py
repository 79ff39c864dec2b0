import pandas as pd
import pyarrow as pa
import pytest

from freeconv.errors import InputError
from freeconv.files import read_metadata, read_parquet, whole_file, write_formats, write_parquet

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


def test_a_text_is_written_in_the_format_of_each_ending(tmp_path):
    paths = [tmp_path / "new/table.csv", tmp_path / "table.final.md"]
    write_formats(paths, lambda file_format: f"— as {file_format}\n")
    assert [path.read_text("utf-8") for path in paths] == ["— as csv\n", "— as md\n"]


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
