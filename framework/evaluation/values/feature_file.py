"""Features of many images on the local disk: written shard by shard, so that an interrupted pass goes on."""

import os
import zlib
from pathlib import Path

import numpy as np

from framework.errors import EvaluationError
from framework.evaluation.sources.shards import shards
from framework.storage.folder import told

_DAMAGED = (OSError, ValueError, EOFError)


class FeatureFile:
    """An .npy [n,d] float32 that is there whole or not at all. It has one writer at a time.

    Until it is whole it lies beside as `.part`. A line of `.sums` follows each shard once its bytes are on the disk:
    `start stop crc32`. Shards may come in any order; one whose bytes are not those of its line is missing again.

    Args:
        path: The file, ends in .npy.
        count: n, images.
        size: d, features.
    """

    def __init__(self, path: Path, *, count: int, size: int) -> None:
        self.path, self.count, self.size = path, count, size
        self._part = path.with_name(f"{path.name}.part")
        self._sums = path.with_name(f"{path.name}.sums")

    @classmethod
    def create(cls, path: Path, *, count: int, size: int) -> "FeatureFile":
        """Begins a file, or goes on with what an interrupted one has left; what is of another size is begun anew.

        Raises:
            StorageError: It cannot be written there.
        """
        file = cls(path, count=count, size=size)
        try:
            file._mapped(file._part)
        except _DAMAGED:
            with told(str(path), "written"):
                file._begin()
        return file

    def missing(self) -> list[tuple[int, int]]:
        """(start, stop) of each shard that is not there yet."""
        return self._damaged(self._mapped(self._part))

    def write(self, start: int, features: np.ndarray) -> None:
        """Put a shard's features into their place.

        Args:
            start: Where a shard begins.
            features: All of that shard, [n,d] float32.

        Raises:
            EvaluationError: They are of another size, or not finite.
            StorageError: They cannot be written.
        """
        stop = start + len(features)
        if (start, stop) not in shards(self.count) or features.shape[1:] != (self.size,):
            shape = [self.count, self.size]
            raise EvaluationError(f"features {list(features.shape)} from {start} on are no shard of {shape}")
        if not np.isfinite(features).all():
            raise EvaluationError(f"features of images {start} to {stop} are not finite")
        data = np.ascontiguousarray(features, np.float32).tobytes()
        # Not through a map: on a full disk that would end the process, where this raises.
        with told(str(self.path), "written"), self._part.open("r+b") as part, self._sums.open("a") as sums:
            part.seek((start - self.count) * self.size * 4, os.SEEK_END)
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
            sums.write(f"\n{start} {stop} {zlib.crc32(data)}")  # after whatever a killed writer has left of its line

    def finish(self) -> np.ndarray:
        """The whole file, read-only, in its place.

        Raises:
            EvaluationError: Shards are missing.
        """
        missing = self.missing()
        if missing:
            raise EvaluationError(f"{self.path}: {len(missing)} shards are missing, from image {missing[0][0]} on")
        with told(str(self.path), "written"):
            self._part.replace(self.path)
        return self._mapped(self.path)

    def open(self) -> np.ndarray:
        """A file that was finished: [n,d] float32, mapped and read-only.

        Raises:
            EvaluationError: There is none, or it is damaged, truncated, or of other images.
        """
        try:
            rows = self._mapped(self.path)
        except _DAMAGED as fault:
            raise EvaluationError(f"{self.path}: holds no features that can be read ({fault}); delete it") from None
        damaged = self._damaged(rows)
        if damaged:
            raise EvaluationError(f"{self.path}: is damaged from image {damaged[0][0]} on; delete it")
        return rows

    def _begin(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._sums.unlink(missing_ok=True)
        about = {"descr": "<f4", "fortran_order": False, "shape": (self.count, self.size)}
        with self._part.open("wb") as part:
            np.lib.format.write_array_header_1_0(part, about)
            part.truncate(part.tell() + self.count * self.size * 4)

    def _mapped(self, path: Path) -> np.ndarray:
        rows = np.lib.format.open_memmap(path, mode="r")
        if (rows.shape, rows.dtype) != ((self.count, self.size), np.float32):
            raise ValueError(f"it has {list(rows.shape)} {rows.dtype}")
        return rows

    def _damaged(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """Shards without a line, and those whose bytes are not those of their last line."""
        lines = self._sums.read_text(errors="replace").splitlines() if self._sums.exists() else []
        told_sums = dict(line.rsplit(" ", 1) for line in lines if " " in line)
        return [
            (start, stop)
            for start, stop in shards(self.count)
            if told_sums.get(f"{start} {stop}") != str(zlib.crc32(rows[start:stop].tobytes()))
        ]
