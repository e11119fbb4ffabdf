"""Packed images on disk: `images.npy`, which is memory-mapped, and `manifest.json`."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import DataError, reason_of
from framework.files import check_regular, read_file

FORMAT = 1  # of the folder; a store of another format is packed again
IMAGES, MANIFEST, REJECTED = "images.npy", "manifest.json", "rejected.csv"


@dataclass(frozen=True)
class PackedStore:
    """Square uint8 images with their names, labels and held-out marks.

    Attributes:
        source: The source's name for people, without its path.
        images: Read-only memory map [n, h, w, c] uint8.
        names: [n] names within the source.
        hashes: [n] sha256 of each image's content: of its file, or of a drawn face's recipe.
        held_out: [n] True for images that training never uses.
        labels: Label -> float32 [n], NaN where unknown.
        label_classes: Class label -> names of its classes; value k means classes[k]. Other labels are absent.
        rejected: (name, reason) of each rejected file.
        labels_matched: Number of images with a row in the file of `data.labels`; None without a file.
        labels_report: What happened when the labels were read, a `LabelReport` as JSON; None in a store that an earlier
            version packed.
        packing_report: What happened when the images were packed, a `PackingReport` as JSON; None likewise.
        conversions: Index of each image that has other pixels than by rules 1 -> how its colours were converted.
    """

    path: Path
    source: str
    images: np.ndarray
    names: list[str]
    hashes: list[str]
    held_out: np.ndarray
    labels: dict[str, np.ndarray]
    label_classes: dict[str, list[str]]
    rejected: list[tuple[str, str]]
    labels_matched: int | None
    labels_report: dict[str, Any] | None = None
    packing_report: dict[str, Any] | None = None
    conversions: dict[int, str] = field(default_factory=dict)

    @property
    def resolution(self) -> int:
        """Width and height of the images in pixels."""
        return self.images.shape[1]

    @property
    def channels(self) -> int:
        """3 for colour, 1 for grey."""
        return self.images.shape[3]

    @cached_property
    def digest(self) -> str:
        """sha256 of the images' content, size, channels, conversions and held-out marks; not of paths and labels."""
        about = f"{FORMAT} {self.resolution} {self.channels}"
        rows = [f"{content} {int(mark)}" for content, mark in zip(self.hashes, self.held_out, strict=True)]
        for place, how in self.conversions.items():
            rows[place] += f" {how}"
        return hashlib.sha256("\n".join([about, *sorted(rows)]).encode()).hexdigest()

    @cached_property
    def labels_digest(self) -> str:
        """sha256 of all labels of all images, independent of the images' names and order."""
        names = sorted(self.labels)
        columns = [self.labels[name].astype("<f4") for name in names]
        rows = sorted((content, *map(str, row)) for content, *row in zip(self.hashes, *columns, strict=True))
        about = [(name, self.label_classes.get(name)) for name in names]
        return hashlib.sha256(json.dumps([about, rows]).encode()).hexdigest()

    @cached_property
    def training_indices(self) -> np.ndarray:
        """int64 [m] indices of the images for training, sorted by content, so that the order is the same everywhere."""
        return self._by_content[~self.held_out[self._by_content]]

    @cached_property
    def held_out_indices(self) -> np.ndarray:
        """int64 [n - m] indices of the held-out images, sorted by content."""
        return self._by_content[self.held_out[self._by_content]]

    @cached_property
    def _by_content(self) -> np.ndarray:
        return np.argsort(np.array(self.hashes, "S64"), kind="stable")

    def __len__(self) -> int:
        return len(self.names)


def open_store(path: Path) -> PackedStore:
    """Opens a store that `prepare` packed.

    Raises:
        DataError: The store does not exist, is damaged, or has another format.
    """
    path = Path(path)
    try:
        manifest = json.loads(read_file(path / MANIFEST))
        check_regular(path / IMAGES)
        if manifest["format"] != FORMAT:
            raise DataError(f"{path}: packed images of format {manifest['format']}, not {FORMAT}; prepare them again")
        images = np.load(path / IMAGES, mmap_mode="r")
        store = _from_manifest(path, manifest, images)
    except FileNotFoundError:
        raise DataError(f"{path}: no packed images here; run prepare_data") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise DataError(
            f"{path}: damaged packed images ({reason_of(fault)}); delete the folder and prepare them again"
        ) from None
    counts = {len(images), len(store.names), len(store.hashes), len(store.held_out), *map(len, store.labels.values())}
    if len(counts) != 1 or images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(f"{path}: damaged packed images (counts differ); delete the folder and prepare them again")
    return store


def _from_manifest(path: Path, manifest: dict[str, Any], images: np.ndarray) -> PackedStore:
    return PackedStore(
        path=path,
        source=manifest["source"],
        images=images,
        names=manifest["names"],
        hashes=manifest["hashes"],
        held_out=np.array(manifest["held_out"], bool),
        labels={name: np.array(values, np.float32) for name, values in manifest["labels"].items()},
        label_classes=manifest["label_classes"],
        rejected=[(name, reason) for name, reason in manifest["rejected"]],
        labels_matched=manifest["labels_matched"],
        labels_report=manifest.get("labels_report"),
        packing_report=manifest.get("packing_report"),
        conversions={int(place): how for place, how in manifest.get("conversions", {}).items()},
    )


def is_held_out(content_hash: str, share: float) -> bool:
    """Whether an image is held out. It depends only on the content, so it is the same in every sample, size and order.

    >>> is_held_out("00" * 32, 0.1), is_held_out("ff" * 32, 0.1)
    (True, False)
    """
    return int(content_hash[-8:], 16) < share * 2**32
