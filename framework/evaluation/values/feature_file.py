"""Features of many images on the local disk, written shard by shard, so that an interrupted pass can resume."""

import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from framework.errors import EvaluationError, reason_of
from framework.evaluation.sources.shards import shards
from framework.storage.folder import storage_errors

_DAMAGED = (OSError, ValueError, EOFError)


class FeatureFile:
    """An .npy file [n,d] float32 that exists only when it is complete. It has one writer at a time.

    Until it is complete it is named `.part`. When the bytes of a shard are on the disk, a line `start stop crc32` is
    added to `.sums`. Shards may be written in any order; a shard whose bytes do not match its line counts as missing.

    Args:
        path: The file, ends in .npy.
        count: n, the number of images.
        size: d, the number of features.
    """

    def __init__(self, path: Path, *, count: int, size: int) -> None:
        self.path, self.count, self.size = path, count, size
        self._part = path.with_name(f"{path.name}.part")
        self._sums = path.with_name(f"{path.name}.sums")

    @classmethod
    def create(cls, path: Path, *, count: int, size: int) -> "FeatureFile":
        """Starts a file, or resumes an interrupted one. An unfinished file of another size is replaced.

        Raises:
            StorageError: The file cannot be written.
        """
        file = cls(path, count=count, size=size)
        try:
            file._mapped(file._part)
        except _DAMAGED:
            with storage_errors(str(path), "written"):
                file._begin()
        return file

    def missing(self) -> list[tuple[int, int]]:
        """(start, stop) of each missing shard."""
        with storage_errors(str(self._part), "read"):
            return self._damaged(self._part)

    def write(self, start: int, features: np.ndarray) -> None:
        """Writes the features of one shard.

        Args:
            start: The first image of the shard.
            features: The features of all its images, [n,d] float32.

        Raises:
            EvaluationError: The features have another shape, or are not finite.
            StorageError: The file cannot be written.
        """
        stop = start + len(features)
        if (start, stop) not in shards(self.count) or features.shape[1:] != (self.size,):
            shape = [self.count, self.size]
            raise EvaluationError(f"features {list(features.shape)} from image {start} on are not a shard of {shape}")
        if not np.isfinite(features).all():
            raise EvaluationError(f"features of images {start} to {stop} are not finite")
        data = np.ascontiguousarray(features, np.float32).tobytes()
        # Not through a memory map: on a full disk that would crash the process, while a write raises an error.
        with storage_errors(str(self.path), "written"), self._part.open("r+b") as part, self._sums.open("a") as sums:
            part.seek((start - self.count) * self.size * 4, os.SEEK_END)
            part.write(data)
            part.flush()
            os.fsync(part.fileno())
            sums.write(f"\n{start} {stop} {zlib.crc32(data)}")  # a killed writer may have left an incomplete line

    def finish(self) -> np.ndarray:
        """Gives the complete file its final name and opens it, read-only.

        Raises:
            EvaluationError: Shards are missing.
        """
        missing = self.missing()
        if missing:
            raise EvaluationError(f"{self.path}: {len(missing)} shards are missing, from image {missing[0][0]} on")
        with storage_errors(str(self.path), "written"):
            self._part.replace(self.path)
        return self._mapped(self.path)

    def open(self) -> np.ndarray:
        """Opens a finished file: [n,d] float32, memory-mapped and read-only.

        Raises:
            EvaluationError: The file is missing, damaged or truncated, or has another shape.
        """
        try:
            rows, damaged = self._mapped(self.path), self._damaged(self.path)
        except _DAMAGED as fault:
            raise EvaluationError(f"{self.path}: holds no readable features ({reason_of(fault)}); delete it") from None
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

    def _damaged(self, path: Path) -> list[tuple[int, int]]:
        """Shards without a line in `.sums`, and shards whose bytes do not match their last line.

        They are read, not mapped: where a disk in memory is full, touching a part that was never written is a crash.
        """
        lines = self._sums.read_text(errors="replace").splitlines() if self._sums.exists() else []
        sums = dict(line.rsplit(" ", 1) for line in lines if " " in line)
        with path.open("rb") as file:
            return [
                (start, stop)
                for start, stop in shards(self.count)
                if (known := sums.get(f"{start} {stop}")) is None or known != self._sum(file, start, stop)
            ]

    def _sum(self, file: BinaryIO, start: int, stop: int) -> str:
        file.seek((start - self.count) * self.size * 4, os.SEEK_END)
        return str(zlib.crc32(file.read((stop - start) * self.size * 4)))
