"""What lies in a file that Keras saved: its JSON as text, its arrays as numbers; whatever else is there is refused.

A file may come from anywhere. So links are not followed, nor is what HDF5 keeps outside the file or packs with
plug-ins; an array is read only where its shape is the one that its layer wants.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from framework.errors import CheckpointError
from framework.models.keras_import.guard import check_survived

MOST_FILE_BYTES = 4 << 30
MOST_JSON_BYTES = 16 << 20
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@dataclass(frozen=True)
class Archive:
    """An open file.

    Args:
        place: What faults call it.
        form: `HDF5` or `.keras`.
        version: Of the Keras that saved it, as it says.
        config: The model's, parsed JSON.
        root: The HDF5 group that its weights lie in.
    """

    place: str
    form: str
    version: str
    config: Any
    root: h5py.Group

    def names(self, group: str) -> list[str]:
        """The `weight_names` of a group; empty where it has none."""
        found = self._member(group)
        with _damage(self.place):
            return [_text(name) for name in found.attrs.get("weight_names", ())]

    def note(self, group: str, name: str) -> str | None:
        """A group's attribute, as text; None where there is none."""
        found = self._member(group)
        with _damage(self.place):
            return _text(found.attrs[name]) if name in found.attrs else None

    def count(self, group: str) -> int:
        """How many members a group has."""
        found = self._member(group)
        return len(found) if isinstance(found, h5py.Group) else 0

    def array(self, name: str, shape: tuple[int, ...], *, what: str) -> np.ndarray:
        """A float32 array.

        Args:
            name: Its path below the root.
            shape: The one it has to have.
            what: What faults call it.

        Raises:
            CheckpointError: It is missing, of another shape, elsewhere than in this file, or not all finite numbers.
        """
        data = self._member(name)
        if not isinstance(data, h5py.Dataset):
            raise CheckpointError(f"{self.place}: {what} is missing ({name})")
        with _damage(self.place):
            given, kind, properties = data.shape, data.dtype, data.id.get_create_plist()
            filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
            if data.external or data.is_virtual:
                raise CheckpointError(f"{self.place}: {what} lies outside this file, which is not followed")
            if not filters <= _FILTERS:
                raise CheckpointError(f"{self.place}: {what} is packed in another way than Keras packs")
            if given != shape:
                raise CheckpointError(f"{self.place}: {what} is {list(given)}; its layer wants {list(shape)}")
            if kind.kind != "f":
                raise CheckpointError(f"{self.place}: {what} is {kind}; wants floating point numbers")
            values = np.asarray(data[()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.place}: {what} has values that are not finite")
        return values

    def _member(self, path: str) -> Any:
        found: Any = self.root
        with _damage(self.place):
            for step in path.split("/"):
                link = found.get(step, getlink=True) if isinstance(found, h5py.Group) and step else None
                if link is None:
                    raise CheckpointError(f"{self.place}: its weights have no {path}")
                if not isinstance(link, h5py.HardLink):
                    raise CheckpointError(f"{self.place}: {path} is a link, which is not followed")
                found = found[step]
        return found


@contextlib.contextmanager
def open_archive(path: str | Path, *, guarded: bool) -> Iterator[Archive]:
    """Opens what `model.save` wrote, by its content, whatever it is called.

    Args:
        path: The file.
        guarded: Whether a process of its own reads it first, see `guard`.

    Raises:
        CheckpointError: It is not there, damaged, holds weights alone, or is no such file.
    """
    path = Path(path).expanduser()
    place = str(path)
    if path.is_dir():
        raise CheckpointError(f"{place}: is a folder; wants a file that model.save wrote, .h5 or .keras")
    with _damage(place, missing="is not there"):
        if path.stat().st_size > MOST_FILE_BYTES:
            raise CheckpointError(f"{place}: is larger than {MOST_FILE_BYTES >> 30} GiB")
        with path.open("rb") as file:
            first = file.read(len(_HDF5))
    if first == _HDF5:
        with _opened(place, path, guarded=guarded) as root:
            yield _of_hdf5(place, root)
    elif first.startswith(_ZIP):
        config, version, weights = _unzipped(place, path)
        with _opened(place, weights, guarded=guarded) as root:
            yield Archive(place, ".keras", version, config, root)
    else:
        raise CheckpointError(f"{place}: is neither HDF5 nor .keras; wants a file that model.save wrote")


def _of_hdf5(place: str, root: h5py.File) -> Archive:
    with _damage(place):
        text, version = root.attrs.get("model_config"), root.attrs.get("keras_version", "of unknown version")
        if text is None:
            alone = "holds weights without their model" if "layer_names" in root.attrs else "holds no Keras model"
            raise CheckpointError(f"{place}: {alone}; wants a file that model.save wrote")
        linked = isinstance(root.get("model_weights", getlink=True), h5py.HardLink)
        weights = root["model_weights"] if linked else None
        if not isinstance(weights, h5py.Group):
            raise CheckpointError(f"{place}: holds a model without its weights; wants a file that model.save wrote")
        return Archive(place, "HDF5", _text(version), _json(place, _text(text)), weights)


def _unzipped(place: str, path: Path) -> tuple[Any, str, bytes]:
    with _damage(place), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        missing = [name for name in (_CONFIG, _WEIGHTS) if name not in names]
        if missing:
            raise CheckpointError(f"{place}: is no .keras file (it has no {missing[0]})")
        config = _json(place, _entry(place, archive, _CONFIG, MOST_JSON_BYTES).decode())
        about = _json(place, _entry(place, archive, _METADATA, MOST_JSON_BYTES)) if _METADATA in names else {}
        version = about.get("keras_version") if isinstance(about, dict) else None
        return config, str(version or "of unknown version"), _entry(place, archive, _WEIGHTS, MOST_FILE_BYTES)


def _entry(place: str, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """An entry's bytes: no more are unpacked than it says, and it may not say more than `most`."""
    if archive.getinfo(name).file_size > most:
        raise CheckpointError(f"{place}: {name} in it is larger than {most >> 20:,} MiB")
    return archive.read(name)


def _json(place: str, text: str | bytes) -> Any:
    if len(text) > MOST_JSON_BYTES:
        raise CheckpointError(f"{place}: its model_config is larger than {MOST_JSON_BYTES >> 20} MiB")
    return json.loads(text)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def _opened(place: str, source: Path | bytes, *, guarded: bool) -> Iterator[h5py.File]:
    if guarded:
        check_survived(place, source)
    with _damage(place):
        file = h5py.File(source if isinstance(source, Path) else io.BytesIO(source), "r")
    with file:
        yield file


@contextlib.contextmanager
def _damage(place: str, *, missing: str = "cannot be read") -> Iterator[None]:
    """Turns what broken files make libraries raise into one line."""
    try:
        yield
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{place}: {missing}") from None
    except PermissionError as fault:
        raise CheckpointError(f"{place}: cannot be read ({fault.strerror})") from None
    except Exception as fault:  # over a broken file h5py, zipfile, json and what they unpack with raise of every kind
        reason = " ".join(str(fault).split())[:160] or type(fault).__name__
        raise CheckpointError(f"{place}: is damaged ({reason})") from None
