"""Data sets of PNG images in folders, one folder a class."""

from __future__ import annotations

import io
import logging
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from freeconv.data.archives import member_names, read_members, too_large, unpacked_max
from freeconv.data.formats import CLASSES_MAX, size_text
from freeconv.data.local_files import (
    classes_in_order,
    images_of_members,
    is_hidden,
    is_png,
    reading_order,
    visible,
)
from freeconv.errors import DataFileError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OTHERS = {
    b"\xff\xd8\xff": "a JPEG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"RIFF": "a WebP",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
}
"""How files of other formats begin that are found under the name of PNG."""

_SAVE = "Save it as PNG of 8 bits, gray or RGB"

logger = logging.getLogger(__name__)


def read_folder(archive: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a data set of PNG images, in one folder a class.

    Classes are numbered from 0 by the names of their folders, in the order of numbers if all are
    numbers, else of the alphabet. Images come in turn, one of each class, in the order of their
    names: whatever part of them is taken has all classes. Hidden files are left out, and so are
    files beside the folders of classes unless they are PNG images.

    Args:
        archive: The folder that holds the folders of classes, or a ZIP or TAR archive of it, see
            `archives.read_members`.

    Returns:
        `(images, labels)`: uint8 of shape `(n, height, width, channels)`, 1 channel (gray) or 3
        (red, green, blue), and uint8 of shape `(n,)`.

    Raises:
        DataFileError: If there are fewer than 2 or more than 256 classes, or one without images; a
            file in the folder of a class is no PNG, or none of 8-bit gray or RGB; there is an image
            elsewhere; or an image differs from the first one in its size or channels. The message
            names the first such file.
        FileNotFoundError: If there is no such file or folder.
    """
    archive = Path(archive)
    files = _folder_files(archive) if archive.is_dir() else _archive_files(archive)
    names = classes_in_order({name for name, _ in files})
    if not 2 <= len(names) <= CLASSES_MAX:
        found = f"{len(names)} folders of PNG images: {', '.join(names)[:200] or 'none'}"
        raise DataFileError(archive, f"holds {found}; expected 2 to {CLASSES_MAX}, one a class.")
    for label, name in enumerate(names):
        logger.info("class %d: %s", label, name)
    images = _in_turn(archive, files)
    return np.stack([image for image, _ in images]), np.array([n for _, n in images], np.uint8)


def _in_turn(archive, files):
    """Returns pairs of an image and its label: the first of each class, the second, and so on."""
    order = reading_order(files)
    first = "/".join(order[0][1:])
    size = files[tuple(order[0][1:])].shape
    for _, name, file in order:
        image = files[name, file]
        if image.shape != size:
            raise DataFileError(
                archive / name / file,
                f"an image of {size_text(image.shape)} (height x width x channels), but "
                f"{first} is {size_text(size)}; all must be the same.",
            )
    return [(files[name, file], label) for label, name, file in order]


def _folder_files(folder):
    """Returns (class, file) -> image of a folder."""
    files, decoder = {}, _PngDecoder()
    for path in visible(folder):
        if not path.is_dir():
            _check_beside(path)
            continue
        within = visible(path)
        if not within:
            raise DataFileError(path, "an empty folder; put the images of a class in, or remove it")
        for file in within:
            _check_file(file)
            files[path.name, file.name] = decoder.decode(file, file.read_bytes())
    return files


def _check_beside(path):
    """Raises for a file beside the folders of classes that looks like a part of the data set."""
    if not path.exists():
        raise DataFileError(path, f"{_LOST_LINK}, or remove it")
    if is_png(path.name):
        raise DataFileError(path, "an image in no folder; expected <class>/<name>.png")


def _check_file(path):
    """Raises unless a file in the folder of a class is one, by the name of PNG."""
    if path.is_dir():
        raise DataFileError(
            path,
            "a folder in the folder of a class, which may hold PNG files alone: expected "
            "<class>/<name>.png. Move its images, or name the folder that holds the classes",
        )
    if not path.exists():
        raise DataFileError(path, f"{_LOST_LINK}, or remove it")
    if not path.is_file() or not is_png(path.name):
        raise DataFileError(
            path,
            "not a PNG file; the folder of a class may hold nothing else. Save it as PNG, or "
            "remove it",
        )


_LOST_LINK = "a broken link; fix it"


def _archive_files(archive):
    """Returns (class, file) -> image of an archive; a folder around all classes may be there."""
    names = [name for name in member_names(archive) if not is_hidden(PurePosixPath(name).parts)]
    images, decoder = images_of_members(names), _PngDecoder()
    classes = {PurePosixPath(name).parent for name in images}
    misplaced = [name for name, parts in images.items() if len(parts) != 2]
    others = [n for n in names if n not in images and PurePosixPath(n).parent in classes]
    for name in misplaced + others:
        raise DataFileError(
            f"{archive}, {name}",
            "expected PNG files alone, each in the folder of its class: <class>/<name>.png.",
        )
    return {
        images[name]: decoder.decode(f"{archive}, {name}", content)
        for name, content in read_members(archive, images.__contains__)
    }


class _PngDecoder:
    """Turns the bytes of PNG files into arrays, as long as their pixels fit into memory."""

    def __init__(self):
        self.limit = self.left = unpacked_max()

    def decode(self, where, content):
        """Returns the image, uint8 of shape (height, width, 1 or 3)."""
        # Pillow takes a moment to load, and no other format needs it.
        from PIL import Image

        _check_signature(where, content)
        try:
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                _check_kind(where, content, image)
                # The size is known before the pixels are unpacked.
                self.left -= image.width * image.height * len(image.getbands())
                if self.left < 0:
                    raise too_large(f"the images up to {where}", self.limit)
                pixels = np.asarray(image)
        except DataFileError:
            raise
        except Image.DecompressionBombError as error:
            raise DataFileError(where, f"too large an image ({error}); scale it down") from error
        except (OSError, SyntaxError, ValueError, zlib.error) as error:
            raise DataFileError(
                where, f"not a PNG image, or damaged ({error}). Copy it again, or remove it"
            ) from error
        return pixels.reshape(*pixels.shape[:2], -1)


def _check_signature(where, content):
    """Raises for what is another format, or nothing, under the name of PNG."""
    if not content:
        raise DataFileError(where, "not a PNG image: an empty file. Copy it again, or remove it")
    if not content.startswith(_SIGNATURE):
        found = (name for start, name in _OTHERS.items() if content.startswith(start))
        raise DataFileError(
            where, f"not a PNG image, but {next(found, 'another file')} of that name. {_SAVE}"
        )


def _check_kind(where, content, image):
    """Raises for PNG images whose pixels are not 8 bits of gray or RGB."""
    # Pillow reads 16 bits a channel as 8, without a word: they stand in the first chunk.
    bits = content[len(_SIGNATURE) + 16]
    if bits == 16 or image.mode not in ("L", "RGB"):
        raise DataFileError(
            where,
            f"a PNG of {bits} bits, Pillow's mode {image.mode}; expected 8-bit gray (L) or RGB. "
            f"{_SAVE} (Pillow: Image.convert; divide 16 bits by 257 before)",
        )
    if getattr(image, "is_animated", False):
        raise DataFileError(where, f"an animated PNG of {image.n_frames} images. {_SAVE}, one")
