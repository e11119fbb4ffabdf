"""Peak memory of `prepare` above that of an ordinary picture, for files that are made to need much.

    python -m benchmarks.decoding_memory [name ...]

Each file is prepared in a process of its own; the peak is the larger one of that process and its decoding process, in
MiB above the same for one small picture. The files are written to a temporary folder, sparse where they can be.
"""

import bz2
import gzip
import io
import json
import multiprocessing
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

MIB = 1 << 20
SIDE = 9459  # its square is just below the bound on pixels
SQUARE = (SIDE, SIDE)
BOUND = (7416, 7416)  # just below that of WebP and AVIF
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from framework.config import DataConfig
from framework.data import prepare
kind, path, cache = sys.argv[1:]
grey = {"channels": 1, "resolution": 28} if kind == "mnist" else {"held_out": 0.0, "resolution": 64}
try:
    store = prepare(DataConfig(source=kind, path=path, max_rejected=1.0, **grey), cache=Path(cache))
    end = f"{len(store)} images, rejected: {store.rejected[0][1] if store.rejected else 'none'}"
except Exception as fault:
    end = f"{type(fault).__name__}: {fault}"
peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([peaks, " ".join(end.split())]))
"""


def measured(kind: str, path: Path, cache: Path) -> tuple[int, str]:
    """The peak of `prepare` and its decoding process in MiB, and how it ended."""
    command = [sys.executable, "-c", _CHILD, kind, str(path), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    peaks, end = json.loads(done.stdout)
    return max(peaks) >> 10, end.replace(str(path.parent), "…").replace(str(cache), "…")


def zeros(size: int) -> Iterator[bytes]:
    """That many zeros, in pieces."""
    return (bytes(min(MIB, size - at)) for at in range(0, size, MIB))


def zip_of(path: Path, pieces: Iterator[bytes]) -> Path:
    """A zip file with one member, `x.png`."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.png", "w", force_zip64=True) as member,
    ):
        for piece in pieces:
            member.write(piece)
    return path


def sparse(path: Path, size: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path.parent


def tar_gz(path: Path, size: int) -> Path:
    """A compressed tar file with one member of zeros."""
    member = tarfile.TarInfo("x.png")
    member.size = size
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(member.tobuf())
        for piece in zeros(size):
            file.write(piece)
        file.write(bytes(1024))
    return path


def sparse_tar(path: Path, size: int) -> Path:
    """A tar file with one member of zeros."""
    member = tarfile.TarInfo("x.png")
    member.size = size
    with path.open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + size + 1024)
    return path


def mnist(path: Path, size: int) -> Path:
    """A folder with MNIST's four files, one of them a gzip file of zeros."""
    path.mkdir()
    with gzip.open(path / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3L", 60_000, 28, 28))
        for piece in zeros(size):
            file.write(piece)
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (path / name).write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">L", 60_000) + bytes(60_000))
    return path


def picture(path: Path, mode: str, kind: str, size: tuple[int, int] = SQUARE, **options: object) -> Path:
    """A folder with one picture of one colour."""
    path.mkdir()
    if mode in ("I;16", "F"):
        array = np.full(size[::-1], 7, {"I;16": np.uint16, "F": np.float32}[mode])
        image = Image.fromarray(array)
    else:
        image = Image.new(mode, size)
    image.save(path / "x", kind, **options)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_pieces(more: Iterator[bytes]) -> Iterator[bytes]:
    """A small PNG file with more chunks after its header."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    data = file.getvalue()
    yield data[:33]
    yield from more
    yield data[33:]


def text_chunk(size: int) -> Iterator[bytes]:
    """One text chunk, with a wrong checksum, which is read before it is compared."""
    yield struct.pack(">I", size) + b"tEXta\0"
    yield from zeros(size - 2)
    yield bytes(4)


def jpeg_segments(size: int) -> Iterator[bytes]:
    """A small JPEG with segments of metadata."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    data = file.getvalue()
    yield data[:2]
    segment = b"\xff\xe1\xff\xff" + b"Exif\0\0".ljust(65533, b"\0")
    yield from (segment for _ in range(size // len(segment)))
    yield data[2:]


def tiff_numbers(count: int) -> Iterator[bytes]:
    """A TIFF file with so many numbers in one tag."""
    strips = [(273, 4, count, 200), (279, 4, count, 200)]
    entries = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), *strips]
    yield b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    yield b"".join(struct.pack("<HHLL", *entry) for entry in entries) + bytes(4)
    yield bytes(200 - 10 - 12 * len(entries) - 4)
    yield from zeros(4 * count)


def many_members(path: Path, count: int) -> Path:
    """A zip file of empty members."""
    names = [f"{number:07d}.png".encode() for number in range(count)]
    local, entry = struct.Struct("<4s2B4HL2L2H"), struct.Struct("<4s4B4HL2L5H2L")
    with path.open("wb") as file:
        for name in names:
            file.write(local.pack(b"PK\3\4", 20, 0, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name)
        start = file.tell()
        for number, name in enumerate(names):
            at = number * (30 + len(name))
            values = (b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, at)
            file.write(entry.pack(*values) + name)
        size, stop = file.tell() - start, file.tell()
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start))
        file.write(struct.pack("<4sLQL", b"PK\6\7", 0, stop, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    return path


def bz2_zip(path: Path, size: int) -> Path:
    """A zip file whose member is packed by bzip2 and longer than its directory says."""
    packer = bz2.BZ2Compressor(1)
    data = b"".join([*(packer.compress(piece) for piece in zeros(size)), packer.flush()])
    info = struct.pack("<2B4HL2L", 46, 0, 0, 12, 0, 33, 0, len(data), 100 * MIB)
    local = b"PK\3\4" + info + struct.pack("<2H", 5, 0) + b"x.png"
    entry = b"PK\1\2\x14\3" + info + struct.pack("<5H2L", 5, 0, 0, 0, 0, 0, 0) + b"x.png"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local) + len(data), 0)
    path.write_bytes(local + data + entry + end)
    return path


JPEG108 = {"size": (12_000, 9_000)}
SCANS = {"progressive": True, "subsampling": 0}
CASES: dict[str, Callable[[Path], Path]] = {
    "zip, a member of 1 GB of zeros": lambda p: zip_of(p, zeros(1 << 30)),
    "zip, 4 GB": lambda p: zip_of(p, zeros(4 << 30)),
    "zip, bzip2, 2 GB that are said to be 100 MB": lambda p: bz2_zip(p, 2 << 30),
    "tar.gz, 2 GB": lambda p: tar_gz(p, 2 << 30),
    "tar, 6 GB": lambda p: sparse_tar(p, 6 << 30),
    "folder, a picture of 6 GB": lambda p: sparse(p / "x.png", 6 << 30),
    "folder, a picture of 512 MB": lambda p: sparse(p / "x.png", 512 << 20),
    "MNIST, gzip of 2 GB": lambda p: mnist(p, 2 << 30),
    "zip, 1,000,000 empty members": lambda p: many_members(p, 1_000_000),
    "PNG, RGB at the bound": lambda p: picture(p, "RGB", "PNG", compress_level=1),
    "PNG, RGBA at the bound": lambda p: picture(p, "RGBA", "PNG", compress_level=1),
    "PNG, 16 bits at the bound": lambda p: picture(p, "I;16", "PNG", compress_level=1),
    "PNG, palette with transparency": lambda p: picture(p, "P", "PNG", compress_level=1, transparency=0),
    "TIFF, floats at the bound": lambda p: picture(p, "F", "TIFF"),
    "TIFF, floats, packed": lambda p: picture(p, "F", "TIFF", compression="tiff_lzw"),
    "TIFF, CMYK at the bound": lambda p: picture(p, "CMYK", "TIFF", compression="tiff_lzw"),
    "JPEG, CMYK at the bound": lambda p: picture(p, "CMYK", "JPEG"),
    "JPEG, progressive at the bound": lambda p: picture(p, "RGB", "JPEG", **SCANS),
    "JPEG, 108 megapixels": lambda p: picture(p, "RGB", "JPEG", **JPEG108),
    "JPEG, 108 megapixels, progressive": lambda p: picture(p, "RGB", "JPEG", **JPEG108, **SCANS),
    "GIF at the bound": lambda p: picture(p, "P", "GIF"),
    "GIF of two frames": lambda p: picture(p, "P", "GIF", save_all=True, append_images=[Image.new("P", SQUARE, 2)]),
    "APNG of two frames": lambda p: picture(
        p, "RGBA", "PNG", compress_level=1, save_all=True, append_images=[Image.new("RGBA", SQUARE)]
    ),
    "TIFF, RGBA, raw": lambda p: picture(p, "RGBA", "TIFF"),
    "TIFF, RGBA, packed in one strip": lambda p: picture(
        p, "RGBA", "TIFF", compression="tiff_adobe_deflate", strip_size=1 << 30
    ),
    "JPEG, CMYK, progressive": lambda p: picture(p, "CMYK", "JPEG", **SCANS),
    "WebP at its bound": lambda p: picture(p, "RGBA", "WEBP", BOUND, lossless=True, quality=0, method=0),
    "WebP above its bound": lambda p: picture(p, "RGBA", "WEBP", lossless=True, quality=0, method=0),
    "AVIF at its bound": lambda p: picture(p, "RGBA", "AVIF", BOUND, speed=10, quality=100, subsampling="4:4:4"),
    "JPEG 2000 at its bound": lambda p: picture(p, "RGBA", "JPEG2000", (6000, 6000)),
    "JPEG 2000, half of 89 megapixels": lambda p: picture(p, "RGBA", "JPEG2000"),
    "PNG, a text of 500 MB": lambda p: zip_of(p, png_pieces(text_chunk(500 * MIB))),
    "PNG, 40,000,000 empty chunks": lambda p: zip_of(p, png_pieces(chunk(b"vpAg", b"") * 10_000 for _ in range(4000))),
    "JPEG, 500 MB of metadata": lambda p: zip_of(p, jpeg_segments(500 * MIB)),
    "TIFF, 60,000,000 numbers": lambda p: zip_of(p, tiff_numbers(60_000_000)),
}


def _made(make: Callable[[Path], Path], path: Path) -> None:
    """Writes a file in a process of its own: the peak of a process counts the memory of the one that starts it."""
    process = multiprocessing.get_context("fork").Process(target=make, args=(path,))
    process.start()
    process.join()


if __name__ == "__main__":
    chosen = {name: make for name, make in CASES.items() if not sys.argv[1:] or name in sys.argv[1:]}
    with tempfile.TemporaryDirectory(prefix="latentscape-", dir=os.environ.get("TMPDIR")) as place:
        _made(lambda p: picture(p, "RGB", "PNG", (64, 64)), Path(place, "idle"))
        idle, _ = measured("folder", Path(place, "idle"), Path(place, "cache"))
        print(f"idle: {idle:,} MiB\n\n| file | its bytes | MiB above idle | end |\n| --- | ---: | ---: | --- |")
        for number, (name, make) in enumerate(chosen.items()):
            path = Path(place, f"{number}")
            _made(make, path)
            files = [path] if path.is_file() else list(path.iterdir())
            peak, end = measured("mnist" if name.startswith("MNIST") else "folder", path, Path(place, "cache"))
            size = sum(file.stat().st_size for file in files)
            print(f"| {name} | {size:,} | {peak - idle:,} | {end[:150]} |", flush=True)
            for file in files:
                file.unlink()
