"""What a key may hold, in words: the same for faults and for help."""

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def wanted(kind: Any, limits: Iterable[Any] = ()) -> str:
    """A type annotation and its bounds in words.

    >>> from annotated_types import Ge, Le
    >>> wanted(int | None, [Ge(1), Le(8)])
    'a whole number from 1 to 8 or null'
    >>> wanted(Literal["auto", 64, 192]), wanted(list[int] | dict[str, str])
    ('auto, 64 or 192', 'a list of whole numbers or a mapping')
    """
    *most, last = dict.fromkeys(_members(kind, list(limits)))
    return f"{', '.join(most)} or {last}" if most else last


def said(value: Any) -> str:
    """A value as its writer knows it, cut where it is long.

    >>> said(None), said(True), said("x"), said(2e-4)
    ('null', 'true', "'x'", '0.0002')
    """
    words = {"None": "null", "True": "true", "False": "false"}
    text = words.get(repr(value), repr(value))
    return text if len(text) <= 80 else text[:79] + "…"


def is_text(kind: Any) -> bool:
    """Whether a key holds text, or nothing, and no other type."""
    return set(_plain_members(kind)) <= {str, type(None)}


def _plain_members(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _plain_members(member)
    elif get_origin(kind) is Annotated:
        yield from _plain_members(get_args(kind)[0])
    else:
        yield kind


def _members(kind: Any, limits: list[Any]) -> Iterator[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        for member in arguments:
            yield from _members(member, limits)
    elif origin is Annotated:
        given = (getattr(limit, "metadata", [limit]) for limit in arguments[1:])  # pydantic's Field holds several
        yield from _members(arguments[0], [*limits, *(limit for some in given for limit in some)])
    elif origin is Literal:
        yield from (str(option) for option in arguments)
    elif origin is list:
        yield f"a list of {_plural(wanted(arguments[0]))}"
    elif origin is dict or kind is dict:
        yield "a mapping"
    elif kind in (int, float):
        yield f"{NAMES[kind]}{_bounds(limits)}"
    elif kind is str:
        yield next((f"text like {limit.pattern}" for limit in limits if getattr(limit, "pattern", None)), NAMES[str])
    else:
        yield NAMES.get(kind, "a mapping of keys")


def _plural(text: str) -> str:
    return {"a whole number": "whole numbers", "a number": "numbers", "a mapping": "mappings"}.get(text, text)


def _bounds(limits: list[Any]) -> str:
    found = {
        name: getattr(limit, name) for limit in limits for name in ("gt", "ge", "lt", "le") if hasattr(limit, name)
    }
    if found.keys() == {"ge", "le"}:
        return f" from {_number(found['ge'])} to {_number(found['le'])}"
    phrases = {"gt": "greater than", "ge": "of at least", "lt": "less than", "le": "at most"}
    told = [f"{phrases[name]} {_number(found[name])}" for name in phrases if name in found]
    return f" {' and '.join(told)}" if told else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)
