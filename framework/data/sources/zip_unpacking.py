"""Unpacks the content of a member of a zip file, piece by piece and with bounded memory."""

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from framework.files import PIECE_BYTES

METHODS = frozenset([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
_LZMA_HEADER_BYTES = 9
_MOST_WINDOW_BYTES = 256 << 20


def unpacked_pieces(file: BinaryIO, method: int, packed_size: int) -> Iterator[bytes]:
    """The content of a member in pieces of at most a MiB; zipfile unpacks whatever a piece of bzip2 or LZMA contains.

    Args:
        file: It is where the packed content begins.
        method: The method of compression, as a number.
        packed_size: Length of the packed content in bytes.

    Raises:
        RuntimeError: The method is unknown. The decompressors have further errors.
    """
    left = packed_size
    if method == zipfile.ZIP_LZMA:
        left -= _LZMA_HEADER_BYTES
        unpack = _limited(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_lzma_filter(file)]))
    elif method == zipfile.ZIP_BZIP2:
        unpack = _limited(bz2.BZ2Decompressor())
    elif method == zipfile.ZIP_DEFLATED:
        unpack = _inflated(zlib.decompressobj(-zlib.MAX_WBITS))
    elif method == zipfile.ZIP_STORED:
        unpack = lambda packed: iter((packed,))  # noqa: E731
    else:
        # zipfile's own exception, of which the reader makes a rejected member: Deflate64, PPMd and others.
        raise NotImplementedError("That compression method is not supported")
    while left > 0:
        packed = file.read(min(left, PIECE_BYTES))
        if not packed:
            raise EOFError("the archive is cut off")
        left -= len(packed)
        yield from unpack(packed)


def _inflated(unpacker: Any) -> Callable[[bytes], Iterator[bytes]]:
    def unpack(packed: bytes) -> Iterator[bytes]:
        while packed and not unpacker.eof:
            yield unpacker.decompress(packed, PIECE_BYTES)
            packed = unpacker.unconsumed_tail
        yield unpacker.decompress(b"", PIECE_BYTES)

    return unpack


def _limited(unpacker: Any) -> Callable[[bytes], Iterator[bytes]]:
    def unpack(packed: bytes) -> Iterator[bytes]:
        while not unpacker.eof:
            yield unpacker.decompress(packed, PIECE_BYTES)
            if unpacker.needs_input:
                return
            packed = b""

    return unpack


def _lzma_filter(file: BinaryIO) -> dict[str, int]:
    """The settings of LZMA, which a member begins with: a version, the length 5, and 5 bytes."""
    header = file.read(_LZMA_HEADER_BYTES)
    if len(header) < _LZMA_HEADER_BYTES or header[2:4] != b"\5\0":
        raise zipfile.BadZipFile("damaged settings of LZMA")
    packed, lc = divmod(header[4], 9)
    pb, lp = divmod(packed, 5)
    window = int.from_bytes(header[5:], "little")
    if window > _MOST_WINDOW_BYTES:
        raise zipfile.BadZipFile(f"LZMA with a window of {window:,} bytes")
    return {"id": lzma.FILTER_LZMA1, "dict_size": max(window, 4096), "lc": lc, "lp": lp, "pb": pb}
