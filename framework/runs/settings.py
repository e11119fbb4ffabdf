"""Describes how the settings of a checkpoint differ from the current ones."""

from collections.abc import Mapping
from typing import Any

from framework.config.describe import default_of


def differences(saved: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key -> `key: was 0.0002, is now 0.001` for each key that differs; missing keys have their defaults.

    >>> differences({}, {"optimizer.beta1": 0.0})
    {'optimizer.beta1': 'optimizer.beta1: was 0.5, is now 0.0'}
    """
    lines = {}
    for key in sorted({*saved, *current}):
        old, new = (settings.get(key, default_of(key)) for settings in (saved, current))
        if old != new:
            lines[key] = f"{key}: was {_shown(old)}, is now {_shown(new)}"
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} layers"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
