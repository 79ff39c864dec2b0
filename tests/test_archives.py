"""Archives made to do harm: each is refused, by a message that names it, and writes nothing."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from freeconv.data import archives
from freeconv.data.archives import member_names, read_members
from freeconv.errors import DataFileError, InputError

FILES = {"a/1.png": b"first", "b/2.png": b"second"}


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


WRITERS = [write_zip, write_tar]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_reads_tar(tmp_path, mode):
    path = write_tar(tmp_path / "archive", FILES, mode)
    assert dict(read_members(path)) == FILES


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reads_zip(tmp_path, compression):
    path = write_zip(tmp_path / "archive", FILES, compression)
    assert dict(read_members(path)) == FILES


@pytest.mark.parametrize("write", WRITERS)
def test_reads_what_is_wanted(tmp_path, write):
    path = write(tmp_path / "archive", FILES)
    assert dict(read_members(path, lambda name: name.startswith("b"))) == {"b/2.png": b"second"}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "name",
    ["../escaped", "a/../../escaped", "/tmp/escaped", "..\\escaped", "C:\\escaped", "C:/escaped"],
)
def test_names_that_point_out_are_refused(tmp_path, write, name):
    path = write(tmp_path / "folder", FILES | {name: b"escaped"})
    with pytest.raises(DataFileError, match=r"folder: holds '.*escaped', .* points out of it"):
        list(read_members(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "archive", "w") as archive:
        member = tarfile.TarInfo("a/1.png")
        member.type, member.linkname = kind, "/etc/hostname"
        archive.addfile(member)
    with pytest.raises(DataFileError, match=r"'a/1\.png', which is neither a file nor a folder"):
        list(read_members(tmp_path / "archive"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_of_zip_are_refused(tmp_path, kind):
    member = zipfile.ZipInfo("a/1.png")
    member.external_attr = (kind | 0o644) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr(member, "/etc/hostname")
    with pytest.raises(DataFileError, match=r"'a/1\.png', which is neither a file nor a folder"):
        list(read_members(tmp_path / "archive"))


def test_sparse_files_are_refused(tmp_path):
    """512 bytes that stand for a terabyte of zeros."""
    member = tarfile.TarInfo("a/1.png")
    block = bytearray(member.tobuf(format=tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[483:495] = b"\x80" + (2**40).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    path = tmp_path / "archive"
    path.write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(DataFileError, match=r"'a/1\.png', which is neither"):
        list(read_members(path))


@pytest.fixture
def small_limit(monkeypatch):
    """A megabyte."""
    monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")


TOO_LARGE = r"bomb: unpacks to more than 1048576 bytes; refused.* variable FREECONV_UNPACKED_GB"


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_bombs_are_refused(tmp_path, mode):
    path = write_tar(tmp_path / "bomb", {"a/1.png": bytes(2**23)}, mode)
    with pytest.raises(DataFileError, match=TOO_LARGE):
        list(read_members(path))


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("names", [["a/1.png"], [f"a/{number}.png" for number in range(9)]])
def test_zip_bombs_are_refused(tmp_path, names):
    path = write_zip(tmp_path / "bomb", {name: bytes(2**23 // len(names)) for name in names})
    with pytest.raises(DataFileError, match=TOO_LARGE):
        list(read_members(path))


@pytest.mark.usefixtures("small_limit")
def test_the_limit_counts_what_is_read_alone(tmp_path):
    path = write_zip(tmp_path / "archive", FILES | {"large": bytes(2**23)})
    assert dict(read_members(path, lambda name: name != "large")) == FILES
    assert member_names(path) == [*FILES, "large"]


@pytest.mark.parametrize("write", WRITERS)
def test_how_well_content_is_compressed_does_not_matter(tmp_path, write):
    """A hundred megabytes of black images that take a hundred kilobytes."""
    path = write(tmp_path / "archive", {"black": bytes(10**8)})
    assert path.stat().st_size * 500 < 10**8
    ((_, content),) = read_members(path)
    assert len(content) == 10**8


@pytest.mark.parametrize("text", ["0", "-1", "many", "", "nan", "inf"])
def test_the_limit_must_be_a_number(tmp_path, monkeypatch, text):
    monkeypatch.setenv("FREECONV_UNPACKED_GB", text)
    path = write_zip(tmp_path / "archive", FILES)
    with pytest.raises(InputError, match=r"FREECONV_UNPACKED_GB: .* expected gigabytes"):
        list(read_members(path))


def test_a_zip_that_lies_about_its_size_is_read_no_further(tmp_path):
    path = write_zip(tmp_path / "bomb", {"a/1.png": bytes(2**23)})
    content = path.read_bytes().replace(struct.pack("<L", 2**23), struct.pack("<L", 100))
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"bomb: not a ZIP .*damaged"):
        list(read_members(path))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_without_bounds_are_refused(tmp_path, compression):
    path = write_zip(tmp_path / "archive", FILES, compression)
    with pytest.raises(DataFileError, match=r"1\.png is neither stored nor deflated"):
        list(read_members(path))


def test_encrypted_files_are_refused(tmp_path):
    path = write_zip(tmp_path / "archive", FILES)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"1\.png is encrypted"):
        list(read_members(path))


@pytest.mark.parametrize("write", WRITERS)
def test_too_many_members_are_refused(tmp_path, write, monkeypatch):
    monkeypatch.setattr(archives, "MEMBERS_MAX", 5)
    path = write(tmp_path / "archive", {f"a/{number}.png": b"" for number in range(6)})
    with pytest.raises(DataFileError, match="holds more than 5 members; refused"):
        list(read_members(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("zipped", [True, False])
def test_equal_names_are_refused(tmp_path, zipped):
    path = tmp_path / "archive"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/1.png", b"first")
            archive.writestr("a/1.png", b"second")
    else:
        with tarfile.open(path, "w") as archive:
            for _ in range(2):
                archive.addfile(tarfile.TarInfo("a/1.png"))
    with pytest.raises(DataFileError, match=r"holds 'a/1\.png' twice"):
        list(read_members(path))


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04", gzip.compress(b"text"), bz2.compress(b"x"), lzma.compress(b"x")],
)
def test_foreign_files_are_refused(tmp_path, content):
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(DataFileError, match="archive: not a ZIP or TAR archive, or damaged"):
        list(read_members(tmp_path / "archive"))


@pytest.mark.parametrize("write", WRITERS)
def test_damaged_archives_are_refused(tmp_path, write):
    noise = np.random.default_rng(0).bytes(50_000)
    path = write(tmp_path / "archive", {"a/1.png": noise})
    content = bytearray(path.read_bytes())
    content[20_000:20_100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"archive: .*damaged"):
        list(read_members(path))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_members(tmp_path / "none"))
