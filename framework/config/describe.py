"""The schema in words, for a job's --help, and the default of each key."""

import textwrap
from dataclasses import dataclass
from typing import Any

from framework.config.experiment import Experiment
from framework.config.faults import leaves, sections
from framework.config.renames import RENAMED
from framework.config.words import allowed
from framework.errors import ConfigError

COLUMNS = 110
MOST_PADDED = 36  # the text after a longer `key=default` begins further right


@dataclass(frozen=True)
class KeyHelp:
    """One key of the configuration.

    Args:
        default: The value if nothing sets it.
        unit: The unit of a number; empty if it has none.
        allowed: The values that it allows, in words.
        text: The line of help.
    """

    key: str
    default: Any
    unit: str
    allowed: str
    text: str


def default_of(dotted: str) -> Any:
    """The default of a key; None for a key that the schema does not know.

    >>> default_of("optimizer.beta1"), default_of("optimizer.beta9")
    (0.5, None)
    """
    field = dict(leaves()).get(RENAMED.get(dotted, dotted))
    return field.get_default(call_default_factory=True) if field else None


def describe_keys(names: list[str] | None = None) -> list[KeyHelp]:
    """The keys of some sections, or all keys, in the schema's order.

    Args:
        names: Sections (`model`, `latents.walks`) and single keys (`seed`, `model.entry`); None for all keys.

    Raises:
        ConfigError: No section or key has such a name.
    """
    known = {*sections(), *(key for key, _ in leaves())}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]}: not a section; the sections are {', '.join(Experiment.model_fields)}")
    return [
        KeyHelp(
            key=key,
            default=field.get_default(call_default_factory=True),
            unit=field.json_schema_extra["unit"],
            allowed=allowed(field.annotation, field.metadata),
            text=field.description,
        )
        for key, field in leaves()
        if names is None or any(f"{key}.".startswith(f"{name}.") for name in names)
    ]


def help_text(names: list[str] | None = None) -> str:
    """Aligned lines, `key=default  text [unit]`, of `describe_keys`; at most 110 columns, longer text is wrapped."""
    return aligned(describe_keys(names))


def aligned(keys: list[KeyHelp]) -> str:
    """As help_text, for any keys."""
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
    """A default as it is typed after the equals sign."""
    if default is None or isinstance(default, bool):
        return {None: "null", True: "true", False: "false"}[default]
    return f'"{default}"' if isinstance(default, str) and " " in default else str(default)
