"""Data sets of PNG images in folders, one folder a class."""

import io
import logging
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from freeconv.archives import read_members, too_large, unpacked_max
from freeconv.datasets import CLASSES_MAX, size_text
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


def read_folder(archive):
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
    names = sorted({name for name, _ in files}, key=_class_order(files))
    if not 2 <= len(names) <= CLASSES_MAX:
        found = f"{len(names)} folders of PNG images: {', '.join(names)[:200] or 'none'}"
        raise DataFileError(archive, f"holds {found}; expected 2 to {CLASSES_MAX}, one a class.")
    for label, name in enumerate(names):
        logger.info("class %d: %s", label, name)
    images = _in_turn(archive, files, names)
    return np.stack([image for image, _ in images]), np.array([n for _, n in images], np.uint8)


def _class_order(files):
    """Returns the key by which the names of classes are sorted."""
    if all(name.isdecimal() for name, _ in files):
        return lambda name: (int(name), name)
    return str


def _in_turn(archive, files, names):
    """Returns pairs of an image and its label: the first of each class, the second, and so on."""
    labels = {name: label for label, name in enumerate(names)}
    place = dict.fromkeys(names, -1)
    order = []
    for name, file in sorted(files):
        place[name] += 1
        order.append((place[name], labels[name], name, file))
    order.sort()
    first = files[order[0][2:]]
    for *_, name, file in order:
        image = files[name, file]
        if image.shape != first.shape:
            raise DataFileError(
                archive / name / file,
                f"an image of {size_text(image.shape)} (height x width x channels), but "
                f"{'/'.join(order[0][2:])} is {size_text(first.shape)}; all must be alike.",
            )
    return [(files[name, file], label) for _, label, name, file in order]


def _folder_files(folder):
    """Returns (class, file) -> image of a folder."""
    files, decoder = {}, _PngDecoder()
    for path in _visible(folder):
        if not path.is_dir():
            _check_beside(path)
            continue
        within = _visible(path)
        if not within:
            raise DataFileError(path, "an empty folder; put the images of a class in, or remove it")
        for file in within:
            _check_file(file)
            files[path.name, file.name] = decoder.decode(file, file.read_bytes())
    return files


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _check_beside(path):
    """Raises for a file beside the folders of classes that looks like a part of the data set."""
    if not path.exists():
        raise DataFileError(path, f"{_LOST_LINK}, or remove it")
    if _is_png(path):
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
    if not path.is_file() or not _is_png(path):
        raise DataFileError(
            path,
            "not a PNG file; the folder of a class may hold nothing else. Save it as PNG, or "
            "remove it",
        )


def _is_png(path):
    return path.suffix.lower() == ".png"


_LOST_LINK = "a link that leads nowhere; mend it"


def _archive_files(archive):
    """Returns (class, file) -> image of an archive; a folder around all classes may be there."""
    files, others, decoder = {}, [], _PngDecoder()
    for name, content in read_members(archive):
        parts = PurePosixPath(name).parts
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if parts[-1].lower().endswith(".png"):
            files[parts] = decoder.decode(f"{archive}, {name}", content)
        else:
            others.append(parts)
    around = 1 if {len(p) for p in files} == {3} and len({p[0] for p in files}) == 1 else 0
    classes = {parts[:-1] for parts in files}
    misplaced = [parts for parts in files if len(parts) != around + 2]
    for parts in misplaced + [parts for parts in others if parts[:-1] in classes]:
        raise DataFileError(
            f"{archive}, {'/'.join(parts)}",
            "expected PNG files alone, each in the folder of its class: <class>/<name>.png.",
        )
    return {parts[around:]: image for parts, image in files.items()}


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
