"""Lists the members of a tar file, which may be made to harm: one pass forward, little memory, an end for certain.

tarfile reads headers of any size into memory, remembers every member, and follows a negative size back to the same
header for ever. Here the position only grows. The single headers are still read by tarfile.
"""

import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE
_MOST_HEADER_BYTES = 1 << 20  # of a header that holds a long name or other attributes
_MOST_POSITION = 1 << 62
_LONG_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_ATTRIBUTES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
_SPARSE = ("GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.major")


@dataclass(frozen=True)
class Member:
    """A file in a tar file, or a hard link to an earlier one.

    Attributes:
        name: Its path in the archive.
        offset: Where its content begins, in bytes.
        size: Length of its content in bytes.
        link: The name of the earlier member that a hard link stands for; else empty.
    """

    name: str
    offset: int
    size: int
    link: str = ""


def tar_members(file: BinaryIO) -> Iterator[Member]:
    """Yields the regular files and hard links in their order; links of other kinds and sparse files are left out.

    When a member is yielded, the file is at its content, which the caller may read. It never moves backward, so it can
    be a compressed one.

    Raises:
        tarfile.ReadError: A header is damaged, or the file is cut off.
    """
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    at = 0
    while (header := _header(file, at)) is not None:
        start = file.tell()
        size = header.size
        if header.type in _ATTRIBUTES or header.type in _LONG_NAMES:
            content = _content(file, size)
            if header.type == tarfile.XGLTYPE:
                shared |= _attributes(content)
            elif header.type in _LONG_NAMES:
                own = {_LONG_NAMES[header.type]: _text(content.partition(b"\0")[0])} | own
            else:
                own = _attributes(content) | own
        else:
            given, own = shared | own, {}
            name, size = given["path"].rstrip("/") if "path" in given else header.name, _size(given, size)
            if not (header.isreg() or header.type not in tarfile.SUPPORTED_TYPES):
                size = 0
            if size < 0:
                raise tarfile.ReadError(f"a member has the size {size:,} bytes")
            if header.islnk():
                yield Member(name, start, 0, link=given.get("linkpath", header.linkname))
            elif header.isreg() and header.type != tarfile.GNUTYPE_SPARSE and not any(key in given for key in _SPARSE):
                yield Member(name, start, size)
        at = start + -(-size // _BLOCK) * _BLOCK
        _go_to(file, at)


def _header(file: BinaryIO, at: int) -> tarfile.TarInfo | None:
    """The header at this position, after which the file is; None at the end of the archive."""
    block = file.read(_BLOCK)
    if at and not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as fault:
        if len(block) == _BLOCK and not block.strip(b"\0"):
            return None
        reason = f"unexpected end of data at byte {at:,}" if at else str(fault)
        raise tarfile.ReadError(reason) from None
    extended = header.type == tarfile.GNUTYPE_SPARSE and block[482]
    while extended:  # the map of a sparse file goes on in further blocks
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            raise tarfile.ReadError("unexpected end of data")
        extended = block[504]
    return header


def _content(file: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= _MOST_HEADER_BYTES:
        raise tarfile.ReadError(f"a header has {size:,} bytes; at most {_MOST_HEADER_BYTES:,} are allowed")
    content = file.read(size)
    if len(content) < size:
        raise tarfile.ReadError("unexpected end of data")
    return content


def _attributes(content: bytes) -> dict[str, str]:
    """The attributes of a pax header: records `<length> <key>=<value>` and a line break, all counted by the length."""
    attributes, at = {}, 0
    while at < len(content):
        digits, _, _ = content[at : at + 20].partition(b" ")
        if not digits.isdigit():
            break
        length = int(digits)
        if length < len(digits) + 2:
            raise tarfile.ReadError("invalid header")
        key, _, value = content[at + len(digits) + 1 : at + length - 1].partition(b"=")
        attributes[_text(key)] = _text(value)
        at += length
    return attributes


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _size(attributes: Mapping[str, str], size: int) -> int:
    try:
        return int(attributes.get("size", size))
    except ValueError:
        return 0


def _go_to(file: BinaryIO, position: int) -> None:
    """Moves forward to a position, which must be in the file."""
    here = file.tell()
    if here >= position:
        return
    if position > _MOST_POSITION:
        raise tarfile.ReadError("unexpected end of data")
    file.seek(position - 1)
    if not file.read(1):
        raise tarfile.ReadError("unexpected end of data")
