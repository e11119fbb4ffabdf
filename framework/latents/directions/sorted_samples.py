"""The two piles into which a person has sorted numbered samples."""

import csv
import io
from pathlib import Path

from framework.errors import LatentsError


def read_piles(path: str, *, samples: int) -> dict[str, list[int]]:
    """Numbers of samples by pile, `low` and `high`; rows without a pile are left out.

    Raises:
        LatentsError: It cannot be read, has a number that is none of the sheet's, or a pile too few.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise LatentsError(f"latents.piles: {path}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise LatentsError(f"latents.piles: {path}: is no text") from None
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    if not rows or not {"number", "pile"} <= rows[0].keys():
        raise LatentsError(f"latents.piles: {path}: wants the columns number and pile")
    piles: dict[str, list[int]] = {"low": [], "high": []}
    for line, row in enumerate(rows, start=2):
        number, pile = (row.get("number") or "").strip(), (row.get("pile") or "").strip().lower()
        if not pile:
            continue
        if pile not in piles:
            raise LatentsError(f"latents.piles: {path}, line {line}: a pile is low or high, not {pile!r}")
        if not number.isdigit() or not 1 <= int(number) <= samples:
            raise LatentsError(
                f"latents.piles: {path}, line {line}: wants a number from 1 to {samples}, not {number!r}"
            )
        piles[pile].append(int(number))
    both = set(piles["low"]) & set(piles["high"])
    if both:
        raise LatentsError(f"latents.piles: {path}: number {min(both)} lies in both piles")
    for name, numbers in piles.items():
        if len(numbers) < 2:
            raise LatentsError(f"latents.piles: {path}: pile {name} has {len(numbers)} samples, and 2 are the least")
    return piles
