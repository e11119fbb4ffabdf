"""Damaged files of directions."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

from framework.latents.directions.direction import Direction, Walk, load_direction, save_direction, unit
from framework.storage import open_folder
from tests.chaos.damage import damaged_array, damaged_bytes, damaged_json, placed_strangely
from tests.chaos.fuzzing import Fuzzer

SIZE = 6


def make(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vector = unit(rng.normal(size=SIZE))
    shapes = {"in_weight": (4, SIZE), "in_bias": (4,), "out_weight": (SIZE, 4), "out_bias": (SIZE,)}
    walk = Walk(**{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    effect = {"attribute": "smiling", "slopes": {"smiling": [0.1, 0.2]}, "strengths": [-1.0, 0.0, 1.0]}
    about = {"settings": {"samples": 64}, "made_of": {"data": "d" * 64, "seed": 0}, "target": "smiling"}
    known = [
        Direction("plain", "sefa", vector, 1.0, "g" * 64, **about),
        Direction("measured", "interfacegan", vector, 0.5, "g" * 64, effect=effect, keeps_length=True, **about),
        Direction("nonlinear", "steerable", vector, 1.0, "g" * 64, forward=walk, backward=walk, **about),
    ]
    for direction in known:
        save_direction(direction, open_folder(folder))


def damage(source: Path, target: Path, rng: np.random.Generator) -> str:
    data, way = source.read_bytes(), rng.random()
    if way < 0.05:
        return placed_strangely(source, target, rng)
    if way < 0.4:
        changed, what = damaged_bytes(data, rng)
    elif way < 0.75:
        changed, what = _header(data, rng)
    else:
        changed, what = _tensors(data, rng)
    target.write_bytes(changed)
    return f"{source.name}: {what}"


def _header(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage to the JSON of the direction, or to the header of the file around it."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if rng.random() < 0.7:
        text, what = damaged_json(json.loads(header["__metadata__"]["direction"]), rng)
        header["__metadata__"]["direction"] = text
        written = json.dumps(header).encode()
    else:
        text, what = damaged_json(header, rng)
        written = text.encode("utf-8", "surrogatepass")
    return len(written).to_bytes(8, "little") + written + data[8 + length :], what


def _tensors(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damage to the arrays, in a file that is otherwise right."""
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    tensors = dict(safetensors.numpy.load(data))
    name = str(rng.choice(sorted(tensors)))
    if rng.random() < 0.3:
        del tensors[name]
        what = "removed"
    else:
        tensors[name], what = damaged_array(tensors[name], rng)
    kept = {each: np.ascontiguousarray(array) for each, array in tensors.items()}
    return safetensors.numpy.save(kept, metadata), f"{name} {what}"


def read(path: Path) -> None:
    """As steering does."""
    direction = load_direction(open_folder(path.parent), path.name)
    direction.check(latent_size=SIZE, generator="g" * 64, place=path.name)
    latents = np.zeros((3, SIZE), np.float32)
    for strength in (-1.5, 0.0, 2.0):
        moved = direction.moved(latents, strength)
        assert moved.shape == latents.shape
    assert np.isfinite(direction.natural_step)
    assert len(direction.digest) == 64


FUZZER = Fuzzer("direction", make, damage, read, share=0.75)
