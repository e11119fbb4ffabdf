"""Which images `jobs.generate` is asked for, and where they go."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from framework.checkpoint import LoadedGenerator
from framework.checkpoint.reference import CheckpointRef
from framework.errors import LatentsError, StorageError
from framework.latents.directions.direction import Direction
from framework.models.arithmetic.blocks import shards
from framework.runs.documents import Generated, read_document
from framework.storage import Folder, is_uri, open_folder
from framework.storage.local import check_room

REQUEST = "generated.json"
_STAGING = ".parts"


@dataclass(frozen=True, eq=False)
class Request:
    """Which images are wanted.

    Args:
        count: Number of latents.
        seed: Of the latents; unused if `latents` are given.
        latents: [count, z] float32; None for latents of the seed.
        direction: Moves each latent; None for the latents as they are.
        strengths: How far, in natural steps; each gives one image of every latent.
    """

    count: int
    seed: int
    latents: np.ndarray | None = None
    direction: Direction | None = None
    strengths: tuple[float, ...] = (0.0,)

    @property
    def images(self) -> int:
        """How many images there will be."""
        return self.count * len(self.strengths)

    def names(self, start: int, stop: int) -> list[str]:
        """The file names of the images of latents `start` to `stop`: 000123.png, or 000123_+1.5.png at a strength."""
        ends = [""] if self.direction is None else [f"_{strength:+g}" for strength in self.strengths]
        return [f"{number:06d}{end}.png" for number in range(start, stop) for end in ends]

    def document(self, target: CheckpointRef, generator: LoadedGenerator, *, truncation: float) -> dict[str, Any]:
        """What the images depend on; images of another document are not mixed with these."""
        given = None if self.latents is None else hashlib.sha256(self.latents.tobytes()).hexdigest()
        moved = self.direction is not None
        return {
            "checkpoint": target.checkpoint,
            "generator": generator.digest,
            "count": self.count,
            "seed": self.seed if given is None else None,
            "truncation": truncation if given is None else None,
            "condition": generator.fixed or None if given is None else None,
            "latents_sha256": given,
            "direction": self.direction.name if self.direction is not None else None,
            "direction_sha256": self.direction.digest if self.direction is not None else None,
            "strengths": list(self.strengths) if moved else None,
        }


@dataclass(frozen=True)
class Output:
    """Where the images go.

    Args:
        folder: The folder of the PNG files, or the one that contains the archive.
        name: The name of the archive; empty for a folder.
    """

    folder: Folder
    name: str = ""

    @classmethod
    def at(cls, place: str) -> "Output":
        """A folder, or a file if the name ends with .zip or .npz.

        Raises:
            StorageError: It is the URI of an archive, or cannot be opened.
        """
        if not place.endswith((".zip", ".npz")):
            return cls(open_folder(place))
        if is_uri(place):
            raise StorageError(f"output: {place}: an archive must be a local path; a folder may be a URI")
        file = open_folder(place)
        return cls(file.parent, file.name)

    @property
    def kind(self) -> Literal["folder", "zip", "npz"]:
        """What is written."""
        return "zip" if self.name.endswith(".zip") else "npz" if self.name.endswith(".npz") else "folder"

    @property
    def location(self) -> str:
        """The path or URI of the folder or archive."""
        return (self.folder / self.name).location if self.name else self.folder.location

    @property
    def parts(self) -> Folder:
        """Where shards lie until the archive is complete."""
        return self.folder / f".{self.name}{_STAGING}"

    @property
    def request_place(self) -> tuple[Folder, str]:
        """The folder and name of the document that says what the images are."""
        return (self.folder, REQUEST) if self.kind == "folder" else (self.folder, f"{self.name}.json")

    def check(self, document: dict[str, Any]) -> None:
        """Refuses a place that holds anything but images of the same request.

        Raises:
            StorageError: It does, or it is not a folder.
        """
        known = self.known()
        if not known and (self.folder.list() if self.kind == "folder" else self.folder.exists(self.name)):
            raise StorageError(f"{self.location}: holds other files; choose a new output")
        # More images of the same latents can join those of a folder.
        same = {"count"} if self.kind == "folder" else set()
        differing = [key for key in document if known and known.get(key) != document[key] and key not in same]
        if differing:
            raise StorageError(
                f"{self.location}: holds images of another request ({', '.join(differing)}); choose another output"
            )

    def check_room(self, size: int) -> None:
        """Refuses a local place that cannot be written, or has less room than `size` bytes; of a URI nothing is known.

        Raises:
            StorageError: It cannot be written, or has less room.
        """
        if self.folder.is_local:
            check_room(Path(self.folder.location), size, what="the images")

    def known(self) -> dict[str, Any]:
        """The document of the images that are there; empty if there are none.

        Raises:
            StorageError: It is damaged.
        """
        folder, name = self.request_place
        return read_document(folder, name, Generated) if folder.exists(name) else {}

    def missing(self, request: Request) -> list[tuple[int, int]]:
        """(start, stop) of each shard of latents that is still to be generated."""
        if self.name and self.folder.exists(self.name):
            return []
        if self.kind == "folder":
            known = set(self.folder.list())
            if not known:
                return list(shards(request.count))
            return [shard for shard in shards(request.count) if not known.issuperset(request.names(*shard))]
        known = set(self.parts.list())
        return [shard for shard in shards(request.count) if part_name(*shard) not in known]


def part_name(start: int, stop: int) -> str:
    """The name of the file of a shard of latents, beside an archive that is not complete."""
    return f"{start:09d}-{stop:09d}"


def read_latents(data: bytes, *, place: str, latent_size: int) -> np.ndarray:
    """The latents [n, z] float32 in a .npy file, or in `latents` of a .npz file.

    Raises:
        LatentsError: It is damaged, or has another shape or values that are not finite.
    """
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        latents = loaded if isinstance(loaded, np.ndarray) else loaded["latents"]
        latents = np.asarray(latents, np.float32)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, TypeError) as fault:
        raise LatentsError(f"latents: {place} is not a .npy file, or a .npz file with `latents` ({fault})") from None
    if latents.ndim != 2 or latents.shape[1] != latent_size or not len(latents):
        raise LatentsError(f"latents: {place} must have the shape [n, {latent_size}], not {list(latents.shape)}")
    if not np.isfinite(latents).all():
        raise LatentsError(f"latents: {place} must hold finite numbers")
    return latents


def parse_strengths(text: str) -> tuple[float, ...]:
    """The strengths in a list of numbers.

    Raises:
        LatentsError: It is empty, or has a word that is not a finite number.

    >>> parse_strengths("-2, 0,2")
    (-2.0, 0.0, 2.0)
    """
    try:
        strengths = tuple(float(word) for word in text.strip("[] ").split(","))
    except ValueError:
        strengths = ()
    if not strengths or not np.isfinite(strengths).all() or len({*strengths}) < len(strengths):
        raise LatentsError(f"strengths: must be different numbers with commas, for example -2,0,2, not {text[:80]!r}")
    return strengths
