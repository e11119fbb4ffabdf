"""The values that a key allows, in words, for error messages and for help."""

import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from framework.config.secrets import login_fault

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


@dataclass(frozen=True)
class Described:
    """An annotation of a type that says in words what it allows."""

    words: str


def allowed(kind: Any, limits: Iterable[Any] = ()) -> str:
    """A type annotation and its bounds in words.

    >>> from annotated_types import Ge, Le
    >>> allowed(int | None, [Ge(1), Le(8)])
    'a whole number from 1 to 8 or null'
    >>> allowed(Literal["auto", 64, 192]), allowed(list[int] | dict[str, str])
    ('auto, 64 or 192', 'a list of whole numbers or a mapping')
    """
    *most, last = dict.fromkeys(_members(kind, list(limits)))
    return f"{', '.join(most)} or {last}" if most else last


def shown(value: Any) -> str:
    """A value as the user wrote it, shortened if it is long.

    >>> shown(None), shown(True), shown("x"), shown(2e-4)
    ('null', 'true', "'x'", '0.0002')
    """
    if isinstance(value, str) and login_fault(value):
        return "a URI with a login"
    yaml_names = {"None": "null", "True": "true", "False": "false"}
    try:
        text = yaml_names.get(repr(value), repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:79] + "…"


def is_text(kind: Any) -> bool:
    """Whether a key holds text, possibly null, and no other type."""
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
        groups = (getattr(limit, "metadata", [limit]) for limit in arguments[1:])  # pydantic's Field holds several
        yield from _members(arguments[0], [*limits, *(limit for group in groups for limit in group)])
    elif origin is Literal:
        yield from (str(option) for option in arguments)
    elif origin is list:
        yield f"a list of {_plural(allowed(arguments[0]))}"
    elif origin is dict or kind is dict:
        yield next((limit.words for limit in limits if isinstance(limit, Described)), "a mapping")
    elif kind in (int, float):
        yield f"{NAMES[kind]}{_bounds(limits)}"
    elif kind is str:
        yield next((f"text like {limit.pattern}" for limit in limits if getattr(limit, "pattern", None)), NAMES[str])
    else:
        yield NAMES.get(kind, "a mapping of keys")


def _plural(text: str) -> str:
    return re.sub(r"^a (whole number|number|mapping)\b", r"\1s", text)


def _bounds(limits: list[Any]) -> str:
    bounds = {
        name: getattr(limit, name) for limit in limits for name in ("gt", "ge", "lt", "le") if hasattr(limit, name)
    }
    if bounds.keys() == {"ge", "le"}:
        return f" from {_number(bounds['ge'])} to {_number(bounds['le'])}"
    phrases = {"gt": "greater than", "ge": "of at least", "lt": "less than", "le": "at most"}
    parts = [f"{phrases[name]} {_number(bounds[name])}" for name in phrases if name in bounds]
    return f" {' and '.join(parts)}" if parts else ""


def _number(value: float) -> str:
    if value != int(value):
        return str(value)
    return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
