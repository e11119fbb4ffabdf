"""Exact copies: files with the same content, of which one is taken."""

import csv
from collections.abc import Mapping
from pathlib import Path

COPIES = "copies.csv"


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


def write_copies(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Writes a CSV file with the columns `file`, `of` and `kind`."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "of", "kind"])
        table.writerows(rows)
