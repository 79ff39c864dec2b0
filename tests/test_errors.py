"""What scripts say of errors, as they are raised by the system and by the libraries."""

import errno
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from freeconv.data.folds import FOLDS_SCHEMA
from freeconv.errors import InputError, explain
from freeconv.io import read_metadata, read_parquet


def raised(function):
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any, it is looked at
        function()
    return caught.value


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("ENOSPC", "no space left on its disk: free some and run again; finished runs stay"),
        ("EDQUOT", "the disk quota is used up"),
        ("EFBIG", "larger than a file may be here"),
        ("EROFS", "its disk can only be read"),
        ("EIO", "its disk failed"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_with_a_remedy(number, words):
    number = getattr(errno, number)
    text = explain(OSError(number, os.strerror(number), "new.parquet"))
    assert text.startswith(f"new.parquet: {words}")
    # Of a copy, the file that was written; and the remedy even without a name.
    assert explain(OSError(number, "", "old", None, "new")).startswith("new: ")
    assert words in explain(OSError(number, os.strerror(number)))


def test_input_errors_speak_for_themselves():
    assert explain(InputError("epochs: 0")) == "epochs: 0"


def test_a_file_that_cannot_be_opened_is_named_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for path, function, words in [
        ("missing", Path.read_text, "no such file or folder: check the path"),
        ("", Path.read_text, "a folder, expected a file: check the path"),
        ("file/within", Path.read_text, "no such file: a part of the path is a file, where a"),
        ("file", Path.mkdir, "a file, where a folder was expected: check the path"),
        ("loop", Path.read_text, "a link that leads back to itself: replace it"),
    ]:
        assert explain(raised(partial(function, tmp_path / path))).startswith(
            f"{tmp_path / path}: {words}"
        )
    # Who may do everything, as in a container, is never refused.
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "image.png")
    assert explain(denied).startswith("image.png: may not be read, or not be written here: change")


@pytest.mark.parametrize("read", [read_metadata, partial(read_parquet, schema=FOLDS_SCHEMA)])
@pytest.mark.parametrize("path", ["missing", "file/within"])
def test_a_table_that_cannot_be_opened_is_named(tmp_path, read, path):
    """Arrow's errors are not all as those of the system."""
    (tmp_path / "file").write_text("")
    text = explain(raised(partial(read, tmp_path / path)))
    assert text.startswith(f"{tmp_path / path}: no such file")


def exhaust_numpy():
    np.empty((2**57, 2), np.uint8)  # more than any machine can address


def exhaust_tensorflow(name, message):
    """As TensorFlow raises it, but for the ten seconds that it waits for memory before."""
    import tensorflow as tf

    raise getattr(tf.errors, name)(None, None, message)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (exhaust_numpy, "Unable to allocate 256. PiB"),
        (
            partial(
                exhaust_tensorflow,
                "ResourceExhaustedError",
                "Graph execution error:\n\nDetected at node ones defined at\n\n  "
                "OOM when allocating tensor with shape[9] and type float on device:GPU:0\n\t",
            ),
            "(OOM when allocating tensor with shape[9] and type float on device:GPU:0)",
        ),
        (
            partial(
                exhaust_tensorflow,
                "InternalError",
                "Failed copying input tensor: Dst tensor is not initialized.",
            ),
            "(Failed copying input tensor: Dst tensor is not initialized.)",
        ),
        (
            partial(exhaust_tensorflow, "ResourceExhaustedError", "failed"),
            "(ResourceExhaustedError)",
        ),
    ],
)
def test_lack_of_memory_is_told_with_what_to_do(function, words):
    text = explain(raised(function))
    assert text.startswith("out of memory (")
    assert words in text
    assert "let fewer runs share a card" in text
    assert "--retries" in text
    assert "\n" not in text


def test_bugs_are_not_explained_away():
    for error in (ValueError("x"), OSError("no number"), RuntimeError("out of memory")):
        assert explain(error) is None
