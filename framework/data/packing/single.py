"""Decodes single files when they are asked for, in a decoding process as those that pack images."""

import os
import tempfile
from typing import Any

import numpy as np

from framework.data.packing.decoding import RejectedError
from framework.data.packing.pool import Pool
from framework.data.packing.reading import Reader
from framework.data.packing.worker import WHOLE_HEAD


class SingleDecoder:
    """A decoding process, with its limit on memory; it starts with the first picture, and runs until `close`.

    Args:
        reader: Reads the source here; the process reads the same open file.
        resolution: Width and height of the pictures in pixels; None for pictures of their own size.
        channels: 1 for grey pictures, 3 for colour; those of their own size are in colour.
        rules: `data.rules`; pictures of their own size are the same by all rules.
    """

    def __init__(self, reader: Reader, *, resolution: int | None = None, channels: int = 3, rules: int = 1) -> None:
        self._reader, self._shape = reader, resolution and (resolution, resolution, channels)
        self._resolution, self._channels, self._rules = resolution or 0, channels, rules
        self._pool: Pool | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`, and has no name to be left behind

    def decode(self, item: Any) -> tuple[np.ndarray, str]:
        """The picture [h,w,c] uint8 of an item of the source (see `Reader`), and the sha256 of its file.

        Raises:
            RejectedError: The file cannot be read, or holds no usable picture.
            DataError: The decoding process died.
        """
        if self._pool is None:
            self._pool = self._started()
        self._pool.put(0, item)
        (((_, sha256, reason, _),),) = self._pool.results()
        if reason is not None:
            raise RejectedError(reason)
        shape = self._shape
        if shape is None:
            width, height = WHOLE_HEAD.unpack(os.pread(self._output.fileno(), WHOLE_HEAD.size, 0))
            shape = (height, width, 3)
        # The file may be longer: it is as long as the largest picture so far.
        pixels = os.pread(self._output.fileno(), int(np.prod(shape)), 0 if self._shape else WHOLE_HEAD.size)
        return np.frombuffer(bytearray(pixels), np.uint8).reshape(shape), sha256  # torch wants what can be written

    def close(self) -> None:
        """Ends the process."""
        if self._pool is not None:
            self._pool.__exit__()
        self._output.close()

    def _started(self) -> Pool:
        source, unpacked = self._reader.fileno(), self._reader.unpacked_fileno()
        pool = Pool(1, files=[file for file in (self._output.fileno(), source, unpacked) if file is not None])
        pool.begin(
            {
                "kind": self._reader.kind,
                "path": self._reader.path if source is None else f"/dev/fd/{source}",
                "output": f"/dev/fd/{self._output.fileno()}",
                "start": 0,
                "resolution": self._resolution,
                "channels": self._channels,
                "seed": 0,
                "most_bytes": self._reader.most_bytes,
                "unpacked": "" if unpacked is None else f"/dev/fd/{unpacked}",
                "rules": self._rules,
            }
        )
        return pool
