"""Builds a store in an empty folder: decodes images, marks held-out ones, adds labels, and writes the manifest last."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framework.config import DataConfig
from framework.data.packing.copies import COPIES, exact_copies, exact_rows, near_copies, near_rows, write_copies
from framework.data.packing.decoded import Decoded
from framework.data.packing.held_out import held_out_marks
from framework.data.packing.labelling import label_entries, without_label_file
from framework.data.packing.pool import Pool, usable_cores
from framework.data.packing.rejection import refuse_rejected, write_rejected
from framework.data.sources.archives import named_as_archive
from framework.data.sources.source import Listing, list_source, locate, source_name
from framework.data.store import FORMAT, IMAGES, MANIFEST, REJECTED
from framework.errors import DataError

_FEW_IMAGES = 96  # fewer images are decoded faster than further processes start
_SMALL_FILE_BYTES = 2048
_SYNC_BYTES = 1 << 25
_HEADER_BYTES = 128  # size of the .npy header, independent of the number of images
Progress = Callable[[int, int], None]


def build(
    config: DataConfig, folder: Path, *, progress: Progress | None, processes: int | None, refused_list: Path
) -> None:
    """Builds a complete store in an empty folder; the arguments and errors are those of `prepare`.

    Args:
        refused_list: File for the list of rejected files, written if there are too many.
    """
    output = folder / IMAGES
    output.touch()
    with Pool(_processes(config, processes)) as pool:  # the processes start while the source is listed
        listing = list_source(config, unpack_to=folder)
        decoded = _decode(config, listing, pool, output, progress=progress)
    for unpacked in folder.glob("source.*"):
        unpacked.unlink()
    rejected = sorted((decoded.names[slot], reason) for slot, reason in decoded.rejected.items())
    write_rejected(folder / REJECTED, rejected)
    attempted = len(decoded.hashes) + len(rejected)
    try:
        refuse_rejected(config, rejected, attempted=attempted, listed_in=refused_list)
    except DataError:
        shutil.copyfile(folder / REJECTED, refused_list)
        raise
    usable = decoded.usable()
    copies = exact_copies(usable, decoded.hashes) if config.takes_copies_once else {}
    kept = sorted(usable.keys() - copies.keys())
    slots = _close_gaps(output, kept, side=config.resolution, channels=config.channels)
    names, hashes = [usable[slot] for slot in slots], [decoded.hashes[slot] for slot in slots]
    report = decoded.report(slots, copies=len(copies), left_out=dict(listing.left_out))
    near = near_copies(config, np.load(output, mmap_mode="r"), hashes, report)
    rows = [*exact_rows(usable, copies), *near_rows(near, names, hashes)]
    if rows:
        write_copies(folder / COPIES, rows)
    others: dict[str, list[str]] = {}
    for slot, first in copies.items():
        others.setdefault(usable[first], []).append(usable[slot])
    held_out = held_out_marks(config, names, hashes, groups=near.groups(), copies=others)
    manifest = _manifest(config, names, hashes, held_out)
    manifest |= {"rejected": rejected, "conversions": decoded.conversions(slots)}
    manifest |= label_entries(config, names, others, report, listing.beside)
    manifest["packing_report"] = report.to_json()
    _write_synced(folder / MANIFEST, json.dumps(manifest, allow_nan=False).encode())


def _manifest(config: DataConfig, names: list[str], hashes: list[str], held_out: np.ndarray) -> dict[str, Any]:
    """The manifest without rejected files, labels and the report."""
    if held_out.all():
        raise DataError(f"data.held_out: {config.held_out} of {len(names)} images leaves no image for training")
    return {
        "format": FORMAT,
        "source": source_name(config),
        "source_digest": hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest(),
        "resolution": config.resolution,
        "channels": config.channels,
        "images": len(names),
        "names": names,
        "hashes": hashes,
        "held_out": held_out.astype(int).tolist(),
    }


def _processes(config: DataConfig, processes: int | None) -> int:
    """The requested number, else one per core; 1 if there are so few images that starting more is slower."""
    path = locate(config)
    if path is None:
        few = (config.limit or _FEW_IMAGES) < _FEW_IMAGES
    elif path.is_dir():
        found = list(itertools.islice(path.rglob("*"), _FEW_IMAGES))
        few = len(found) < _FEW_IMAGES and not any(named_as_archive(file.name) or file.is_symlink() for file in found)
    else:
        few = path.stat().st_size < _FEW_IMAGES * _SMALL_FILE_BYTES
    return 1 if few else processes or usable_cores()


def _decode(config: DataConfig, listing: Listing, pool: Pool, output: Path, *, progress: Progress | None) -> Decoded:
    """Decodes all files, or until `data.limit` images are usable; further files replace the rejected ones."""
    settings = {
        "kind": listing.kind,
        "path": listing.path,
        "output": str(output),
        "start": _HEADER_BYTES,
        "resolution": config.resolution,
        "channels": config.channels,
        "seed": config.seed,
        "most_bytes": config.largest_file_bytes,
        "unpacked": listing.unpacked,
        "rules": config.packing_rules,
    }
    decoded = Decoded(config)
    pool.begin(settings)
    items = _sampled(config, listing, decoded)
    missing, synced, picture_bytes = config.limit, 0, config.resolution**2 * config.channels
    while missing is None or missing > 0:
        before = len(decoded.names)
        for name, item in itertools.islice(items, missing):
            pool.put(len(decoded.names), item)
            decoded.put(name, item)
        if len(decoded.names) == before:
            break
        expected = min(config.limit or len(decoded.names), len(decoded.names))
        for results in pool.results():
            decoded.take(results)
            if (len(decoded.hashes) - synced) * picture_bytes >= _SYNC_BYTES:
                _sync(output)  # during decoding, so that less remains to be written at the end
                synced = len(decoded.hashes)
            if progress is not None:
                progress(decoded.count(), expected)
        missing = 0 if config.limit is None else config.limit - decoded.count()
    for slot, scale in decoded.other_scales():
        pool.put(slot, decoded.items[slot], scale=scale)
    for results in pool.results():
        decoded.take(results)
    return decoded


def _sampled(config: DataConfig, listing: Listing, decoded: Decoded) -> Iterator[tuple[str, Any]]:
    """Items in the order of the seeded sample; a smaller sample is a prefix of a larger one.

    The order is by a hash of each file's name without folders, so that a folder and an archive of the same files give
    the same sample.
    """
    found = decoded.counted(without_label_file(config, listing))
    if config.limit is None or listing.kind == "drawn_faces":
        return found

    def order(item: tuple[str, Any]) -> tuple[bytes, str]:
        text = f"{config.seed} {item[0].rpartition('/')[2]}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).digest(), item[0]

    return iter(sorted(dict(found).items(), key=order))


def _close_gaps(output: Path, kept: list[int], *, side: int, channels: int) -> list[int]:
    """Moves pictures from the end into the slots that are not kept, and writes the header.

    Args:
        kept: The slots that are kept, sorted.

    Returns:
        The original slots in their new order.
    """
    count, size = len(kept), side * side * channels
    holes = sorted(set(range(count)).difference(kept))
    places = {slot: slot for slot in kept if slot < count}
    with output.open("r+b") as file:
        for hole, slot in zip(holes, (slot for slot in kept if slot >= count), strict=True):
            os.pwrite(
                file.fileno(), os.pread(file.fileno(), size, _HEADER_BYTES + slot * size), _HEADER_BYTES + hole * size
            )
            places[slot] = hole
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (count, side, side, channels)}
        )
        assert file.tell() == _HEADER_BYTES
        file.truncate(_HEADER_BYTES + count * size)
        file.flush()
        os.fsync(file.fileno())
    return sorted(places, key=places.__getitem__)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
