"""What can go wrong through a user's input or machine, as opposed to a bug."""

from __future__ import annotations

import errno
import re

STORAGE = {
    errno.ENOSPC: "no space left on its disk: free some and run again; finished runs stay",
    errno.EDQUOT: "the disk quota is used up: delete files or have it raised, and run again; "
    "finished runs stay",
    errno.EFBIG: "larger than a file may be here: raise the limit (ulimit -f) or choose another "
    "disk, and run again; finished runs stay",
    errno.EROFS: "its disk can only be read: run where files can be written",
    errno.EIO: "its disk failed: check it, and run again; finished runs stay",
}
"""What it means that a file could not be written, and what to do."""

ACCESS = {
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "no such file: a part of the path is a file, where a folder was expected",
    errno.EEXIST: "a file, where a folder was expected: check the path",
    errno.EISDIR: "a folder, expected a file: check the path",
    errno.EACCES: "may not be read, or not be written here: change its permissions or its folder's",
    errno.ELOOP: "a link that leads back to itself: replace it",
}
"""What it means that a file could not be opened, and what to do."""

MEMORY = (
    "On a GPU let fewer runs share a card (--resources gpu=N). Otherwise run fewer jobs at a time "
    "(--cores N), or give a job more (--set-resources RULE:mem_mb=N; --retries N asks for more at "
    "every attempt). Finished runs stay"
)

# What TensorFlow, JAX and XLA call it. The last: a tensor that was to be copied to a full GPU.
_EXHAUSTED = re.compile(
    r"resource[_ ]?exhausted|out[_ ]of[_ ]memory|\bOOM\b|Dst tensor is not initialized", re.I
)


class InputError(ValueError):
    """A wrong configuration, file, argument or machine: the message is for the user.

    The message names the key, file or value, what was expected and what to do.
    Scripts print it alone, without a traceback, and exit with status 1.
    """


class DataFileError(InputError):
    """A data file is not what it should be; the message names the file.

    Args:
        path: of the file.
        problem: what is wrong with it.
    """

    def __init__(self, path, problem):
        super().__init__(f"{path}: {problem}")
        self.problem = problem


def explain(error: Exception) -> str | None:
    """What a user can do about an error.

    Args:
        error: an exception.

    Returns:
        One line that names what was wrong and the remedy, for an `InputError`, an error of the
        system on a file, and memory that did not suffice; None for anything else, which is a bug.
    """
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError):
        file = error.filename2 or error.filename  # of two files, the one that is written
        words = STORAGE.get(error.errno) or (file and ACCESS.get(error.errno, error.strerror))
        if words:
            return f"{file or 'a file'}: {words}"
    if isinstance(error, FileNotFoundError | PermissionError):
        return str(error)
    lacking = _lacking_memory(error)
    return None if lacking is None else f"out of memory ({lacking}). {MEMORY}"


def _lacking_memory(error):
    """What the machine or a GPU had no memory for, in a line; None for any other error."""
    if isinstance(error, MemoryError):
        return str(error).partition("\n")[0] or "Python"
    if type(error).__module__.partition(".")[0] not in ("tensorflow", "jax", "jaxlib"):
        return None
    # Behind the name, a message of many lines, where the first may only say what computed.
    lines = [*str(error).splitlines(), type(error).__name__]
    return next((line.strip() for line in lines if _EXHAUSTED.search(line)), None)
