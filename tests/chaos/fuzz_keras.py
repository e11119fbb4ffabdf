"""Damaged files that Keras saved (.h5, .keras)."""

import gzip
import json
from pathlib import Path

import h5py
import numpy as np

from framework.errors import ConfigError
from framework.models.keras_import import import_generator, read_model
from tests.chaos.conftest import HERE
from tests.chaos.damage import damaged_array, damaged_bytes, damaged_json, placed_strangely, read_zip, write_zip
from tests.chaos.fuzzing import Fuzzer

GOLDEN = HERE.parent / "golden" / "keras"
NAMES = ("normalised_keras2.h5", "normalised_keras3.h5", "normalised_keras3.keras", "activations_keras3.keras")


def make(folder: Path) -> None:
    for name in NAMES:
        (folder / name).write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    way = rng.random()
    if way < 0.03:
        return placed_strangely(source, target, rng)
    if way < 0.5:
        changed, what = damaged_bytes(source.read_bytes(), rng)
        target.write_bytes(changed)
    elif source.suffix == ".keras":
        what = _archive(source, target, rng)
    else:
        target.write_bytes(source.read_bytes())
        with h5py.File(target, "r+") as file:
            what = _config(file, rng) if rng.random() < 0.6 else _member(file, rng)
    return f"{source.name}: {what}"


def _config(file: h5py.File, rng: np.random.Generator) -> str:
    text, what = damaged_json(json.loads(file.attrs["model_config"]), rng)
    if len(text) > 60_000:  # what HDF5 holds of an attribute
        text = text[:60_000]
    file.attrs["model_config"] = text.encode("utf-8", "surrogatepass")
    return what


def _archive(source: Path, target: Path, rng: np.random.Generator) -> str:
    members = read_zip(source)
    name = str(rng.choice(sorted(members)))
    if rng.random() < 0.15:
        del members[name]
        what = "removed"
    elif name.endswith(".json"):
        text, what = damaged_json(json.loads(members[name]), rng)
        members[name] = text.encode("utf-8", "surrogatepass")
    elif rng.random() < 0.5:
        members[name], what = damaged_bytes(members[name], rng)
    else:
        weights = target.with_name(f"{target.name}.h5")
        weights.write_bytes(members[name])
        with h5py.File(weights, "r+") as file:
            what = _member(file, rng)
        members[name] = weights.read_bytes()
        weights.unlink()
    write_zip(target, members)
    return f"{name} {what}"


def _member(file: h5py.File, rng: np.random.Generator) -> str:
    """Another array, none, or a link in the place of one."""
    found: list[str] = []
    file.visititems(lambda name, member: found.append(name) if isinstance(member, h5py.Dataset) else None)
    name = str(rng.choice(sorted(found)))
    array, way = np.asarray(file[name][()]), int(rng.integers(7))
    del file[name]
    if way == 0:
        return f"{name} removed"
    if way == 1:
        file[name] = h5py.SoftLink(f"/{name}")
        return f"{name} is a link to itself"
    if way == 2:
        file[name] = h5py.ExternalLink("/etc/hostname", "/a")
        return f"{name} is a link outside"
    if way == 3:
        file.create_group(name)
        return f"{name} is a group"
    if way == 4:
        file.create_dataset(name, (100_000, 100_000), np.float32, chunks=(100, 100))
        return f"{name} says that it is large"
    changed, what = damaged_array(array, rng)
    file[name] = changed
    return f"{name} {what}"


def read(path: Path) -> None:
    """As the import does, but in this process."""
    _use(read_model(path, guarded=False))


def guarded(path: Path) -> None:
    """As the import does."""
    _use(read_model(path))


def _use(model) -> None:
    try:
        imported = import_generator(model, range="unit")
    except ConfigError:
        return
    assert imported.model


FUZZER = Fuzzer("keras", make, damage, read, guarded, share=1.0)
