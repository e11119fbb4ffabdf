"""Values that change during a training: a key may hold a schedule in place of a number.

A schedule is a mapping such as `{from: 2e-4, to: 5e-5, over: 200000, shape: cosine}`. Its value is a function of
`images_seen` alone, so it neither depends on where a training was interrupted nor on `training.total_images`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeGuard, get_args

from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError

from framework.config.words import Described, allowed, shown

SHAPES = ("cosine", "linear")
ENDS = ("from", "to")
PARTS = (*ENDS, "over", "shape")
_MOST_IMAGES = 10**12 - 1


def _written_out(schedule: dict[Any, Any]) -> dict[Any, Any]:
    """A schedule in the one form that the digest sees: known parts in order, ends as floats, the shape always there."""
    ordered = {part: schedule[part] for part in PARTS if part in schedule} | {"shape": schedule.get("shape", SHAPES[0])}
    ordered |= {end: float(ordered[end]) for end in ENDS if _is_number(ordered.get(end))}
    return ordered | {name: value for name, value in schedule.items() if name not in PARTS}


Schedule = Annotated[dict[Any, Any], Described("a schedule {from, to, over}"), AfterValidator(_written_out)]
"""The type of a schedule. A key that accepts one has the type `Annotated[float, Field(…)] | Schedule`; the bounds of
the number hold for both ends."""


def value_at(value: float | Mapping[str, Any], images_seen: int) -> float:
    """The value of a number or schedule after this many images.

    Linear: `from + (to - from) · t` with t = images_seen / over, at most 1. Cosine: t is replaced by (1 - cos πt) / 2
    (Loshchilov and Hutter 2017, without restarts). From `over` on it is exactly `to`.

    >>> value_at(0.5, 7), value_at({"from": 1.0, "to": 3.0, "over": 100, "shape": "linear"}, 25)
    (0.5, 1.5)
    >>> [value_at({"from": 2.0, "to": 1.0, "over": 100, "shape": "cosine"}, images) for images in (0, 50, 100, 900)]
    [2.0, 1.5, 1.0, 1.0]
    """
    if not isinstance(value, Mapping):
        return value
    if images_seen >= value["over"]:
        return value["to"]
    share = images_seen / value["over"]
    if value["shape"] == "cosine":
        share = (1.0 - math.cos(math.pi * share)) / 2.0
    return value["from"] + (value["to"] - value["from"]) * share


def highest(value: float | Mapping[str, Any]) -> float:
    """The highest value that a number or schedule takes; it is 0 for what never has an effect.

    >>> highest(0.5), highest({"from": 2.0, "to": 0.0, "over": 100, "shape": "linear"})
    (0.5, 2.0)
    """
    return max(value["from"], value["to"]) if isinstance(value, Mapping) else value


def in_short(value: Any) -> str | None:
    """A schedule on one short line, for tables; None for any other value of a settings file.

    >>> in_short({"from": 2e-4, "to": 5e-5, "over": 200_000, "shape": "cosine"})
    '0.0002 to 5e-05 over 200,000'
    >>> in_short({"from": 0, "to": 0.3, "over": 1_000, "shape": "linear"}), in_short(0.3)
    ('0 to 0.3 over 1,000 linear', None)
    """
    if not isinstance(value, Mapping) or not all(_is_number(value.get(part)) for part in (*ENDS, "over")):
        return None
    line = f"{value['from']:.4g} to {value['to']:.4g} over {value['over']:,}"
    shape = value.get("shape", SHAPES[0])
    return line if shape == SHAPES[0] else f"{line} {shape}"


def whole_key(dotted: str) -> str:
    """The key that a dotted name means or is a part of.

    >>> whole_key("optimizer.generator_lr.from"), whole_key("model.width")
    ('optimizer.generator_lr', 'model.width')
    """
    before, _, last = dotted.rpartition(".")
    return before if last in PARTS and "." in before else dotted


def last_name(dotted: str) -> str:
    """The part of a dotted name that tells it apart in a narrow place.

    >>> last_name("optimizer.generator_lr"), last_name("optimizer.generator_lr.from")
    ('generator_lr', 'generator_lr.from')
    """
    return dotted[len(whole_key(dotted).rpartition(".")[0]) :].lstrip(".")


def schedulable_keys(experiment: BaseModel) -> Iterator[tuple[str, Any, Any]]:
    """The dotted name, the type of the number and the value of each key that accepts a schedule."""
    for section in type(experiment).model_fields:
        values = getattr(experiment, section)
        if not isinstance(values, BaseModel):
            continue
        for name, field in type(values).model_fields.items():
            members = get_args(field.annotation)
            if Schedule in members:
                number = next(member for member in members if _base(member) in (int, float))
                yield f"{section}.{name}", number, getattr(values, name)


def scheduled(experiment: BaseModel) -> dict[str, Mapping[str, Any]]:
    """Dotted key -> schedule of each key that has one, in the schema's order."""
    return {dotted: value for dotted, _, value in schedulable_keys(experiment) if isinstance(value, Mapping)}


def schedule_faults(experiment: BaseModel) -> Iterator[str]:
    """One line for each fault of a schedule, beginning with the dotted key."""
    for dotted, number, value in schedulable_keys(experiment):
        if isinstance(value, Mapping):
            yield from _faults(dotted, number, value)


def _faults(dotted: str, number: Any, schedule: Mapping[str, Any]) -> Iterator[str]:
    unknown = [name for name in schedule if name not in PARTS]
    if unknown:
        yield f"{dotted}: a schedule has from, to, over and shape, not {shown(unknown[0])}"
    missing = [part for part in (*ENDS, "over") if part not in schedule]
    if missing:
        yield f"{dotted}: a schedule needs from, to and over; this one lacks {' and '.join(missing)}"
    for end in ENDS:
        if end in schedule and not _is_allowed(number, schedule[end]):
            yield f"{dotted}.{end}: must be {allowed(number)}, not {shown(schedule[end])}"
    over = schedule.get("over", 1)
    if not isinstance(over, int) or isinstance(over, bool) or not 1 <= over <= _MOST_IMAGES:
        yield f"{dotted}.over: must be a whole number of images from 1 to {_MOST_IMAGES:,}, not {shown(over)}"
    if schedule["shape"] not in SHAPES:
        yield f"{dotted}.shape: must be {' or '.join(SHAPES)}, not {shown(schedule['shape'])}"


def _is_allowed(number: Any, value: Any) -> bool:
    if not _is_number(value):
        return False
    try:
        TypeAdapter(number).validate_python(value)
    except ValidationError:
        return False
    return True


def _is_number(value: Any) -> TypeGuard[float]:
    # Finite, and a larger whole number has no float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300


def _base(kind: Any) -> Any:
    return get_args(kind)[0] if get_args(kind) else kind
