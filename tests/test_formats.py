"""Data sets: hand-made files in every format, whole and damaged."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from freeconv.data import formats
from freeconv.data.formats import DataFileError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
LABELS = np.array([3, 0, 2, 1, 2, 0, 3])


class TestByContent:
    # The fifth is the second again, of another class.
    images, labels = IMAGES[[0, 1, 2, 3, 1]], np.array([4, 3, 0, 1, 2])

    def test_images_are_sorted_by_their_digests_then_their_classes(self):
        expected = sorted(
            (hashlib.sha256(image.tobytes()).hexdigest(), label)
            for image, label in zip(self.images, self.labels.tolist(), strict=True)
        )
        images, labels = formats.by_content(self.images, self.labels)
        digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        assert list(zip(digests, labels.tolist(), strict=True)) == expected
        assert images.dtype == np.uint8

    def test_every_order_becomes_one(self):
        expected = formats.by_content(self.images, self.labels)
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(5)
            found = formats.by_content(self.images[order], self.labels[order])
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])

    def test_the_order_is_recognised(self):
        sorted_images, sorted_labels = formats.by_content(self.images, self.labels)
        assert formats.is_by_content(sorted_images, sorted_labels)
        assert not formats.is_by_content(sorted_images[::-1], sorted_labels[::-1])


class TestPrepared:
    def test_round_trip_through_a_memory_map(self, tmp_path):
        path = tmp_path / "images.npy"
        np.save(path, formats.pack(IMAGES, LABELS))
        records = formats.open_dataset(path)
        assert isinstance(records, np.memmap)
        assert isinstance(records["image"], np.memmap)
        assert np.shares_memory(records["image"], records)
        np.testing.assert_array_equal(records["image"], IMAGES)
        np.testing.assert_array_equal(records["label"], LABELS)
        assert records["image"].dtype == records["label"].dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            records["label"][0] = 1

    @pytest.mark.parametrize(
        ("images", "labels", "message"),
        [
            (IMAGES[..., 0], LABELS, r"`images`.*\(7, 5, 6\)"),
            (IMAGES / 255, LABELS, "`images`.*float64"),
            (IMAGES, LABELS[:-1], r"`labels`.*\(7,\).*\(6,\)"),
            (IMAGES, LABELS / 2, "`labels`.*float64"),
            (IMAGES, LABELS + 254, "`labels` must be 0 to 255.*254 to 257"),
            (IMAGES, LABELS - 1, "`labels` must be 0 to 255.*-1 to 2"),
        ],
    )
    def test_pack_checks(self, images, labels, message):
        with pytest.raises(ValueError, match=message):
            formats.pack(images, labels)

    @pytest.mark.parametrize(
        "array",
        [
            IMAGES,
            np.zeros(3, [("image", np.uint8, (5, 6)), ("label", np.uint8)]),
            np.zeros(3, [("image", np.float32, (5, 6, 1)), ("label", np.uint8)]),
            np.zeros(3, [("image", np.uint8, (5, 6, 1)), ("label", np.int64)]),
            np.zeros(3, [("label", np.uint8), ("image", np.uint8, (5, 6, 1))]),
            np.zeros((3, 2), [("image", np.uint8, (5, 6, 1)), ("label", np.uint8)]),
        ],
    )
    def test_foreign_arrays_are_refused(self, tmp_path, array):
        path = tmp_path / "foreign.npy"
        np.save(path, array)
        with pytest.raises(DataFileError, match=r"foreign\.npy: not a prepared data set"):
            formats.open_dataset(path)

    def test_pickles_are_refused(self, tmp_path):
        path = tmp_path / "pickle.npy"
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(DataFileError, match=r"pickle\.npy: not a prepared data set"):
            formats.open_dataset(path)

    @pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00"])
    def test_foreign_files_are_refused(self, tmp_path, content):
        path = tmp_path / "foreign.npy"
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"foreign\.npy: not a prepared data set"):
            formats.open_dataset(path)

    def test_truncated_file_is_refused(self, tmp_path):
        path = tmp_path / "short.npy"
        np.save(path, formats.pack(IMAGES, LABELS))
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DataFileError, match=r"short\.npy: not a prepared data set"):
            formats.open_dataset(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            formats.open_dataset(tmp_path / "none.npy")

    def test_class_count(self):
        count = formats.class_count(LABELS.astype(np.uint8))
        assert count == 4
        assert type(count) is int
        assert formats.class_count(np.array([255], np.uint8)) == 256


class TestClasses:
    def number(self, labels):
        classes = formats.number_classes("y", np.array(labels))
        assert classes.dtype == np.uint8
        return classes.tolist()

    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            ([2, 0, 1, 0], [2, 0, 1, 0]),
            ([26, 1, 25, 1, *range(2, 25)], [25, 0, 24, 0, *range(1, 24)]),
            ([1000, 1001, 1000], [0, 1, 0]),
            ([2.0, 1.0, 2.0], [1, 0, 1]),
            ([True, False], [1, 0]),
            (["10", "9", "0", "9"], [2, 1, 0, 1]),
            ([b"10", b"9"], [1, 0]),
            (["cat", "dog", "10"], [1, 2, 0]),
            ([3], [0]),
        ],
    )
    def test_numbered_in_their_order(self, labels, classes, caplog):
        assert self.number(labels) == classes
        assert [record for record in caplog.records if record.levelname == "WARNING"] == []

    def test_the_log_says_which_class_is_which_unless_they_are_as_they_were(self, caplog):
        caplog.set_level("INFO")
        self.number([0, 1, 2])
        assert caplog.messages == []
        self.number(["b", "a"])
        assert caplog.messages == ["class 0: label a", "class 1: label b"]

    @pytest.mark.parametrize("labels", [[0, 2, 5], [0.0, 2.0, 5.0], [1, 3, 6]])
    def test_gaps_are_warned_of(self, labels, caplog):
        assert self.number(labels) == [0, 1, 2]
        (warning,) = caplog.messages
        listed = ", ".join(f"{label:g}" for label in labels)
        assert warning.startswith(f"y: the labels {listed} leave numbers out; these classes are ")

    @pytest.mark.parametrize(
        ("labels", "found"),
        [
            ([0, -1, 1], "holds the label -1;"),
            ([0.0, 0.5], "holds the label 0.5;"),
            ([0.0, np.nan], "holds the label nan;"),
            ([0.0, np.inf], "holds the label inf;"),
            (["a", " "], "holds the label ' ';"),
            ([1j, 2j], "labels of the type complex128;"),
            (np.arange(257), "holds 257 different labels; expected 1 to 256"),
            (np.zeros(0, int), "holds 0 different labels"),
        ],
    )
    def test_refuses(self, labels, found):
        with pytest.raises(DataFileError, match=f"y: {found}"):
            self.number(labels)


class TestContent:
    @pytest.mark.parametrize(
        ("images", "labels", "message"),
        [
            (IMAGES, [3] * 7, "a.npy: all 7 images are of one class; expected at least two"),
            (IMAGES[:, :0], LABELS, r"a.npy: images of shape \(7, 0, 6, 3\)"),
        ],
    )
    def test_refuses(self, images, labels, message):
        with pytest.raises(DataFileError, match=message):
            formats.check_content("a.npy", images, np.array(labels))

    @pytest.mark.parametrize(
        ("images", "warnings"),
        [
            (IMAGES, []),
            (np.repeat(IMAGES[:1], 7, axis=0), ["a.npy: all images are the same"]),
            (np.zeros_like(IMAGES), ["a.npy: all images are the same"]),
            (IMAGES % 2, ["a.npy: no pixel is above 1"]),
        ],
    )
    def test_warns(self, images, warnings, caplog):
        formats.check_content("a.npy", images, LABELS)
        assert len(caplog.messages) == len(warnings)
        assert all(m.startswith(w) for m, w in zip(caplog.messages, warnings, strict=True))


@pytest.fixture(scope="module")
def digits():
    return formats.digits()


class TestDigits:
    def test_format(self, digits):
        images, labels = digits
        assert images.shape == (1797, 28, 28, 1)
        assert images.dtype == labels.dtype == np.uint8
        assert images.min() == 0
        assert 200 < images.max() <= 255
        np.testing.assert_array_equal(labels, load_digits().target)

    @pytest.mark.parametrize("index", [0, 1, 77, 1796])
    def test_scaled_bilinearly_within_the_frame(self, digits, index):
        small = load_digits().images[index]
        # Pixel centres of 20 pixels over the width of 8.
        places = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
        rows = np.array([np.interp(places, range(8), column) for column in small.T])
        scaled = np.array([np.interp(places, range(8), row) for row in rows.T])
        image = digits[0][index, ..., 0].astype(float)
        match = [
            (row, column)
            for row in range(9)
            for column in range(9)
            if np.abs(
                np.pad(scaled, ((row, 8 - row), (column, 8 - column))) * 255 / 16 - image
            ).max()
            < 0.51
        ]
        assert match

    def test_centred(self, digits):
        ink = digits[0][..., 0].astype(float)
        mass = ink.sum(axis=(1, 2))
        down = (ink.sum(axis=2) * np.arange(28)).sum(axis=1) / mass
        right = (ink.sum(axis=1) * np.arange(28)).sum(axis=1) / mass
        assert np.abs(down - 13.5).max() < 0.51
        assert np.abs(right - 13.5).max() < 0.51


def idx(array, magic=None):
    """The array as an IDX file of unsigned bytes."""
    magic = magic or bytes([0, 0, 8, array.ndim])
    return magic + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


class TestIdx:
    @pytest.mark.parametrize("compress", [bytes, gzip.compress])
    @pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (300, 2)])
    def test_reads(self, tmp_path, shape, compress):
        array = RNG.integers(0, 256, shape, dtype=np.uint8)
        path = tmp_path / "array-ubyte"
        path.write_bytes(compress(idx(array)))
        result = formats.read_idx(path)
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(result, array)

    @pytest.mark.parametrize("compress", [bytes, gzip.compress])
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "not an IDX file"),
            (b"\0\0\x08", "not an IDX file"),
            (idx(IMAGES, magic=b"\0\0\x0d\x04"), "begins with 0x00000d04"),
            (idx(IMAGES, magic=b"\x89PNG"), "begins with 0x89504e47"),
            (idx(IMAGES, magic=b"\0\0\x08\0"), "begins with 0x00000800"),
            (idx(IMAGES)[:10], "ends within its header of 4 axes"),
            (idx(IMAGES)[:-1], r"\(7, 5, 6, 3\), 630 bytes, but holds 629"),
            (idx(IMAGES) + b"\0", r"\(7, 5, 6, 3\), 630 bytes, but holds more"),
            (b"\0\0\x08\x02" + b"\xff" * 100, "more than 4294967296 bytes"),
        ],
    )
    def test_refuses(self, tmp_path, content, message, compress):
        path = tmp_path / "wrong-ubyte"
        path.write_bytes(compress(content))
        with pytest.raises(DataFileError, match=f"wrong-ubyte: .*{message}"):
            formats.read_idx(path)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[:-9],
            lambda content: content[:30] + b"\0\0\0\0" + content[34:],
            lambda content: content[:-8] + b"\0\0\0\0" + content[-4:],
        ],
        ids=["truncated", "overwritten", "wrong checksum"],
    )
    def test_refuses_damaged_gzip(self, tmp_path, damage):
        path = tmp_path / "wrong-ubyte.gz"
        path.write_bytes(damage(gzip.compress(idx(IMAGES))))
        with pytest.raises(DataFileError, match=r"wrong-ubyte\.gz: "):
            formats.read_idx(path)

    def test_decompression_bombs_are_refused(self, tmp_path, monkeypatch):
        bomb = tmp_path / "bomb-ubyte.gz"
        bomb.write_bytes(gzip.compress(idx(np.zeros((2**23,), np.uint8))))
        assert formats.read_idx(bomb).shape == (2**23,)
        monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")
        with pytest.raises(DataFileError, match=r"bomb-ubyte\.gz: unpacks to more than \d+ bytes"):
            formats.read_idx(bomb)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            formats.read_idx(tmp_path / "none")


class TestMnistLike:
    @pytest.fixture
    def parts(self):
        return {
            "train_images": IMAGES[:5, ..., 0],
            "train_labels": LABELS[:5].astype(np.uint8),
            "test_images": IMAGES[5:, ..., 0],
            "test_labels": LABELS[5:].astype(np.uint8),
        }

    def read(self, folder, parts):
        for name, array in parts.items():
            (folder / name).write_bytes(gzip.compress(idx(array)))
        return formats.read_mnist_like(**{name: folder / name for name in parts})

    def test_training_part_first(self, tmp_path, parts):
        images, labels = self.read(tmp_path, parts)
        np.testing.assert_array_equal(images, IMAGES[..., :1])
        np.testing.assert_array_equal(labels, LABELS)
        assert images.dtype == labels.dtype == np.uint8

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            ("train_labels", np.zeros(4, np.uint8), "train_labels: 4 labels for the 5 images of"),
            ("train_images", np.zeros((5, 30), np.uint8), "train_images: has 2 axes, expected 3"),
            ("test_labels", np.zeros((2, 1), np.uint8), "test_labels: has 2 axes, expected 1"),
            ("test_images", np.zeros((2, 6, 5), np.uint8), "test_images: .*6x5 .*have 5x6"),
        ],
    )
    def test_refuses(self, tmp_path, parts, name, array, message):
        with pytest.raises(DataFileError, match=message):
            self.read(tmp_path, parts | {name: array})

    @pytest.mark.parametrize(("first", "count"), [(0, 47), (1, 26), (0, 10)])
    def test_other_numbers_of_classes(self, tmp_path, first, count):
        """As those of EMNIST: letters from 1 to 26, and 47 classes; a part may lack some."""
        labels = np.arange(first, first + count, dtype=np.uint8)
        images = np.zeros((count, 2, 2), np.uint8)
        parts = {"train_images": images, "train_labels": labels[::-1]}
        parts |= {"test_images": images[:2], "test_labels": labels[5:7]}
        _, classes = self.read(tmp_path, parts)
        assert classes.tolist() == [*range(count)[::-1], 5, 6]


class TestCifar10:
    """An archive of two images a member, as the original is made of 10,000."""

    count = 2
    images = RNG.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = np.array([0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4], np.uint8)

    @pytest.fixture
    def members(self):
        members = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}
        names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
        for index, name in enumerate([*names, "test_batch"]):
            content = b""
            for image in range(2 * index, 2 * index + 2):
                content += bytes([self.labels[image]])
                for channel in range(3):
                    content += self.images[image, :, :, channel].tobytes()
            members[f"cifar-10-batches-bin/{name}.bin"] = content
        return members

    def read(self, folder, members):
        path = folder / "cifar.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=1) as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return formats.read_cifar10(path, member_records=self.count)

    def test_reads(self, tmp_path, members):
        images, labels = self.read(tmp_path, members)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, self.images)
        np.testing.assert_array_equal(labels, self.labels)

    def test_order_in_the_archive_does_not_matter(self, tmp_path, members):
        images, labels = self.read(tmp_path, dict(reversed(members.items())))
        np.testing.assert_array_equal(images, self.images)
        np.testing.assert_array_equal(labels, self.labels)

    def test_missing_members_are_refused(self, tmp_path, members):
        del members["cifar-10-batches-bin/data_batch_3.bin"]
        del members["cifar-10-batches-bin/test_batch.bin"]
        with pytest.raises(
            DataFileError, match=r"cifar\.tar\.gz: lacks .*data_batch_3\.bin, .*test_batch\.bin"
        ):
            self.read(tmp_path, members)

    @pytest.mark.parametrize("size", [0, 6145, 6147])
    def test_wrong_sizes_are_refused(self, tmp_path, members, size):
        members["cifar-10-batches-bin/data_batch_2.bin"] = bytes(size)
        with pytest.raises(DataFileError, match=f"data_batch_2.bin must .*6146 bytes, not {size}"):
            self.read(tmp_path, members)

    def test_labels_are_checked(self, tmp_path, members):
        members["cifar-10-batches-bin/test_batch.bin"] = bytes([10]) + bytes(6145)
        with pytest.raises(DataFileError, match=r"test_batch\.bin: holds the label 10.*0 to 9"):
            self.read(tmp_path, members)

    def test_decompression_bombs_are_refused(self, tmp_path, members, monkeypatch):
        monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")
        bomb = {"cifar-10-batches-bin/readme.html": bytes(2**21)}
        with pytest.raises(DataFileError, match=r"unpacks to more than \d+ bytes; refused"):
            self.read(tmp_path, bomb | members)

    def test_links_are_refused(self, tmp_path):
        path = tmp_path / "cifar.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(member)
        with pytest.raises(DataFileError, match=r"data_batch_1\.bin', which is neither a file"):
            formats.read_cifar10(path, member_records=self.count)

    def test_truncated_archive_is_refused(self, tmp_path, members):
        self.read(tmp_path, members)
        path = tmp_path / "cifar.tar.gz"
        path.write_bytes(path.read_bytes()[:-20_000])
        with pytest.raises(DataFileError, match=r"cifar\.tar\.gz: .*damaged"):
            formats.read_cifar10(path, member_records=self.count)

    def test_a_wrong_checksum_is_noticed(self, tmp_path, members):
        self.read(tmp_path, members)
        path = tmp_path / "cifar.tar.gz"
        path.write_bytes(path.read_bytes()[:-8] + bytes(8))
        with pytest.raises(DataFileError, match=r"cifar\.tar\.gz: .*damaged"):
            formats.read_cifar10(path, member_records=self.count)

    @pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text" * 300)])
    def test_foreign_files_are_refused(self, tmp_path, content):
        path = tmp_path / "cifar.tar.gz"
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"cifar\.tar\.gz: not a ZIP or TAR archive"):
            formats.read_cifar10(path)


class TestNpz:
    def read(self, folder, options=None, **arrays):
        path = folder / "images.npz"
        np.savez_compressed(path, **arrays)
        return formats.read_npz(path, **options or {})

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize(("x", "y"), [("images", "labels"), ("x", "y")])
    def test_reads(self, tmp_path, save, x, y):
        save(tmp_path / "images.npz", **{x: IMAGES, y: LABELS, "other": [1.5]})
        images, labels = formats.read_npz(tmp_path / "images.npz")
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_array_equal(labels, LABELS)

    def test_gray_images_may_lack_channels_and_labels_be_a_column(self, tmp_path):
        arrays = {"x": IMAGES[..., 0], "y": LABELS[:, np.newaxis]}
        images, labels = self.read(tmp_path, **arrays)
        np.testing.assert_array_equal(images, IMAGES[..., :1])
        np.testing.assert_array_equal(labels, LABELS)

    def test_order_of_columns_in_memory_does_not_matter(self, tmp_path):
        images, _ = self.read(tmp_path, x=np.asfortranarray(IMAGES), y=LABELS)
        np.testing.assert_array_equal(images, IMAGES)

    def test_parts_are_joined(self, tmp_path):
        parts = {"x_train": IMAGES[:5], "y_train": LABELS[:5]}
        parts |= {"x_test": IMAGES[5:], "y_test": LABELS[5:]}
        for options in ({}, {"arrays": [["x_train", "y_train"], ["x_test", "y_test"]]}):
            images, labels = self.read(tmp_path, options, **parts)
            np.testing.assert_array_equal(images, IMAGES)
            np.testing.assert_array_equal(labels, LABELS)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (
                {"a": IMAGES, "y": LABELS},
                r"images\.npz: holds the arrays a, y; expected .*`arrays`",
            ),
            ({"x": IMAGES / 255, "y": LABELS}, r"x is float64 .* expected uint8 \(0 to 255\)"),
            ({"x": IMAGES[..., :2], "y": LABELS}, r"x is uint8 of shape \(7, 5, 6, 2\)"),
            ({"x": IMAGES[0, 0], "y": LABELS}, r"x is uint8 of shape \(6, 3\)"),
            ({"x": IMAGES.reshape(7, -1), "y": LABELS}, r"Save x\.reshape\(-1, HEIGHT, WIDTH\)"),
            ({"x": IMAGES.swapaxes(1, 3), "y": LABELS}, r"Save x\.transpose\(0, 2, 3, 1\)"),
            ({"x": IMAGES, "y": LABELS[1:]}, r"y is int64 of shape \(6,\); expected .*\(7,\)"),
            ({"x": IMAGES, "y": np.eye(7)}, r"y is float64 of shape \(7, 7\); .*argmax\(axis=1\)"),
            ({"x": IMAGES, "y": LABELS - 1}, r"npz: holds the label -1; expected whole numbers"),
            ({"x": IMAGES[:0], "y": LABELS[:0]}, r"x is uint8 of shape \(0, 5, 6, 3\)"),
            ({"x": IMAGES[:, :0], "y": LABELS}, r"x is uint8 of shape \(7, 0, 6, 3\).* no pixels"),
            ({"x": IMAGES / 255, "y": LABELS}, r"Save \(255 \* x\)\.round\(\)\.astype\('uint8'\)"),
            ({"x": IMAGES / 1, "y": LABELS}, r"Save x\.round\(\)\.astype\('uint8'\)"),
            ({"x": np.where(IMAGES, IMAGES, np.nan), "y": LABELS}, "values that are not finite"),
            ({"x": IMAGES > 9, "y": LABELS}, r"x is bool .*Save 255 \* x\.astype\('uint8'\)"),
            ({"x": IMAGES - np.int16(9), "y": LABELS}, "-[0-9]+ to [0-9]+: scale them to 0 to 255"),
            ({"x": IMAGES * np.uint16(257), "y": LABELS}, "x is uint16 .*: scale them to 0 to 255"),
            ({"x": IMAGES.astype(str), "y": LABELS}, "x is <U3 .*expected uint8"),
            (
                {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, 1:], "y_test": LABELS},
                "images of 4x6x3 in x_test, but those of x_train have 5x6x3",
            ),
        ],
    )
    def test_refuses(self, tmp_path, arrays, message):
        with pytest.raises(DataFileError, match=message):
            self.read(tmp_path, **arrays)

    def test_named_arrays_must_be_there(self, tmp_path):
        with pytest.raises(DataFileError, match="lacks the array labels; it holds x, y"):
            self.read(tmp_path, {"arrays": [["x", "labels"]]}, x=IMAGES, y=LABELS)

    def test_whole_numbers_of_any_type_are_pixels(self, tmp_path):
        for dtype in ("int16", "int64", ">u2"):
            images, _ = self.read(tmp_path, x=IMAGES.astype(dtype), y=LABELS)
            assert images.dtype == np.uint8
            np.testing.assert_array_equal(images, IMAGES)

    def test_only_the_arrays_in_use_are_read(self, tmp_path, monkeypatch):
        """Neither what is too large nor what would be harmful nor what is no array at all."""
        monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")
        path = tmp_path / "images.npz"
        others = {"large": np.zeros(2**21), "harm": np.array([Harmful(tmp_path / "harm")])}
        np.savez_compressed(path, allow_pickle=True, images=IMAGES, labels=LABELS, **others)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("broken.npy", b"text")
        for arrays in ((), [["images", "labels"]]):
            images, labels = formats.read_npz(path, arrays)
            np.testing.assert_array_equal(images, IMAGES)
            np.testing.assert_array_equal(labels, LABELS)
        assert not (tmp_path / "harm").exists()
        with pytest.raises(DataFileError, match=r"images\.npz: unpacks to more than 1048576 bytes"):
            formats.read_npz(path, [["large", "labels"]])

    def test_classes_are_those_of_all_parts(self, tmp_path):
        parts = {"x_train": IMAGES[:5], "y_train": LABELS[:5] + 4}
        parts |= {"x_test": IMAGES[5:], "y_test": LABELS[5:] + 4}
        _, labels = self.read(tmp_path, **parts)
        np.testing.assert_array_equal(labels, LABELS)

    def test_pickles_are_refused_without_a_look(self, tmp_path):
        path = tmp_path / "images.npz"
        np.savez(path, allow_pickle=True, images=np.array([Harmful(tmp_path / "harm")]), labels=[0])
        message = r"'images\.npy': holds Python objects, .*labels\.astype\(str\)"
        with pytest.raises(DataFileError, match=message):
            formats.read_npz(path)
        assert not (tmp_path / "harm").exists()

    def test_stated_sizes_are_not_believed(self, tmp_path):
        header = io.BytesIO()
        shape = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
        np.lib.format.write_array_header_1_0(header, shape)
        with zipfile.ZipFile(tmp_path / "images.npz", "w") as archive:
            archive.writestr("images.npy", header.getvalue() + bytes(10))
            archive.writestr("labels.npy", b"")
        with pytest.raises(DataFileError, match=r"'images\.npy': states the shape .* but holds 10"):
            formats.read_npz(tmp_path / "images.npz")

    @pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00"])
    def test_foreign_arrays_are_refused(self, tmp_path, content):
        with zipfile.ZipFile(tmp_path / "images.npz", "w") as archive:
            archive.writestr("images.npy", content)
            archive.writestr("labels.npy", b"")
        with pytest.raises(DataFileError, match=r"'images\.npy': not an array of NumPy"):
            formats.read_npz(tmp_path / "images.npz")


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def test_the_harmful_pickle_would_do_harm(tmp_path):
    np.savez(tmp_path / "a.npz", allow_pickle=True, a=np.array([Harmful(tmp_path / "harm")]))
    np.load(tmp_path / "a.npz", allow_pickle=True)["a"]
    assert (tmp_path / "harm").is_dir()
