"""What a decoding process does: lines of JSON with items in, pictures into a file, a line of JSON out."""

import hashlib
import json
import os
import signal
import sys
import warnings
from typing import Any

from framework.data.packing.decoding import RejectedError, decode
from framework.data.packing.reading import Reader
from framework.data.sources.mnist import framed

Result = tuple[int, str, str | None]  # slot, sha256 of the content, why it was rejected


class Work:
    """Turns items into pictures, each written at its slot of the output file.

    Args:
        kind: folder, tar, zip or mnist (see `Reader`), or drawn_faces, whose items are the faces' indices.
        path: The source's path, empty for drawn_faces.
        output: The file of raw pictures, one slot after another; it is there already.
        start: Where in it the first slot begins, in bytes.
        resolution: Side of the pictures.
        channels: 3 or 1.
        seed: Of drawn faces.
    """

    def __init__(
        self, *, kind: str, path: str, output: str, start: int, resolution: int, channels: int, seed: int
    ) -> None:
        self._resolution, self._channels, self._seed = resolution, channels, seed
        self._kind, self._path = kind, path
        self._reader: Reader | None = None
        self._start = start
        self._output = os.open(output, os.O_WRONLY)

    def close(self) -> None:
        """Closes what was opened."""
        os.close(self._output)
        if self._reader is not None:
            self._reader.close()

    def run(self, items: list[tuple[int, Any]]) -> list[Result]:
        """Pictures of (slot, item) pairs; no item's fault stops the others."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF and palettes
            return [self._one(slot, item) for slot, item in items]

    def _one(self, slot: int, item: Any) -> Result:
        try:
            pixels, content = self._drawn(item) if self._kind == "drawn_faces" else self._read(item)
        except RejectedError as fault:
            return slot, "", str(fault)
        os.pwrite(self._output, pixels, self._start + slot * len(pixels))
        return slot, content, None

    def _read(self, item: Any) -> tuple[bytes, str]:
        if self._reader is None:  # a compressed source may not be unpacked before its first item comes
            self._reader = Reader(self._kind, self._path)
        data = self._reader.read(item)
        content = hashlib.sha256(data).hexdigest()
        if self._kind == "mnist":
            return framed(data, self._resolution), content
        return decode(data, resolution=self._resolution, channels=self._channels), content

    def _drawn(self, index: int) -> tuple[bytes, str]:
        from framework.data.synthetic_faces import DRAWING, draw_face  # only where faces are drawn

        picture = draw_face(self._seed, index, resolution=self._resolution)
        recipe = f"drawn_faces {DRAWING} {self._seed} {index}"  # the content: the same face at every resolution
        grey = picture.convert("L") if self._channels == 1 else picture
        return grey.tobytes(), hashlib.sha256(recipe.encode()).hexdigest()


def main() -> None:
    """Serves a pool: an object is `Work`'s settings, a list is items; each list is answered by its results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; we end when its pipe does
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints shall not garble the answers
    work: Work | None = None
    for line in sys.stdin:
        message = json.loads(line)
        if isinstance(message, dict):
            work = Work(**message)
            continue
        assert work is not None
        answers.write(json.dumps(work.run(message)) + "\n")
        answers.flush()
