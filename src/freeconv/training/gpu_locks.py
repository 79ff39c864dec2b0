"""Which GPU a job has: one that no other job of this user has, or a share of one.

A share of a card is a lock on a file (`flock`). The kernel releases it when the process ends,
however it ends, so that a killed job never keeps a card. Nothing here imports a backend: the card
must be known before one starts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often a waiting job looks for a card again."""

BRIEFLY = 0.3
"""Seconds that are longer than a look at the cards takes."""


@dataclass(frozen=True)
class Share:
    """How much of a card a job takes: `taken` of the `shares` that the card is divided into."""

    taken: int = 1
    shares: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """The share that a text such as `1/4` means.

        Raises:
            InputError: if it is no such text, or not within 1/shares to shares/shares.
        """
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
        share = cls(*map(int, match.groups())) if match else cls(0)
        if not 1 <= share.taken <= share.shares:
            raise InputError(
                f"gpu share: {text} is not allowed; expected TAKEN/SHARES, such as 1/1 for a "
                "whole card and 1/4 for one of its four shares"
            )
        return share

    @property
    def fraction(self) -> float:
        """Of the card's memory, above 0 and at most 1."""
        return self.taken / self.shares


@dataclass(frozen=True)
class Card:
    """A GPU.

    Attributes:
        name: what CUDA_VISIBLE_DEVICES calls it: an index, or the UUID of a card or of a part
            of one (MIG).
        key: what tells it from every other one on this machine.
    """

    name: str
    key: str


@dataclass(frozen=True)
class TakenCard:
    """A card of which this process has a share, until it ends or releases the share."""

    card: Card
    locks: tuple[int, ...]

    def release(self) -> None:
        """Releases the share."""
        for lock in self.locks:
            os.close(lock)


def list_cards(
    environment: Mapping[str, str] = os.environ,
    run: Callable = subprocess.run,
    devices: Path = Path("/dev"),
) -> list[Card]:
    """The cards that this process may use.

    Args:
        environment: mapping; its CUDA_VISIBLE_DEVICES names the cards where it is there, as a
            user, a container or Slurm sets it.
        run: what asks `nvidia-smi` otherwise, as `subprocess.run`.
        devices: folder with the device nodes `nvidia0`, `nvidia1`, ... that are counted where
            `nvidia-smi` is missing or fails.

    Returns:
        A list of `Card`, without repetition; empty where there is none, or where
        CUDA_VISIBLE_DEVICES hides them all (empty, or `-1`).
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = _visible_names(visible)
        # An index says which card it is on this machine only together with the UUIDs there.
        uuids = _list_uuids(run) if any(name.isdigit() for name in names) else []
    elif uuids := _list_uuids(run):
        names = uuids
    else:
        nodes = [path for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
        names = [str(index) for index in range(len(nodes))]
    return [Card(name, _key(name, uuids, environment)) for name in names]


def take_card(cards: Sequence[Card], share: Share, folder: Path | None = None) -> TakenCard:
    """Takes a share of the emptiest card; waits while none has as much left.

    A card is divided in one way at a time: while others have quarters of it, no half of it is free.
    One job waits at a time, and all others wait for it, so that a job that needs a whole card is
    not overtaken by those that need less.

    Args:
        cards: list of `Card`, at least one; of equally empty ones the first is taken.
        share: a `Share`.
        folder: where the lock files are; by default one of this user, in the system's folder
            for temporary files.

    Returns:
        A `TakenCard`.

    Raises:
        InputError: if the folder is another user's, or open to others.
    """
    folder = folder or _own_folder()
    names = ", ".join(card.name for card in cards)
    busy = "gpu: %s: all GPUs are busy; waiting for a share"
    queue = _lock(folder / "queue")
    if queue is None:  # another job waits, or has only just looked
        time.sleep(BRIEFLY)
        queue = _lock(folder / "queue")
    waits = queue is None
    if waits:
        log.info(busy, names)
        queue = _lock(folder / "queue", wait=True)
    try:
        while (taken := _take(cards, share, folder)) is None:
            if not waits:
                log.info(busy, names)
                waits = True
            time.sleep(POLL_SECONDS)
    finally:
        os.close(queue)
    log.info("gpu: %s, %d of %d shares", taken.card.name, share.taken, share.shares)
    return taken


def memory_of(card: Card, run: Callable = subprocess.run) -> int | None:
    """The memory of a card in MiB, or None where `nvidia-smi` does not say."""
    query = ["--query-gpu=memory.total", "--format=csv,noheader,nounits", f"--id={card.key}"]
    text = _nvidia_smi(run, *query).strip()
    return int(text) if text.isdigit() else None


def _take(cards, share, folder):
    """A `TakenCard`, or None if no card has as much left; to be called by one process at a time."""
    free = {card: _free_shares(folder, card, share.shares) for card in cards}
    best = max(cards, key=lambda card: len(free[card]))
    enough = len(free[best]) >= share.taken
    locks = tuple(free[best][: share.taken]) if enough else ()
    for lock in set().union(*free.values()).difference(locks):
        os.close(lock)
    return TakenCard(best, locks) if enough else None


def _free_shares(folder, card, shares):
    """Locks on the shares of a card that no other process has."""
    folder = folder / re.sub(r"[^A-Za-z0-9-]", "_", card.key)
    folder.mkdir(mode=0o700, exist_ok=True)
    names = [f"share-{number}-of-{shares}" for number in range(1, shares + 1)]
    for other in folder.glob("share-*"):
        if other.name not in names:
            lock = _lock(other)
            if lock is None:  # the card is divided in another way
                return []
            os.close(lock)
    locks = [_lock(folder / name) for name in names]
    return [lock for lock in locks if lock is not None]


def _lock(path, wait=False):
    """The descriptor of a locked file, or None if another process has the lock."""
    # Not inherited by programs that this process starts: they may outlive it.
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        return None
    os.utime(lock)  # systems clear old files out of their temporary folders
    return lock


def _own_folder():
    """This user's folder of lock files.

    It is not in XDG_RUNTIME_DIR, which goes when a user logs out, and jobs stay.
    """
    folder = Path(tempfile.gettempdir()) / f"freeconv-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    safe = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if not safe or status.st_uid != os.getuid():
        raise InputError(
            f"{folder}: the locks of GPUs must be in a folder of your own that is closed to "
            "others (mode 700); remove it, or set TMPDIR to another folder"
        )
    return folder


def _visible_names(visible):
    """The cards that CUDA_VISIBLE_DEVICES names: as CUDA, up to the first that cannot be one."""
    names = []
    for name in map(str.strip, visible.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", name):
            break
        names.append(name)
    return list(dict.fromkeys(names))


def _key(name, uuids, environment):
    """A UUID where it is known (of unlike cards by index: if CUDA_DEVICE_ORDER is PCI_BUS_ID).

    Else an index, which Slurm may count from 0 in every one of its jobs, whichever cards are
    theirs. Its jobs do not share cards, but what runs within one of them does.
    """
    if not name.isdigit():
        return name
    if int(name) < len(uuids):
        return uuids[int(name)]
    job = environment.get("SLURM_JOB_ID")
    return f"slurm-{job}-{name}" if job else name


def _list_uuids(run):
    """The UUIDs of the cards, of their parts where they are divided; [] without `nvidia-smi`."""
    uuids = []
    for line in _nvidia_smi(run, "--list-gpus").splitlines():
        match = re.search(r"\(UUID: ((GPU|MIG)-[^)\s]+)\)", line)
        if match and match[2] == "MIG" and uuids and uuids[-1].startswith("GPU-"):
            uuids[-1] = match[1]  # CUDA computes on the parts of such a card alone
        elif match:
            uuids.append(match[1])
    return uuids


def _nvidia_smi(run, *arguments):
    """What `nvidia-smi` prints; nothing where it is missing or fails."""
    command = ["nvidia-smi", *arguments]
    try:
        return run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
