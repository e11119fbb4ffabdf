"""Files of the job's node that every node needs (packed images, statistics, assessors, weights), copied and verified.

On a shared file system nothing is sent: the files are found there and checked by their sha256. Otherwise they are
copied through Ray to the same path. Results are not copied this way; they are written to `storage.path`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from framework.data.locking import locked, private_temporary_folder
from framework.errors import ClusterError
from framework.orchestration.cluster.nodes import this_node
from framework.storage.folder import temporary_name

if TYPE_CHECKING:
    from ray.actor import ActorProxy

CHUNK_BYTES = 8 * 2**20
_MOST_READERS = 64


class _FileServer:
    """The actor on the job's node that reads files for the other nodes."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, str]] = {}

    @ray.method
    def files(self, place: str) -> dict[str, str]:
        """Relative name -> sha256 of each file of a folder; if the path is a file, its only name is ""."""
        if place not in self._files:
            self._files[place] = {name: _sha256(_at(place, name)) for name in _names(Path(place))}
        return self._files[place]

    @ray.method
    def read(self, place: str, name: str, offset: int) -> bytes:
        with _at(place, name).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)


@dataclass(frozen=True)
class FileServer:
    """Serves files of the job's node; sent to every process with its work.

    Args:
        actor: The actor that reads files on the job's node.
        node: The id of that node.
    """

    actor: "ActorProxy[_FileServer]"
    node: str

    @classmethod
    def new(cls) -> "FileServer":
        """Starts the actor on this node. It lives as long as this process keeps a reference to it."""
        here = this_node()
        actor = ray.remote(_FileServer).options(
            name="file server", num_cpus=0, max_concurrency=_MOST_READERS, scheduling_strategy=here
        )
        return cls(actor.remote(), here.node_id)

    def ensure_local(self, places: Sequence[str]) -> None:
        """Ensures that this node has the same files and folders as the job's node.

        Raises:
            ClusterError: This node cannot write to their place.
            StorageError: Somebody else has prepared the folder of locks.
        """
        if ray.get_runtime_context().get_node_id() == self.node:
            return
        for place in places:
            if place not in _brought:
                self._bring(place)
                _brought.add(place)

    def _bring(self, place: str) -> None:
        digests: dict[str, str] = ray.get(self.actor.files.remote(place))
        lock = private_temporary_folder() / f"{_word(place)}.lock"
        with locked(lock):  # only one process of this node checks and copies
            for name, digest in digests.items():
                target = _at(place, name)
                try:
                    if not target.exists() or _sha256(target) != digest:
                        self._fetch(place, name, target, digest)
                except OSError as fault:
                    raise ClusterError(
                        f"storage.cache_path: node {ray.util.get_node_ip_address()} cannot use {target} "
                        f"({fault.strerror or fault}); choose a folder that every node can write"
                    ) from None

    def _fetch(self, place: str, name: str, target: Path, digest: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(temporary_name(target.name))
        try:
            with temporary.open("xb") as file:  # fails where something is already, so no link is followed
                while chunk := self._read(place, name, file.tell()):
                    file.write(chunk)
            if _sha256(temporary) != digest:
                raise ClusterError(f"{target}: changed on the job's node while it was copied")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self, place: str, name: str, offset: int) -> bytes:
        return ray.get(self.actor.read.remote(place, name, offset))


@dataclass(frozen=True)
class NodeFiles:
    """Files and folders of the job's node that a piece of work reads.

    Args:
        places: Paths, the same on every node.
    """

    file_server: FileServer
    places: tuple[str, ...]

    def ensure_local(self) -> None:
        """Copies the files to this node, if it lacks them."""
        self.file_server.ensure_local(self.places)


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
