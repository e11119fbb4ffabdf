"""A direction in latent space, and the one file that all methods write.

`NAME.safetensors` holds the tensors `vector` [z] (and those of a nonlinear walk), its header all else as JSON. Files
are written whole or not at all, and are checked when they are read: another latent size is an error, another generator
of the same size a warning.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.numpy

from framework.errors import LatentsError, StorageError
from framework.storage import Folder

FORMAT = 1
SUFFIX = ".safetensors"
Method = Literal["difference", "compass", "interfacegan", "ganalyze", "sefa", "ganspace", "steerable", "random"]
_WALK = ("in_weight", "in_bias", "out_weight", "out_bias")


@dataclass(frozen=True, eq=False)
class Walk:
    """A nonlinear walk (Jahanian et al. 2020): a step from z goes to z + out(relu(in(z))), and the next on from there.

    Attributes:
        in_weight: [h,z] float32.
        in_bias: [h].
        out_weight: [z,h].
        out_bias: [z].
    """

    in_weight: np.ndarray
    in_bias: np.ndarray
    out_weight: np.ndarray
    out_bias: np.ndarray

    def step(self, latents: np.ndarray) -> np.ndarray:
        """[n,z] -> what one step adds, [n,z]."""
        hidden = np.maximum(latents @ self.in_weight.T + self.in_bias, 0.0)
        return hidden @ self.out_weight.T + self.out_bias


@dataclass(frozen=True, eq=False)
class Direction:
    """A way to move latents.

    Attributes:
        name: What it does, as the report says it: `smiling`.
        method: What found it.
        vector: [z] float32 of length 1; of a nonlinear walk its mean direction.
        natural_step: How far strength 1 goes, in the latents' own unit: one standard deviation of theirs where nothing
            better is known.
        generator: sha256 of the weights it was found on.
        settings: What it was found with.
        made_of: Digests of the data and of the assessor that found it, the number of samples, their seed.
        backward, forward: Nonlinear walks in both senses, where it is one.
        effect: What was measured; empty until then.
        target: The attribute or edit that it was made for; empty where it was found before anybody knew what it does.
        keeps_length: Whether moved latents are brought back to their own length.
    """

    name: str
    method: Method
    vector: np.ndarray
    natural_step: float
    generator: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_of: Mapping[str, Any] = field(default_factory=dict)
    forward: Walk | None = None
    backward: Walk | None = None
    effect: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""
    keeps_length: bool = False

    @property
    def digest(self) -> str:
        """sha256 of where it leads: all numbers that `moved` uses."""
        found = hashlib.sha256(f"{self.natural_step} {self.keeps_length}".encode() + self.vector.tobytes())
        for walk in (self.forward, self.backward):
            for name in _WALK if walk is not None else ():
                found.update(getattr(walk, name).tobytes())
        return found.hexdigest()

    @property
    def latent_size(self) -> int:
        """Numbers in a latent."""
        return len(self.vector)

    def named(self, name: str) -> "Direction":
        """The same by another name."""
        return dataclasses.replace(self, name=name)

    def moved(self, latents: np.ndarray, strength: float) -> np.ndarray:
        """Latents [n,z] moved by a strength, in natural steps; negative ones go the other way.

        A nonlinear walk takes whole steps and then the rest of one.
        """
        if self.forward is None or self.backward is None:
            away = latents + strength * self.natural_step * self.vector
            if self.keeps_length:
                lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (latents, away)]
                away = away * (lengths[0] / np.maximum(lengths[1], 1e-12))
            return away.astype(np.float32)
        walk, left = (self.forward if strength > 0 else self.backward), abs(strength)
        here = latents.astype(np.float32)
        while left > 0:
            here = here + min(left, 1.0) * walk.step(here)
            left -= 1.0
        return here.astype(np.float32)

    def check(self, *, latent_size: int, generator: str, place: str) -> str | None:
        """What is to be said where it was found on another generator; None where all is well.

        Raises:
            LatentsError: The generator has latents of another size.
        """
        if latent_size != self.latent_size:
            raise LatentsError(
                f"{place}: is for latents of {self.latent_size} numbers, and the generator's have {latent_size}"
            )
        if generator == self.generator:
            return None
        return f"{place}: was found on another generator ({self.generator[:8]}, not {generator[:8]})"


def unit(vector: np.ndarray) -> np.ndarray:
    """[z] of length 1, float32.

    Raises:
        LatentsError: It has no length, or is not finite.
    """
    exact = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(exact))
    if not np.isfinite(length) or length == 0.0:
        raise LatentsError(f"a direction wants a finite length above 0, not {length}")
    return (exact / length).astype(np.float32)


def save_direction(direction: Direction, folder: Folder) -> str:
    """Writes NAME.safetensors; its location.

    Raises:
        StorageError: The folder cannot be written.
    """
    tensors = {"vector": np.ascontiguousarray(direction.vector, np.float32)}
    for sense, walk in (("forward", direction.forward), ("backward", direction.backward)):
        if walk is not None:
            tensors |= {f"{sense}.{name}": np.ascontiguousarray(getattr(walk, name), np.float32) for name in _WALK}
    about = {
        "format": FORMAT,
        "name": direction.name,
        "method": direction.method,
        "latent_size": direction.latent_size,
        "natural_step": direction.natural_step,
        "generator": direction.generator,
        "settings": dict(direction.settings),
        "made_of": dict(direction.made_of),
        "effect": dict(direction.effect),
        "target": direction.target,
        "keeps_length": direction.keeps_length,
    }
    file = f"{direction.name}{SUFFIX}"
    folder.write_bytes(file, safetensors.numpy.save(tensors, {"direction": json.dumps(about, sort_keys=True)}))
    return (folder / file).location


def load_direction(folder: Folder, file: str) -> Direction:
    """What `save_direction` wrote.

    Raises:
        LatentsError: There is none, or it is damaged, or of a later format.
    """
    place = f"{folder.location}/{file}"
    try:
        data = folder.read_bytes(file)
    except (StorageError, FileNotFoundError):
        raise LatentsError(f"{place}: is not there") from None
    try:
        about = json.loads(_header(data)["direction"])
        tensors = safetensors.numpy.load(data)
        if about["format"] > FORMAT:
            raise LatentsError(f"{place}: is of format {about['format']}, and this version reads up to {FORMAT}")
        walks = {sense: _walk(tensors, sense) for sense in ("forward", "backward")}
        found = Direction(
            name=PurePosixPath(file).name.removesuffix(SUFFIX),
            method=about["method"],
            vector=tensors["vector"],
            natural_step=float(about["natural_step"]),
            generator=str(about["generator"]),
            settings=about["settings"],
            made_of=about["made_of"],
            effect=about["effect"],
            target=str(about["target"]),
            keeps_length=bool(about["keeps_length"]),
            **walks,
        )
    except (KeyError, ValueError, TypeError, safetensors.SafetensorError) as fault:
        raise LatentsError(f"{place}: holds no direction that can be read ({fault})") from None
    if found.vector.ndim != 1 or not np.isfinite(found.vector).all() or abs(np.linalg.norm(found.vector) - 1) > 1e-3:
        raise LatentsError(f"{place}: its vector is no direction of length 1")
    return found


def _header(data: bytes) -> dict[str, str]:
    """Safetensors' own functions read no metadata from bytes: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + length])
    return found["__metadata__"]


def _walk(tensors: Mapping[str, np.ndarray], sense: str) -> Walk | None:
    if f"{sense}.{_WALK[0]}" not in tensors:
        return None
    return Walk(**{name: tensors[f"{sense}.{name}"] for name in _WALK})
