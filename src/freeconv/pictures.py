"""Data sets of PNG images in folders, one folder a class."""

import io
import logging
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from freeconv.archives import read_members
from freeconv.datasets import size_text
from freeconv.errors import DataFileError

PNG_BYTES_MAX = 2**32
"""Most bytes that the pixels of a folder of images may take."""

# What Pillow raises for a file that is no whole PNG.
_DAMAGE = (OSError, SyntaxError, ValueError, zlib.error)

logger = logging.getLogger(__name__)


def read_folder(archive):
    """Reads a data set of PNG images, in one folder a class.

    Classes are numbered from 0 by the names of their folders, in the order of numbers if all are
    numbers, else of the alphabet. Images come in turn, one of each class, in the order of their
    names: whatever part of them is taken has all classes. Hidden files are left out, and so are
    files beside the folders of classes.

    Args:
        archive: The folder that holds the folders of classes, or a ZIP or TAR archive of it, see
            `archives.read_members`.

    Returns:
        `(images, labels)`: uint8 of shape `(n, height, width, channels)`, 1 channel (gray) or 3
        (red, green, blue), and uint8 of shape `(n,)`.

    Raises:
        DataFileError: If there are fewer than 2 or more than 256 classes; a file in the folder of
            a class is no PNG, or none of 8-bit gray or RGB; or an image differs from the first one
            in its size or channels. The message names the first such file.
        FileNotFoundError: If there is no such file or folder.
    """
    archive = Path(archive)
    files = _folder_files(archive) if archive.is_dir() else _archive_files(archive)
    names = sorted({name for name, _ in files}, key=_class_order(files))
    if not 2 <= len(names) <= 256:
        found = f"{len(names)} folders of PNG images: {', '.join(names)[:200] or 'none'}"
        raise DataFileError(archive, f"holds {found}; expected 2 to 256, one a class.")
    for label, name in enumerate(names):
        logger.info("class %d: %s", label, name)
    images = _in_turn(archive, files, names)
    return np.stack([image for image, _ in images]), np.array([n for _, n in images], np.uint8)


def _class_order(files):
    """Returns the key by which the names of classes are sorted."""
    return int if all(name.isdecimal() for name, _ in files) else str


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
        for file in _visible(path) if path.is_dir() else ():
            if not file.is_file() or file.suffix.lower() != ".png":
                raise DataFileError(
                    file, "not a PNG file; the folder of a class may hold nothing else."
                )
            files[path.name, file.name] = decoder.decode(file, file.read_bytes())
    return files


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


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
        self.left = PNG_BYTES_MAX

    def decode(self, where, content):
        """Returns the image, uint8 of shape (height, width, 1 or 3)."""
        # Pillow takes a moment to load, and no other format needs it.
        from PIL import Image

        try:
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                if image.mode not in ("L", "RGB"):
                    raise DataFileError(
                        where,
                        f"a PNG of Pillow's mode {image.mode}; expected 8-bit gray (L) or RGB. "
                        "Convert it (Pillow: Image.convert).",
                    )
                # The size is known before the pixels are unpacked.
                self.left -= image.width * image.height * {"L": 1, "RGB": 3}[image.mode]
                if self.left < 0:
                    raise DataFileError(
                        where, f"up to here, images hold more than {PNG_BYTES_MAX} bytes; refused."
                    )
                pixels = np.asarray(image)
        except DataFileError:
            raise
        except (
            OSError,
            SyntaxError,
            ValueError,
            zlib.error,
            Image.DecompressionBombError,
        ) as error:
            raise DataFileError(where, f"not a PNG image, or damaged ({error}).") from error
        return pixels.reshape(*pixels.shape[:2], -1)
