"""A digest changes when, and only when, what a reader reads of the files on this machine does."""

import gzip
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from freeconv.data.image_folder import read_folder
from freeconv.data.local_files import local_digest
from freeconv.errors import InputError


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((3, 4), value, np.uint8)).save(path, "PNG")


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images."""
    for value, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        save(tmp_path / f"images/{name}.png", value)
    return tmp_path / "images"


def digest_of(path, image_format="folder", **source):
    return local_digest({"format": image_format, "path": str(path), **source})


def rename(before, after):
    return lambda folder: (folder / before).rename(folder / after)


SAME = {
    "a hidden file": lambda folder: (folder / "a/.DS_Store").write_bytes(b"1"),
    "a hidden folder": lambda folder: save(folder / ".ipynb_checkpoints/1.png", 9),
    "a hidden folder in a class": lambda folder: (folder / "a/.ipynb_checkpoints").mkdir(),
    "a file beside the classes": lambda folder: (folder / "README").write_text("Mine."),
    "an image of another name": rename("a/2.png", "a/3.png"),
    "a class of another name": rename("b", "c"),
    "another time": lambda folder: os.utime(folder / "a/1.png", (1, 1)),
    "a name that is no UTF-8": lambda folder: os.rename(  # noqa: PTH104
        os.fsencode(folder / "b"), os.fsencode(folder) + b"/\xe9t\xe9"
    ),
}
OTHER = {
    "another image": lambda folder: save(folder / "a/1.png", 7),
    "one image more": lambda folder: save(folder / "b/3.png", 7),
    "one image less": lambda folder: (folder / "b/2.png").unlink(),
    "another order of images": rename("a/1.png", "a/3.png"),
    "another order of classes": rename("a", "c"),
    "an image in another class": rename("a/2.png", "b/3.png"),
    "a class more": lambda folder: save(folder / "c/1.png", 0),
}


@pytest.mark.parametrize("name", [*SAME, *OTHER])
def test_of_a_folder(name, folder):
    """What the reader gives is the measure of it."""
    before, read_before = digest_of(folder), read_folder(folder)
    (SAME | OTHER)[name](folder)
    read_after = read_folder(folder)
    same = all(map(np.array_equal, read_before, read_after))
    assert same == (name in SAME)
    assert (digest_of(folder) == before) == same


def test_of_a_folder_elsewhere(folder, tmp_path):
    before = digest_of(folder)
    folder.rename(tmp_path / "moved")
    assert digest_of(folder) == ""
    assert digest_of(tmp_path / "moved") == before


def test_of_an_archive_of_images(folder, tmp_path):
    """Packed otherwise, in another order, within a folder, and with an operating system's own."""

    def pack(name, compression, prefix, *, turned):
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            for path in sorted(folder.glob("*/*"), reverse=turned):
                archive.write(path, f"{prefix}{path.relative_to(folder)}")
            archive.writestr(f"__MACOSX/{name}", name)
        return digest_of(tmp_path / name)

    one = pack("one.zip", zipfile.ZIP_STORED, "", turned=False)
    assert pack("other.zip", zipfile.ZIP_DEFLATED, "all/", turned=True) == one
    save(folder / "a/1.png", 7)
    assert pack("one.zip", zipfile.ZIP_STORED, "", turned=False) != one


def test_of_the_arrays_in_use(tmp_path):
    x, y = np.arange(12).reshape(3, 2, 2), np.array([0, 1, 0])
    np.savez(tmp_path / "a.npz", x=x, y=y)
    one = digest_of(tmp_path / "a.npz", "npz")
    (tmp_path / "b.npz").write_bytes(b"no archive")
    np.savez_compressed(tmp_path / "b.npz", more=np.zeros(1000), y=y, x=x)
    assert digest_of(tmp_path / "b.npz", "npz") == one
    assert digest_of(tmp_path / "b.npz", "npz", arrays=[["x", "y"]]) == one
    np.savez(tmp_path / "b.npz", x=x + 1, y=y)
    assert digest_of(tmp_path / "b.npz", "npz") != one
    np.savez(tmp_path / "b.npz", x=y, y=x)
    assert digest_of(tmp_path / "b.npz", "npz") != one


def test_of_idx_files_unpacked(tmp_path):
    roles = ("train_images", "train_labels", "test_images", "test_labels")
    files = {role: {"path": str(tmp_path / role)} for role in roles}

    def digest(seconds):
        for role in roles:
            (tmp_path / role).write_bytes(gzip.compress(role.encode(), mtime=seconds))
        return local_digest({"format": "idx", "files": files})

    one = digest(1)
    assert digest(2) == one
    (tmp_path / "test_images").write_bytes(b"test_images")
    assert local_digest({"format": "idx", "files": files}) == one
    (tmp_path / "test_images").write_bytes(b"\x1f\x8b damaged")
    assert local_digest({"format": "idx", "files": files}) not in ("", one)


def test_files_that_their_reader_will_refuse_have_one(tmp_path):
    digests = set()
    for image_format in ("npz", "folder", "cifar10"):
        for content in (b"neither", b"this nor that"):
            (tmp_path / "file").write_bytes(content)
            digests.add((image_format, digest_of(tmp_path / "file", image_format)))
    assert len(digests) == 6


def test_of_what_is_downloaded_there_is_none():
    downloaded = {"archive": {"name": "images.zip", "sha256": "0" * 64}}
    assert local_digest({"format": "folder", "files": downloaded}) == ""


def test_names_in_an_ascii_locale(folder):
    """Names of files are digested; one in the configuration is refused in a line."""
    (folder / "b").rename(folder / "été")
    code = (
        "import sys; from freeconv.data.local_files import local_digest as d; from freeconv.errors "
        "import InputError\nsource = {'format': 'folder', 'path': sys.argv[1]}\nprint(d(source))\n"
        "try: d(source | {'path': 'b\\xe9b\\xe9'})\nexcept InputError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, folder],
        env={
            "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": str(ROOT / "src"),
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    digest, message = run.stdout.splitlines()
    assert digest == digest_of(folder)
    assert "set LC_ALL=C.UTF-8" in message


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "images.npz"
    path.write_bytes(b"1")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"images\.npz: cannot be read \(Permission denied\)"):
        digest_of(path, "cifar10")
