"""Describes how the settings of a checkpoint differ from the current ones."""

from collections.abc import Mapping
from typing import Any

from framework.config.describe import default_of
from framework.config.schema import DataConfig

# What decides which images are packed, how, and which of them are held out.
_OF_IMAGES = ("source", "resolution", "channels", "limit", "held_out", "seed", "rules", "copies")


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


def what_gives_back(began: DataConfig, now: DataConfig) -> str:
    """Which keys give back the images that a run began with.

    >>> what_gives_back(DataConfig(rules=1, limit=64), DataConfig())
    'data.limit=64 data.rules=1 gives them back'
    >>> what_gives_back(DataConfig(copies="keep"), DataConfig())
    'data.copies=keep gives them back'
    """
    changed = [name for name in _OF_IMAGES if getattr(began, name) != getattr(now, name)]
    if not changed:
        return "no key gives them back: the files of data.path are others than then"
    keys = (f"data.{name}={_typed(getattr(began, name))}" for name in changed)
    return f"{' '.join(keys)} gives them back"


def _typed(value: object) -> str:
    return "null" if value is None else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} layers"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
