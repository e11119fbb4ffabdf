"""What happened when images were packed, for the summary that jobs print."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from framework.data.store import PackedStore

COPIES = "copies.csv"


@dataclass
class PackingReport:
    """What happened when images were packed.

    Attributes:
        copies: Number of files that are copies of others and were not taken.
        copies_differ: Number of images whose copies have another value of a label; the first by name counts.
        example: Two files of those, and the label; empty if there are none.
        near_copies: Number of images that look like others.
        near_groups: Number of groups of such images.
        near_skipped: Why they were not looked for; empty if they were.
    """

    copies: int = 0
    copies_differ: int = 0
    example: list[str] = field(default_factory=list)
    near_copies: int = 0
    near_groups: int = 0
    near_skipped: str = ""

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The report from `to_json`; unknown keys are ignored, and missing ones have their defaults."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__ if name in document})


def packing_lines(store: PackedStore) -> list[str]:
    """The lines to print; none for a store that an earlier version packed."""
    if store.packing_report is None:
        return []
    report = PackingReport.from_json(store.packing_report)
    lines = []
    if report.copies:
        files = "1 file is a copy of another" if report.copies == 1 else f"{report.copies:,} files are copies of others"
        lines.append(f"Copies: {files} and taken once ({store.path / COPIES}); data.copies=keep takes each")
    if report.near_copies:
        lines.append(
            f"Near-copies: {report.near_copies:,} images in {report.near_groups:,} groups look alike "
            f"({store.path / COPIES}); they are kept, each group in training or held out as a whole"
        )
    if report.near_skipped:
        lines.append(f"Near-copies: not looked for, {report.near_skipped}; exact copies are found")
    if report.copies_differ:
        first, second, label = report.example
        lines.append(
            f"Warning: copies of {report.copies_differ:,} images have other labels, and the first by name counts: "
            f"{label!r} differs for {first!r} and {second!r}"
        )
    return lines
