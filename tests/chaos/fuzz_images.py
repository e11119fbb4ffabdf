"""Damaged pictures of each format that is accepted."""

import io
import json
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare
from framework.data.packing.worker import Work
from tests.chaos.damage import damaged_bytes, placed_strangely, zeros
from tests.chaos.fuzzing import Fuzzer

WIDTH, HEIGHT = 70, 61
PNG = b"\x89PNG\r\n\x1a\n"
_SIDES = (0, 1, 13, 9000, 11_000, 32_767, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_SAVED: dict[str, tuple[str, dict[str, Any]]] = {  # file -> mode, how Pillow writes it
    "grey.png": ("L", {}),
    "colours.png": ("RGB", {"optimize": True}),
    "transparent.png": ("RGBA", {}),
    "palette.png": ("P", {"transparency": 3}),
    "bits.png": ("1", {}),
    "sixteen.png": ("I;16", {}),
    "baseline.jpg": ("RGB", {"subsampling": 2, "restart_marker_blocks": 2}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "grey.jpg": ("L", {}),
    "inks.jpg": ("CMYK", {}),
    "lossy.webp": ("RGBA", {}),
    "lossless.webp": ("RGB", {"lossless": True}),
    "palette.gif": ("P", {"transparency": 0}),
    "plain.tif": ("RGB", {}),
    "bits.tif": ("1", {"compression": "group4"}),
    "palette.tif": ("P", {"compression": "packbits"}),
    "lzw.tif": ("RGBA", {"compression": "tiff_lzw"}),
    "deflate.tif": ("I;16", {"compression": "tiff_adobe_deflate"}),
    "jpeg.tif": ("RGB", {"compression": "jpeg"}),
    "float.tif": ("F", {}),
    "wide.tif": ("I", {}),
    "big.tif": ("RGB", {"big_tiff": True}),
    "plain.bmp": ("RGB", {}),
    "palette.bmp": ("P", {}),
    "plain.dib": ("RGB", {}),
    "icon.ico": ("RGBA", {"sizes": [(32, 32), (64, 64)]}),
    "plain.ppm": ("RGB", {}),
    "sixteen.pgm": ("I;16", {}),
    "packed.tga": ("RGB", {"compression": "tga_rle"}),
    "plain.pcx": ("RGB", {}),
    "plain.jp2": ("RGB", {}),
    "plain.avif": ("RGB", {"speed": 10}),
}
_FILMS: dict[str, dict[str, Any]] = {
    "film.png": {"duration": 40},
    "film.webp": {"duration": 40},
    "film.gif": {"duration": 40, "disposal": 2},
    "film.tif": {},
    "several.mpo": {},
}
_TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 317, 320, 322, 323, 324, 325, 338)
_TAGS += (339, 347, 530, 532, 700, 34665, 34675)


def make(folder: Path) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    picture = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x8769: {0x9003: "2026:01:01 00:00:00"}})
    for name, (mode, how) in _SAVED.items():
        about: dict[str, Any] = {"exif": exif.tobytes()} if name.endswith((".jpg", ".png", ".webp", ".avif")) else {}
        _in_mode(picture, mode).save(folder / name, **how, **about)
    turned = [picture.rotate(90 * k) for k in range(3)]
    for name, how in _FILMS.items():
        turned[0].save(folder / name, save_all=True, append_images=turned[1:], **how)
    for name, dtype, samples in (("tiles.tif", "<f4", 1), ("deep.tif", "<u2", 3), ("planes.tif", "u1", 3)):
        (folder / name).write_bytes(
            _tiff(_tags(dtype, samples, tiled=name == "tiles.tif", planes=name == "planes.tif"))
        )


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) << 8)
    return picture.quantize(16) if mode == "P" else picture.convert(mode)


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    data, way = source.read_bytes(), rng.random()
    if way < 0.02:
        return placed_strangely(source, target, rng)
    formed = {".png": _chunks_changed, ".jpg": _segments_changed, ".mpo": _segments_changed, ".tif": _tags_changed}
    if way < 0.4:
        changed, what = damaged_bytes(data, rng)
    elif way < 0.6:
        changed, what = _resized(data, rng)
    elif way < 0.7 and source.name in _SAVED:
        changed, what = _other_metadata(source, rng)
    else:
        changed, what = formed.get(source.suffix, _twice)(data, rng)
    if data.startswith(PNG) and rng.random() < 0.8:
        changed = _with_checksums(changed)
    target.write_bytes(changed)
    return f"{source.name}: {what}"


def _side(rng: np.random.Generator) -> int:
    return _SIDES[int(rng.integers(len(_SIDES)))]


def _twice(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage to what is damaged."""
    (first, what), n = damaged_bytes(data, rng), 1
    while first and n < 4:
        first, more = damaged_bytes(first, rng)
        what, n = f"{what}, {more}", n + 1
    return first, what


def _resized(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Another width or height, wherever the header has it."""
    places = []
    for side in (WIDTH, HEIGHT, WIDTH - 1, HEIGHT - 1):
        for form in (">I", "<I", ">H", "<H"):
            sought = struct.pack(form, side)
            at = data.find(sought, 0, 1000)
            while at >= 0:
                places.append((at, form))
                at = data.find(sought, at + 1, 1000)
    if not places:
        return _twice(data, rng)
    done = []
    for _ in range(int(rng.integers(1, 3))):
        at, form = places[int(rng.integers(len(places)))]
        side = _side(rng) % (1 << 8 * struct.calcsize(form))
        data = data[:at] + struct.pack(form, side) + data[at + struct.calcsize(form) :]
        done.append(f"{side} at {at}")
    return data, ", ".join(done)


def _other_metadata(source: Path, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damaged EXIF data, a profile that is none, or text."""
    exif = Image.Exif()
    exif.update({0x0112: int(rng.integers(0, 65_536)), 0x8769: {0x9003: "x" * 50}, 0x014A: 8})
    damaged, what = damaged_bytes(exif.tobytes(), rng)
    about = {"exif": damaged, "icc_profile": rng.bytes(300), "xmp": b'<x tiff:Orientation="6"' + rng.bytes(20)}
    name = str(rng.choice(list(about)))
    mode, how = _SAVED[source.name]
    file = io.BytesIO()
    with Image.open(source) as picture:
        kind = picture.format
        try:
            _in_mode(picture, mode).save(file, kind, **how, **{name: about[name]})
        except Exception:  # this format does not write it
            return _twice(source.read_bytes(), rng)
    return file.getvalue(), f"{name}: {what}"


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], len(PNG)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    return chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _with_checksums(data: bytes) -> bytes:
    return PNG + b"".join(_chunk(kind, content) for kind, content in _png_chunks(data))


def _chunks_changed(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Chunks that are missing, twice, elsewhere, of other content, or that unpack to much."""
    chunks = _png_chunks(data)
    number = int(rng.integers(len(chunks)))
    kind, content = chunks[number]
    bomb = zlib.compress(bytes(int(rng.integers(1, 100)) << 20), 1)
    new = (
        (b"iCCP", b"x\0\0" + bomb),
        (b"zTXt", b"x\0\0" + bomb),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb),
        (b"tEXt", b"Raw profile type exif\0\nexif\n  999999\n" + rng.bytes(40)),
        (b"eXIf", damaged_bytes(Image.Exif().tobytes() or b"II*\0", rng)[0]),
        (b"acTL", struct.pack(">II", _side(rng), 0)),
        (b"fcTL", struct.pack(">5I2H2B", 0, _side(rng), _side(rng), _side(rng), 0, 0, 0, 2, 1)),
        (b"PLTE", rng.bytes(int(rng.integers(0, 800)))),
        (b"tRNS", rng.bytes(int(rng.integers(0, 300)))),
        (b"IDAT", bomb),
        (b"IEND", b""),
        (rng.bytes(4), rng.bytes(9)),
    )[int(rng.integers(12))]
    other = damaged_bytes(content, rng)[0] if content else b"x"
    header = struct.pack(">IIBBBBB", _side(rng), 61, *(int(rng.choice([0, 1, 2, 3, 4, 6, 8, 16])) for _ in range(5)))
    ways = (
        (chunks[:number] + chunks[number + 1 :], f"without {kind!r}"),
        (chunks[: number + 1] + chunks[number:], f"{kind!r} twice"),
        (chunks[number:] + chunks[:number], f"{kind!r} first"),
        ([*chunks[:number], (kind, other), *chunks[number + 1 :]], f"another {kind!r}"),
        ([chunks[0], new, *chunks[1:]], f"a further {new[0]!r}"),
        ([*chunks[:number], new, *chunks[number:]], f"{new[0]!r} before {kind!r}"),
        ([(b"IHDR", header), *chunks[1:]], f"the header {header.hex()}"),
        (_large(rng), "large"),
        ([chunks[0], *[(b"tEXt", b"a\0b")] * 3000, *chunks[1:]], "3000 texts"),
    )
    changed, what = ways[int(rng.integers(len(ways)))]
    return PNG + b"".join(_chunk(*each) for each in changed), what


def _large(rng: np.random.Generator) -> list[tuple[bytes, bytes]]:
    """As many pixels as are allowed, or some more, of any kind, in a file of some hundred kilobytes."""
    depth, colour = ((8, 0), (16, 0), (8, 2), (16, 2), (8, 3), (1, 3), (8, 4), (16, 4), (8, 6), (16, 6))[
        int(rng.integers(10))
    ]
    header = struct.pack(">IIBBBBB", int(rng.integers(8000, 9700)), 9300, depth, colour, 0, 0, int(rng.integers(2)))
    chunks = [(b"IHDR", header), (b"PLTE", bytes(768)), (b"tRNS", bytes(6)), (b"IDAT", b"\x78\x01" + zeros(700))]
    return [chunk for chunk in chunks if rng.random() < 0.9 or chunk[0] == b"IHDR"]


def _segments_changed(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Segments before the first scan that are missing, twice, elsewhere or of other content; many scans."""
    segments, at = [], 2
    while at + 4 < len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append(data[at:end])
        at = end
    rest, number = data[at:], int(rng.integers(len(segments)))
    segment = segments[number]
    damaged, what = damaged_bytes(segment[4:], rng) if len(segment) > 4 else (b"x", "longer")
    other = segment[:2] + struct.pack(">H", len(damaged) + 2) + damaged
    lying = segment[:2] + struct.pack(">H", _side(rng) % 65_536) + segment[4:]
    new = bytes([0xFF, int(rng.integers(0xC0, 0xFF))]) + struct.pack(">H", 22) + rng.bytes(20)
    ways = (
        (segments[:number] + segments[number + 1 :], "removed"),
        (segments[: number + 1] + segments[number:], "twice"),
        (segments[number:] + segments[:number], "first"),
        ([*segments[:number], other, *segments[number + 1 :]], what),
        ([*segments[:number], lying, *segments[number + 1 :]], "with another length"),
        ([*segments[:number], new, *segments[number:]], f"after a new {new[:2].hex()}"),
    )
    changed, what = ways[int(rng.integers(len(ways)))]
    scans = int(rng.choice([1, 1, 1, 2, 100, 600]))
    return data[:2] + b"".join(changed) + rest * scans, f"segment {segment[:2].hex()} {what}, {scans} times its scans"


_Tags = list[tuple[int, int, bytes]]  # of a picture: number, type, values


def _tags(dtype: str, samples: int, *, tiled: bool, planes: bool) -> _Tags:
    kind = np.dtype(dtype)
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 1 if kind.kind == "f" else 255, (64, 64, samples)).astype(kind)
    data = np.moveaxis(values, -1, 0).tobytes() if planes else values.tobytes()
    each = len(data) // (samples if planes else 1)
    sizes = [each] * (len(data) // each)
    offsets = [8 + sum(sizes[:k]) for k in range(len(sizes))]
    place, size = (324, 325) if tiled else (273, 279)
    short, long = (lambda *n: (3, struct.pack(f"<{len(n)}H", *n))), (lambda *n: (4, struct.pack(f"<{len(n)}I", *n)))
    form = {"f": 3, "u": 1}[kind.kind]
    tags = {256: short(64), 257: short(64), 258: short(*[8 * kind.itemsize] * samples), 259: short(1)}
    tags |= {262: short(2 if samples == 3 else 1), place: long(*offsets), 277: short(samples), size: long(*sizes)}
    tags |= {284: short(2 if planes else 1), 339: short(*[form] * samples)}
    tags |= {322: short(64), 323: short(64)} if tiled else {278: short(64)}
    return [(0, 0, data), *((tag, *tags[tag]) for tag in sorted(tags))]


def _tiff(tags: _Tags, *, counts: dict[int, int] | None = None, following: int = 0) -> bytes:
    """A little-endian file; its first "tag" is the pixels."""
    data, *tags = tags
    body = data[2]
    entries, more = b"", b""
    start = 8 + len(body)
    end = start + 2 + 12 * len(tags) + 4
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8, 13: 4, 16: 8}
    for tag, kind, values in tags:
        count = (counts or {}).get(tag, len(values) // sizes.get(kind, 1))
        held = values.ljust(4, b"\0") if len(values) <= 4 else struct.pack("<I", end + len(more))
        more += values if len(values) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, count) + held
    return (
        struct.pack("<2sHI", b"II", 42, start)
        + body
        + struct.pack("<H", len(tags))
        + entries
        + (struct.pack("<I", following or 0) + more)
    )


def _tags_changed(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A file of plain values in which some tags have other values, types or counts."""
    dtype, samples = (("<f4", 1), ("<f8", 1), ("<u2", 1), ("<u2", 3), ("u1", 3), ("u1", 4))[int(rng.integers(6))]
    tags = _tags(dtype, samples, tiled=rng.random() < 0.3, planes=rng.random() < 0.3)
    counts, done = {}, []
    for _ in range(int(rng.integers(1, 4))):
        tag, kind = int(rng.choice(_TAGS)), int(rng.choice([1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 99]))
        number = int(rng.choice([0, 1, 2, 3, 5, 7, 8, 16, 17, 32, 33, 64])) if rng.random() < 0.6 else _side(rng)
        values = struct.pack("<Q", number)[: 2 if kind == 3 else 4] * int(rng.choice([1, 1, 1, 2, 3, 50, 5000]))
        if rng.random() < 0.5:
            kind = 3 if number < 65_536 else 4
            values = struct.pack("<Q", number)[: 2 if kind == 3 else 4] * int(rng.choice([1, 1, samples]))
        tags = [each for each in tags if each[0] != tag] + ([(tag, kind, values)] if rng.random() < 0.9 else [])
        if rng.random() < 0.1:
            counts[tag] = _side(rng)
        done.append(f"tag {tag} = {number} as {kind}, {len(values)} bytes")
    following = int(rng.choice([0, 0, 0, 8, 12]))  # it may be in a circle
    return _tiff(sorted(tags), counts=counts, following=following), ", ".join(done)


_FORMS = ((32, 3), (32, 1), (64, 3), (28, 1), (128, 3))  # resolution, channels


def read(path: Path) -> None:
    """As a decoding process does, in this one: a picture, or the reason why there is none."""
    resolution, channels = _form(path)
    with tempfile.NamedTemporaryFile(dir=path.parent) as output:
        work = Work(
            kind="folder", path=str(path.parent), output=output.name, start=0, resolution=resolution,
            channels=channels, seed=0, most_bytes=DataConfig().largest_file_bytes, rules=2,
        )  # fmt: skip
        try:
            ((slot, digest, reason, facts),) = work.run([(0, path.name, None)])
        finally:
            work.close()
        assert slot == 0
        if reason is None:
            assert len(digest) == 64
            assert json.dumps(facts)  # they are sent as JSON
            assert os.path.getsize(output.name) == resolution**2 * channels  # noqa: PTH202
        else:
            assert reason.strip()
            assert "\n" not in reason
            assert len(reason) < 300


def guarded(path: Path) -> None:
    """As a training prepares a folder."""
    resolution, channels = _form(path)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "images").mkdir()
        (Path(place) / "images" / "x").symlink_to(path)
        config = DataConfig(source="folder", path=f"{place}/images", resolution=resolution, channels=channels)
        prepare(config, cache=Path(place), processes=1)


def _form(path: Path) -> tuple[int, int]:
    size = path.stat().st_size if path.is_file() else 0
    return _FORMS[size % len(_FORMS)]


FUZZER = Fuzzer("image", make, damage, read, guarded, share=2.5)
