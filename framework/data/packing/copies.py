"""Copies of files: exact ones, of which one is taken, and near-copies, which are kept and listed."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from framework.config import DataConfig
from framework.data.packing.near_copies import MOST_IMAGES, NearCopies, TooManyError, find_near_copies
from framework.data.packing.report import COPIES, PackingReport

__all__ = ["COPIES", "exact_copies", "exact_rows", "near_copies", "near_rows", "write_copies"]
_FEWEST = 16  # of so few images, most may be near-copies
Row = tuple[str, str, str, int, str]


def exact_copies(names: Mapping[int, str], hashes: Mapping[int, str]) -> dict[int, int]:
    """Slot of each copy -> slot of the file that is kept, which is the first by name.

    Args:
        names: Slot -> name of the file.
        hashes: Slot -> sha256 of its content.
    """
    first: dict[str, int] = {}
    copies: dict[int, int] = {}
    for slot in sorted(names, key=names.__getitem__):
        kept = first.setdefault(hashes[slot], slot)
        if kept != slot:
            copies[slot] = kept
    return copies


def exact_rows(names: Mapping[int, str], copies: Mapping[int, int]) -> list[Row]:
    """The rows of `write_copies` about exact copies."""
    return sorted((names[slot], names[kept], "exact", 0, "1.0000") for slot, kept in copies.items())


def near_copies(config: DataConfig, images: np.ndarray, hashes: list[str], report: PackingReport) -> NearCopies:
    """The near-copies among the packed images; none by rules 1, or where they are not looked for, which is reported.

    With `data.copies: keep` exact copies are among them, but are not counted. A group of more than half of the images
    is not one picture but pictures of one kind, such as drawings of one layout; it is reported, and has no near-copies.
    """
    if config.packing_rules == 1:
        return NearCopies.none()
    if len(images) > MOST_IMAGES:
        report.near_skipped = f"as there are more than {MOST_IMAGES:,} images"
        return NearCopies.none()
    try:
        found = find_near_copies(images)
    except TooManyError:
        report.near_skipped = "as too many images look alike"
        return NearCopies.none()
    groups, alike = found.groups(), np.array([], np.int64)
    if groups and 2 * len(largest := max(groups, key=len)) > max(len(images), _FEWEST):
        groups, alike = [group for group in groups if group is not largest], largest
    report.near_alike = len(alike)
    groups = [group for group in groups if len({hashes[place] for place in group}) > 1]
    report.near_groups, report.near_copies = len(groups), sum(map(len, groups))
    return found.without(alike)


def near_rows(near: NearCopies, names: list[str], hashes: list[str]) -> list[Row]:
    """The rows of `write_copies` about near-copies."""
    pairs = zip(near.pairs.tolist(), near.distances.tolist(), near.correlations.tolist(), strict=True)
    rows = []
    for (first, second), distance, correlation in pairs:
        kept, copy = sorted((names[first], names[second]))
        kind = "exact" if hashes[first] == hashes[second] else "near"
        rows.append((copy, kept, kind, distance, f"{correlation:.4f}"))
    return sorted(rows)


def write_copies(path: Path, rows: list[Row]) -> None:
    """Writes a CSV file of copies, with the different bits of the perceptual hashes and the correlation."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "of", "kind", "different_bits", "correlation"])
        table.writerows(rows)
