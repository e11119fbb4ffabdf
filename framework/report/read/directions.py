"""What directions do, as artifacts/effects.json says (`latents/steering/effects.py`): in the page's order, by size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from framework.report.read.json_values import as_list, as_text, finite


@dataclass(frozen=True)
class AttributeEffect:
    """How an attribute answers to a direction.

    Attributes:
        slope: Logits a natural step.
        interval: That holds the true slope in 95% of such measurements; None where the file does not say.
        right_share: Share of latents whose own slope is above 0.
        random_rank: Share of random directions whose slope is smaller, signs left aside.
        random_99th: The size under which 99% of them stay.
        random_directions: How many there were.
    """

    slope: float
    interval: tuple[float, float] | None
    right_share: float | None
    random_rank: float | None
    random_99th: float | None
    random_directions: float | None

    @property
    def beyond_random(self) -> bool:
        """Whether it is more than a random direction does; where nothing is known of those, it is not."""
        return self.random_99th is not None and abs(self.slope) > self.random_99th

    @property
    def size(self) -> tuple[bool, float]:
        """What answers are compared by."""
        return self.beyond_random, abs(self.slope)


@dataclass(frozen=True)
class EditRange:
    """How much of its edit a steerable direction reaches.

    Attributes:
        unit: What an amount of 1 is.
        least, most: Amounts at the least and the greatest strength.
        saturates_at: From which size of a strength another one adds less than half; None where none does.
        data_spread: Standard deviation of the amount over real images.
    """

    unit: str
    least: float
    most: float
    saturates_at: float | None
    data_spread: float | None


@dataclass(frozen=True)
class DirectionEffect:
    """What a direction does.

    Attributes:
        stem: Its file's name without the ending, which its pictures have too.
        method: What found it.
        target: The attribute that it was made for, or another name.
        answers: Attribute -> how it answers.
        leaves_data_at: The strength from which samples lie far from real images; None where none was so far.
        farthest: The greatest strength at which that was looked at; None where it was not.
        latents: How many latents were moved.
        made_with: Digests of the generator and of the assessor.
        walked: Of a steerable one.
    """

    stem: str
    method: str
    target: str
    answers: dict[str, AttributeEffect]
    leaves_data_at: float | None
    farthest: float | None
    latents: float | None
    made_with: tuple[str, str]
    walked: EditRange | None = None

    @property
    def attribute(self) -> str | None:
        """Its own attribute, else the one that it moves most; None where nothing was measured."""
        if self.target in self.answers:
            return self.target
        return max(self.answers, key=lambda name: self.answers[name].size, default=None)

    @property
    def answer(self) -> AttributeEffect | None:
        """Of that attribute."""
        return None if self.attribute is None else self.answers[self.attribute]

    @property
    def right_share(self) -> float | None:
        """Share of latents on which its own attribute rises; another one is as right falling, if that is its way."""
        answer = self.answer
        if answer is None or answer.right_share is None:
            return None
        falls = self.attribute != self.target and answer.slope < 0
        return 1 - answer.right_share if falls else answer.right_share


def effects_of(document: Any) -> list[DirectionEffect]:
    """The directions by attribute, those that move it most first; whatever is odd in the file is left out."""
    named: dict[str, DirectionEffect] = {}
    for file, row in document.items() if isinstance(document, dict) else ():
        if isinstance(row, dict):
            effect = _effect(str(file), row)
            named.setdefault(effect.stem, effect)
    found = list(named.values())
    places = {name: place for place, name in enumerate(attributes_of(found))}

    def order(effect: DirectionEffect) -> tuple[Any, ...]:
        if effect.attribute is None or effect.answer is None:
            return len(places), 0, 0.0, effect.stem
        beyond, size = effect.answer.size
        return places[effect.attribute], not beyond, -size, effect.stem

    return sorted(found, key=order)


def attributes_of(effects: Sequence[DirectionEffect]) -> list[str]:
    """All attributes that any direction was measured on, in the order in which they first come."""
    return list(dict.fromkeys(name for effect in effects for name in effect.answers))


def strongest(effects: Sequence[DirectionEffect], *, most: int) -> dict[str, list[str]]:
    """Stem -> the attributes that this direction moves more than the others do, and more than random ones do.

    Args:
        effects: All directions.
        most: At most so many directions, the strongest.
    """
    winners = []
    for name in attributes_of(effects):
        moving = [effect for effect in effects if name in effect.answers and effect.answers[name].beyond_random]
        if moving:
            best = max(moving, key=lambda effect: effect.answers[name].size)
            winners.append((abs(best.answers[name].slope), best.stem, name))
    found: dict[str, list[str]] = {}
    for _, stem, name in sorted(winners, key=lambda winner: -winner[0]):
        if stem in found or len(found) < most:
            found.setdefault(stem, []).append(name)
    return found


def _effect(file: str, row: dict[str, Any]) -> DirectionEffect:
    answers, strengths, distances = (row.get(name) for name in ("attributes", "data_strengths", "data_distance"))
    sizes = [abs(size) for strength in as_list(strengths) if (size := finite(strength)) is not None]
    return DirectionEffect(
        stem=PurePosixPath(file).name.removesuffix(".safetensors"),
        method=as_text(row.get("method")) or "–",
        target=as_text(row.get("target")),
        answers={
            str(name): answer
            for name, part in (answers.items() if isinstance(answers, dict) else ())
            if isinstance(part, dict) and (answer := _answer(part)) is not None
        },
        leaves_data_at=finite(row.get("leaves_data_at")),
        farthest=max(sizes, default=None) if as_list(distances) else None,
        latents=finite(row.get("latents")),
        made_with=(str(row.get("generator")), str(row.get("assessor"))),
        walked=_walked(row.get("reach"), as_text(row.get("edit_unit"))),
    )


def _walked(part: Any, unit: str) -> EditRange | None:
    if not isinstance(part, dict):
        return None
    pairs = [
        (strength, reached)
        for one, other in zip(as_list(part.get("strengths")), as_list(part.get("reached")), strict=False)
        if (strength := finite(one)) is not None and (reached := finite(other)) is not None
    ]
    if not pairs:
        return None
    spread, saturates = finite(part.get("data_spread")), finite(part.get("saturates_at"))
    return EditRange(unit, min(pairs)[1], max(pairs)[1], saturates, spread)


def _answer(row: dict[str, Any]) -> AttributeEffect | None:
    slope = finite(row.get("slope"))
    if slope is None:
        return None
    ends = [finite(end) for end in as_list(row.get("interval"))]
    interval = (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None
    names = ("right_share", "random_rank", "random_99th", "random_directions")
    return AttributeEffect(slope, interval, *(finite(row.get(name)) for name in names))
