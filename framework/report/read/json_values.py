"""Reads values from files that may contain anything: the value if it has the expected type, else an empty one."""

import math
from typing import Any


def finite(value: Any) -> float | None:
    """A finite number from JSON or CSV; None for anything else.

    >>> [finite(value) for value in (1, "2.5", "", None, float("nan"), "inf", True, 10**400)]
    [1.0, 2.5, None, None, None, None, None, None]
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is a dict, else an empty dict."""
    return value if isinstance(value, dict) else {}


def as_interval(value: Any) -> list[float]:
    """The two ends of an interval, or an empty list.

    >>> as_interval([1, 2.5]), as_interval([1]), as_interval(["a", 2])
    ([1.0, 2.5], [], [])
    """
    ends = [number for end in as_list(value) if (number := finite(end)) is not None]
    return ends if len(ends) == 2 == len(as_list(value)) else []


def as_text(value: Any) -> str:
    """The value if it is text, else an empty text."""
    return value if isinstance(value, str) else ""
