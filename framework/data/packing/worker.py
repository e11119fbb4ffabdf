"""The decoding process: it reads items as lines of JSON, writes pictures to a file, and answers with lines of JSON."""

import hashlib
import io
import json
import os
import resource
import signal
import struct
import sys
import warnings
from typing import Any

from framework.data.packing.decoding import RejectedError, decode, decode_whole
from framework.data.packing.reading import Reader
from framework.data.sources.mnist import framed
from framework.files import FULL

_MOST_MEMORY_BYTES = 1000 << 20  # of one process; a picture that needs more is rejected
WHOLE_HEAD = struct.Struct("<2L")  # width and height
Facts = dict[str, Any]  # of `decode`
Result = tuple[int, str, str | None, Facts]  # slot, sha256 of the content, reason of a rejection


class Work:
    """Decodes items, and writes each picture to its slot of the output file.

    Args:
        kind: folder, tar, zip or mnist (see `Reader`), or drawn_faces, whose items are indices of faces.
        path: The source's path; empty for drawn_faces.
        output: The existing file of raw pictures, in consecutive slots.
        start: Offset of the first slot in bytes.
        resolution: Width and height of the pictures in pixels; 0 for pictures of their own size, one at a time, with
            `WHOLE_HEAD` before the pixels.
        channels: 1 for grey pictures, 3 for colour.
        seed: The seed of drawn faces.
        most_bytes: A larger file is rejected.
        unpacked: The file with what was unpacked of the source, or empty.
        rules: `data.rules`.
    """

    def __init__(
        self, *, kind: str, path: str, output: str, start: int, resolution: int, channels: int, seed: int,
        most_bytes: int, unpacked: str = "", rules: int = 1,
    ) -> None:  # fmt: skip
        self._resolution, self._channels, self._seed, self._rules = resolution, channels, seed, rules
        self._most_bytes = most_bytes
        self._kind, self._path, self._unpacked = kind, path, unpacked
        self._reader: Reader | None = None
        self._start = start
        self._output = os.open(output, os.O_WRONLY)

    def close(self) -> None:
        """Closes the output and the source."""
        os.close(self._output)
        if self._reader is not None:
            self._reader.close()

    def run(self, items: list[tuple[int, Any, Any]]) -> list[Result]:
        """Decodes items: slot, item and scale (see `decode`); an item that fails does not stop the others."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about unusual EXIF data and palettes
            return [self._one(*item) for item in items]

    def _one(self, slot: int, item: Any, scale: Any) -> Result:
        facts: Facts = {}
        try:
            pixels, content = self._drawn(item) if self._kind == "drawn_faces" else self._read(item, scale, facts)
        except RejectedError as fault:
            return slot, "", str(fault), {}
        except MemoryError:  # while the file was read or unpacked
            return slot, "", "needs too much memory", {}
        self._write(pixels, self._start + slot * len(pixels))
        return slot, content, None, facts

    def _write(self, pixels: bytes, place: int) -> None:
        while pixels:  # when the disk is nearly full, only a part may be written at first
            written = os.pwrite(self._output, pixels, place)
            pixels, place = pixels[written:], place + written

    def _read(self, item: Any, scale: Any, facts: Facts) -> tuple[bytes, str]:
        if self._reader is None:  # opened late, since a compressed source is unpacked only before its first item
            self._reader = Reader(self._kind, self._path, most_bytes=self._most_bytes, unpacked=self._unpacked)
        file = io.BytesIO(self._reader.read(item))  # holds the only reference to the bytes, so that `decode` frees them
        content = hashlib.sha256(file.getbuffer()).hexdigest()
        if self._kind == "mnist":
            return framed(file.getvalue(), self._resolution), content
        if not self._resolution:
            size, pixels = decode_whole(file)
            return WHOLE_HEAD.pack(*size) + pixels, content
        shape = {"resolution": self._resolution, "channels": self._channels}
        return decode(file, **shape, rules=self._rules, scale=scale, facts=facts), content

    def _drawn(self, index: int) -> tuple[bytes, str]:
        from framework.data.synthetic_faces import DRAWING, draw_face  # imported here for a fast start

        picture = draw_face(self._seed, index, resolution=self._resolution)
        recipe = f"drawn_faces {DRAWING} {self._seed} {index}"  # identifies a face independent of its resolution
        grey = picture.convert("L") if self._channels == 1 else picture
        return grey.tobytes(), hashlib.sha256(recipe.encode()).hexdigest()


def main() -> None:
    """Serves a pool: a JSON object has the arguments of `Work`; a list has items, and is answered by their results.

    If the disk of the output is full, the answer is an object with the error's number, and the process ends.
    """
    _limit_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C; this process ends with its pipe
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # other output must not mix with the answers
    work: Work | None = None
    for line in sys.stdin:
        message = json.loads(line)
        if isinstance(message, dict):
            work = Work(**message)
            continue
        assert work is not None
        try:
            answer: Any = work.run(message)
        except OSError as fault:
            if fault.errno not in FULL:
                raise
            answer = {"full": fault.errno}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _limit_memory() -> None:
    """Makes a file that would need more memory fail, so that it is rejected, instead of the machine running out."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MOST_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
