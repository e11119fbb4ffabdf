"""Damage for files of any kind: bytes, JSON, arrays, and what lies at a path instead of a file."""

import functools
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

DEEP = 100_000
_DEEPEST = 50  # of the places that are drawn; a value that was put in may be deeper
# Written as text, for `json.dumps` would recurse; the marks stand for it.
_DEEP_LIST, _DEEP_OBJECT, _HUGE = "\0deep list", "\0deep object", "\0huge number"
_TEXTS = {
    _DEEP_LIST: "[" * DEEP + "]" * DEEP,
    _DEEP_OBJECT: '{"a":' * DEEP + "1" + "}" * DEEP,
    _HUGE: "9" * 5000,
}
_BYTES = (0x00, 0xFF, 0x7F, 0x80)
_NUMBERS = (0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)


def damaged_bytes(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A copy with a few bytes changed, cut out, put in or cut off."""
    at, length = int(rng.integers(max(len(data), 1))), int(rng.integers(1, 1 + min(len(data), 64)))
    before, there, after = data[:at], data[at : at + length], data[at + length :]
    other = int(rng.integers(max(len(data), 1)))
    number = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
    early = int(rng.integers(min(len(data), 256)))
    ways = (
        lambda: (_flipped(data, rng), "bits flipped"),
        lambda: (before, f"cut off at {at}"),
        lambda: (before + rng.bytes(length) + after, f"{length} random bytes at {at}"),
        lambda: (before + bytes([_BYTES[other % len(_BYTES)]]) * length + after, f"{length} equal bytes at {at}"),
        lambda: (before + after, f"{length} bytes cut out at {at}"),
        lambda: (before + rng.bytes(length) + there + after, f"{length} random bytes put in at {at}"),
        lambda: (data[:early] + number.to_bytes(8, "little") + data[early + 8 :], f"the number {number} at {early}"),
        lambda: (before + data[other : other + length] + after, f"{length} bytes of {other} at {at}"),
    )
    return ways[int(rng.integers(len(ways)))]()


def _flipped(data: bytes, rng: np.random.Generator) -> bytes:
    array = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, len(data), int(rng.integers(1, 9)))
    array[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return array.tobytes()


def strange_value(rng: np.random.Generator) -> Any:
    """A JSON value of any type; `json_text` writes those that stand for more."""
    values: list[Any] = [None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 10**400]
    values += [1e308, -1e308, 1e-320, 0.5, 1.5, float("nan"), float("inf"), -float("inf")]
    values += ["", "a", "x" * 5000, "x" * 100_000, "\0", "\ud800", "\x1b]0;x\x07", "../../x", "1", "²"]
    values += ["trials/x/checkpoints/y", [], {}, [[]], [None, None], ["trials"], [1, "a", None], {"": 0}, {"a": 1}]
    values += [_nested(depth, opened) for depth in (70, 300, 900) for opened in (list, dict)]
    values += [_DEEP_LIST, _DEEP_OBJECT, _HUGE]
    return values[int(rng.integers(len(values)))]


def _nested(depth: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def damaged_json(document: Any, rng: np.random.Generator) -> tuple[str, str]:
    """The text of a document in which one to three values were changed, removed or renamed."""
    document, done = json.loads(json.dumps(document)), []
    for _ in range(int(rng.integers(1, 4))):
        places = _places(document)
        if not places:
            return json_text(strange_value(rng)), "another document"
        # Shallow places are drawn as often as deep ones, which are far more.
        depths = sorted({depth for depth, _, _ in places})
        chosen = depths[int(rng.integers(len(depths)))]
        places = [place for place in places if place[0] == chosen]
        _, holder, key = places[int(rng.integers(len(places)))]
        way = int(rng.integers(4))
        if way == 0:
            del holder[key]
            done.append(f"{key} removed")
        elif way == 1 and isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
            done.append(f"{key} renamed")
        else:
            value = strange_value(rng)
            holder[key] = value
            done.append(f"{key} = {str(value)[:20]!r}")
    return json_text(document), ", ".join(done)


def json_text(document: Any) -> str:
    """JSON as Python reads it, with NaN, and as deep as no library writes it."""
    text = json.dumps(document)
    for mark, meant in _TEXTS.items():
        text = text.replace(json.dumps(mark), meant)
    return text


def _places(document: Any, depth: int = 0) -> list[tuple[int, Any, Any]]:
    """Each (depth, list or object, index or key) in a document."""
    if depth > _DEEPEST:
        return []
    here = list(document.items()) if isinstance(document, dict) else []
    here = list(enumerate(document)) if isinstance(document, list) else here
    return [place for key, value in here for place in [(depth, document, key), *_places(value, depth + 1)]]


def damaged_array(array: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """An array of another type, shape or with other values."""
    kind = str(rng.choice(["int8", "uint8", "int64", "float16", "float32", "float64", "bool"]))
    ways = [
        lambda: (array.reshape(-1)[: int(rng.integers(array.size + 1))], "flat and cut off"),
        lambda: (array[None], "one axis more"),
        lambda: (np.zeros((0,), array.dtype), "empty"),
        lambda: (np.zeros_like(array), "all 0"),
        lambda: (array[..., :-1] if array.ndim else array, "one column less"),
    ]
    if array.dtype.kind in "fiu":
        ways += [lambda: (array.astype(kind), f"as {kind}")]
        ways += [lambda: (_one_changed(array, rng), "one value")] if array.size else []
    with np.errstate(all="ignore"):
        return ways[int(rng.integers(len(ways)))]()


def _one_changed(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed = array.astype(np.float64)
    changed.flat[int(rng.integers(changed.size))] = rng.choice([np.nan, np.inf, -np.inf, 1e308, 0.0])
    return changed.astype(array.dtype) if array.dtype.kind == "f" else changed


def another_text(data: bytes, rng: np.random.Generator) -> bytes:
    """What a file of text should not be: another encoding, another document, or none."""
    texts = (b"", b"\xef\xbb\xbf" + data, data.decode(errors="replace").encode("utf-16"), b"\0" * 50, b"null", b"[]")
    texts += (b"3", b'"x"', b"NaN", b"[" * DEEP, b'{"a":' * DEEP, b"{}", rng.bytes(200), b"\n" * 10)
    return texts[int(rng.integers(len(texts)))]


@functools.cache
def zeros(mebibytes: int) -> bytes:
    """As many zeros, deflated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packer.compress(bytes(1 << 20))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + packer.flush()


def read_zip(path: Path) -> dict[str, bytes]:
    """The members of a good file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, members: Mapping[str, bytes], packing: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def placed_strangely(source: Path, target: Path, rng: np.random.Generator) -> str:
    """Puts something else at a path than a file: links, folders, a pipe or a device."""
    ways = (
        (lambda: target.symlink_to(target), "a link to itself"),
        (lambda: target.symlink_to(target.with_name("nothing")), "a link to nothing"),
        (target.mkdir, "a folder"),
        (lambda: target.write_bytes(b""), "an empty file"),
        (lambda: target.symlink_to(source.absolute()), "a link to the good file"),
        (lambda: os.mkfifo(target), "a pipe"),
        (lambda: target.symlink_to("/dev/zero"), "a link to a device"),
    )
    place, what = ways[int(rng.integers(len(ways)))]
    place()
    return what
