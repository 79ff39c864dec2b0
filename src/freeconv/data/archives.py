"""Archives and compressed files from elsewhere: read in memory, never unpacked to disk.

What an archive says of itself is not believed. Names that point out of it, links and devices are
refused although nothing would follow them: an honest data set has none. So are more bytes of
content than `unpacked_max`. How well it is compressed says nothing: black images shrink to nothing.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from freeconv.errors import DataFileError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNPACKED_GB = "FREECONV_UNPACKED_GB"
"""Environment variable: most gigabytes (2^30 bytes) that are unpacked of a data set; 4 without it.

CIFAR-10 has 0.2 of them.
"""

MEMBERS_MAX = 1_000_000
"""Most members of an archive."""

_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_DAMAGE = (
    EOFError,
    NotImplementedError,
    OSError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class Limited:
    """A stream that refuses to give more than `limit` bytes, against decompression bombs.

    Args:
        stream: a readable binary file.
        limit: bytes it may give in all.
        path: of the file, for the message.
    """

    def __init__(self, stream, limit, path):
        self.stream, self.left, self.limit, self.path = stream, limit, limit, path

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most `size`.

        Raises:
            DataFileError: If the stream holds more than its limit.
        """
        block = self.stream.read(min(size, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise too_large(self.path, self.limit)
        return block

    def finish(self) -> None:
        """Reads to the end: only there does a compressed file have its checksum."""
        while self.read(tarfile.RECORDSIZE):
            pass


def unpacked_max() -> int:
    """Returns how many bytes may be unpacked of a data set, see `UNPACKED_GB`.

    Raises:
        InputError: If the environment variable is no number above 0.
    """
    text = os.environ.get(UNPACKED_GB, "4")
    try:
        size = int(float(text) * 2**30)
    except (OverflowError, ValueError):
        size = 0
    if size <= 0:
        raise InputError(f"{UNPACKED_GB}: {text!r} is not allowed; expected gigabytes, such as 16")
    return size


def too_large(path: str | Path, limit: int) -> Exception:
    """Returns the error of a file of which more than `limit` bytes would be unpacked."""
    return DataFileError(
        path,
        f"unpacks to more than {limit} bytes; refused. If that is right, allow more gigabytes by "
        f"the environment variable {UNPACKED_GB}, such as {UNPACKED_GB}={2 * limit // 2**30 + 1}",
    )


def read_members(
    path: Path, wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Reads the files of an archive one by one, in the archive's order.

    Args:
        path: ZIP (stored or deflated), or TAR, plain or compressed by gzip, bzip2 or xz.
        wanted: function of a name that tells whether the file is to be read; all without it.
            The names of the others are checked all the same.

    Yields:
        `(name, content)`: text with `/` between folders, and bytes.

    Raises:
        DataFileError: If the archive is damaged or encrypted; a name is absolute, contains `..`
            or stands for two files; a member is neither file nor folder; or there are too many of
            them or of the bytes of those wanted (`MEMBERS_MAX`, `unpacked_max`); of a TAR archive,
            which is unpacked as a whole, of all its bytes.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    with path.open("rb") as file:
        magic = file.read(6)
    read = _zip_members if magic.startswith(b"PK") else _tar_members
    seen = set()
    try:
        for name, content in read(path, magic, wanted or (lambda name: True)):
            if name in seen:
                raise DataFileError(path, f"holds {name!r} twice.")
            seen.add(name)
            if content is not None:
                yield name, content
    except _DAMAGE as error:
        raise DataFileError(path, f"not a ZIP or TAR archive, or damaged ({error}).") from error


def member_names(path: Path) -> list[str]:
    """Returns the names of the files of an archive in its order; see `read_members`."""
    names = []

    def note(name):
        names.append(name)
        return False

    # Nothing is wanted, and so nothing is read.
    for _ in read_members(path, note):
        pass
    return names


def _zip_members(path, _magic, wanted):
    limit = unpacked_max()
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_count(path, len(members))
        to_read = {member.filename for member in members if wanted(member.filename)}
        if sum(member.file_size for member in members if member.filename in to_read) > limit:
            raise too_large(path, limit)
        for member in members:
            mode = stat.S_IFMT(member.external_attr >> 16)
            _check_member(path, member.filename, mode in (0, stat.S_IFREG, stat.S_IFDIR))
            if member.flag_bits & 1:
                raise DataFileError(path, f"{member.filename} is encrypted; unpack it by hand.")
            # The other methods give all they hold at once, however much that is.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataFileError(path, f"{member.filename} is neither stored nor deflated.")
            if not member.is_dir():
                is_read = member.filename in to_read
                yield member.filename, _zip_content(archive, member) if is_read else None


def _zip_content(archive, member):
    with archive.open(member) as file:
        # A size is named, since without one zipfile unpacks first and compares sizes later.
        return file.read(member.file_size + 1)


def _tar_members(path, magic, wanted):
    opener = next((o for start, o in _OPENERS.items() if magic.startswith(start)), open)
    with opener(path, "rb") as file:
        stream = Limited(file, unpacked_max(), path)
        yield from _tar_stream(path, stream, wanted)
        stream.finish()


def _tar_stream(path, stream, wanted):
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for count, member in enumerate(archive, start=1):
            _check_count(path, count)
            # A sparse file gives zeros that the archive does not hold.
            is_file = member.isreg() and not member.issparse()
            _check_member(path, member.name, is_file or member.isdir())
            if is_file:
                content = archive.extractfile(member).read() if wanted(member.name) else None
                yield member.name.removeprefix("./"), content


def _check_count(path, count):
    if count > MEMBERS_MAX:
        raise DataFileError(path, f"holds more than {MEMBERS_MAX} members; refused.")


def _check_member(path, name, is_plain):
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
        raise DataFileError(path, f"holds {name!r}, a name that points out of it; refused.")
    if not is_plain:
        raise DataFileError(path, f"holds {name!r}, which is neither a file nor a folder; refused.")
