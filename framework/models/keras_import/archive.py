"""Reads JSON and arrays from a file saved by Keras, and refuses everything else.

The file is not trusted. Links, data outside the file and compression plug-ins of HDF5 are refused, and an array is read
only if it has the shape that its layer needs.
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

from framework.errors import CheckpointError, reason_of
from framework.files import MOST_FILE_BYTES, RefusedFileError, open_regular, user_path
from framework.models.keras_import.guard import check_survived

MOST_JSON_BYTES = 16 << 20
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@dataclass(frozen=True)
class Archive:
    """An open file.

    Attributes:
        place: The file's name in error messages.
        form: `HDF5` or `.keras`.
        version: The version of Keras that the file names.
        config: The parsed JSON of the model.
        root: The HDF5 group of the weights.
    """

    place: str
    form: str
    version: str
    config: Any
    root: h5py.Group

    def names(self, group: str) -> list[str]:
        """The `weight_names` of a group; empty if it has none."""
        member = self._member(group)
        with _damage(self.place):
            return [_text(name) for name in member.attrs.get("weight_names", ())]

    def note(self, group: str, name: str) -> str | None:
        """An attribute of a group as text; None if it does not exist."""
        member = self._member(group)
        with _damage(self.place):
            return _text(member.attrs[name]) if name in member.attrs else None

    def count(self, group: str) -> int:
        """Number of members of a group."""
        member = self._member(group)
        with _damage(self.place):
            return len(member) if isinstance(member, h5py.Group) else 0

    def array(self, name: str, shape: tuple[int, ...], *, what: str) -> np.ndarray:
        """Reads an array as float32.

        Args:
            name: The path below the root.
            what: The array's name in error messages.

        Raises:
            CheckpointError: The array is missing, has another shape, lies outside the file, or is not finite.
        """
        data = self._member(name)
        if not isinstance(data, h5py.Dataset):
            raise CheckpointError(f"{self.place}: {what} is missing ({name})")
        with _damage(self.place):
            stored, kind, properties = data.shape, data.dtype, data.id.get_create_plist()
            filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
            if data.external or data.is_virtual:
                raise CheckpointError(f"{self.place}: {what} is stored outside this file, which is not supported")
            if not filters <= _FILTERS:
                raise CheckpointError(f"{self.place}: {what} has a compression that Keras does not use")
            if stored != shape:
                raise CheckpointError(f"{self.place}: {what} has shape {list(stored)}; its layer needs {list(shape)}")
            if kind.kind != "f":
                raise CheckpointError(f"{self.place}: {what} has type {kind}; it must be floating point")
            values = np.asarray(data[()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.place}: {what} has values that are not finite")
        return values

    def _member(self, path: str) -> Any:
        member: Any = self.root
        with _damage(self.place):
            for step in path.split("/"):
                link = member.get(step, getlink=True) if isinstance(member, h5py.Group) and step else None
                if link is None:
                    raise CheckpointError(f"{self.place}: the weights have no {path}")
                if not isinstance(link, h5py.HardLink):
                    raise CheckpointError(f"{self.place}: {path} is a link, which is not supported")
                member = member[step]
        return member


@contextlib.contextmanager
def open_archive(path: str | Path, *, guarded: bool) -> Iterator[Archive]:
    """Opens a file written by `model.save`; the format is recognised by its content, not by its name.

    Args:
        guarded: Whether a separate process reads the file first (see `guard`).

    Raises:
        CheckpointError: The file does not exist, is damaged, contains only weights, or has another format.
    """
    place = str(path)
    with _damage(place):
        path = user_path(path)
    place = str(path)
    if path.is_dir():
        raise CheckpointError(f"{place}: is a folder; it must be a file written by model.save, .h5 or .keras")
    with _damage(place, missing="does not exist"), open_regular(path) as file:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise CheckpointError(f"{place}: is larger than {MOST_FILE_BYTES >> 30} GiB")
        first = file.read(len(_HDF5))
    if first == _HDF5:
        with _opened(place, path, guarded=guarded) as root:
            yield _of_hdf5(place, root)
    elif first.startswith(_ZIP):
        config, version, weights = _unzipped(place, path)
        with _opened(place, weights, guarded=guarded) as root:
            yield Archive(place, ".keras", version, config, root)
    else:
        raise CheckpointError(f"{place}: is neither HDF5 nor .keras; it must be a file written by model.save")


def _of_hdf5(place: str, root: h5py.File) -> Archive:
    with _damage(place):
        text, version = root.attrs.get("model_config"), root.attrs.get("keras_version", "of unknown version")
        if text is None:
            found = "contains weights without a model" if "layer_names" in root.attrs else "contains no Keras model"
            raise CheckpointError(f"{place}: {found}; it must be a file written by model.save")
        linked = isinstance(root.get("model_weights", getlink=True), h5py.HardLink)
        weights = root["model_weights"] if linked else None
        if not isinstance(weights, h5py.Group):
            raise CheckpointError(f"{place}: contains a model without weights; it must be a file written by model.save")
        return Archive(place, "HDF5", _text(version), _json(place, _text(text)), weights)


def _unzipped(place: str, path: Path) -> tuple[Any, str, bytes]:
    with _damage(place), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.rpartition("/")[2] == "data.pkl" for name in names):
            raise CheckpointError(f"{place}: is a file of torch, not of Keras; docs/foreign.md says how it is used")
        missing = [name for name in (_CONFIG, _WEIGHTS) if name not in names]
        if missing:
            raise CheckpointError(f"{place}: is not a .keras file (it has no {missing[0]})")
        config = _json(place, _entry(place, archive, _CONFIG, MOST_JSON_BYTES).decode())
        about = _json(place, _entry(place, archive, _METADATA, MOST_JSON_BYTES)) if _METADATA in names else {}
        version = about.get("keras_version") if isinstance(about, dict) else None
        return config, str(version or "of unknown version"), _entry(place, archive, _WEIGHTS, MOST_FILE_BYTES)


def _entry(place: str, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of an entry; zipfile unpacks at most the size that the entry declares, which is limited to `most`."""
    if archive.getinfo(name).file_size > most:
        raise CheckpointError(f"{place}: its {name} is larger than {most >> 20:,} MiB")
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
    """Turns any exception that a library raises for a damaged file into a `CheckpointError`."""
    try:
        yield
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{place}: {missing}") from None
    except (PermissionError, RefusedFileError) as fault:
        raise CheckpointError(f"{place}: cannot be read ({fault.strerror})") from None
    except Exception as fault:  # h5py, zipfile, json and the decompressors raise many kinds for damaged files
        raise CheckpointError(f"{place}: is damaged ({reason_of(fault)})") from None
