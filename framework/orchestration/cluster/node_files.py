"""What every node needs of the job's: packed images, statistics, assessors and weights, fetched once and checked.

Where the nodes share a file system nothing is sent: what lies there is compared by its sha256. Elsewhere it is copied
to the same path through Ray. Results do not go this way; they have `storage.path`.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from framework.data.locking import locked
from framework.errors import ClusterError
from framework.orchestration.cluster.nodes import this_node

CHUNK_BYTES = 8 * 2**20
_MOST_READERS = 64


class _Depot:
    """Reads on the job's node for the others."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, str]] = {}

    def files(self, place: str) -> dict[str, str]:
        """Relative name -> sha256 of what lies at a path; "" for a file itself."""
        if place not in self._files:
            self._files[place] = {name: _sha256(_at(place, name)) for name in _names(Path(place))}
        return self._files[place]

    def read(self, place: str, name: str, offset: int) -> bytes:
        with _at(place, name).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)


@dataclass(frozen=True)
class Depot:
    """Travels with the work.

    Args:
        actor: Reads on the job's node.
        node: That node's id.
    """

    actor: Any
    node: str

    @classmethod
    def new(cls) -> "Depot":
        """On the node where the job runs; lasts as long as this process refers to it."""
        here = this_node()
        actor = ray.remote(_Depot).options(
            name="depot", num_cpus=0, max_concurrency=_MOST_READERS, scheduling_strategy=here
        )
        return cls(actor.remote(), here.node_id)

    def bring(self, places: Sequence[str]) -> None:
        """Sees to it that files and folders lie on this node as on the job's.

        Raises:
            ClusterError: This node cannot write there.
        """
        if ray.get_runtime_context().get_node_id() == self.node:
            return
        for place in places:
            if place not in _brought:
                self._bring(place)
                _brought.add(place)

    def _bring(self, place: str) -> None:
        wanted: Any = ray.get(self.actor.files.remote(place))
        lock = Path(tempfile.gettempdir()) / f"latentscape-{os.getuid()}" / f"{_word(place)}.lock"
        with locked(lock):  # one process of this node looks and fetches
            for name, digest in wanted.items():
                target = _at(place, name)
                try:
                    if not target.exists() or _sha256(target) != digest:
                        self._fetch(place, name, target, digest)
                except OSError as fault:
                    raise ClusterError(
                        f"storage.cache_path: node {ray.util.get_node_ip_address()} cannot use {target} "
                        f"({fault.strerror or fault}); name a folder that every node can write"
                    ) from None

    def _fetch(self, place: str, name: str, target: Path, digest: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".tmp-{target.name}-{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                while chunk := self._read(place, name, file.tell()):
                    file.write(chunk)
            if _sha256(temporary) != digest:
                raise ClusterError(f"{target}: changed on the job's node while it was fetched")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self, place: str, name: str, offset: int) -> bytes:
        chunk: Any = ray.get(self.actor.read.remote(place, name, offset))
        return chunk


@dataclass(frozen=True)
class Needs:
    """Files and folders of the job's node that a piece of work reads.

    Args:
        depot: From where.
        places: Paths, the same on every node.
    """

    depot: Depot
    places: tuple[str, ...]

    def bring(self) -> None:
        """See Depot."""
        self.depot.bring(self.places)


_brought: set[str] = set()


def _names(place: Path) -> list[str]:
    if place.is_file():
        return [""]
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def _at(place: str, name: str) -> Path:
    return Path(place) / name if name else Path(place)


def _word(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
