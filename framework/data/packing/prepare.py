"""Packs a source into a store once; later the store is found by its settings and a fingerprint of the source."""

import hashlib
import itertools
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from framework.config import DataConfig
from framework.data.labels import Labels
from framework.data.locking import locked
from framework.data.packing.building import build
from framework.data.packing.labelling import with_labels, without_label_file, write_labels
from framework.data.packing.rejection import refuse_rejected
from framework.data.sources.labels import OFFERED, LabelReport, read_labels, read_outside
from framework.data.sources.source import DRAWN_FACES, fingerprint, list_source, locate, source_name
from framework.data.store import FORMAT, REJECTED, PackedStore, open_store
from framework.data.synthetic_faces import DRAWING
from framework.errors import DataError
from framework.files import FULL

_NOT_PACKED = {"horizontal_flip", "max_rejected", "most_files", "path"}  # applied later, or in the fingerprint
_LATER_KEYS = {"largest_file_bytes"}  # at its default it is not in the name, so that older stores are found
_KEYS_OF_RULES = {"rules", "copies"}  # not in the name by rules 1, for the same reason
_BUILDING = ".building"
_STALE_S = 2 * 24 * 3600.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Survey:
    """A source before decoding.

    Attributes:
        images: Maximum number of images.
        what: The name of the source.
        packed_bytes: Size of the packed images.
        names: Those of the files; of drawn faces without `data.labels` at most 10,000.
        labels: Those of these files.
        report: What happened when the labels were read.
        offered: Files in it that probably hold labels.
        left_out: Reason -> number of files or folders that are not taken.
    """

    images: int
    what: str
    packed_bytes: int
    names: list[str]
    labels: Labels
    report: LabelReport
    offered: list[str]
    left_out: dict[str, int]


def survey(config: DataConfig) -> Survey:
    """Counts the files of a source and checks its labels, without writing anything or opening an image.

    Raises:
        DataError: The source is missing, empty or damaged, or its labels do not match.
    """
    listing = list_source(config, unpack_to=None)
    items = without_label_file(config, listing)
    if config.source == "drawn_faces" and not config.labels:  # as many as wanted, all with the same labels
        count = config.limit or DRAWN_FACES
        names = [name for name, _ in itertools.islice(items, min(count, DRAWN_FACES))]
    else:
        names = [name for name, _ in items]
        count = min(len(names), config.limit or len(names))
    labels, report = read_labels(config, names, listing.beside)
    packed_bytes = count * config.resolution**2 * config.channels
    return Survey(
        count, source_name(config), packed_bytes, names, labels, report, offered(names), dict(listing.left_out)
    )


def offered(names: Iterable[str]) -> list[str]:
    """Files at the top of a source, or one folder below, that probably hold labels of its images."""
    steps = ((name, name.replace("\\", "/").split("/")) for name in names)
    return [name for name, path in steps if len(path) <= 2 and path[-1] in OFFERED]


def prepare(
    config: DataConfig,
    *,
    cache: Path,
    progress: Progress | None = None,
    processes: int | None = None,
    begins: Callable[[LabelReport | None], None] | None = None,
) -> PackedStore:
    """Packs a source's images, or opens the store of the same source and settings.

    The store appears complete or not at all. If two processes prepare the same source, one of them waits.

    Args:
        config: The source and the settings of packing.
        cache: The store is created in its `data` folder.
        progress: Called with the numbers of decoded and of expected images.
        processes: Number of decoding processes; None for one per core.
        begins: Called before decoding, if that is necessary, with what happened when `data.labels` was read.

    Raises:
        DataError: The source is missing, empty or damaged, its labels do not match, or too many files are rejected.
    """
    folder = cache.absolute() / "data" / _folder_name(config)
    store = _found(folder)
    if store is None:
        with locked(folder.with_name(f".{folder.name}.lock")) as alone:
            store = _found(folder)  # another process may have packed it in the meantime
            if store is None:
                _sweep(folder, younger=alone)
                report = survey(config).report if config.labels else None  # a mistake in it costs no decoding
                if begins is not None:
                    begins(report)
                store = _packed(config, folder, progress=progress, processes=processes)
    if store.labels_report is None and (store := with_labels(store, config)).labels_report is not None:
        write_labels(store)
    attempted = len(store) + len(store.rejected)
    refuse_rejected(config, store.rejected, attempted=attempted, listed_in=folder / REJECTED)
    if progress is not None:
        progress(len(store), len(store))
    return store


def find_prepared(config: DataConfig, *, cache: Path) -> PackedStore | None:
    """Opens the store that `prepare` would use; None if it does not exist yet. Writes nothing.

    Raises:
        DataError: The source is missing.
    """
    store = _found(cache.absolute() / "data" / _folder_name(config))
    return None if store is None else with_labels(store, config)


def _folder_name(config: DataConfig) -> str:
    """The folder name for the settings and the current fingerprint of the source; a changed source gets a new one."""
    settings = config.model_dump(exclude=_NOT_PACKED)
    for name in _LATER_KEYS:
        if settings[name] == DataConfig.model_fields[name].default:
            del settings[name]
    if config.packing_rules == 1:
        settings = {name: value for name, value in settings.items() if name not in _KEYS_OF_RULES}
    if (file := read_outside(config)) is not None:  # what lies within the source is in its fingerprint
        settings["labels"] = hashlib.sha256(file.data).hexdigest()
    drawing = DRAWING if config.source == "drawn_faces" else None
    about = json.dumps([FORMAT, drawing, settings, fingerprint(config)], sort_keys=True)
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    path = locate(config)
    stem = "drawn_faces" if path is None else "".join(c for c in path.name.split(".")[0] if c.isalnum() or c in "-_")
    return f"{stem or config.source}-{config.resolution}px-{key}"


def _found(folder: Path) -> PackedStore | None:
    if not folder.exists():
        return None
    try:
        return open_store(folder)
    except DataError:
        return None  # damaged, so it is packed again


def _packed(config: DataConfig, folder: Path, *, progress: Progress | None, processes: int | None) -> PackedStore:
    """Builds the store in a temporary folder and renames it, so that it is complete or absent."""
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}{_BUILDING}")
    building.mkdir(parents=True)
    refused = folder.with_name(f"{folder.name}.{REJECTED}")
    try:
        build(config, building, progress=progress, processes=processes, refused_list=refused)
        if folder.exists():
            shutil.rmtree(folder)  # a damaged store
        try:
            building.rename(folder)
        except OSError:  # without locks, another process may have been faster
            if _found(folder) is None:
                raise
        refused.unlink(missing_ok=True)
        return open_store(folder)
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        raise DataError(f"storage.cache_path: {folder.parent} cannot take the images ({fault.strerror})") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _sweep(folder: Path, *, younger: bool) -> None:
    """Removes temporary folders that killed preparations of this store left.

    Args:
        younger: Also those of the last two days; without a lock they may be another process's.
    """
    for left in folder.parent.glob(f".{folder.name}.*{_BUILDING}"):
        if younger or time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
