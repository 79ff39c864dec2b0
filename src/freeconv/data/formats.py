"""Image data sets: how they are read, and the one file each of them becomes.

A prepared data set is a NumPy file holding a structured array with a record an image: `image`
(uint8, height x width x channels) and `label` (uint8). It can be mapped into memory, so that
`open_dataset(path)["image"]` is N x height x width x channels without a copy.

The parsers refuse whatever does not look exactly like the file expected, and never unpickle.

Source: Ott et al. (2020), section 3: training and test part of MNIST and CIFAR-10 concatenated.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from freeconv.data.archives import read_members, too_large, unpacked_max
from freeconv.data.local_files import arrays_in_use
from freeconv.errors import DataFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

IDX_UINT8 = 0x08
CLASSES_MAX = 256
"""Most classes of a data set, whose labels are kept as uint8."""

CIFAR10_SHAPE = (32, 32, 3)
CIFAR10_MEMBERS = tuple(
    f"cifar-10-batches-bin/{name}.bin"
    for name in (*(f"data_batch_{part}" for part in range(1, 6)), "test_batch")
)

logger = logging.getLogger(__name__)


def pack(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Joins images and labels in one structured array, ready for `numpy.save`.

    Args:
        images: Pixel values 0 to 255, dtype uint8.
        labels: Classes, integers 0 to 255.

    Input shape:
        `images`: `(n, height, width, channels)`, `labels`: `(n,)`

    Output shape:
        `(n,)`

    Returns:
        Structured array with the fields `image` and `label`, both uint8.

    Raises:
        ValueError: If shapes, dtypes or label values are not as above.

    Example:
        >>> np.save("digits.npy", pack(*digits()))
        >>> open_dataset("digits.npy")["image"].shape
        (1797, 28, 28, 1)
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(
            "`images` must be uint8 of shape (n, height, width, channels). "
            f"Received: {images.dtype} of shape {images.shape}."
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`labels` must be integers of shape ({len(images)},), one for each image. "
            f"Received: {labels.dtype} of shape {labels.shape}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() <= 255:
        raise ValueError(f"`labels` must be 0 to 255. Received: {labels.min()} to {labels.max()}.")
    records = np.empty(
        len(images), dtype=[("image", np.uint8, images.shape[1:]), ("label", np.uint8)]
    )
    records["image"] = images
    records["label"] = labels
    return records


def by_content(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts a data set by what its images are: the SHA-256 of their pixels, then their class.

    So copies of the same images in different orders become one data set, and its contiguous folds
    are the same of every copy, and as good as drawn at random.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        labels: Classes, array `(n,)`.

    Returns:
        `(images, labels)` in the new order, of the same shapes and types.

    Example:
        >>> images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
        >>> by_content(images, np.array([5, 6, 7]))[1]
        array([6, 5, 7])
    """
    order = _order_by_content(images, labels)
    return images[order], labels[order]


def is_by_content(images: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a data set is in the order of `by_content`, by the same arguments."""
    order = _order_by_content(images, labels)
    return order == sorted(order)


def _order_by_content(images, labels):
    """Returns the numbers of the images as they are sorted, a list."""
    digests = [hashlib.sha256(np.ascontiguousarray(image)).digest() for image in images]
    return sorted(range(len(images)), key=lambda number: (digests[number], labels[number]))


def open_dataset(path: Path) -> np.ndarray:
    """Maps a prepared data set into memory, read-only.

    Args:
        path: File written by `numpy.save(path, pack(images, labels))`.

    Returns:
        `numpy.memmap`, a structured array as `pack` returns it.

    Raises:
        DataFileError: If the file is not such an array.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    try:
        records = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise DataFileError(path, f"not a prepared data set ({error}).") from error
    if not _is_dataset(records.dtype) or records.ndim != 1:
        raise DataFileError(
            path,
            "not a prepared data set: expected records of image (uint8, height x width x "
            f"channels) and label (uint8), found {records.dtype} of shape {records.shape}.",
        )
    return records


def _is_dataset(dtype):
    """Tells whether the dtype is one that `pack` makes."""
    if dtype.names != ("image", "label") or dtype["label"] != np.uint8:
        return False
    return dtype["image"].base == np.uint8 and dtype["image"].ndim == 3


def class_count(labels: np.ndarray) -> int:
    """Returns the number of classes: labels run from 0 to the largest that occurs.

    Args:
        labels: Classes, non-negative integers, at least one.

    Returns:
        The largest label plus one, an `int`.
    """
    return int(np.max(labels)) + 1


def number_classes(where: str, labels: np.ndarray) -> np.ndarray:
    """Numbers the classes of a data set from 0, in the order of their labels.

    Labels 0, 1, 2, ... stay as they are. Of others, the log says which class is which; where
    numbers are missing between the lowest and the highest label, as a warning.

    Args:
        where: What holds the labels, for messages.
        labels: Array of shape `(n,)`: whole numbers of any type, at least 0, or texts.

    Returns:
        Classes, uint8 of shape `(n,)`, 0 to the number of classes less one.

    Raises:
        DataFileError: If there are no labels, more than `CLASSES_MAX` different ones, or one that
            is none of the above.

    Example:
        >>> number_classes("letters", np.array([1, 26, 2, 1]))
        array([0, 2, 1, 0], dtype=uint8)
    """
    values, numbers = np.unique(_checked_labels(where, labels), return_inverse=True)
    if not 1 <= len(values) <= CLASSES_MAX:
        raise DataFileError(
            where,
            f"holds {len(values)} different labels; expected 1 to {CLASSES_MAX}, one for each "
            "class.",
        )
    if values.dtype.kind == "U":
        values, numbers = _in_order_of_numbers(values, numbers)
    elif np.array_equal(values, np.arange(len(values))):
        return numbers.astype(np.uint8)
    elif values[-1] - values[0] >= len(values):
        listed = ", ".join(f"{value:g}" for value in values)
        logger.warning(
            "%s: the labels %s leave numbers out; these classes are numbered 0 to %d in this "
            "order. If images are missing, add them",
            *(where, listed if len(listed) <= 80 else listed[:77] + "...", len(values) - 1),
        )
    for number, value in enumerate(values):
        logger.info("class %d: label %s", number, value)
    return numbers.astype(np.uint8)


def _checked_labels(where, labels):
    """Returns labels as whole numbers or texts that can be sorted; raises for any other."""
    labels = np.asarray(labels)
    wrong, kind = np.zeros(labels.shape, bool), labels.dtype.kind
    if kind == "S":
        labels = np.char.decode(labels, "utf-8", "backslashreplace")
    if kind in "SU":
        wrong = np.char.strip(labels) == ""
    elif kind == "f":
        wrong = ~(np.isfinite(labels) & (labels == np.rint(labels)) & (labels >= 0))
    elif kind == "i":
        wrong = labels < 0
    elif kind == "b":
        labels = labels.astype(np.uint8)
    elif kind != "u":
        raise DataFileError(where, f"labels of the type {labels.dtype}; {_LABELS}.")
    if wrong.any():
        raise DataFileError(
            where,
            f"holds the label {labels[wrong][0].item()!r}; {_LABELS}. Leave images without a class "
            "out.",
        )
    return labels


_LABELS = "expected whole numbers from 0 on, or texts"


def _in_order_of_numbers(values, numbers):
    """Sorts texts by the numbers that they are, if all are ("9" before "10")."""
    if all(value.isdecimal() for value in values):
        order = sorted(range(len(values)), key=lambda place: (int(values[place]), values[place]))
        return values[order], np.argsort(order)[numbers]
    return values, numbers


def check_content(where: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Raises or warns where no network could learn from images.

    Args:
        where: What they become, for messages.
        images: uint8 array `(n, height, width, channels)`.
        labels: Classes, integer array `(n,)`, from `number_classes`.

    Raises:
        DataFileError: If the images have no pixels, or all are of one class.
    """
    if images.size == 0:
        raise DataFileError(
            where, f"images of shape {images.shape}; expected at least one image and one pixel."
        )
    if not np.ptp(labels):
        raise DataFileError(
            where,
            f"all {len(labels)} images are of one class; expected at least two, to be told apart.",
        )
    if all(np.array_equal(image, images[0]) for image in images):
        logger.warning("%s: all images are the same, so that nothing can be learned", where)
    elif images.max() <= 1:
        logger.warning(
            "%s: no pixel is above 1, so that all images are nearly black; pixels are 0 to 255. "
            "Multiply them by 255 if 1 is white",
            where,
        )


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns scikit-learn's 1,797 handwritten digits in the format of MNIST.

    As MNIST was made from larger scans: the digit is scaled to 20x20 pixels (from 8x8, bilinear)
    and placed in a frame of 28x28 so that its centre of mass comes as near to the frame's centre
    as whole pixels allow, without leaving the frame.

    Returns:
        `(images, labels)`: uint8 of shape `(1797, 28, 28, 1)`, 0 (ground) to 255 (ink), and uint8
        of shape `(1797,)`, 0 to 9.
    """
    from scipy import ndimage
    from sklearn.datasets import load_digits

    small = load_digits()
    # Pixels are areas, not points: the outer edges of the two grids coincide.
    scale = (1, 20 / 8, 20 / 8)
    scaled = ndimage.zoom(small.images, scale, order=1, mode="nearest", grid_mode=True)
    images = np.zeros((len(scaled), 28, 28, 1), dtype=np.uint8)
    for image, ink in zip(images, np.rint(scaled * (255 / 16)), strict=True):
        offset = np.rint(13.5 - np.array(ndimage.center_of_mass(ink))).astype(int)
        row, column = np.clip(offset, 0, 28 - 20)
        image[row : row + 20, column : column + 20, 0] = ink
    return images, small.target.astype(np.uint8)


def read_idx(path: Path) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, plain or compressed by gzip.

    Args:
        path: The file.

    Returns:
        uint8 array of the shape the file states.

    Raises:
        DataFileError: If the magic number or the size is wrong, or gzip finds the file damaged.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            return _parse_idx(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError(path, f"damaged gzip file ({error}).") from error


def _parse_idx(file, path):
    """Reads an open IDX file of unsigned bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, IDX_UINT8]) or magic[3] == 0:
        raise DataFileError(
            path,
            f"not an IDX file of unsigned bytes: it begins with 0x{magic.hex()}, expected 0x000008 "
            "and the number of axes. Save other data as NPZ.",
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataFileError(path, f"ends within its header of {magic[3]} axes.")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    size = math.prod(shape)
    if size > (limit := unpacked_max()):
        raise too_large(path, limit)
    # One byte more than expected tells trailing bytes, however many a compressed file holds.
    values = file.read(size + 1)
    if len(values) != size:
        found = "more" if len(values) > size else str(len(values))
        raise DataFileError(path, f"states the shape {shape}, {size} bytes, but holds {found}.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def read_mnist_like(
    train_images: Path, train_labels: Path, test_images: Path, test_labels: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a data set in MNIST's four IDX files, training part first.

    Args:
        train_images: IDX file of training images, count x height x width.
        train_labels: IDX file of their labels.
        test_images: IDX file of test images of the same size.
        test_labels: IDX file of their labels.

    Returns:
        `(images, labels)`: uint8 of shape `(n, height, width, 1)`, and the classes of both parts
        (`number_classes`), uint8 of shape `(n,)`.

    Raises:
        DataFileError: If a file is no IDX file of the axes expected, or counts or image sizes
            differ.
        FileNotFoundError: If a file is missing.
    """
    images, labels = zip(
        _read_idx_pair(train_images, train_labels),
        _read_idx_pair(test_images, test_labels),
        strict=True,
    )
    if images[0].shape[1:] != images[1].shape[1:]:
        raise DataFileError(
            test_images,
            f"images of {size_text(images[1].shape[1:])} pixels, but those of {train_images} "
            f"have {size_text(images[0].shape[1:])}; all must be the same.",
        )
    classes = number_classes(train_labels, np.concatenate(labels))
    return np.concatenate(images)[..., np.newaxis], classes


def _read_idx_pair(images_path, labels_path):
    """Reads images and their labels, and checks that they belong together."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, axes in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != axes:
            raise DataFileError(
                path, f"has {array.ndim} axes, expected {axes}; save images in colour as NPZ."
            )
    if len(images) != len(labels):
        raise DataFileError(
            labels_path, f"{len(labels)} labels for the {len(images)} images of {images_path}."
        )
    return images, labels


def read_cifar10(archive: Path, member_records: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Reads CIFAR-10 from its binary archive, without unpacking it to disk.

    Args:
        archive: `cifar-10-binary.tar.gz`. Each of its six `CIFAR10_MEMBERS` is a series of
            records of 3,073 bytes: the label, then 32x32 pixels of red, green and blue.
        member_records: Number of images in each member.

    Returns:
        `(images, labels)`: uint8 of shape `(6 * member_records, 32, 32, 3)`, the five training
        parts first, and uint8 of shape `(6 * member_records,)`, 0 to 9.

    Raises:
        DataFileError: If the archive is damaged, a member is missing or of another size, a label
            exceeds 9, or the archive unpacks to more than `archives.unpacked_max`.
        FileNotFoundError: If there is no such file.
    """
    height, width, channels = CIFAR10_SHAPE
    size = member_records * (1 + height * width * channels)
    parts = _read_parts(archive, CIFAR10_MEMBERS, size)
    images = np.empty((len(parts), member_records, *CIFAR10_SHAPE), dtype=np.uint8)
    labels = np.empty((len(parts), member_records), dtype=np.uint8)
    for index, name in enumerate(CIFAR10_MEMBERS):
        records = np.frombuffer(parts.pop(name), dtype=np.uint8).reshape(member_records, -1)
        if records[:, 0].max() > 9:
            raise DataFileError(
                f"{archive}, {name}", f"holds the label {records[:, 0].max()}; labels are 0 to 9."
            )
        labels[index] = records[:, 0]
        planes = records[:, 1:].reshape(-1, channels, height, width)
        images[index] = planes.transpose(0, 2, 3, 1)
    return images.reshape(-1, *CIFAR10_SHAPE), labels.reshape(-1)


def _read_parts(archive, names, size):
    """Returns the bytes of the named members of an archive, each of exactly `size` bytes."""
    parts = dict(read_members(archive, names.__contains__))
    missing = [name for name in names if name not in parts]
    if missing:
        raise DataFileError(archive, f"lacks {', '.join(missing)}.")
    for name, content in parts.items():
        if len(content) != size:
            raise DataFileError(archive, f"{name} must be {size} bytes, not {len(content)}.")
    return parts


def read_npz(archive: Path, arrays: Sequence[str] | None = ()) -> tuple[np.ndarray, np.ndarray]:
    """Reads a data set from arrays that `numpy.savez` or `numpy.savez_compressed` wrote.

    Args:
        archive: The NPZ file.
        arrays: Pairs of names, of images and of their labels; several pairs are joined in their
            order. Without any, the first of `local_files.NPZ_ARRAYS` that the file holds.

    Returns:
        `(images, labels)`: uint8 of shape `(n, height, width, channels)`, with one channel where
        the images of the file have no such axis, and the classes of all parts, see
        `number_classes`, uint8 of shape `(n,)`.

    Raises:
        DataFileError: If the file is no NPZ file, an array is missing, images are not integers from
            0 to 255 in gray or RGB, there is not one label for each image, or parts differ in the
            size of their images.
        FileNotFoundError: If there is no such file.
    """
    arrays = arrays_in_use(archive, arrays)
    members = {f"{name}.npy" for pair in arrays for name in pair}
    found = {
        name.removesuffix(".npy"): _parse_npy(f"{archive}, array {name!r}", content)
        for name, content in read_members(archive, members.__contains__)
    }
    parts = [_npz_part(archive, found, *pair) for pair in arrays]
    images, labels = zip(*parts, strict=True)
    for (name, _), part in zip(arrays, images, strict=True):
        if part.shape[1:] != images[0].shape[1:]:
            raise DataFileError(
                archive,
                f"images of {size_text(part.shape[1:])} in {name}, but those of {arrays[0][0]} "
                f"have {size_text(images[0].shape[1:])}; all must be the same.",
            )
    return np.concatenate(images), number_classes(archive, np.concatenate(labels))


def _parse_npy(where, content):
    """Returns the array that bytes in the format of `numpy.save` hold, which is never unpickled."""
    file = io.BytesIO(content)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
    except (KeyError, ValueError) as error:
        raise DataFileError(where, f"not an array of NumPy ({error}).") from error
    if dtype.hasobject:
        raise DataFileError(
            where,
            "holds Python objects, which are never loaded. Save images as uint8, all of one size, "
            "and labels as numbers or texts: labels.astype(str).",
        )
    # What a header states is allocated before anything is read.
    size, held = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if size != held:
        raise DataFileError(where, f"states the shape {shape}, {size} bytes, but holds {held}.")
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _npz_part(archive, found, images_name, labels_name):
    """Returns the images and labels of one part of an NPZ file, once they are as they must be."""
    images, labels = _npz_images(archive, images_name, found[images_name]), found[labels_name]
    if labels.shape == (len(images), 1):
        labels = labels[:, 0]
    if labels.shape != images.shape[:1]:
        one_hot = " Of one-hot labels take labels.argmax(axis=1)." if labels.ndim == 2 else ""
        raise DataFileError(
            archive,
            f"{labels_name} is {labels.dtype} of shape {labels.shape}; expected labels of shape "
            f"({len(images)},), one for each image of {images_name}.{one_hot}",
        )
    return images, labels


def _npz_images(archive, name, images):
    """Returns images as uint8 `(n, height, width, channels)`; raises where values would change."""
    shaped = images[..., np.newaxis] if images.ndim == 3 else images
    if shaped.ndim == 4 and shaped.shape[3] in (1, 3) and images.size:
        if images.dtype.kind in "iu" and 0 <= images.min() <= images.max() <= 255:
            return shaped.astype(np.uint8)
        remedy = _remedy_for_pixels(name, images)
    else:
        remedy = _remedy_for_shape(name, images)
    raise DataFileError(
        archive,
        f"{name} is {images.dtype} of shape {images.shape}; expected uint8 (0 to 255) of shape "
        f"(n, height, width), or with 1 or 3 channels at the end.{remedy}",
    )


def _remedy_for_shape(name, images):
    """Returns what to do about images whose shape is not that of images."""
    if not images.size:
        return " It holds no pixels."
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return f" Save {name}.transpose(0, 2, 3, 1)."
    return f" Save {name}.reshape(-1, HEIGHT, WIDTH)." if images.ndim == 2 else ""


def _remedy_for_pixels(name, images):
    """Returns what to do about images of the right shape whose values are not 0 to 255."""
    if images.dtype.kind == "b":
        return f" Save 255 * {name}.astype('uint8')."
    if images.dtype.kind not in "iuf":
        return ""
    if not np.isfinite(images).all():
        return " It holds values that are not finite: repair these images or leave them out."
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        return f" Its values are {low:g} to {high:g}: scale them to 0 to 255."
    scaled = f"(255 * {name})" if high <= 1 else name
    return f" Save {scaled}.round().astype('uint8')."


def size_text(sizes: Sequence[int]) -> str:
    """Returns the sizes of an image as text, such as 28x28."""
    return "x".join(str(size) for size in sizes)
