"""Damaged files of statistics (.npz)."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np

from framework.evaluation.sources.statistics_file import read_statistics, save_statistics
from framework.metrics import Moments
from tests.chaos.damage import damaged_array, damaged_bytes, placed_strangely, write_zip
from tests.chaos.fuzzing import Fuzzer

_HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (1e3,), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f8'}",
    "[" * 5000,
    "__import__('os').abort()",
)


def make(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 5))
    moments = Moments(40, rows.mean(0), (rows - rows.mean(0)).T @ (rows - rows.mean(0)))
    save_statistics(folder / "ours.npz", moments)
    np.savez_compressed(folder / "theirs.npz", mu=rows.mean(0), sigma=np.cov(rows.T), more=np.arange(3))


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    way = rng.random()
    if way < 0.05:
        return placed_strangely(source, target, rng)
    if way < 0.4:
        changed, what = damaged_bytes(source.read_bytes(), rng)
        target.write_bytes(changed)
        return f"{source.name}: {what}"
    with np.load(source) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = str(rng.choice(["mu", "sigma", "count", "features"]))
    members = {f"{each}.npy": _npy(array) for each, array in arrays.items()}
    if way < 0.75:
        array, what = damaged_array(arrays.get(name, np.array(7)), rng)
        members[f"{name}.npy"] = _npy(array)
    else:
        members, what = _member(members, f"{name}.npy", rng)
    write_zip(target, members, zipfile.ZIP_DEFLATED)
    return f"{source.name}: {name} {what}"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _member(members: dict[str, bytes], name: str, rng: np.random.Generator) -> tuple[dict[str, bytes], str]:
    """A member that is no array, or one whose header lies."""
    way = int(rng.integers(4))
    if way == 0:
        return {each: content for each, content in members.items() if each != name}, "removed"
    if way == 1:
        return {**members, name: pickle.dumps([1.0, 2.0])}, "is a pickle"
    if way == 2:
        header = _HEADERS[int(rng.integers(len(_HEADERS)))].encode()
        content = b"\x93NUMPY\x01\x00" + (len(header) % 65536).to_bytes(2, "little") + header[:65535] + b"\0" * 40
        return {**members, name: content}, f"has the header {header[:40]!r}"
    changed, what = damaged_bytes(members.get(name, b"\x93NUMPY"), rng)
    return {**members, name: changed}, what


def read(path: Path) -> None:
    """As a comparison with other images does."""
    statistics = read_statistics(path)
    moments = statistics.moments
    assert np.isfinite(moments.mean).all()
    assert moments.scatter.shape == (len(moments.mean),) * 2


FUZZER = Fuzzer("statistics", make, damage, read, share=0.75)
