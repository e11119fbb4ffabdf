"""The list of rejected files, and the check that there are not too many."""

import csv
from collections import Counter
from pathlib import Path

from framework.config import DataConfig
from framework.data.packing.heif import HEIC, INSTALL
from framework.data.sources.source import source_name
from framework.errors import DataError

_KNOWN = "not an image: "


def write_rejected(path: Path, rejected: list[tuple[str, str]]) -> None:
    """Writes a CSV file with the columns `file` and `reason`."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "reason"])
        table.writerows(rejected)


def refuse_rejected(config: DataConfig, rejected: list[tuple[str, str]], *, attempted: int, listed_in: Path) -> None:
    """Checks the share of rejected files.

    Args:
        attempted: Number of files that were decoded or rejected.
        listed_in: The file with the list, for the message.

    Raises:
        DataError: No image is left, or more than `data.max_rejected` of the files were rejected.
    """
    if len(rejected) <= config.max_rejected * attempted and len(rejected) < attempted:
        return
    reasons = Counter(reason.partition(":")[0] for _, reason in rejected).most_common(4)
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    if any(reason.startswith(HEIC) for _, reason in rejected):
        why += f"; HEIC photographs need {INSTALL}"
    source = source_name(config)
    if len(rejected) == attempted:
        known = next(((name, reason) for name, reason in rejected if reason.startswith(_KNOWN)), None)
        what = f"; {known[0]} is {known[1].removeprefix(_KNOWN)}" if known else ""
        raise DataError(f"data.path: {source} has no usable image ({why}){what}; listed in {listed_in}")
    raise DataError(
        f"data.max_rejected: {len(rejected):,} of {attempted:,} files of {source} cannot be used ({why}), more than "
        f"{config.max_rejected:.1%}; listed in {listed_in}: repair or remove them, or raise data.max_rejected"
    )
