"""Folders and archives of PNG images, right ones and wrong ones."""

import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freeconv.data.image_folder import read_folder
from freeconv.errors import DataFileError

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
        ("b/2.png", {"mode": "LA"}, r"b/2\.png: .*mode LA;"),
        ("b/2.png", {"mode": "P"}, r"b/2\.png: .*mode P;"),
        ("b/2.png", {"mode": "1"}, r"b/2\.png: .*mode 1;"),
        ("b/2.png", {"mode": "I;16"}, r"b/2\.png: a PNG of 16 bits.*mode I;16; .*divide .* 257"),
        ("b/2.jpg", {}, r"b/2\.jpg: .*PNG"),
        ("b/deep/2.png", {}, "b/deep.*<class>/<name>.png"),
        ("2.png", {}, r"2\.png: .*<class>/<name>.png"),
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


@pytest.fixture
def second(folder):
    """The place of the second image of a folder."""
    draw(folder / "a/1.png")
    (folder / "b").mkdir()
    return folder / "b/1.png"


@pytest.mark.parametrize("damage", ["half", "checksum", "signature"])
def test_damaged_images_are_refused(folder, second, damage):
    draw(second)
    content = second.read_bytes()
    place = content.index(b"IDAT") + 8
    whole = content[:place] + bytes(8) + content[place + 8 :]
    second.write_bytes({"half": content[:60], "checksum": whole, "signature": content[:8]}[damage])
    with pytest.raises(DataFileError, match=r"b/1\.png: not a PNG image, or damaged .* again, or"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", ": an empty file. Copy it"), (b"text", ", but another file of that name. Save it as")],
)
def test_what_is_no_image_is_refused(folder, second, content, found):
    second.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"b/1\.png: not a PNG image{found}"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["JPEG", "GIF", "BMP", "TIFF", "WebP"])
def test_other_formats_under_the_name_of_png_are_named(folder, second, name):
    Image.new("L", (6, 5)).save(second, format=name)
    with pytest.raises(DataFileError, match=rf"b/1\.png: not a PNG image, but a {name} of that"):
        read_folder(folder)


def test_an_animation_is_refused(folder, second):
    images = [Image.fromarray(RANDOM.integers(0, 256, (5, 6), np.uint8)) for _ in range(3)]
    images[0].save(second, save_all=True, append_images=images[1:])
    with pytest.raises(DataFileError, match=r"b/1\.png: an animated PNG of 3 images"):
        read_folder(folder)


def test_colours_of_16_bits_are_refused(folder, second):
    """Pillow reads the upper halves without a word. It writes none: this one is by hand."""
    header = struct.pack(">IIBBBBB", 6, 5, 16, 2, 0, 0, 0)
    rows = (b"\0" + bytes(6 * 3 * 2)) * 5
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    second.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    assert Image.open(second).mode == "RGB"
    with pytest.raises(DataFileError, match=r"b/1\.png: a PNG of 16 bits"):
        read_folder(folder)


def test_pixels_are_bounded_before_they_are_unpacked(folder, second, monkeypatch):
    """To unpack what is left of this image would be another error."""
    monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")
    Image.new("L", (5000, 5000)).save(second)
    second.write_bytes(second.read_bytes()[:100])
    message = r"b/1\.png: unpacks to more than 1048576 bytes; refused.* FREECONV_UNPACKED_GB"
    with pytest.raises(DataFileError, match=message):
        read_folder(folder)


def test_an_image_that_pillow_finds_too_large_is_named(folder, second, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    draw(second)
    with pytest.raises(DataFileError, match=r"a/1\.png: too large an image .*; scale it down"):
        read_folder(folder)


def make_folder(path):
    path.mkdir()


def make_lost_link(path):
    path.symlink_to("nowhere")


def make_loop(path):
    path.symlink_to(path.name)


def make_link_up(path):
    path.symlink_to("..")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("c", make_folder, "c: an empty folder; put .* or remove it"),
        ("c", make_lost_link, "c: a broken link; fix it, or remove it"),
        ("c", make_loop, "c: a broken link"),
        ("c", make_link_up, "c/my images: a folder in the folder of a class"),
        ("b/2.png", make_folder, r"b/2\.png: a folder in the folder of a class"),
        ("b/2.png", make_lost_link, r"b/2\.png: a broken link; fix it, or remove it"),
        ("b/2.png", make_loop, r"b/2\.png: a broken link"),
        ("b/2.png", make_link_up, r"b/2\.png: a folder in the folder of a class"),
    ],
)
def test_what_stands_in_the_place_of_another_is_refused(folder, second, name, make, message):
    draw(second)
    make(folder / name)
    with pytest.raises(DataFileError, match=message):
        read_folder(folder)


def test_links_are_followed(folder, second, tmp_path):
    drawn = draw(tmp_path / "elsewhere/1.png")
    second.symlink_to(tmp_path / "elsewhere/1.png")
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    images, labels = read_folder(folder)
    np.testing.assert_array_equal(images[1:, ..., 0], [drawn, drawn])
    assert labels.tolist() == [0, 1, 2]


def test_equal_numbers_are_in_the_order_of_their_names(folder, caplog):
    caplog.set_level("INFO")
    for name in ("1", "001", "01", "0001"):
        draw(folder / name / "1.png")
    read_folder(folder)
    assert caplog.messages == ["class 0: 0001", "class 1: 001", "class 2: 01", "class 3: 1"]


def test_devices_in_a_folder_are_not_opened(folder):
    draw(folder / "a/1.png")
    (folder / "b").mkdir()
    os.mkfifo(folder / "b/1.png")
    with pytest.raises(DataFileError, match=r"b/1\.png: not a PNG file"):
        read_folder(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_folder(Path(tmp_path / "none"))
