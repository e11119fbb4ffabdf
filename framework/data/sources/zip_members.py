"""Lists the members of a zip file entry by entry, and reads one; either needs little memory, whatever the file claims.

zipfile reads the whole directory into memory, in every process that reads one member, fails with errors of many kinds
if it is damaged, and unpacks bzip2 and LZMA without a limit.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from framework.data.sources.zip_unpacking import METHODS, unpacked_pieces

_END, _END64_PLACE, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
_ENTRY, _LOCAL = struct.Struct("<4s4B4HL2L5H2L"), struct.Struct("<4s2B4HL2L2H")
_END_MARK, _END64_PLACE_MARK, _END64_MARK = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_ENTRY_MARK, _LOCAL_MARK = b"PK\x01\x02", b"PK\x03\x04"
_MOST_COMMENT_BYTES = 1 << 16
_MOST_VERSION = 63
_ENCRYPTED, _PATCHED, _STRONGLY_ENCRYPTED, _UTF8 = 0x1, 0x20, 0x40, 0x800
_TAR_MARK_AT, _TAR_MARK = 257, b"ustar"
_OTHER_METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 96: "JPEG", 98: "PPMd"}
_ELSEWHERE = 0xFFFFFFFF  # a size or offset that is in the zip64 field


class Entry(NamedTuple):
    """What the directory of a zip file says of a member. Simple values only, so that it can be sent to a process.

    Attributes:
        raw_name: The bytes of its name, as Latin-1.
        offset: Where its local header begins, in bytes.
        packed_size: Length of its compressed content in bytes.
        size: Length of its content in bytes.
        method: The method of compression, as a number.
        flags: The general purpose flags.
        checksum: CRC-32 of its content.
        room: Bytes from its local header to that of the next entry; 0 if the next one lies before it.
    """

    raw_name: str
    offset: int
    packed_size: int
    size: int
    method: int
    flags: int
    checksum: int
    room: int = 0

    @property
    def name(self) -> str:
        """Its path in the archive."""
        name = _decoded(self.raw_name.encode("latin-1"), self.flags)
        return zipfile.ZipInfo(name).filename  # without what follows a NUL


def is_zip(file: BinaryIO) -> bool:
    """Whether a file ends with the end of a zip file's directory, and is no tar file, whose last file may be a zip."""
    file.seek(_TAR_MARK_AT)
    if file.read(len(_TAR_MARK)) == _TAR_MARK:
        return False
    try:
        return _end(file) is not None
    except zipfile.BadZipFile:
        return True


def zip_members(file: BinaryIO) -> Iterator[Entry]:
    """Yields the files of a zip file in the order of its directory.

    Raises:
        zipfile.BadZipFile: The directory is damaged.
    """
    before: Entry | None = None
    for entry in _entries(file):
        if before is not None:
            yield before._replace(room=max(0, entry.offset - before.offset))
        before = None if entry.name.endswith("/") else entry
    if before is not None:
        yield before


def obstacle(entry: Entry) -> str | None:
    """Why a member cannot be unpacked, whatever its content; None if it can be.

    >>> obstacle(Entry("a", 0, 1, 1, 9, 0, 0)), obstacle(Entry("a", 0, 1, 1, 8, 1, 0))
    ('compressed by Deflate64, which is not supported', 'protected by a password')
    """
    if entry.flags & (_ENCRYPTED | _STRONGLY_ENCRYPTED):
        return "protected by a password"
    if entry.method not in METHODS:
        name = _OTHER_METHODS.get(entry.method, f"method {entry.method}")
        return f"compressed by {name}, which is not supported"
    return None


def read_member(file: BinaryIO, entry: Entry) -> bytes:
    """The content of a member: at most as much as its entry says, unpacked piece by piece.

    Raises:
        zipfile.BadZipFile: Its local header or content is damaged. The decompressors have further errors.
        RuntimeError: It is encrypted or compressed by an unknown method.
    """
    content = io.BytesIO()
    for piece in member_pieces(file, entry):
        content.write(piece)
    return content.getvalue()


def member_pieces(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """As `read_member`, piece by piece; whether all was right is known only at the end."""
    _go_to_content(file, entry)
    left, checksum = entry.size, 0
    for piece in unpacked_pieces(file, entry.method, entry.packed_size):
        part = piece[:left]
        left -= len(part)
        checksum = zlib.crc32(part, checksum)
        yield part
        if left <= 0:
            break
    if checksum != entry.checksum:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {entry.name!r}")


def content_offset(file: BinaryIO, entry: Entry) -> int:
    """Where the packed content of a member begins, in bytes; raises as `read_member` does."""
    _go_to_content(file, entry)
    return file.tell()


def _go_to_content(file: BinaryIO, entry: Entry) -> None:
    file.seek(entry.offset)
    header = _unpacked(_LOCAL, file.read(_LOCAL.size), "Truncated file header")
    if header[0] != _LOCAL_MARK:
        raise zipfile.BadZipFile("Bad magic number for file header")
    name = file.read(header[-2])
    file.seek(header[-1], 1)
    # The exceptions are those of zipfile; for the reader each is a member that it rejects by this text.
    if entry.flags & _PATCHED:
        raise NotImplementedError("compressed patched data (flag bit 5)")
    if entry.flags & _STRONGLY_ENCRYPTED:
        raise NotImplementedError("strong encryption (flag bit 6)")
    if name != entry.raw_name.encode("latin-1"):
        raise zipfile.BadZipFile(f"File name in directory {entry.name!r} and header {name!r} differ.")
    if entry.flags & _ENCRYPTED:
        raise RuntimeError(f"File {entry.name!r} is encrypted, password required for extraction")
    if 0 < entry.room < file.tell() - entry.offset + entry.packed_size:
        raise zipfile.BadZipFile(f"Overlapped entries: {entry.name!r} (possible zip bomb)")


def _decoded(name: bytes, flags: int) -> str:
    try:
        return name.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError as fault:
        raise zipfile.BadZipFile(f"a name is not UTF-8 ({fault})") from None


def _entries(file: BinaryIO) -> Iterator[Entry]:
    """The entries of the directory, folders included."""
    end = _end(file)
    if end is None:
        raise zipfile.BadZipFile("File is not a zip file")
    at, stop, shift = end
    file.seek(at)
    while at < stop:
        fields = _unpacked(_ENTRY, file.read(_ENTRY.size), "Truncated central directory")
        if fields[0] != _ENTRY_MARK:
            raise zipfile.BadZipFile("Bad magic number for central directory")
        if fields[3] > _MOST_VERSION:
            raise zipfile.BadZipFile(f"zip file version {fields[3] / 10:.1f} is not supported")
        lengths = fields[12:15]
        name, extra, _ = (file.read(length) for length in lengths)
        sizes = _zip64(extra, size=fields[11], packed_size=fields[10], offset=fields[18])
        size, packed_size, offset = sizes
        if len(name) < lengths[0] or offset + shift < 0:
            raise zipfile.BadZipFile("Truncated central directory")
        entry = Entry(name.decode("latin-1"), offset + shift, packed_size, size, fields[6], fields[5], fields[9])
        yield entry
        at += _ENTRY.size + sum(lengths)
        file.seek(at)  # whoever took the entry may have read elsewhere


def _zip64(extra: bytes, *, size: int, packed_size: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset of 64 bits; the field has only those that do not fit into 32."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if length + 4 > len(extra):
            raise zipfile.BadZipFile(f"Corrupt extra field {kind:04x} (size={length})")
        if kind == 1:
            values = [extra[at : at + 8] for at in range(4, length + 4, 8)]
            size, packed_size, offset = (
                int.from_bytes(_eight(values), "little") if value == _ELSEWHERE else value
                for value in (size, packed_size, offset)
            )
        extra = extra[length + 4 :]
    if max(size, packed_size, offset) >= 1 << 62:
        raise zipfile.BadZipFile("a member has a size or offset that no file has")
    return size, packed_size, offset


def _eight(values: list[bytes]) -> bytes:
    if not values or len(values[0]) < 8:
        raise zipfile.BadZipFile("Corrupt zip64 extra field")
    return values.pop(0)


def _end(file: BinaryIO) -> tuple[int, int, int] | None:
    """Where the directory begins and ends, and by how much all offsets are shifted, as in a self-extracting file."""
    size = file.seek(0, 2)
    start = max(0, size - _END.size - _MOST_COMMENT_BYTES)
    file.seek(start)
    tail = file.read(_END.size + _MOST_COMMENT_BYTES)
    at = len(tail) - _END.size
    if not (tail[at:].startswith(_END_MARK) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        return None
    directory_size, offset = _END.unpack(tail[at : at + _END.size])[5:7]
    stop = start + at
    found = _end64(file, stop)
    if found is not None:
        directory_size, offset = found
        stop -= _END64.size + _END64_PLACE.size
    if directory_size > stop:
        raise zipfile.BadZipFile("Bad offset for central directory")
    return stop - directory_size, stop, stop - directory_size - offset


def _end64(file: BinaryIO, stop: int) -> tuple[int, int] | None:
    """Size and offset of the directory of a zip64 file; None if it is none."""
    before = stop - _END64_PLACE.size - _END64.size
    if before < 0:
        return None
    file.seek(before)
    data = file.read(_END64.size + _END64_PLACE.size)
    mark, _, _, disks = _END64_PLACE.unpack(data[_END64.size :])
    if mark != _END64_PLACE_MARK:
        return None
    if disks > 1:
        raise zipfile.BadZipFile("zipfiles that span multiple disks are not supported")
    fields = _END64.unpack(data[: _END64.size])
    return (fields[8], fields[9]) if fields[0] == _END64_MARK else None


def _unpacked(form: struct.Struct, data: bytes, fault: str) -> tuple[int, ...]:
    if len(data) < form.size:
        raise zipfile.BadZipFile(fault)
    return form.unpack(data)
