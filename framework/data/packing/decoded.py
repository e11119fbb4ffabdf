"""The results of decoding so far."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from framework.config import DataConfig
from framework.data.packing.folders import folder_counts, mask_folders
from framework.data.packing.report import PackingReport, Scaled, Shapes
from framework.data.packing.scales import Range, Scale, scale_of, united
from framework.data.packing.worker import Facts, Result

_RARE = ("range", "scale", "how", "broken_profile")
_ONE_COLOUR = 4  # grey levels that a picture of one colour has at most, after JPEG
_DARK = 25


class Decoded:
    """The results so far; the picture of the k-th file is in slot k of the output.

    Attributes:
        names: Name of the file of each slot.
        items: Its item for `Reader`; None once it cannot be decoded again.
        hashes: Slot -> sha256 of the content of a usable file.
        rejected: Slot -> why the file cannot be used.
    """

    def __init__(self, config: DataConfig) -> None:
        self.names: list[str] = []
        self.items: list[Any] = []
        self.hashes: dict[int, str] = {}
        self.rejected: dict[int, str] = {}
        self._once = config.takes_copies_once
        self._contents: set[str] = set()
        self._seen: dict[int, tuple[int, int, int, int]] = {}  # width, height, spread, brightest
        self._rare: dict[int, Facts] = {}
        self._listed: list[str] = []

    def counted(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """The same items; their names are remembered."""
        for item in items:
            self._listed.append(item[0])
            yield item

    def put(self, name: str, item: Any) -> None:
        """Adds the file of the next slot."""
        self.names.append(name)
        self.items.append(item)

    def take(self, results: list[Result]) -> None:
        """Adds results, or replaces those of slots that were decoded again."""
        for slot, content, reason, facts in results:
            if "range" not in facts:
                self.items[slot] = None
            if reason is not None:
                self.hashes.pop(slot, None)
                self.rejected[slot] = sys.intern(reason)  # many files are rejected for the same one
                continue
            self.hashes[slot] = content
            self._contents.add(content)
            if facts:
                width, height = facts["size"]
                self._seen[slot] = width, height, facts["spread"], facts["brightest"]
            if rare := {name: facts[name] for name in _RARE if name in facts}:
                self._rare[slot] = rare

    def count(self) -> int:
        """The number of images so far."""
        return len(self._contents if self._once else self.hashes)

    def usable(self) -> dict[int, str]:
        """Slot -> name of each usable file. If a name occurs twice, as in an archive that was appended to, the last."""
        last = {self.names[slot]: slot for slot in sorted(self.hashes)}
        return {slot: name for name, slot in last.items()}

    def other_scales(self) -> Iterator[tuple[int, Scale]]:
        """The slots of pictures whose own scale is not that of the set, with the set's."""
        scales = {whole: scale_of(values) for whole, values in united(self._ranges(self._rare)).items()}
        for slot, rare in sorted(self._rare.items()):
            if "range" in rare and tuple(rare["scale"]) != (scale := scales[rare["range"][0]]):
                yield slot, scale

    def conversions(self, slots: list[int]) -> dict[int, str]:
        """Place in `slots` -> how its colours were converted, of images that have other pixels than by rules 1."""
        rare = ((place, self._rare.get(slot, {})) for place, slot in enumerate(slots))
        return {place: facts["how"] for place, facts in rare if "how" in facts}

    def report(self, slots: list[int], *, copies: int, left_out: dict[str, int]) -> PackingReport:
        """What happened, of the images in these slots."""
        seen = [(self._seen[slot], slot) for slot in slots if slot in self._seen]
        rare = {slot: self._rare[slot] for slot in slots if slot in self._rare}
        hows = [facts.get("how", "") for facts in rare.values()]
        blank = [self.names[slot] for (*_, spread, _), slot in seen if spread <= _ONE_COLOUR]
        return PackingReport(
            files=len(self._listed),
            folders=folder_counts(self._listed),
            masks=mask_folders(self._listed),
            copies=copies,
            left_out=left_out,
            shapes=Shapes.of([(width, height) for (width, height, *_), _ in seen]),
            scaled=[self._scaled(values, rare) for values in united(self._ranges(rare)).values()],
            profiles=sum(how.endswith("sRGB") for how in hows),
            broken_profiles=sum("broken_profile" in facts for facts in rare.values()),
            on_black=sum(how.startswith("on black") for how in hows),
            one_colour=len(blank),
            one_colour_example=min(blank, default=""),
            dark=sum(brightest <= _DARK for (*_, brightest), _ in seen),
        )

    def _scaled(self, values: Range, rare: dict[int, Facts]) -> Scaled:
        images = sum(facts["range"][0] == values.whole for facts in rare.values() if "range" in facts)
        black, white = scale_of(values)
        return Scaled(images, values.whole, values.least, values.most, black, white)

    def _ranges(self, rare: dict[int, Facts]) -> Iterator[Range]:
        return (Range(*facts["range"]) for facts in rare.values() if "range" in facts)
