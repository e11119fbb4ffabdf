"""Damaged archives of pictures and files of MNIST, each prepared as a training does it."""

import bz2
import functools
import gzip
import io
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare, survey
from tests.chaos.damage import damaged_bytes, placed_strangely, zeros
from tests.chaos.fuzzing import Fuzzer

NAMES = ("25_0_1_2017.jpg", "a/3_1_0_2017.png", "x/y/99_1_4_2017.jpg", "readme.txt")
_PACKINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes),
    ".gz": (functools.partial(gzip.compress, compresslevel=1), gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (functools.partial(lzma.compress, preset=0), lzma.decompress),
}
_ODD_NAMES = (
    *(b"../../x.jpg", b"/etc/x.jpg", b"a\0b.jpg", b"\xff\xfe.jpg", b"C:\\x.jpg", b"..", b".", b"", b"/", b"a//b.jpg"),
    *(b"x" * 300 + b".jpg", b"a/" * 3000 + b"x.jpg", b"x\n.jpg", b"\x1b]0;x\x07.jpg", b"__MACOSX/x.jpg", b".x.jpg"),
    *("\u202e²_1_1_2.jpg".encode(), b"999_1_4_20.jpg", b"-1_1_1_2.jpg", b"25_0_1_2017.jpg/", b"25_0_1_2017.jpg/x.jpg"),
    *(
        "٣_1_1_20.jpg".encode(),
        b"9" * 5000 + b"_1_1_2.jpg",
        b"\xed\xa0\x80.jpg",
        b"a\\..\\..\\x.jpg",
        b"CON",
        b"x" * 65_535,
    ),
)
_SIZES = (-(2**63), -(2**40), -512, -1, 0, 1, 511, 512, 513, 2**31, 2**32 - 1, 2**33 - 1, 2**40, 2**62, 2**63, 2**80)
_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def make(folder: Path) -> None:
    """Each archive has the same files; `digits` has MNIST's."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        (folder / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".txt"):
            (folder / "folder" / name).write_text("no picture")
        else:
            small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
            small.resize((40, 36), Image.Resampling.BICUBIC).save(folder / "folder" / name)
    files = {name: (folder / "folder" / name).read_bytes() for name in NAMES}
    for form, number in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("ustar", tarfile.USTAR_FORMAT)):
        data = _tar([_Member(name.encode(), content) for name, content in files.items()], number)
        for ending, (pack, _) in _PACKINGS.items():
            (folder / f"{form}.tar{ending}").write_bytes(pack(data))
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(folder / f"{packing}.zip", "w", packing) as archive:
            for name, content in files.items():
                with archive.open(name, "w", force_zip64=packing == zipfile.ZIP_DEFLATED) as member:
                    member.write(content)
    for ending in ("", ".gz"):
        digits = folder / f"digits{ending}"
        digits.mkdir()
        for stem in _STEMS:
            size = (6, 28, 28) if "images" in stem else (6,)
            content = _idx(size, rng.integers(0, 10, size).astype(np.uint8).tobytes())
            (digits / f"{stem}{ending}").write_bytes(_PACKINGS[ending][0](content))


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    if rng.random() < 0.02:
        return placed_strangely(source, target, rng)
    if source.is_dir():
        return f"{source.name}: {_in_folder(source, target, rng)}"
    pack, unpack = _PACKINGS.get(source.suffix, _PACKINGS[""])
    data, way = source.read_bytes(), rng.random()
    if way < 0.25:
        data, what = damaged_bytes(data, rng)
    elif way < 0.5:
        inside, what = damaged_bytes(unpack(data), rng)
        data, what = pack(inside), f"inside {what}"
    else:
        inside, what = _zip_changed(source, rng) if source.suffix == ".zip" else _tar_changed(unpack(data), rng)
        data = pack(inside)
    if source.suffix in (".gz", ".xz") and rng.random() < 0.05:
        data, what = data + data, f"{what}, two streams"
    target.write_bytes(data)
    return f"{source.name}: {what}"


def _in_folder(source: Path, target: Path, rng: np.random.Generator) -> str:
    """A file of the folder is damaged, missing, or no file."""
    shutil.copytree(source, target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    file = files[int(rng.integers(len(files)))]
    data, way = file.read_bytes(), rng.random()
    file.unlink()
    if way < 0.15:
        return f"{file.name}: {placed_strangely(source / file.relative_to(target), file, rng)}"
    if way < 0.2:
        return f"{file.name} removed"
    pack, unpack = _PACKINGS.get(file.suffix, _PACKINGS[""])
    if way < 0.5 or not source.name.startswith("digits"):
        changed, what = damaged_bytes(data, rng)
    else:
        inside = unpack(data)
        count = int.from_bytes(inside[4:8], "big")
        sizes = [count, 28, 28] if "images" in file.name else [count]
        sizes[int(rng.integers(len(sizes)))] = _size(rng) % 2**32
        sizes += [28] * int(rng.choice([0, 0, 0, 1]))
        changed, what = (
            (_idx(tuple(sizes), inside[-count * 784 :]), f"sizes {sizes}") if way < 0.75 else damaged_bytes(inside, rng)
        )
        changed = pack(changed)
    file.write_bytes(changed)
    return f"{file.name}: {what}"


def _idx(sizes: tuple[int, ...], data: bytes) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes) + data


def _size(rng: np.random.Generator) -> int:
    return _SIZES[int(rng.integers(len(_SIZES)))]


def _content(data: bytes, rng: np.random.Generator) -> bytes:
    """What a member may be instead of a picture."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x.jpg", data)
        nested = file.getvalue()
    others = (
        b"",
        b"\0",
        data[: len(data) // 2],
        rng.bytes(100),
        b"<svg/>",
        nested,
        gzip.compress(data),
        damaged_bytes(data, rng)[0] if data else b"",
    )
    return others[int(rng.integers(len(others)))]


@dataclass(frozen=True)
class _Member:
    """Of a tar file; what is None is as it should be."""

    name: bytes
    data: bytes = b""
    size: int | None = None
    kind: bytes = tarfile.REGTYPE
    link: bytes = b""


def _tar(members: list[_Member], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar file, whatever its headers say."""
    parts = []
    for member in members:
        header = tarfile.TarInfo(member.name.decode("utf-8", "surrogateescape"))
        header.type, header.linkname = member.kind, member.link.decode("utf-8", "surrogateescape")
        header.size = len(member.data) if member.size is None else member.size
        if not -(256**11) < header.size < 256**11:
            header.size = 0
        elif not 0 <= header.size < 8**11:
            form = tarfile.GNU_FORMAT  # which writes such numbers
        try:
            parts.append(header.tobuf(form, "utf-8", "surrogateescape"))
        except ValueError:  # a name that this form cannot write
            parts.append(header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
        parts.append(member.data.ljust(-(-len(member.data) // 512) * 512, b"\0"))
    return b"".join(parts) + bytes(1024)


def _pax(rng: np.random.Generator) -> bytes:
    """The records of an extended header, some with a length that is not theirs."""
    keys = (
        "path",
        "size",
        "linkpath",
        "GNU.sparse.map",
        "GNU.sparse.major",
        "GNU.sparse.realsize",
        "hdrcharset",
        "mtime",
        "",
    )
    values = (
        *(str(size).encode() for size in _SIZES),
        *_ODD_NAMES[:20],
        b"9" * 5000,
        b"0,512",
        b"1e3",
        b" 5",
        b"\xd9\xa3",
    )
    records = b""
    for _ in range(int(rng.integers(1, 4))):
        record = f" {rng.choice(keys)}=".encode() + values[int(rng.integers(len(values)))] + b"\n"
        length = len(record) + len(str(len(record) + len(str(len(record)))))
        length = int(rng.choice([length] * 6 + [0, 1, 3, length - 1, length + 1, 10**9]))
        records += str(length).encode() + record
    return records


def _tar_changed(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Members of odd names, sizes and kinds among good ones."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        good = [_Member(each.name.encode(), archive.extractfile(each).read()) for each in archive]  # pyright: ignore
    members, done = list(good), []
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(members) + 1))
        near = good[int(rng.integers(len(good)))]
        odd = _ODD_NAMES[int(rng.integers(len(_ODD_NAMES)))]
        kind = bytes([int(rng.choice([*b"0123456789gxALKSDMNVXZ\0 ", 0xFF]))])
        extended = tarfile.XHDTYPE if rng.random() < 0.7 else tarfile.XGLTYPE
        long = tarfile.GNUTYPE_LONGNAME if rng.random() < 0.5 else tarfile.GNUTYPE_LONGLINK
        other, what = (
            (replace(near, name=odd), "named oddly"),
            (replace(near, size=_size(rng)), "of another size"),
            (replace(near, kind=kind), f"of kind {kind!r}"),
            (replace(near, data=_content(near.data, rng)), "of other content"),
            (_Member(odd, b"", kind=tarfile.LNKTYPE, link=near.name), "a hard link"),
            (_Member(b"x.jpg", kind=tarfile.LNKTYPE, link=b"x.jpg"), "a link to itself"),
            (_Member(b"x.jpg", kind=tarfile.SYMTYPE, link=b"/etc/passwd"), "a link outside"),
            (_Member(odd, kind=(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)[at % 3]), "a device"),
            (_Member(b"pax", _pax(rng), kind=extended), "an extended header"),
            (_Member(b"pax", b"9" * 100_000, kind=extended), "an extended header of digits"),
            (_Member(b"@", odd, kind=long), "a long name"),
            (_Member(b"@", odd, _size(rng), kind=long), "a long name of another size"),
            (_Member(near.name, near.data, kind=tarfile.GNUTYPE_SPARSE), "sparse"),
            (near, "twice"),
        )[int(rng.integers(14))]
        members.insert(at, other)
        done.append(f"{at}: {what} ({other.name[:20]!r})")
    form = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)[int(rng.integers(3))]
    return _tar(members, form), ", ".join(done)


@dataclass(frozen=True)
class _Entry:
    """Of a zip file; `listed` and `local` are what the directory and the header before the content say otherwise."""

    name: bytes
    packed: bytes
    size: int
    checksum: int
    method: int = zipfile.ZIP_DEFLATED
    extra: bytes = b""
    listed: tuple[tuple[str, Any], ...] = ()
    local: tuple[tuple[str, Any], ...] = ()


def _entry(name: bytes, data: bytes) -> _Entry:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _Entry(name, packer.compress(data) + packer.flush(), len(data), zlib.crc32(data))


def _zip(entries: list[_Entry], ending: dict[str, int]) -> bytes:
    """A zip file, whatever its headers and directory say."""
    content, directory = b"", b""
    for entry in entries:
        said = {"version": 20, "flags": 0, "method": entry.method, "checksum": entry.checksum}
        said |= {"packed": len(entry.packed), "size": entry.size, "offset": len(content), "name": entry.name}
        here, listed = said | dict(entry.local), said | dict(entry.listed)
        name, extra = here["name"], entry.extra
        content += struct.pack(
            "<4s2B4HL2L2H", b"PK\3\4", here["version"], 0, here["flags"], here["method"], 0, 33, here["checksum"],
            here["packed"], here["size"], len(name), len(extra),
        ) + name + extra + entry.packed  # fmt: skip
        name = listed["name"]
        directory += struct.pack(
            "<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, listed["version"], 0, listed["flags"], listed["method"], 0, 33,
            listed["checksum"], listed["packed"], listed["size"], len(name), len(extra), 0, 0, 0, 0, listed["offset"],
        ) + name + extra  # fmt: skip
    end = {"entries": len(entries), "size": len(directory), "offset": len(content), "comment": 0} | ending
    count = end["entries"] % 2**16
    return (
        content
        + directory
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, end["size"], end["offset"], end["comment"])
    )


def _zip_changed(source: Path, rng: np.random.Generator) -> tuple[bytes, str]:
    """Entries of odd names, sizes and places among good ones."""
    with zipfile.ZipFile(source) as archive:
        files = [(name.encode(), archive.read(name)) for name in archive.namelist()]
    entries, done = [_entry(name, data) for name, data in files], []
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(entries)))
        near, (name, data) = entries[at], files[int(rng.integers(len(files)))]
        odd = _ODD_NAMES[int(rng.integers(len(_ODD_NAMES)))]
        number, word = _size(rng) % 2**32, int(rng.choice([0, 1, 8, 9, 12, 14, 19, 93, 95, 99, 0x800, 0x8000, 0xFFFF]))
        key = str(rng.choice(["checksum", "packed", "size", "offset"]))
        values = [_size(rng) % 2**64 for _ in range(3)]
        wide = (("size", 2**32 - 1), ("packed", 2**32 - 1), ("offset", 2**32 - 1))[: int(rng.integers(4))]
        zip64 = struct.pack("<2H3Q", 1, int(rng.choice([24, 8, 0, 60_000])), *values)
        packed = zeros(int(rng.choice([1, 20, 200])))
        other, what = (
            (replace(near, name=odd), "named oddly"),
            (replace(near, listed=((key, number),)), f"{key} {number}"),
            (replace(near, local=(("name", odd),)), "named otherwise in its header"),
            (replace(near, listed=(("flags", word),), local=(("flags", word),)), f"flags {word}"),
            (replace(near, method=word), f"method {word}"),
            (replace(near, method=word, packed=near.packed[:9]), f"method {word} of 9 bytes"),
            (replace(near, listed=(("version", word % 256),)), f"version {word % 256}"),
            (replace(near, extra=zip64, listed=wide), f"zip64 {values}"),
            (replace(near, extra=rng.bytes(int(rng.integers(40)))), "another extra field"),
            (_entry(name, _content(data, rng)), "of other content"),
            (_Entry(name, packed, int(rng.choice([1, 2**20, 2**31])), 0), f"{len(packed)} bytes of zeros"),
            (replace(entries[0], listed=(("offset", int(rng.integers(200))),)), "overlapping"),
            (_entry(name, data), "twice"),
        )[int(rng.integers(13))]
        if rng.random() < 0.5:
            entries.insert(at, other)
        else:
            entries[at] = other
        done.append(f"{at}: {what} ({other.name[:20]!r})")
    ending = (
        {str(rng.choice(["entries", "size", "offset", "comment"])): _size(rng) % 2**16} if rng.random() < 0.2 else {}
    )
    return _zip(entries, ending), ", ".join([*done, *(f"{key} {value}" for key, value in ending.items())])


def read(path: Path) -> None:
    """As a training prepares it, after the survey that each job makes."""
    digits = path.is_dir() and any("ubyte" in each.name for each in path.iterdir())
    prepared(
        path, "mnist" if digits else "utkface", resolution=28 if digits else 32, channels=1 if digits else 3
    )  # fmt: skip


def prepared(path: Path, source: Literal["mnist", "utkface", "folder"], *, resolution: Any, channels: Any) -> None:
    """Surveys and packs a source, and checks what comes of it and that nothing is left."""
    config = DataConfig(
        source=source, path=str(path), resolution=resolution, channels=channels, max_rejected=1.0
    )  # fmt: skip
    before = set(path.parent.iterdir())
    with tempfile.TemporaryDirectory(dir=path.parent) as cache:
        expected = survey(config).images
        store = prepare(config, cache=Path(cache), processes=1)
        copies = (store.packing_report or {}).get("copies", 0)
        assert 0 < len(store) + copies + len(store.rejected) <= expected
        assert store.images.shape == (len(store), config.resolution, config.resolution, config.channels)
        assert len(set(store.names)) == len(store)
        assert all(reason.strip() and "\n" not in reason and len(reason) < 300 for _, reason in store.rejected)
        assert not list(Path(cache).rglob("source.*"))
    assert set(path.parent.iterdir()) == before


FUZZER = Fuzzer("archive", make, damage, read, share=2.5)
