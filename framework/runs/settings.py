"""Which settings differ between a checkpoint and what is asked for, in words."""

from collections.abc import Mapping
from typing import Any

from framework.config.describe import default_of


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key -> `key: 0.0002 there, 0.001 here` for each that differs; one that is not named is at its default.

    >>> differences({}, {"optimizer.beta1": 0.0})
    {'optimizer.beta1': 'optimizer.beta1: 0.5 there, 0.0 here'}
    """
    lines = {}
    for key in sorted({*there, *here}):
        old, new = (learned.get(key, default_of(key)) for learned in (there, here))
        if old != new:
            lines[key] = f"{key}: {_shown(old)} there, {_shown(new)} here"
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} layers"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
