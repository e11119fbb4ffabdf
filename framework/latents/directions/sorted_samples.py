"""Reads the CSV file in which a person has sorted numbered samples into two piles."""

import csv
import io

from framework.config.words import shown
from framework.errors import LatentsError, reason_of
from framework.files import MOST_DOCUMENT_BYTES, read_file, user_path


def read_piles(path: str, *, samples: int) -> dict[str, list[int]]:
    """Reads the sample numbers of the piles `low` and `high`; rows without a pile are ignored.

    Args:
        samples: Number of samples on the sheet, the largest valid number.

    Raises:
        LatentsError: The file cannot be read, a number is not on the sheet, or a pile has fewer than 2 samples.
    """
    try:
        text = read_file(user_path(path), most_bytes=MOST_DOCUMENT_BYTES).decode("utf-8-sig")
    except OSError as fault:
        raise LatentsError(f"latents.directions.sorted_samples: {path}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise LatentsError(f"latents.directions.sorted_samples: {path}: is not a UTF-8 text file") from None
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as fault:
        raise LatentsError(
            f"latents.directions.sorted_samples: {path}: is not a CSV table ({reason_of(fault)})"
        ) from None
    if not rows or not {"number", "pile"} <= rows[0].keys():
        raise LatentsError(f"latents.directions.sorted_samples: {path}: needs the columns number and pile")
    piles: dict[str, list[int]] = {"low": [], "high": []}
    for line, row in enumerate(rows, start=2):
        number, pile = (row.get("number") or "").strip(), (row.get("pile") or "").strip().lower()
        if not pile:
            continue
        if pile not in piles:
            raise LatentsError(
                f"latents.directions.sorted_samples: {path}, line {line}: pile must be low or high, not {shown(pile)}"
            )
        if not (number.isascii() and number.isdigit() and len(number) < 10 and 1 <= int(number) <= samples):
            raise LatentsError(
                f"latents.directions.sorted_samples: {path}, line {line}: "
                f"number must be from 1 to {samples}, not {shown(number)}"
            )
        piles[pile].append(int(number))
    both = set(piles["low"]) & set(piles["high"])
    if both:
        raise LatentsError(f"latents.directions.sorted_samples: {path}: number {min(both)} is in both piles")
    for name, numbers in piles.items():
        if len(numbers) < 2:
            raise LatentsError(
                f"latents.directions.sorted_samples: {path}: "
                f"pile {name} has {len(numbers)} samples; at least 2 are needed"
            )
    return piles
