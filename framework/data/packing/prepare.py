"""From a source to a packed store, once: the second time the store is found by settings and the source's looks."""

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from framework.config import DataConfig
from framework.data.locking import locked
from framework.data.packing.building import build
from framework.data.packing.rejection import refuse_rejected
from framework.data.sources.source import fingerprint, list_source, locate, source_name
from framework.data.store import FORMAT, REJECTED, PackedStore, open_store
from framework.data.synthetic_faces import DRAWING
from framework.errors import DataError

_NOT_PACKED = {"horizontal_flip", "max_rejected", "path"}  # decided later, or seen through the fingerprint
_BUILDING = ".building"
_STALE_S = 2 * 24 * 3600.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Survey:
    """What a source promises before anything is decoded: at most so many images, and what they come from."""

    images: int
    what: str


def survey(config: DataConfig) -> Survey:
    """Counts a source's files; writes nothing, opens no image.

    Raises:
        DataError: The source is missing, empty or damaged.
    """
    count = sum(1 for _ in list_source(config, unpack_to=None).items)
    return Survey(min(count, config.limit or count), source_name(config))


def prepare(
    config: DataConfig, *, cache: Path, progress: Progress | None = None, processes: int | None = None
) -> PackedStore:
    """Packs a source's images, or opens what was packed before of the same source with the same settings.

    The store appears whole or not at all, and two who prepare the same at once do it once.

    Args:
        config: The source and how it is packed.
        cache: The store goes below its `data` folder.
        progress: Told images done and images wanted.
        processes: Decoders; None for one a core.

    Raises:
        DataError: The source is missing, empty or damaged, its labels do not fit, or too many files are rejected.
    """
    folder = cache.absolute() / "data" / _folder_name(config)
    store = _found(folder)
    if store is None:
        with locked(folder.with_name(f".{folder.name}.lock")):
            store = _found(folder)  # another process may have made it while we waited
            if store is None:
                store = _packed(config, folder, progress=progress, processes=processes)
    attempted = len(store) + len(store.rejected)
    refuse_rejected(config, store.rejected, attempted=attempted, listed_in=folder / REJECTED)
    if progress is not None:
        progress(len(store), len(store))
    return store


def find_prepared(config: DataConfig, *, cache: Path) -> PackedStore | None:
    """What `prepare` would open; None where it would have to pack. Writes nothing.

    Raises:
        DataError: The source is missing.
    """
    return _found(cache.absolute() / "data" / _folder_name(config))


def _folder_name(config: DataConfig) -> str:
    """Of the settings and the source as it looks now; a changed source gets another store."""
    settings = config.model_dump(exclude=_NOT_PACKED)
    labels = Path(config.labels).expanduser() if config.labels else None
    if labels is not None and labels.exists():
        settings["labels"] = hashlib.sha256(labels.read_bytes()).hexdigest()
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
        return None  # damaged from outside: made anew


def _packed(config: DataConfig, folder: Path, *, progress: Progress | None, processes: int | None) -> PackedStore:
    """Builds beside the store's place, then renames: the store is whole or not there."""
    _sweep(folder)
    made = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}{_BUILDING}")
    made.mkdir(parents=True)
    refused = folder.with_name(f"{folder.name}.{REJECTED}")
    try:
        build(config, made, progress=progress, processes=processes, refused_list=refused)
        if folder.exists():
            shutil.rmtree(folder)  # a damaged one
        try:
            made.rename(folder)
        except OSError:  # where locks do not work, another process may have been faster
            if _found(folder) is None:
                raise
        refused.unlink(missing_ok=True)
        return open_store(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Removes what killed preparations of this store left days ago."""
    for left in folder.parent.glob(f".{folder.name}.*{_BUILDING}"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
