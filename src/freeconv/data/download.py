"""Downloads that can be trusted: a file gets its name once its content has the digest expected.

The transfers are made by requests. What is added here: sources tried in turn, retries that resume
where the server allows it, an end to waiting for servers that stall or trickle, the digest, and
one message that tells what to do when nothing helped.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import urllib3
from tqdm import tqdm

from freeconv.data.archives import Limited, unpacked_max
from freeconv.errors import DataFileError, InputError
from freeconv.io import naming, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENTS = ("raw", "gunzipped")
"""What a digest is taken of: the file as it is, or what it uncompresses to."""

BLOCK = 2**20
SLOWEST = 1024
"""Bytes a second; a server that stays below is given up like one that says nothing."""

PASSING_STATUSES = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes worth a retry: timeouts, too many requests, trouble within the server."""

logger = logging.getLogger(__name__)


class DownloadError(InputError):
    """A file could not be had from any source; the message says why and what to do."""


class _RefusedError(Exception):
    """This source will not do, however often it is asked."""


class _InterruptedError(Exception):
    """This attempt failed; another one may not."""


@dataclass(frozen=True)
class Patience:
    """How long a server is tried.

    Args:
        attempts: How often each URL is tried, at least 1.
        backoff: Seconds before the second attempt, doubled for each one after it.
        timeout: Seconds without an answer, or with less than `SLOWEST`, that end an attempt.
        wait: Function that waits for a number of seconds.

    Raises:
        ValueError: If `attempts` is below 1.
    """

    attempts: int = 4
    backoff: float = 1.0
    timeout: float = 30.0
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self):
        if self.attempts < 1:
            raise ValueError(f"`attempts` must be at least 1. Received: {self.attempts!r}.")


def fetch(
    name: str,
    urls: Sequence[str],
    sha256: str,
    destination: Path,
    *,
    mirror: str | None = None,
    content: str = "raw",
    patience: Patience | None = None,
) -> Path:
    """Gets a file from the first source that has it with the right content.

    A file that is at `destination` already and has the right content is kept. Otherwise the mirror
    is tried first, then the URLs in turn. Transfers go to partial files beside the destination,
    which later attempts and calls resume; a file of the wrong content is deleted. Progress is
    shown on stderr.

    Args:
        name: The file's name within the mirror, such as `"mnist/train-images-idx3-ubyte.gz"`.
        urls: HTTPS URLs of the file.
        sha256: SHA-256 of the content, 64 hexadecimal digits.
        destination: Path the file is to have. Its folder is made where missing.
        mirror: The user's own mirror: a folder, or a URL to which `/` and `name` are appended and
            which may be plain HTTP.
        content: `"raw"`: `sha256` is that of the file. `"gunzipped"`: that of the uncompressed
            content, for files whose gzip headers differ between mirrors; the file itself stays
            compressed.
        patience: `Patience`, how long each server is tried.

    Returns:
        `destination` as a `pathlib.Path`.

    Raises:
        DownloadError: If no source had the file with the right content.
        InputError: If a URL is not HTTPS, or `sha256` or `content` is not as above.

    Example:
        >>> Path("mirror").mkdir()
        >>> _ = Path("mirror/labels.gz").write_bytes(gzip.compress(b"7210"))
        >>> fetch(
        ...     "labels.gz",
        ...     ["https://example.org/labels.gz"],
        ...     hashlib.sha256(b"7210").hexdigest(),
        ...     "data/labels.gz",
        ...     mirror="mirror",
        ...     content="gunzipped",
        ... )
        PosixPath('data/labels.gz')
    """
    _check_arguments(urls, sha256, content)
    expected = (sha256.lower(), content)
    destination = Path(destination)
    problem = _problem(destination, *expected)
    if problem is None:
        return destination
    failures = [f"{destination}: {problem}"]
    sources = {
        source: _partial_file(destination, source) for source in _sources(name, urls, mirror)
    }
    destination.parent.mkdir(parents=True, exist_ok=True)
    for source, partial in sources.items():
        obtain = _copy if isinstance(source, Path) else _download
        problem = obtain(source, partial, expected, patience or Patience())
        if problem is None:
            settle(partial, destination)
            for leftover in sources.values():
                leftover.unlink(missing_ok=True)
            return destination
        failures.append(f"{source}: {problem}")
        logger.warning("%s", failures[-1])
    raise DownloadError(_advice(name, expected, destination, mirror, failures))


def _check_arguments(urls, sha256, content):
    """Raises InputError for arguments that no download could serve."""
    for url in urls:
        if not url.startswith("https://"):
            raise InputError(
                f"`urls` must begin with https://. Received: {url!r}. "
                "Plain HTTP and folders are for the user's own `mirror`."
            )
    if len(sha256) != 64 or not set(sha256.lower()) <= set("0123456789abcdef"):
        raise InputError(f"`sha256` must be 64 hexadecimal digits. Received: {sha256!r}.")
    if content not in CONTENTS:
        raise InputError(f"Unknown `content`: {content!r}. Expected one of: {', '.join(CONTENTS)}.")


def _sources(name, urls, mirror):
    """Returns where the file may be: a Path for the mirror's folder, text for a URL."""
    if mirror is None:
        return list(urls)
    if str(mirror).startswith(("http://", "https://")):
        return [f"{str(mirror).rstrip('/')}/{name}", *urls]
    return [Path(mirror) / name, *urls]


def _partial_file(destination, source):
    """Returns the partial file of a source: bytes of two mirrors must never mix."""
    tag = hashlib.sha256(str(source).encode()).hexdigest()[:8]
    return destination.with_name(f"{destination.name}.{tag}.part")


def _problem(path, sha256, content):
    """Returns what is wrong with a file, None where nothing is."""
    try:
        digest = _digest(path, content)
    except FileNotFoundError:
        return "no such file or directory"
    except DataFileError as error:
        return error.problem
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return f"damaged gzip file ({error})"
    return None if digest == sha256 else f"wrong content, its SHA-256 is {digest}"


def _digest(path, content):
    """Returns the SHA-256 of a file, or of what it uncompresses to within bounds."""
    if content == "raw":
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    with gzip.open(path) as file:
        stream = Limited(file, unpacked_max(), path)
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _copy(source, partial, expected, _patience):
    """Copies and checks a file of the mirror; returns the problem, None if there is none."""
    try:
        shutil.copyfile(source, partial)
    except OSError as error:
        partial.unlink(missing_ok=True)
        return error.strerror.lower()
    problem = _problem(partial, *expected)
    if problem:
        partial.unlink()
    return problem


def _download(url, partial, expected, patience):
    """Downloads and checks a file; returns the problem, None if there is none."""
    for attempt in range(1, patience.attempts + 1):
        resumed = partial.exists()
        try:
            _transfer(url, partial, patience.timeout)
        except _RefusedError as refusal:
            return str(refusal)
        except _InterruptedError as interruption:
            problem = str(interruption)
        else:
            problem = _problem(partial, *expected)
            if problem is None:
                return None
            partial.unlink()
            # Two halves of different files say nothing about either; a whole one does.
            if not resumed:
                return problem
        logger.warning("%s: %s (attempt %d of %d)", url, problem, attempt, patience.attempts)
        if attempt < patience.attempts:
            patience.wait(patience.backoff * 2 ** (attempt - 1))
    return f"{problem} ({patience.attempts} attempts)"


def _transfer(url, partial, timeout):
    """Makes one attempt to complete a partial file."""
    start = partial.stat().st_size if partial.exists() else 0
    # The file as it lies on the server: a .gz must not arrive uncompressed, nor a range of it.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with (
            _session(url) as session,
            session.get(url, headers=headers, stream=True, timeout=timeout) as response,
        ):
            if not _continues(response, start, partial):
                start = 0
            with (
                naming(partial),
                partial.open("ab" if start else "wb") as file,
                _progress_bar(url, response, start) as bar,
            ):
                for block in _blocks(response.raw, timeout):
                    file.write(block)
                    bar.update(len(block))
    except (requests.exceptions.InvalidSchema, requests.exceptions.SSLError) as error:
        raise _RefusedError(_cause(error)) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _InterruptedError(_cause(error)) from error


def _session(url):
    """Returns a session that reaches plain HTTP only where the URL itself is plain HTTP."""
    session = requests.Session()
    if not url.startswith("http://"):
        # Redirects are followed by adapters as well; without one they are refused.
        del session.adapters["http://"]
    return session


def _continues(response, start, partial):
    """Tells whether a response goes on at byte `start`; if not, it starts over."""
    status = f"HTTP {response.status_code} {response.reason}"
    if response.status_code == 206:
        if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            return True
        partial.unlink(missing_ok=True)
        raise _InterruptedError(f"{status}, but not from byte {start} as asked")
    if response.status_code == 416:
        partial.unlink(missing_ok=True)
        raise _InterruptedError(f"{status}: the partial file does not fit")
    if response.status_code in PASSING_STATUSES:
        raise _InterruptedError(status)
    if response.status_code != 200:
        raise _RefusedError(status)
    return False


def _progress_bar(url, response, start):
    """Returns the progress bar of a transfer, on stderr."""
    length = response.headers.get("Content-Length", "")
    return tqdm(
        desc=url.rsplit("/", 1)[-1],
        total=start + int(length) if length.isdecimal() else None,
        initial=start,
        unit="B",
        unit_scale=True,
        # A log file gets a line now and then instead of ten a second.
        mininterval=0.1 if sys.stderr.isatty() else 10,
    )


def _blocks(stream, timeout):
    """Yields the bytes of a response as they come, as long as they come fast enough."""
    since, received = time.monotonic(), 0
    # read1 returns what has arrived; read would wait for a whole block, however slow the server.
    while block := stream.read1(BLOCK, decode_content=False):
        yield block
        received += len(block)
        elapsed = time.monotonic() - since
        if elapsed > timeout:
            if received < SLOWEST * elapsed:
                raise _InterruptedError(f"{received} bytes in {elapsed:.0f} s, too slow")
            since, received = time.monotonic(), 0


def _cause(error):
    """Returns the innermost cause of a network error, which is the one that tells."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return f"{type(error).__name__}: {error}"


def _advice(name, expected, destination, mirror, failures):
    """Returns the message for a file that no source had."""
    sha256, content = expected
    whose = "SHA-256" if content == "raw" else "SHA-256 of the uncompressed content"
    places = [
        destination,
        *(place for place in _sources(name, [], mirror) if isinstance(place, Path)),
    ]
    return "\n".join(
        [
            f"Missing: {name} ({whose} {sha256}). Tried:",
            *(f"  - {failure}" for failure in failures),
            f"Get the file by other means and put it at {' or '.join(map(str, places))}, or name "
            f"as `mirror` a folder or URL that has it as {name}.",
        ]
    )
