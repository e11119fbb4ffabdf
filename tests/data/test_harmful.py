"""Sources that are made to hang a preparation or to fill its memory: each ends, in one line or as a rejected file."""

import bz2
import gzip
import lzma
import os
import resource
import socket
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from framework.config import DataConfig
from framework.data import survey
from framework.data.packing.prepare import _folder_name
from framework.errors import DataError
from tests.data.conftest import jpeg

FILES = {f"{k}.jpg": jpeg(k) for k in range(3)}
BIG = {**FILES, "big.jpg": jpeg(9).ljust(70_000, b"\0")}
SMALLER = {"largest_file_bytes": 1 << 16, "max_rejected": 0.5}
TOO_LARGE = [("big.jpg", "too large: more than 65,536 bytes")]


def refused(pack, path, message, **settings):
    with pytest.raises(DataError, match=message) as caught:
        pack(path, **settings)
    assert "\n" not in str(caught.value)


def special(kind: str, path: Path) -> Path:
    """A file that is none: opening the pipe would wait for a writer, reading the device would never end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(path.with_name(".pipe"))
        path.symlink_to(".pipe")
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
        os.chdir(here)
    else:
        path.symlink_to("/dev/zero")
    return path


KINDS = {"pipe": "a named pipe", "link to a pipe": "a named pipe", "socket": "a socket", "device": "a device"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_special_file_is_no_image_no_source_and_no_table(kind, folder_of, tmp_path, pack):
    folder = folder_of(FILES)
    special(kind, folder / "x.png")
    assert pack(folder, max_rejected=0.5).rejected == [("x.png", f"is {KINDS[kind]}, not a file")]
    refused(pack, folder, f"1 of 4 files of images cannot be used .1 is {KINDS[kind]}")
    other = special(kind, tmp_path / "source")
    refused(pack, other, rf"data\.path: .*source cannot be read .is {KINDS[kind]}, not a file")
    refused(pack, folder, rf"data\.labels: .*source cannot be read .is {KINDS[kind]}", labels=str(other))


def header(name: str, size: int, **more) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in more.items():
        setattr(member, key, value)
    return member.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes, **more) -> bytes:
    return header(name, len(data), **more) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def pax(**records: str) -> bytes:
    """An extended header."""
    data = b""
    for key, value in records.items():
        rest = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(rest) + len(str(len(rest) + len(str(len(rest)))))
        data += str(length).encode() + rest
    return member("pax", data, type=tarfile.XHDTYPE)


END = bytes(1024)
FIRST = member("0.jpg", FILES["0.jpg"])
SPARSE = {"GNU__sparse__major": "1", "GNU__sparse__minor": "0", "GNU__sparse__realsize": "99"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FIRST + header("x.png", -512) + END, r"is damaged .a member has the size -512 bytes"),
        (header("x.png", -512) + END, "is damaged .a member has the size -512 bytes"),
        (FIRST + header("x.png", -1) + END, "a member has the size -1 bytes"),
        (FIRST + header("x.png", 2**63) + END, "is damaged .unexpected end of data"),
        (FIRST + header("x.png", 2**80) + END, "is damaged .unexpected end of data"),
        (FIRST + header("x.png", 2**40) + END, "is damaged .unexpected end of data"),
        (FIRST + header("long", 2**40, type=tarfile.GNUTYPE_LONGNAME) + END, "a header has 1,099,511,627,776 bytes"),
        (FIRST + header("long", -512, type=tarfile.GNUTYPE_LONGNAME) + END, "a header has -512 bytes"),
        (FIRST + header("pax", 1 << 30, type=tarfile.XHDTYPE) + END, "a header has 1,073,741,824 bytes"),
        (FIRST + pax(size="-512") + header("x.png", 512) + END, "a member has the size -512 bytes"),
        (FIRST + pax(size="9" * 4000) + header("x.png", 512) + END, "unexpected end of data"),
        (FIRST + member("pax", b"1 x=y\n", type=tarfile.XHDTYPE) + END, "invalid header"),
        (FIRST + header("s", 0, type=tarfile.GNUTYPE_SPARSE)[:482] + b"\1" + bytes(29), "unexpected end of data"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_tar_file_with_sizes_that_no_file_has(data, message, packed, tmp_path, pack):
    path = tmp_path / "x.tar"
    path.write_bytes(gzip.compress(data) if packed else data)
    refused(pack, path, rf"data\.path: .*{message}")


def test_headers_that_tarfile_would_follow_for_long(tmp_path, pack):
    """Nested headers, digits on which its patterns are quadratic, and a sparse file without the end of its map."""
    path = tmp_path / "x.tar"
    digits = member("pax", b"9" * 500_000, type=tarfile.XHDTYPE)
    path.write_bytes(pax(path="0.jpg") * 3000 + digits + member("x", FILES["0.jpg"]) + pax(**SPARSE) + FIRST + END)
    store = pack(path)
    assert (store.names, len(store.rejected)) == (["0.jpg"], 0)


def test_a_tar_file_in_several_streams_of_xz(tar_of, tmp_path, pack):
    """As `xz a b` and `cat a.xz b.xz` write them, with padding between."""
    data = tar_of(FILES).read_bytes()
    streams = [lzma.compress(data[:1000]), bytes(8), lzma.compress(data[1000:1001]), lzma.compress(data[1001:])]
    (tmp_path / "x.tar.xz").write_bytes(b"".join(streams))
    assert pack(tmp_path / "x.tar.xz").digest == pack(tar_of(FILES)).digest


def test_a_dictionary_of_a_gigabyte_is_refused(tar_of, tmp_path, pack):
    packed = bytearray(lzma.compress(tar_of(FILES).read_bytes()))
    assert packed[14:16] == b"\x21\x01"  # the header of the first block: LZMA2 with one byte of settings
    packed[16] = 36  # a dictionary of 1 GiB
    packed[20:24] = struct.pack("<L", zlib.crc32(bytes(packed[12:20])))
    (tmp_path / "x.tar.xz").write_bytes(packed)
    refused(pack, tmp_path / "x.tar.xz", r"is damaged .*[Mm]emory")


def entry(name: bytes = b"x.png", *, size=4, packed=4, offset=0, version=20, flags=0, method=0, extra=b"") -> bytes:
    values = (b"PK\1\2", 20, 3, version, 0, flags, method, 0, 33, 0, packed, size, len(name), len(extra), 0, 0, 0, 0)
    return struct.pack("<4s4B4HL2L5H2L", *values, offset) + name + extra


def zip_file(*entries: bytes, before: bytes = b"") -> bytes:
    directory = b"".join(entries)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(before), 0)
    return before + directory + end


ZIP64 = struct.pack("<2H3Q", 1, 24, 2**63, 2**63, 2**63)
GIANT = {"size": 2**32 - 1, "packed": 2**32 - 1, "offset": 2**32 - 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zip_file(entry(**GIANT, extra=ZIP64)), "a member has a size or offset that no file has"),
        (zip_file(entry(**GIANT, extra=ZIP64[:12])), "Corrupt extra field"),
        (zip_file(entry(b"\xff.png", flags=0x800)), "a name is not UTF-8"),
        (zip_file(entry(version=99)), "zip file version 9.9 is not supported"),
        (zip_file(entry())[:-30] + zip_file(entry())[-22:], "Bad offset for central directory"),
        (b"PK\5\6" + b"\xff" * 18, "damaged|neither"),
    ],
)
def test_a_zip_file_with_a_directory_that_no_file_has(data, message, tmp_path, pack):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    refused(pack, path, message)


def test_what_a_zip_file_unpacks_to_is_bounded_whatever_it_says(tmp_path, pack):
    """Of 8 MB packed by bzip2 its entry says 4 bytes; and of an entry that overlaps the next one nothing is read."""
    packed = bz2.compress(bytes(8 << 20))
    local = struct.pack("<4s2B4HL2L2H", b"PK\3\4", 46, 0, 0, 12, 0, 33, 0, len(packed), 4, 5, 0) + b"x.png"
    bomb = zip_file(entry(packed=len(packed), method=12), before=local + packed)
    (tmp_path / "bomb.zip").write_bytes(bomb)
    refused(pack, tmp_path / "bomb.zip", "no usable image .1 damaged in the archive")
    twice = (entry(packed=30, size=30), entry(b"y.png", offset=20))
    (tmp_path / "overlap.zip").write_bytes(zip_file(*twice, before=local.ljust(90, b"\0")))
    with pytest.raises(DataError):
        pack(tmp_path / "overlap.zip")
    (listed,) = tmp_path.glob("cache/data/overlap*.rejected.csv")
    assert "Overlapped entries: 'x.png'" in listed.read_text()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_each_packing_of_a_zip_file_gives_the_same_images(packing, folder_of, tmp_path, pack):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", packing) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert pack(tmp_path / "x.zip").digest == pack(folder_of(FILES)).digest


def test_a_larger_file_than_the_key_allows_is_rejected_unread(folder_of, tar_of, zip_of, pack):
    sources = [folder_of(BIG), tar_of(BIG), tar_of(BIG, "x.tar.gz", "w:gz"), zip_of(BIG)]
    stores = [pack(source, **SMALLER) for source in sources]
    assert [store.rejected for store in stores] == [TOO_LARGE] * 4
    assert {store.digest for store in stores} == {pack(folder_of(FILES, "small")).digest}
    assert len(pack(sources[0])) == 4


def test_files_of_gigabytes_take_neither_memory_nor_disk(tmp_path, tar_of, pack):
    folder = tmp_path / "sparse"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(FILES["0.jpg"])
    with (folder / "x.png").open("wb") as file:
        file.truncate(6 << 30)
    expected = [("x.png", "too large: more than 536,870,912 bytes")]
    assert pack(folder, max_rejected=0.5).rejected == expected
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(FIRST + header("x.png", 6 << 30))
        file.truncate(file.tell() + (6 << 30) + 1024)
    assert pack(tmp_path / "x.tar", max_rejected=0.5).rejected == expected


def test_more_files_than_the_key_allows(folder_of, tar_of, zip_of, pack):
    for source in (folder_of(FILES), tar_of(FILES), tar_of(FILES, "x.tar.gz", "w:gz"), zip_of(FILES)):
        refused(pack, source, r"data\.most_files: .* has more than 2 files", most_files=2)
        assert len(pack(source, most_files=3)) == 3
        with pytest.raises(DataError, match=r"data\.most_files"):
            survey(DataConfig(source="folder", path=str(source), most_files=2))


def test_new_keys_at_their_defaults_leave_the_names_of_stores():
    """The name that 0.1.0 gave before the keys were there."""
    assert _folder_name(DataConfig(source="drawn_faces", resolution=64)) == NAME_BEFORE
    assert _folder_name(DataConfig(source="drawn_faces", resolution=64, most_files=9)) == NAME_BEFORE
    assert _folder_name(DataConfig(source="drawn_faces", resolution=64, largest_file_bytes=1 << 20)) != NAME_BEFORE


NAME_BEFORE = "drawn_faces-64px-7d0b6c3670120631"

PREPARE = """
import sys
from pathlib import Path
from framework.config import DataConfig
from framework.data import prepare
try:
    prepare(DataConfig(source="folder", path=sys.argv[1], resolution=256, held_out=0.0), cache=Path(sys.argv[2]))
except Exception as fault:
    print(f"{type(fault).__name__}: {fault}")
"""


@pytest.mark.parametrize("packed", [False, True])
def test_a_full_disk_is_that_of_the_cache(packed, folder_of, tar_of, tmp_path):
    """A limit on the size of files, since no disk can be filled here."""
    many = {f"{k}.jpg": jpeg(k, side=300).ljust(100_000, b"\0") for k in range(4)}
    path = tar_of(many, "x.tar.gz", "w:gz") if packed else folder_of(many)
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, str(path), str(tmp_path / "cache")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    place = tmp_path / "cache" / "data"
    assert done.stdout == f"DataError: storage.cache_path: {place} cannot take the images (File too large)\n"
    assert not list(place.glob("*building*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "a\0b"}, r"data\.path: .* cannot be read .a path cannot contain the character NUL"),
        ({"path": "~no-such-user/x"}, r"data\.path: ~no-such-user/x cannot be read .there is no user no-such-user"),
        ({"path": "a\ud800b"}, r"data\.path: .* cannot be read .*surrogate"),
        ({"labels": "a\0b"}, r"data\.labels: .* cannot be read .a path cannot contain the character NUL"),
        ({"labels": "~no-such-user/x"}, r"data\.labels: ~no-such-user/x cannot be read .there is no user"),
    ],
)
def test_paths_that_no_file_can_have(settings, message, folder_of, tmp_path, pack):
    refused(pack, **{"path": folder_of(FILES), **settings}, message=message)


@pytest.mark.parametrize("value", ["1e39", "-1e300", "3.5e38"])
def test_a_label_that_float32_cannot_hold(value, folder_of, tmp_path, pack):
    table = tmp_path / "labels.csv"
    table.write_text(f"file,age,x\n0.jpg,{value},1\n1.jpg,3,0\n")
    store = pack(folder_of(FILES), labels=str(table))
    assert set(store.labels) == {"x"}
    assert "too large" in store.labels_report["left_out"]["age"]


def test_a_table_of_more_than_64_megabytes(folder_of, tmp_path, pack):
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate((64 << 20) + 1)
    message = r"data\.labels: .* cannot be read .too large: more than 67,108,864 bytes"
    refused(pack, folder_of(FILES), message, labels=str(tmp_path / "labels.csv"))


def idx(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (idx(2, 28, 28) + bytes(8 << 20), idx(2) + bytes(2), "is too long: more than the 1,584 bytes its header says"),
        (idx(2, 28, 28) + bytes(1568), idx(2) + bytes(8 << 20), "is too long: more than the 10 bytes its header says"),
        (idx(2**32 - 1, 28, 28), idx(2**32 - 1), r"data\.most_files: .* contains 4,294,967,295 images"),
        (idx(2**22, 28, 28), idx(2**22), "is truncated: 8 bytes, but its header says 4,194,312"),
        (idx(2, 2**31, 2**31), idx(2) + bytes(2), "images of 2147483648x2147483648"),
    ],
)
def test_digits_are_read_as_far_as_their_header_says(images, labels, message, folder_of, pack):
    names = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    folder = folder_of({name: gzip.compress(data, 1) for name, data in zip(names, (images, labels) * 2, strict=True)})
    refused(pack, folder, message, source="mnist", channels=1, resolution=28)


def test_a_pipe_among_the_digits(folder_of, pack):
    folder = folder_of({})
    folder.mkdir()
    os.mkfifo(folder / "train-images-idx3-ubyte")
    refused(pack, folder, "has no train-images-idx3-ubyte", source="mnist", channels=1, resolution=28)
