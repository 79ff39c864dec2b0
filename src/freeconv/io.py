"""Atomic writes, and Parquet tables that say where they come from."""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    import pandas as pd

METADATA_KEY = b"freeconv"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only if the block succeeds.

    What has the name has reached the disk: power that fails at any time leaves the file whole,
    the one before it, or none. What a killed job left of the same file is deleted.

    Args:
        path: the final path; its folder is made if it is missing.

    Yields:
        `pathlib.Path` to write to, with the suffix of `path` (writers that tell
        formats by it keep working).

    Raises:
        OSError: as the block does; one of writing names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with naming(path, partial):
            yield partial
            settle(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, partial: Path | None = None) -> Iterator[None]:
    """A block whose errors of the system name the file that is written.

    Those of writing to an open file name none.

    Args:
        path: the file to name.
        partial: a temporary name of it, which is replaced.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(partial)):
            error.filename = os.fspath(path)
        raise


def settle(partial: Path, path: Path) -> None:
    """Give a file its final name in the same folder, once its content has reached the disk."""
    _synchronise(partial)
    Path(partial).replace(path)
    # Some file systems of a network cannot do this to a folder; the content is safe by then.
    with suppress(OSError):
        _synchronise(Path(path).parent)


def remove(path: Path) -> None:
    """Delete a file that was written by `whole_file`, and what a killed job left of it."""
    Path(path).unlink(missing_ok=True)
    _remove_leftovers(Path(path))


def _synchronise(path):
    """Wait until the content of a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(path):
    """Delete the temporary files that killed jobs left of a file."""
    name = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.partial{re.escape(path.suffix)}")
    for other in path.parent.iterdir() if path.parent.exists() else ():
        if name.fullmatch(other.name):
            other.unlink(missing_ok=True)


@contextmanager
def marked_as_running(path: Path) -> Iterator[None]:
    """A block that makes a file, as `running_since` tells other processes.

    The mark is a lock on a hidden file beside it, which the kernel releases when the process ends,
    however it ends. Where a file system has no such locks, nothing is marked.

    Args:
        path: the file that is made; its folder is made if it is missing.
    """
    mark = _mark_of(path)
    mark.parent.mkdir(parents=True, exist_ok=True)
    with mark.open("w") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def running_since(path: Path) -> float | None:
    """Says since when a process makes a file, see `marked_as_running`.

    Args:
        path: the file.

    Returns:
        Seconds since 1970; None where no process makes it.
    """
    try:
        with _mark_of(path).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.fstat(file.fileno()).st_mtime
    except OSError:
        pass
    return None


def _mark_of(path):
    path = Path(path)
    return path.with_name(f".{path.stem}.running")


# A run's files hold a few hundred numbers: what Parquet keeps for large tables, statistics of
# columns and a second schema, would take three quarters of them.
_SMALL = {
    "compression": "zstd",
    "use_dictionary": False,
    "write_statistics": False,
    "store_schema": False,
}


def write_parquet(
    frame: pd.DataFrame, path: Path, schema: pa.Schema, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a data frame as Parquet (zstd), atomically.

    Args:
        frame: `pandas.DataFrame` that holds every column of the schema.
        path: where to.
        schema: `pyarrow.Schema`; fixes columns, their order and types.
        metadata: JSON-serialisable mapping to keep in the file, or None.
    """
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    table = table.replace_schema_metadata()  # what pandas notes of its index
    with whole_file(path) as partial, pq.ParquetWriter(partial, table.schema, **_SMALL) as writer:
        writer.write_table(table)
        if metadata is not None:
            document = json.dumps(metadata, sort_keys=True)
            writer.add_key_value_metadata({METADATA_KEY: document})


def read_parquet(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read a Parquet file written by `write_parquet`.

    Returns:
        `pandas.DataFrame` with exactly the columns of the schema.

    Raises:
        InputError: if the file is no Parquet file or has other columns.
    """
    with _parquet_errors(path):
        table = pq.read_table(path)
    _check_schema(path, table.schema, schema)
    return table.to_pandas()


def read_header(path: Path, schema: pa.Schema) -> dict[str, Any]:
    """Read what `write_parquet` stored in a file beside its rows, without reading these.

    Returns:
        The mapping; an empty one where none was stored.

    Raises:
        InputError: if the file is no Parquet file, has other columns or no rows.
    """
    with _parquet_errors(path):
        footer = pq.read_metadata(path)
        found = footer.schema.to_arrow_schema()
    _check_schema(path, found, schema)
    if footer.num_rows == 0:
        raise InputError(f"{path}: has no rows; delete it and run again")
    return _kept_mapping(found)


def read_metadata(path: Path) -> dict[str, Any]:
    """The mapping that `write_parquet` stored in a file; empty where there is none."""
    with _parquet_errors(path):
        return _kept_mapping(pq.read_schema(path))


def _kept_mapping(schema):
    return json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))


@contextmanager
def _parquet_errors(path):
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder, expected a Parquet file; delete it and run again")
    # Errors of Arrow do not name the file as those of the system do.
    with Path(path).open("rb"):
        pass
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: not a Parquet file, or not all of it ({reason}); delete it and run again"
        ) from None


def _check_schema(path, found, expected):
    if not found.equals(expected, check_metadata=False):
        raise InputError(
            f"{path}: its columns are {found.names}, expected {expected.names}; "
            "it was written by another version: delete it and run again"
        )


def put_between(document: Path, begin: str, end: str, text: str) -> None:
    """Put a text into a document, between two marks, in the place of what is there.

    Args:
        document: `pathlib.Path` of a text file.
        begin: the first mark.
        end: the second mark.
        text: what is put there, between empty lines.

    Raises:
        InputError: if the document lacks the marks.
    """
    before, begun, rest = document.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise InputError(f"{document}: has no place for the tables; expected {begin} ... {end}")
    with whole_file(document) as partial:
        partial.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
