"""What the files of a data set that are on this machine hold, as their readers see it.

Which files a reader reads, and in which order, is said here once for the reader and for the digest
by which changed images are noticed. So nothing else counts: no hidden file, no name of a file or a
folder, no array that is not in use, no compression.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from freeconv.data.archives import member_names, read_members
from freeconv.data.sources import files_of
from freeconv.errors import DataFileError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

NPZ_ARRAYS = (
    (("images", "labels"),),
    (("x", "y"),),
    (("x_train", "y_train"), ("x_test", "y_test")),
)
"""Names of images and labels, by parts, that are looked for in an NPZ file."""


def visible(folder: Path) -> list[Path]:
    """Returns what is in a folder, sorted by name, without hidden files."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def is_png(name: str) -> bool:
    """Whether a file has the name of a PNG image."""
    return name.lower().endswith(".png")


def classes_in_order(names: Iterable[str]) -> list[str]:
    """Returns names of classes in the order of their labels.

    In the order of numbers if all are numbers, else of the alphabet.
    """
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def reading_order(images: Iterable[tuple[str, str]]) -> list[tuple[int, str, str]]:
    """Returns images in the order in which they are read: the first of each class, the second, ...

    Args:
        images: pairs `(class, file)` of names.

    Returns:
        List of `(label, class, file)`.
    """
    labels = {name: label for label, name in enumerate(classes_in_order({n for n, _ in images}))}
    place = dict.fromkeys(labels, -1)
    order = []
    for name, file in sorted(images):
        place[name] += 1
        order.append((place[name], labels[name], name, file))
    return [found for _, *found in sorted(order)]


def images_of_members(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Finds the images among the members of an archive.

    Args:
        names: of members.

    Returns:
        Mapping, name -> its parts, `(class, file)` if it is where it must be. Hidden files are left
        out, and so is a folder around all classes.
    """
    parts = {name: PurePosixPath(name).parts for name in names}
    images = {name: each for name, each in parts.items() if is_png(name) and not is_hidden(each)}
    around = {len(each) for each in images.values()} == {3}
    around = around and len({each[0] for each in images.values()}) == 1
    return {name: each[int(around) :] for name, each in images.items()}


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a member of an archive, or a folder that it is in, is none of the user's making."""
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def arrays_in_use(archive: Any, arrays: Sequence[str] | None) -> Any:
    """Returns the pairs of names that are asked for, or the first of `NPZ_ARRAYS` that is there.

    Args:
        archive: an NPZ file.
        arrays: pairs of names, or none.

    Raises:
        DataFileError: If the file lacks them.
    """
    names = [name.removesuffix(".npy") for name in member_names(archive) if name.endswith(".npy")]
    held = ", ".join(names) or "none"
    for name in (name for pair in arrays or () for name in pair):
        if name not in names:
            raise DataFileError(archive, f"lacks the array {name}; it holds {held}.")
    arrays = arrays or next(
        (pairs for pairs in NPZ_ARRAYS if all(set(pair) <= set(names) for pair in pairs)), None
    )
    if arrays is None:
        raise DataFileError(
            archive,
            f"holds the arrays {held}; expected images and labels, x and y, or x_train, y_train, "
            "x_test and y_test. Name others under the key `arrays` of its source.",
        )
    return arrays


def local_digest(source: Mapping[str, Any]) -> str:
    """A digest of what the reader of a source reads of the files that are on this machine.

    Args:
        source: an entry of the key `sources` of a configuration, see `sources.files_of`.

    Returns:
        16 hexadecimal digits; an empty text if all files are downloaded, or one is not there.

    Raises:
        InputError: if a file cannot be read, or its name not be written in this locale.
    """
    paths = [Path(file.path) for file in files_of(source).values() if file.path]
    try:
        for path in paths:
            os.fsencode(path)  # or it would seem not to be there
        if not paths or not all(path.exists() for path in paths):
            return ""
        lines = [line for path in paths for line in _content(path, source)]
    except UnicodeEncodeError as error:
        raise InputError(
            f"{error.object!a}: has letters that the locale of this shell lacks; "
            "set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        ) from None
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _content(path, source):
    """The digests of all that is read of a file or folder, in the order in which it is read."""
    if path.is_dir():
        return _of_folder(path)
    of_format = {"npz": _of_npz, "folder": _of_archive, "idx": _of_idx}
    try:
        return of_format.get(source["format"], _of_file)(path, source)
    except DataFileError:
        # Its reader will say what is wrong with it.
        return _of_file(path, source)


def _of_folder(folder):
    files = {
        (path.name, file.name): file
        for path in visible(folder)
        if path.is_dir()
        for file in visible(path)
        if file.is_file()
    }
    order = reading_order(files)
    return [f"{label} {_of_stream(files[name, file].open('rb'))}" for label, name, file in order]


def _of_archive(path, _):
    images = images_of_members(member_names(path))
    if any(len(parts) != 2 for parts in images.values()):
        return _of_file(path, _)
    digests = {
        images[name]: hashlib.sha256(content).hexdigest()
        for name, content in read_members(path, images.__contains__)
    }
    return [f"{label} {digests[name, file]}" for label, name, file in reading_order(digests)]


def _of_npz(path, source):
    arrays = [f"{n}.npy" for pair in arrays_in_use(path, source.get("arrays")) for n in pair]
    digests = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in read_members(path, arrays.__contains__)
    }
    return [digests[name] for name in arrays]


def _of_idx(path, _):
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        return [_of_stream(gzip.open(path) if compressed else path.open("rb"))]
    except (EOFError, gzip.BadGzipFile):
        return _of_file(path, _)


def _of_file(path, _):
    return [_of_stream(path.open("rb"))]


def _of_stream(stream):
    with stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
