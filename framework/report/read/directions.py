"""The measured effects of directions, read from artifacts/effects.json (`framework.latents.steering.effects`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from framework.report.read.json_values import as_list, as_text, finite


@dataclass(frozen=True)
class AttributeEffect:
    """The effect of a direction on one attribute.

    Attributes:
        slope: Change of the attribute in logits per natural step.
        interval: The 95% confidence interval of the slope; None if the file does not contain it.
        right_share: Share of latents whose slope is above 0.
        random_rank: Share of random directions whose absolute slope is smaller.
        random_99th: The 99th percentile of the random directions' absolute slopes.
        random_directions: The number of random directions.
    """

    slope: float
    interval: tuple[float, float] | None
    right_share: float | None
    random_rank: float | None
    random_99th: float | None
    random_directions: float | None

    @property
    def beyond_random(self) -> bool:
        """Whether the slope exceeds the 99th percentile of random directions; False if that is unknown."""
        return self.random_99th is not None and abs(self.slope) > self.random_99th

    @property
    def size(self) -> tuple[bool, float]:
        """The sort key: effects beyond random ones come first, then larger slopes."""
        return self.beyond_random, abs(self.slope)


@dataclass(frozen=True)
class EditRange:
    """How much of its edit a steerable direction reaches.

    Attributes:
        unit: The unit of the amounts.
        least, most: The amounts reached at the smallest and the greatest strength.
        saturates_at: The strength from which a further step adds less than half as much; None if there is none.
        data_spread: Standard deviation of the amount over real images.
    """

    unit: str
    least: float
    most: float
    saturates_at: float | None
    data_spread: float | None


@dataclass(frozen=True)
class DirectionEffect:
    """The measured effects of one direction.

    Attributes:
        stem: The file's name without its suffix; its pictures have the same one.
        method: The method that found the direction.
        target: The attribute that it was made for, or another name.
        answers: Attribute -> the effect on it.
        leaves_data_at: The strength from which samples are far from real images; None if no measured strength is.
        farthest: The greatest strength at which this distance was measured; None if it was not.
        latents: The number of latents that were moved.
        made_with: Digests of the generator and of the assessor.
        walked: The reach of its edit; only steerable directions have one.
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
        """The attribute that it was made for, else the one that it changes most; None if nothing was measured."""
        if self.target in self.answers:
            return self.target
        return max(self.answers, key=lambda name: self.answers[name].size, default=None)

    @property
    def answer(self) -> AttributeEffect | None:
        """The effect on that attribute."""
        return None if self.attribute is None else self.answers[self.attribute]

    @property
    def right_share(self) -> float | None:
        """Share of latents whose attribute rises, or falls if it is not the target and its slope is negative."""
        answer = self.answer
        if answer is None or answer.right_share is None:
            return None
        falls = self.attribute != self.target and answer.slope < 0
        return 1 - answer.right_share if falls else answer.right_share


def effects_of(document: Any) -> list[DirectionEffect]:
    """The directions by attribute, the strongest first; malformed entries of the file are left out."""
    named: dict[str, DirectionEffect] = {}
    for file, row in document.items() if isinstance(document, dict) else ():
        if isinstance(row, dict):
            effect = _effect(str(file), row)
            named.setdefault(effect.stem, effect)
    effects = list(named.values())
    positions = {name: position for position, name in enumerate(attributes_of(effects))}

    def order(effect: DirectionEffect) -> tuple[Any, ...]:
        if effect.attribute is None or effect.answer is None:
            return len(positions), 0, 0.0, effect.stem
        beyond, size = effect.answer.size
        return positions[effect.attribute], not beyond, -size, effect.stem

    return sorted(effects, key=order)


def attributes_of(effects: Sequence[DirectionEffect]) -> list[str]:
    """All attributes that any direction was measured on, in the order of their first occurrence."""
    return list(dict.fromkeys(name for effect in effects for name in effect.answers))


def strongest(effects: Sequence[DirectionEffect], *, most: int) -> dict[str, list[str]]:
    """Stem -> the attributes for which this direction is the strongest, and stronger than random directions.

    Args:
        effects: The effects of all directions.
        most: The maximum number of directions; the strongest are kept.
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
