"""Damaged Parquet files, stacks of pictures, and archives in folders and archives, each prepared as for a training."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.chaos.damage import damaged_bytes, placed_strangely
from tests.chaos.fuzz_archives import prepared
from tests.chaos.fuzzing import Fuzzer

COUNT = 6


def make(folder: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (COUNT, 40, 36, 3), np.uint8)
    files = [_png(picture) for picture in pictures]
    image = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(files)]
    table = pa.table({"image": image, "label": list(range(COUNT)), "text": ["a face"] * COUNT})
    for kind in ("none", "snappy"):
        pq.write_table(table, folder / f"{kind}.parquet", compression=kind, row_group_size=4)
    np.save(folder / "bytes.npy", pictures)
    np.save(folder / "floats.npy", (pictures / 255).astype(np.float32))
    np.savez(folder / "stack.npz", x_train=pictures, y_train=np.arange(COUNT))
    np.savez_compressed(folder / "packed.npz", arr_0=pictures, arr_1=np.arange(COUNT))
    members = {f"{number:06d}.png": data for number, data in enumerate(files)}
    samples = members | {f"{number:06d}.cls": str(number).encode() for number in range(COUNT)}
    shard, inner = _tar(dict(sorted(samples.items()))), _zip(members)
    (folder / "shard.tar").write_bytes(shard)
    (folder / "outer.zip").write_bytes(_zip({"a/inner.zip": inner, "b.tar": _tar(members), "c.png": files[0]}))
    (folder / "folder").mkdir()
    for name in ("none.parquet", "packed.npz", "bytes.npy"):
        shutil.copyfile(folder / name, folder / "folder" / name)
    (folder / "folder" / "inner.zip").write_bytes(inner)
    (folder / "folder" / "shard.tar").write_bytes(shard)


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    if rng.random() < 0.02:
        return placed_strangely(source, target, rng)
    if source.is_dir():
        shutil.copytree(source, target)
        files = sorted(target.iterdir())
        file = files[int(rng.integers(len(files)))]
        return f"{source.name}/{file.name}: {_damaged(file, file, rng)}"
    return f"{source.name}: {_damaged(source, target, rng)}"


def _damaged(source: Path, target: Path, rng: np.random.Generator) -> str:
    """Damages a file, or a member of a zip file, which then has the right checksum."""
    data = source.read_bytes()
    if source.suffix in (".zip", ".npz") and rng.random() < 0.6:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = str(rng.choice(sorted(members)))
        members[name], what = damaged_bytes(members[name], rng)
        data, what = _zip(members), f"{name}: {what}"
    elif source.suffix == ".parquet" and rng.random() < 0.5:  # its footer says where everything lies
        start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        footer, what = damaged_bytes(data[start:-8], rng)
        data, what = data[:start] + footer + len(footer).to_bytes(4, "little") + data[-4:], f"footer: {what}"
    elif source.suffix == ".npy" and rng.random() < 0.5:  # its header has the shape and the type
        header, what = damaged_bytes(data[:128], rng)
        data, what = header + data[128:], f"header: {what}"
    else:
        data, what = damaged_bytes(data, rng)
    target.write_bytes(data)
    return what


def read(path: Path) -> None:
    """As a training prepares it."""
    prepared(path, "folder", resolution=32, channels=3)


def _png(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


FUZZER = Fuzzer("table", make, damage, read, share=1.0)
