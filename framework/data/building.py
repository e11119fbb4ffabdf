"""The making of a store in a folder of its own: decode, sample, order by content, label, write the manifest last."""

import csv
import hashlib
import itertools
import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from framework.config import DataConfig
from framework.data.faces.labels import drawn_labels
from framework.data.labels import Labels, csv_labels, utkface_labels
from framework.data.pool import Pool, usable_cores
from framework.data.sources import Listing, list_source, locate
from framework.data.store import FORMAT, IMAGES, MANIFEST, REJECTED, is_held_out
from framework.errors import DataError

_FEW_IMAGES = 96  # decoded sooner than processes start
_SMALL_FILE_BYTES = 2048
_COPY_BYTES = 1 << 26
_STALE_S = 2 * 24 * 3600.0
Progress = Callable[[int, int], None]


@dataclass
class _Decoded:
    """What came of the files so far; slot k of the raw file holds the k-th file's picture."""

    names: list[str]
    hashes: dict[int, str] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)


def source_name(config: DataConfig) -> str:
    """The source for people: its last step, no path."""
    path = locate(config)
    return "drawn_faces" if path is None else path.name


def build(config: DataConfig, folder: Path, *, progress: Progress | None, processes: int | None) -> None:
    """Makes the whole store in an empty folder.

    Raises:
        DataError: See `prepare`.
    """
    with Pool(_processes(config, processes)) as pool:  # they start while the source is listed
        listing = list_source(config, unpack_to=folder)
        raw = folder / "unordered.raw"
        raw.touch()
        decoded = _decode(config, listing, pool, raw, progress=progress)
    rejected = sorted((decoded.names[slot], reason) for slot, reason in decoded.rejected.items())
    _write_rejected(folder / REJECTED, rejected)
    attempted = len(decoded.hashes) + len(rejected)
    try:
        refuse_rejected(config, rejected, attempted=attempted, listed_in=_beside(folder))
    except DataError:
        shutil.copyfile(folder / REJECTED, _beside(folder))
        raise
    slots = sorted(decoded.hashes, key=lambda slot: (decoded.hashes[slot], decoded.names[slot]))
    names = [decoded.names[slot] for slot in slots]
    hashes = [decoded.hashes[slot] for slot in slots]
    held_out = [is_held_out(content, config.held_out) for content in hashes]
    if all(held_out):
        raise DataError(f"data.held_out: {config.held_out} of {len(names)} images leaves none for training")
    labels, matched = _labels(config, names)
    _write_ordered(raw, folder / IMAGES, slots, side=config.resolution, channels=config.channels)
    raw.unlink()
    (folder / "source.tar").unlink(missing_ok=True)
    source_digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    manifest = {
        "format": FORMAT,
        "source": source_name(config),
        "source_digest": source_digest,
        "resolution": config.resolution,
        "channels": config.channels,
        "images": len(names),
        "labels_matched": matched,
        "label_classes": labels.classes,
        "rejected": rejected,
        "names": names,
        "hashes": hashes,
        "held_out": [int(mark) for mark in held_out],
        "labels": {name: _or_null(values) for name, values in labels.values.items()},
    }
    _write_synced(folder / MANIFEST, json.dumps(manifest).encode())


def refuse_rejected(config: DataConfig, rejected: list[tuple[str, str]], *, attempted: int, listed_in: Path) -> None:
    """Raises DataError where nothing is left or more than `data.max_rejected` were rejected."""
    if len(rejected) <= config.max_rejected * attempted and len(rejected) < attempted:
        return
    reasons = Counter(reason.split(":")[0] for _, reason in rejected).most_common(4)
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    if len(rejected) == attempted:
        raise DataError(f"data.path: {source_name(config)} has no usable image ({why}; listed in {listed_in})")
    raise DataError(
        f"data.max_rejected: {len(rejected):,} of {attempted:,} files ({len(rejected) / attempted:.0%}) of "
        f"{source_name(config)} cannot be used ({why}), more than {config.max_rejected:.0%}; they are listed in "
        f"{listed_in}: mend or remove them, or raise data.max_rejected"
    )


def building_folder(folder: Path) -> Path:
    """A new folder beside the store's, of a name that no other process has."""
    made = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}.building")
    made.mkdir(parents=True)
    return made


def sweep(folder: Path) -> None:
    """Removes what killed preparations of this store left days ago."""
    for left in folder.parent.glob(f".{folder.name}.*.building"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _processes(config: DataConfig, processes: int | None) -> int:
    """As asked, else one a core; one alone where few images are sooner decoded than processes start."""
    path = locate(config)
    if path is None:
        few = (config.limit or _FEW_IMAGES) < _FEW_IMAGES
    elif path.is_dir():
        few = len(list(itertools.islice(path.rglob("*"), _FEW_IMAGES))) < _FEW_IMAGES
    else:
        few = path.stat().st_size < _FEW_IMAGES * _SMALL_FILE_BYTES
    return 1 if few else processes or usable_cores()


def _decode(config: DataConfig, listing: Listing, pool: Pool, raw: Path, *, progress: Progress | None) -> _Decoded:
    """Decodes all, or until `data.limit` images are good, in the sample's order."""
    names = _sampled(config, list(listing.items))
    wanted = min(config.limit or len(names), len(names))
    decoded = _Decoded(names)
    settings = {
        "kind": listing.kind,
        "path": listing.path,
        "output": str(raw),
        "resolution": config.resolution,
        "channels": config.channels,
        "seed": config.seed,
    }
    done = 0
    while len(decoded.hashes) < wanted and done < len(names):
        stop = min(len(names), done + wanted - len(decoded.hashes))  # the rejected ones' places are given to others
        items: list[tuple[int, Any]] = [(slot, listing.items[names[slot]]) for slot in range(done, stop)]
        for results in pool.run(items, settings):
            for slot, content, reason in results:
                if reason is None:
                    decoded.hashes[slot] = content
                else:
                    decoded.rejected[slot] = reason
            if progress is not None:
                progress(len(decoded.hashes), wanted)
        done = stop
    return decoded


def _sampled(config: DataConfig, names: list[str]) -> list[str]:
    """Names in the order of the seeded sample, of which a larger one holds the smaller.

    By a hash of each name's last step, so that a folder and an archive of the same files give the same sample.
    """
    if config.limit is None or config.source == "drawn_faces":
        return names

    def place(name: str) -> tuple[bytes, str]:
        text = f"{config.seed} {PurePosixPath(name).name}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).digest(), name

    return sorted(names, key=place)


def _labels(config: DataConfig, names: list[str]) -> tuple[Labels, int | None]:
    """The source's own labels, then the CSV's, which win where both have one."""
    labels = Labels({}, {})
    if config.source == "utkface":
        labels = utkface_labels(names)
    elif config.source == "drawn_faces":
        labels = drawn_labels(config.seed, names)
    if not config.labels:
        return labels, None
    more, matched = csv_labels(Path(config.labels).expanduser(), names)
    classes = {name: found for name, found in labels.classes.items() if name not in more.values}
    return Labels({**labels.values, **more.values}, {**classes, **more.classes}), matched


def _write_ordered(raw: Path, target: Path, slots: list[int], *, side: int, channels: int) -> None:
    """Pictures from their slots into `images.npy`, in the order given."""
    unordered = np.memmap(raw, np.uint8, "r").reshape(-1, side, side, channels)
    shape = (len(slots), side, side, channels)
    with target.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        step = max(1, _COPY_BYTES // unordered[0].nbytes)
        for start in range(0, len(slots), step):
            file.write(unordered[slots[start : start + step]].tobytes())
        file.flush()
        os.fsync(file.fileno())


def _write_rejected(path: Path, rejected: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "reason"])
        table.writerows(rejected)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(folder: Path) -> Path:
    """Where the list of a refused source stays."""
    return folder.parent / f"{folder.name.removeprefix('.').rsplit('.', 2)[0]}.{REJECTED}"


def _or_null(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
