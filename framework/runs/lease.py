"""Ensures that only one job writes to a run, with a lease that is renewed, because object stores have no locks.

The holder writes `lease.json` and renews it regularly. Another job that finds it written less than STALE_SECONDS ago
does not touch the run. If the holder ran on this machine, its death is detected at once by its process id; if it ran
elsewhere, after STALE_SECONDS without renewal.

Only the storage's clock counts: the time of `lease.json` against that of a file that the second job writes beside it.
The times inside `lease.json` are for people. A copied lease, or one with a time in the future, holds nobody up.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framework.errors import LeaseError, StorageError
from framework.runs.documents import Lease, checked_document
from framework.storage import Folder
from framework.storage.folder import TEMPORARY
from framework.storage.json_text import parse_json

LEASE = "lease.json"
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
_SETTLE_SECONDS = 0.5  # two jobs that start at once both write; after this time both see the later lease


@dataclass(frozen=True)
class Holder:
    """The job that writes to a run.

    Attributes:
        host: The name of its machine.
        pid: Its process id on that machine.
        age_seconds: Seconds since it last renewed the lease; below 0 if the lease has a time in the future.
        alive: Whether it still holds the run.
    """

    command: str
    host: str
    pid: int
    age_seconds: float
    alive: bool

    def __str__(self) -> str:
        ago = max(0.0, self.age_seconds)
        return f"{self.command} (process {self.pid} on {self.host}, last active {ago:.0f} s ago)"


def holder(folder: Folder, *, now: float | None = None, stale_seconds: float = STALE_SECONDS) -> Holder | None:
    """The job that holds the run in a folder, or that died without releasing it; None if there is no lease.

    Args:
        folder: The folder of the run.
        now: The time by the clock of the folder's storage; None for the clock of this machine, which suffices to show
            the state of a run.
        stale_seconds: The age from which a lease holds nobody up.
    """
    document = _read(folder)
    if document is None:
        return None
    try:
        age = (time.time() if now is None else now) - folder.modified(LEASE)
    except StorageError:  # it was given back just now
        return None
    here = _is_here(document)
    # A time in the future means nothing, unless the clock was set back under a job of this machine.
    recent = age < stale_seconds and (age > -stale_seconds or here)
    alive = recent and not (here and _started(document["pid"]) != document["pid_started"])
    return Holder(document["command"], document["host"], document["pid"], age, alive)


def _storage_time(folder: Folder) -> float:
    """The present time by the clock of a folder's storage."""
    probe = f"{TEMPORARY}clock-{secrets.token_hex(4)}"
    try:
        folder.write_bytes(probe, b"")
        return folder.modified(probe)
    finally:
        folder.delete(probe)


@contextlib.contextmanager
def lease(
    folder: Folder,
    command: list[str],
    *,
    on_lost: Callable[[str], None],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    stale_seconds: float = STALE_SECONDS,
) -> Iterator[None]:
    """Holds the lease of a run's folder for this block.

    Args:
        folder: The folder of the run, which need not exist yet.
        command: The command line, which is shown to other jobs that are refused.
        on_lost: Called once, on another thread, with a line that says which job has taken over the run.
        heartbeat_seconds: Seconds between two renewals of the lease.
        stale_seconds: The age from which another job's lease is taken over.

    Raises:
        LeaseError: Another job holds the run.
    """
    if _read(folder) is not None:
        before = holder(folder, now=_storage_time(folder), stale_seconds=stale_seconds)
        if before is not None and before.alive:
            raise LeaseError(_refusal(folder, before))
    mine = _Lease(folder, command)
    mine.write()
    time.sleep(_SETTLE_SECONDS)
    if not mine.is_held():
        other = holder(folder)
        raise LeaseError(
            _refusal(folder, other)
            if other
            else f"{folder.location}: another job has just ended on this run; try again"
        )
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(mine, ended, heartbeat_seconds, on_lost), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(heartbeat_seconds)
        mine.give_back()


class _Lease:
    def __init__(self, folder: Folder, command: list[str]) -> None:
        self.folder = folder
        self._about = {
            "token": uuid.uuid4().hex,
            "command": " ".join(command),
            "host": socket.gethostname(),
            "boot": _boot(),
            "pid": os.getpid(),
            "pid_started": _started(os.getpid()),
        }

    def write(self) -> None:
        now = time.time()
        renewed = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        self.folder.write_json(LEASE, {**self._about, "renewed": renewed, "renewed_unix_seconds": now})

    def is_held(self) -> bool:
        document = _read(self.folder)
        return document is not None and document["token"] == self._about["token"]

    def give_back(self) -> None:
        with contextlib.suppress(StorageError):  # a lease that stays behind becomes stale
            if self.is_held():
                self.folder.delete(LEASE)


def _renew(mine: _Lease, ended: threading.Event, heartbeat_seconds: float, on_lost: Callable[[str], None]) -> None:
    while not ended.wait(heartbeat_seconds):
        try:
            held = mine.is_held()
            if held:
                mine.write()
                continue
            other = holder(mine.folder)
        except StorageError:
            continue  # if the storage stays unreachable, the job's own writes fail too
        why = f"taken over by {other}" if other else f"{LEASE} was deleted or damaged"
        on_lost(f"{mine.folder.location}: {why}; this job ends")
        return


def _refusal(folder: Folder, other: Holder) -> str:
    return (
        f"{folder.location}: another job is writing to this run, {other}; stop it first "
        f"(if its machine was lost, the run is free {STALE_SECONDS:.0f} s after it was last active)"
    )


def _read(folder: Folder) -> dict[str, Any] | None:
    """The content of lease.json; None if it does not exist or is damaged.

    Raises:
        StorageError: The storage cannot be reached.
    """
    place = f"{folder.location}/{LEASE}"
    try:
        data = folder.read_bytes(LEASE)
    except StorageError:
        if folder.exists(LEASE):
            raise
        return None
    try:
        return checked_document(parse_json(data, place=place), Lease, place=place)
    except StorageError:
        return None


def _is_here(document: dict[str, Any]) -> bool:
    """Whether the holder ran on this machine since its last boot, so that its process can be looked for."""
    return (document["host"], document["boot"]) == (socket.gethostname(), _boot())


def _boot() -> str:
    """Identifies the current boot of the machine, or the current container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> float | None:
    """The start of a local process in clock ticks since boot; None if it does not exist or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self").exists() or not _exists(pid) else 0.0
    return None if fields[0] in "ZX" else float(fields[19])


def _exists(pid: int) -> bool:
    """Whether a process exists, for machines without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
