"""A direction in latent space, and its file, the same for all methods.

`NAME.safetensors` holds the tensor `vector` [z] and, for a nonlinear walk, the tensors of its networks; its header
holds everything else as JSON. Letters that no file name may have are written as %2F (`stem_of`). Files are written
completely or not at all, and checked when they are read: a different latent size is an error, a different generator of
the same latent size a warning.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
import safetensors
import safetensors.numpy

from framework.errors import LatentsError, StorageError, reason_of
from framework.storage import Folder
from framework.storage.json_text import parse_json

FORMAT = 1
SUFFIX = ".safetensors"
Method = Literal["difference", "compass", "interfacegan", "ganalyze", "sefa", "ganspace", "steerable", "random"]
_MOST_NAME_BYTES = 200  # file systems allow 255, and temporary files have longer names
_NOT_IN_FILES = re.compile(r"^\.|[/\\%\x00-\x1f\x7f]")
_WALK = ("in_weight", "in_bias", "out_weight", "out_bias")


@dataclass(frozen=True, eq=False)
class Walk:
    """A nonlinear walk (Jahanian et al. 2020): each step moves a latent z to z + out(relu(in(z))).

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
        """The displacement [n,z] of one step from latents [n,z]."""
        hidden = np.maximum(latents @ self.in_weight.T + self.in_bias, 0.0)
        return hidden @ self.out_weight.T + self.out_bias


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction along which latents are moved.

    Attributes:
        name: The name in files and in the report, such as `smiling`.
        method: The method that found it.
        vector: [z] float32 of length 1; for a nonlinear walk, the mean of its first steps.
        natural_step: Distance in latent space that strength 1 moves; 1.0, the standard deviation of a latent's
            entries, if the method defines no other.
        generator: sha256 of the weights of the generator on which it was found.
        settings: The settings of the method.
        made_of: Digests of the data and of the assessor, the number of samples and their seed.
        backward, forward: The nonlinear walks for negative and positive strengths; None for a linear direction.
        effect: The measured effect; empty until it is measured.
        target: The attribute or edit for which it was found; empty for unsupervised methods.
        keeps_length: Whether moved latents are scaled back to their original length.
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
        """sha256 of all numbers that determine the result of `moved`."""
        digest = hashlib.sha256(f"{self.natural_step} {self.keeps_length}".encode() + self.vector.tobytes())
        for walk in (self.forward, self.backward):
            for name in _WALK if walk is not None else ():
                digest.update(getattr(walk, name).tobytes())
        return digest.hexdigest()

    @property
    def latent_size(self) -> int:
        """Number of entries of a latent."""
        return len(self.vector)

    def named(self, name: str) -> "Direction":
        """The same direction with another name."""
        return dataclasses.replace(self, name=name)

    def moved(self, latents: np.ndarray, strength: float) -> np.ndarray:
        """Moves latents [n,z] by a strength in natural steps, which may be negative.

        A nonlinear walk takes whole steps, then a step scaled by the remaining fraction.
        """
        if self.forward is None or self.backward is None:
            away = latents + strength * self.natural_step * self.vector
            if self.keeps_length:
                lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (latents, away)]
                away = away * (lengths[0] / np.maximum(lengths[1], 1e-12))
            return away.astype(np.float32)
        walk, remaining = (self.forward if strength > 0 else self.backward), abs(strength)
        moved = latents.astype(np.float32)
        while remaining > 0:
            moved = moved + min(remaining, 1.0) * walk.step(moved)
            remaining -= 1.0
        return moved.astype(np.float32)

    def check(self, *, latent_size: int, generator: str, place: str) -> str | None:
        """A warning if the direction was found on another generator, else None.

        Args:
            generator: sha256 of the weights of the generator that is to use it.
            place: The file, for messages.

        Raises:
            LatentsError: The generator has a different latent size.
        """
        if latent_size != self.latent_size:
            raise LatentsError(
                f"{place}: is for latents of size {self.latent_size}, but the generator's have size {latent_size}"
            )
        if generator == self.generator:
            return None
        return f"{place}: was found on another generator ({self.generator[:8]}, not {generator[:8]})"


def unit(vector: np.ndarray) -> np.ndarray:
    """Scales a vector [z] to length 1, float32.

    Raises:
        LatentsError: The vector is 0 or not finite.
    """
    exact = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(exact))
    if not np.isfinite(length) or length == 0.0:
        raise LatentsError(f"a direction must have a finite length above 0, not {length}")
    return (exact / length).astype(np.float32)


def stem_of(name: str) -> str:
    """The name of a direction's files without their endings; `name_of` gives the name back.

    >>> stem_of("smiling-ganalyze"), stem_of("a/b-difference"), name_of(stem_of("a/b-difference"))
    ('smiling-ganalyze', 'a%2Fb-difference', 'a/b-difference')

    Raises:
        LatentsError: The name is empty or too long, or it is no text, an absolute path, or has `..` or NUL in it.
    """
    shown = ascii(name[:_MOST_NAME_BYTES])
    if not name or name.startswith("/") or "\0" in name or {".", ".."} & set(name.split("/")):
        raise LatentsError(f"a direction cannot be named {shown}: must not be empty or absolute, or contain .. or NUL")
    stem = _NOT_IN_FILES.sub(lambda letter: f"%{ord(letter[0]):02X}", name)
    if len(stem.encode("utf-8", "replace")) > _MOST_NAME_BYTES or not _is_text(name):
        raise LatentsError(f"a direction cannot be named {shown}: must be text of at most {_MOST_NAME_BYTES} bytes")
    return stem


def name_of(file: str) -> str:
    """The name of the direction in a file."""
    return unquote(PurePosixPath(file).name.removesuffix(SUFFIX))


def save_direction(direction: Direction, folder: Folder, file: str | None = None) -> str:
    """Writes NAME.safetensors, or another file, and returns its location.

    Raises:
        LatentsError: The direction's name cannot be that of a file.
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
    file = file or f"{stem_of(direction.name)}{SUFFIX}"
    folder.write_bytes(file, safetensors.numpy.save(tensors, {"direction": json.dumps(about, sort_keys=True)}))
    return (folder / file).location


def load_direction(folder: Folder, file: str) -> Direction:
    """Reads a file written by `save_direction`.

    Raises:
        LatentsError: The file does not exist, is damaged, or has a newer format.
    """
    place = f"{folder.location}/{file}"
    if not folder.exists(file):
        raise LatentsError(f"{place}: does not exist")
    try:
        data = folder.read_bytes(file)
        about = parse_json(_header(data, place)["direction"], place=place)
        tensors = safetensors.numpy.load(data)
        if about["format"] > FORMAT:
            raise LatentsError(f"{place}: has format {about['format']}; this version reads formats up to {FORMAT}")
        walks = {sense: _walk(tensors, sense) for sense in ("forward", "backward")}
        direction = Direction(
            name=name_of(file),
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
    except StorageError as fault:
        reason = str(fault).removeprefix(f"{place}: ")
        raise LatentsError(f"{place}: cannot be read as a direction ({reason})") from None
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError, safetensors.SafetensorError) as fault:
        raise LatentsError(f"{place}: cannot be read as a direction ({reason_of(fault)})") from None
    vector = direction.vector
    if vector.ndim != 1 or not np.isfinite(vector).all() or abs(np.linalg.norm(vector) - 1) > 1e-3:
        raise LatentsError(f"{place}: the vector is not a finite vector of length 1")
    if not 0 < direction.natural_step < math.inf:
        raise LatentsError(f"{place}: natural_step must be a finite number above 0, not {direction.natural_step}")
    return direction


def _is_text(name: str) -> bool:
    """Whether it can be written as UTF-8, which half a surrogate pair cannot."""
    return name.encode("utf-8", "replace").decode() == name


def _header(data: bytes, place: str) -> dict[str, str]:
    """The metadata of a safetensors file: 8 bytes of length, then JSON. The library reads it only from files."""
    length = int.from_bytes(data[:8], "little")
    return parse_json(data[8 : 8 + length], place=place)["__metadata__"]


def _walk(tensors: Mapping[str, np.ndarray], sense: str) -> Walk | None:
    """One of the two walks of a file; None for a linear direction. ValueError if its arrays do not fit together."""
    if f"{sense}.{_WALK[0]}" not in tensors:
        return None
    arrays = {name: tensors[f"{sense}.{name}"] for name in _WALK}
    size, hidden = tensors["vector"].size, arrays["in_bias"].size
    for name, shape in zip(_WALK, ((hidden, size), (hidden,), (size, hidden), (size,)), strict=True):
        if arrays[name].shape != shape or arrays[name].dtype != np.float32 or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{sense}.{name} must be {list(shape)} finite float32 numbers")
    return Walk(**arrays)
