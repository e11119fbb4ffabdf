"""The schema in words: what a job's --help shows, and what a key is when nobody says otherwise."""

import textwrap
from dataclasses import dataclass
from typing import Any

from framework.config.experiment import Experiment
from framework.config.faults import leaves
from framework.config.words import wanted
from framework.errors import ConfigError

COLUMNS = 110
MOST_PADDED = 36  # a longer `key=default` has its text begin further right or on the next line


@dataclass(frozen=True)
class KeyHelp:
    """One key of the configuration.

    Args:
        key: Dotted.
        default: What it is when nobody says otherwise.
        unit: Of its number; empty where it has none.
        allowed: What it may hold, in words.
        text: Its line of help.
    """

    key: str
    default: Any
    unit: str
    allowed: str
    text: str


def default_of(dotted: str) -> Any:
    """A key's default; None for a key that the schema does not know.

    >>> default_of("optimizer.beta1"), default_of("optimizer.beta9")
    (0.5, None)
    """
    field = dict(leaves()).get(dotted)
    return field.get_default(call_default_factory=True) if field else None


def describe_keys(sections: list[str] | None = None) -> list[KeyHelp]:
    """Every key of some sections (or single keys, such as `seed`, `model.entry`), or of all, in the schema's order.

    Raises:
        ConfigError: There is no such section.
    """
    single = {key for key, _ in leaves()}
    unknown = [name for name in sections or [] if name not in Experiment.model_fields and name not in single]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no section; there are {', '.join(Experiment.model_fields)}")
    return [
        KeyHelp(
            key=key,
            default=field.get_default(call_default_factory=True),
            unit=field.json_schema_extra["unit"],
            allowed=wanted(field.annotation, field.metadata),
            text=field.description,
        )
        for key, field in leaves()
        if sections is None or key in sections or key.partition(".")[0] in sections
    ]


def help_text(sections: list[str] | None = None) -> str:
    """Aligned lines, `key=default  text [unit]`, at most 110 columns wide; a long text goes on below itself."""
    return aligned(describe_keys(sections))


def aligned(keys: list[KeyHelp]) -> str:
    """As help_text, of any keys."""
    heads = [f"{key.key}={_written(key.default)}" for key in keys]
    width = max((len(head) for head in heads if len(head) <= MOST_PADDED), default=0)
    lines: list[str] = []
    for key, head in zip(keys, heads, strict=True):
        text = f"{key.text} [{key.unit}]" if key.unit else key.text
        first = head.ljust(width) + "  "
        body = textwrap.wrap(text, COLUMNS, initial_indent=first, subsequent_indent=" " * (width + 2))
        lines += body
    return "\n".join(lines)


def _written(default: Any) -> str:
    """As it would be typed after the equals sign."""
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    return f'"{default}"' if isinstance(default, str) and " " in default else str(default)
