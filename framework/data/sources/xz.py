"""Reads an .xz file forward with bounded memory: its header may ask for a dictionary of up to 4 GiB."""

import io
import lzma
from typing import BinaryIO

from framework.files import PIECE_BYTES

_START = b"\xfd7zXZ"
_MOST_MEMORY_BYTES = 256 << 20  # `xz -9` needs 65 MiB


class XzReader(io.RawIOBase):
    """The unpacked content, of all streams of the file; `seek` goes forward only.

    Raises:
        lzma.LZMAError: The file is damaged, or needs too much memory; raised by `read`.
        EOFError: It is cut off; raised by `read`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at, self._packed = file, 0, b""
        self._unpacker = _unpacker()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def tell(self) -> int:
        """The number of bytes that were read or skipped."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; fewer only at the end."""
        pieces = []
        while size > 0 and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def seek(self, position: int, whence: int = 0, /) -> int:  # noqa: ARG002 - as of all files
        """Skips the bytes before a position, or all that are left."""
        while self._at < position and self.read(min(PIECE_BYTES, position - self._at)):
            pass
        return self._at

    def _piece(self, most: int) -> bytes:
        while True:
            if self._unpacker.eof:
                self._packed = self._unpacker.unused_data.lstrip(b"\0")  # padding between streams
                while len(self._packed) < len(_START) and (more := self._file.read(PIECE_BYTES)):
                    self._packed = (self._packed + more).lstrip(b"\0")
                if not self._packed.startswith(_START):  # the end, or something after it, which other tools ignore
                    return b""
                self._unpacker = _unpacker()
            elif self._unpacker.needs_input and not self._packed:
                self._packed = self._file.read(PIECE_BYTES)
                if not self._packed:
                    raise EOFError("the file ends before the end of its stream")
            packed, self._packed = self._packed, b""
            piece = self._unpacker.decompress(packed, most)
            if piece:
                return piece


def _unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_MOST_MEMORY_BYTES)
