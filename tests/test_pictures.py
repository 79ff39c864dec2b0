"""Folders and archives of PNG images, right ones and wrong ones."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freeconv import pictures
from freeconv.errors import DataFileError
from freeconv.pictures import read_folder

RANDOM = np.random.default_rng(0)


def draw(path, shape=(5, 6), mode=None):
    """Write a PNG of random pixels; return them."""
    pixels = RANDOM.integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, format="PNG")
    return pixels


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my images"


def pack(folder, archive, around=""):
    """The folder as a ZIP archive, files in the reverse order of their names."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.glob("**/*"), reverse=True):
            if path.is_file():
                file.write(path, around + str(path.relative_to(folder)))
    return archive


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
@pytest.mark.parametrize("source", ["folder", "archive", "archive with a folder around all"])
def test_reads(folder, tmp_path, shape, source):
    names = ["b/2.png", "a/9.PNG", "b/1.png", "b/3.png", "a/8.png"]
    drawn = {name: draw(folder / name, shape).reshape(5, 6, -1) for name in names}
    (folder / ".hidden").write_text("left out")
    (folder / "a/.DS_Store").write_text("left out")
    (folder / "LICENSE").write_text("left out")
    if source != "folder":
        folder = pack(folder, tmp_path / "images.zip", "around/" * ("around" in source))
    images, labels = read_folder(folder)
    assert images.dtype == labels.dtype == np.uint8
    in_turn = ["a/8.png", "b/1.png", "a/9.PNG", "b/2.png", "b/3.png"]
    np.testing.assert_array_equal(images, [drawn[name] for name in in_turn])
    assert labels.tolist() == [0, 1, 0, 1, 1]


def test_numbers_are_in_the_order_of_numbers(folder):
    drawn = {name: draw(folder / name / "1.png") for name in ("10", "2", "0")}
    images, labels = read_folder(folder)
    np.testing.assert_array_equal(images[..., 0], [drawn["0"], drawn["2"], drawn["10"]])
    assert labels.tolist() == [0, 1, 2]


def test_the_log_says_which_class_is_which(folder, caplog):
    draw(folder / "cat/1.png")
    draw(folder / "dog/1.png")
    caplog.set_level("INFO")
    read_folder(folder)
    assert caplog.messages == ["class 0: cat", "class 1: dog"]


@pytest.mark.parametrize("as_archive", [False, True])
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("b/2.png", {"shape": (6, 5)}, r"b/2\.png: .* 6x5x1 .*, but a/1\.png is 5x6x1"),
        ("b/2.png", {"shape": (5, 6, 3)}, r"b/2\.png: .* 5x6x3 .*, but a/1\.png is 5x6x1"),
        ("b/2.png", {"mode": "RGBA"}, r"b/2\.png: .*mode RGBA; expected 8-bit gray .* or RGB"),
        ("b/2.png", {"mode": "P"}, r"b/2\.png: .*mode P;"),
        ("b/2.png", {"mode": "1"}, r"b/2\.png: .*mode 1;"),
        ("b/2.png", {"mode": "I;16"}, r"b/2\.png: .*mode I;16;"),
        ("b/2.jpg", {}, r"b/2\.jpg: .*PNG"),
        ("b/deep/2.png", {}, "b/deep"),
    ],
)
def test_the_first_wrong_file_is_named(folder, tmp_path, name, options, message, as_archive):
    for right in ("a/1.png", "a/3.png", "b/1.png"):
        draw(folder / right)
    draw(folder / name, **options)
    source = pack(folder, tmp_path / "images.zip") if as_archive else folder
    with pytest.raises(DataFileError, match=message):
        read_folder(source)


@pytest.mark.parametrize(
    ("count", "message"), [(0, "0 folders .*: none"), (1, "1 folders"), (257, "257 folders")]
)
def test_there_are_two_to_256_classes(folder, count, message):
    folder.mkdir()
    for number in range(count):
        draw(folder / str(number) / "1.png", (1, 1))
    with pytest.raises(DataFileError, match=rf"my images: holds {message}.*expected 2 to 256"):
        read_folder(folder)


@pytest.mark.parametrize("damage", [b"", b"text", "half", "checksum"])
def test_damaged_images_are_refused(folder, damage):
    draw(folder / "a/1.png")
    draw(folder / "b/1.png")
    path = folder / "b/1.png"
    content = path.read_bytes()
    place = content.index(b"IDAT") + 8
    whole = content[:place] + bytes(8) + content[place + 8 :]
    path.write_bytes({"half": content[:60], "checksum": whole}.get(damage, damage))
    with pytest.raises(DataFileError, match=r"b/1\.png: not a PNG image, or damaged"):
        read_folder(folder)


def test_other_formats_under_the_name_of_png_are_refused(folder):
    draw(folder / "a/1.png")
    draw(folder / "b/1.png")
    Image.new("L", (6, 5)).save(folder / "b/1.png", format="GIF")
    with pytest.raises(DataFileError, match=r"b/1\.png: not a PNG image"):
        read_folder(folder)


def test_pixels_are_bounded_before_they_are_unpacked(folder, monkeypatch):
    """To unpack what is left of this image would be another error."""
    monkeypatch.setattr(pictures, "PNG_BYTES_MAX", 2**20)
    draw(folder / "a/1.png")
    bomb = folder / "b/1.png"
    bomb.parent.mkdir()
    Image.new("L", (5000, 5000)).save(bomb)
    bomb.write_bytes(bomb.read_bytes()[:100])
    with pytest.raises(DataFileError, match=r"b/1\.png: .*more than 1048576 bytes; refused"):
        read_folder(folder)


def test_devices_in_a_folder_are_not_opened(folder):
    draw(folder / "a/1.png")
    (folder / "b").mkdir()
    os.mkfifo(folder / "b/1.png")
    with pytest.raises(DataFileError, match=r"b/1\.png: not a PNG file"):
        read_folder(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_folder(Path(tmp_path / "none"))
