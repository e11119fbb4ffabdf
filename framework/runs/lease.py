"""One writer a run: a lease with signs of life, since object stores have no locks.

The holder writes `lease.json` and renews it; who finds it renewed less than STALE_SECONDS ago leaves the run alone. A
holder that died on this machine is seen at once by its process, one elsewhere when its signs of life have stopped for
that long (so the clocks of the machines should agree within some seconds).
"""

import contextlib
import os
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
from framework.storage import Folder

LEASE = "lease.json"
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
_SETTLE_SECONDS = 0.5  # two who begin at the same moment both write; after this the later one is seen by both


@dataclass(frozen=True)
class Holder:
    """Who writes to a run.

    Attributes:
        command: As typed.
        host: Its machine's name.
        pid: Its process there.
        age_seconds: Since its last sign of life.
        alive: Whether it still holds the run.
    """

    command: str
    host: str
    pid: int
    age_seconds: float
    alive: bool

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid} on {self.host}, last sign of life {self.age_seconds:.0f} s ago)"


def holder(folder: Folder) -> Holder | None:
    """Who holds the run in a folder, or held it last without giving it back; None where nobody does."""
    found = _read(folder)
    if found is None:
        return None
    age = max(0.0, time.time() - found["renewed_unix_seconds"])
    alive = age < STALE_SECONDS and not _is_dead_here(found)
    return Holder(found["command"], found["host"], found["pid"], age, alive)


@contextlib.contextmanager
def lease(
    folder: Folder,
    command: list[str],
    *,
    on_lost: Callable[[str], None],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Iterator[None]:
    """Holds a run's folder for this block.

    Args:
        folder: RUN; need not be there yet.
        command: As typed; whoever is refused is told it.
        on_lost: Called once, on another thread, with a line that says who took the run over.
        heartbeat_seconds: Between two signs of life.

    Raises:
        LeaseError: Another job holds it.
    """
    before = holder(folder)
    if before is not None and before.alive:
        raise LeaseError(_refusal(folder, before))
    mine = _Lease(folder, command)
    mine.write()
    time.sleep(_SETTLE_SECONDS)
    if not mine.is_held():
        other = holder(folder)
        raise LeaseError(_refusal(folder, other) if other else f"{folder.location}: another job has just ended here")
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
        found = _read(self.folder)
        return found is not None and found["token"] == self._about["token"]

    def give_back(self) -> None:
        with contextlib.suppress(StorageError):  # it becomes stale by itself
            if self.is_held():
                self.folder.delete(LEASE)


def _renew(mine: _Lease, ended: threading.Event, heartbeat_seconds: float, on_lost: Callable[[str], None]) -> None:
    while not ended.wait(heartbeat_seconds):
        try:
            held = mine.is_held()
            if held:
                mine.write()
        except StorageError:
            continue  # a storage that is away for long stops the job's own writing too
        if not held:
            other = holder(mine.folder)
            on_lost(f"{mine.folder.location}: taken over by {other or 'another job'}; this one ends")
            return


def _refusal(folder: Folder, other: Holder) -> str:
    return (
        f"{folder.location}: is written by another job, {other}; stop that one first "
        f"(after a machine was lost the run is free {STALE_SECONDS:.0f} s after the last sign of life)"
    )


def _read(folder: Folder) -> dict[str, Any] | None:
    """The lease that lies there; one that is damaged counts as none."""
    try:
        found = folder.read_json(LEASE)
        return {
            "token": str(found["token"]),
            "command": str(found["command"]),
            "host": str(found["host"]),
            "boot": str(found["boot"]),
            "pid": int(found["pid"]),
            "pid_started": found["pid_started"],
            "renewed_unix_seconds": float(found["renewed_unix_seconds"]),
        }
    except (StorageError, KeyError, TypeError, ValueError):
        return None


def _is_dead_here(found: dict[str, Any]) -> bool:
    """Whether its process can be seen to be gone: it ran on this machine, and its number is free or another's."""
    if (found["host"], found["boot"]) != (socket.gethostname(), _boot()):
        return False
    return _started(found["pid"]) != found["pid_started"]


def _boot() -> str:
    """Tells one life of a machine, or container, from the next."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> float | None:
    """When a process of this machine started, in clock ticks since boot; None where it is not there, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self").exists() or not _is_there(pid) else 0.0
    return None if fields[0] in "ZX" else float(fields[19])


def _is_there(pid: int) -> bool:
    """For machines without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
