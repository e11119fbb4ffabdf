"""Values of files that others may have written: of the kind that is wanted, or empty."""

import math
from typing import Any


def finite(value: Any) -> float | None:
    """A number that can be shown, from JSON or CSV, or None.

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
    """The value where it is a list, else an empty one: files are others' too."""
    return value if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """The value where it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """A text; empty where it is none."""
    return value if isinstance(value, str) else ""
