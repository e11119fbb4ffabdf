"""What happened when images were packed; `summary.py` makes lines of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

COPIES = "copies.csv"


class Scaled(NamedTuple):
    """Pictures of more than 8 bits: how many, whole numbers or floats, their values, and what is black and white."""

    images: int
    whole: bool
    least: float
    most: float
    black: float
    white: float


@dataclass(frozen=True)
class Shapes:
    """Sizes of pictures before they were cropped, in pixels.

    Attributes:
        smallest: Width and height of the one with the fewest pixels; likewise `median` and `largest`.
        not_square: How many are not square.
        twice_as_high: How many are at least twice as high as wide; likewise `twice_as_wide`.
    """

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    not_square: int
    twice_as_high: int
    twice_as_wide: int

    @classmethod
    def of(cls, sizes: list[tuple[int, int]]) -> "Shapes | None":
        """Those of a list of sizes; None without one."""
        if not sizes:
            return None
        ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
        return cls(
            smallest=ordered[0],
            median=ordered[len(ordered) // 2],
            largest=ordered[-1],
            not_square=sum(width != height for width, height in sizes),
            twice_as_high=sum(height >= 2 * width for width, height in sizes),
            twice_as_wide=sum(width >= 2 * height for width, height in sizes),
        )


@dataclass
class PackingReport:
    """What happened when images were packed.

    Attributes:
        files: Number of files that were found.
        folders: Top folder -> number of files in it.
        masks: Folder that is named like masks -> number of files.
        left_out: Reason -> number of files or folders that were not taken.
        copies: Number of files that are copies of others and were not taken.
        copies_differ: Number of images whose copies have another value of a label; the first by name counts.
        example: Two files of those, and the label; empty if there are none.
        near_copies: Number of images that look like others.
        near_groups: Number of groups of such images.
        near_skipped: Why they were not looked for; empty if they were.
        near_alike: Size of the group of more than half of the images that look alike, none of which is marked.
        shapes: Sizes of the pictures; None for MNIST and drawn faces.
        scaled: The pictures of more than 8 bits.
        profiles: Number of pictures whose colours were converted from an embedded profile.
        broken_profiles: Number of pictures with a profile that cannot be used.
        on_black: Number of transparent pictures that were put on black.
        one_colour: Number of pictures that show one colour, of which `one_colour_example` is the first by name.
        dark: Number of pictures that use less than a tenth of the range.
    """

    files: int = 0
    folders: dict[str, int] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    copies_differ: int = 0
    example: list[str] = field(default_factory=list)
    near_copies: int = 0
    near_groups: int = 0
    near_skipped: str = ""
    near_alike: int = 0
    shapes: Shapes | None = None
    scaled: list[Scaled] = field(default_factory=list)
    profiles: int = 0
    broken_profiles: int = 0
    on_black: int = 0
    one_colour: int = 0
    one_colour_example: str = ""
    dark: int = 0

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {**asdict(self), "scaled": [each._asdict() for each in self.scaled]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The report from `to_json`; unknown keys are ignored, and missing ones have their defaults."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        if known.get("shapes"):
            known["shapes"] = Shapes(**known["shapes"])
        known["scaled"] = [Scaled(**each) for each in known.get("scaled", [])]
        return cls(**known)
