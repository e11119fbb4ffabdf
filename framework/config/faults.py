"""Turns the errors that pydantic finds into one-line messages: the dotted key, what it must be, and what was given."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from framework.config.experiment import Experiment
from framework.config.words import allowed, shown

Place = tuple[int | str, ...]
_MOST_SUGGESTIONS = 20  # each takes some milliseconds
_LONGEST_NAME = 100  # of a key that is compared with the known ones, or shown


def fault_lines(fault: ValidationError) -> list[str]:
    """One line for each fault, beginning with its dotted key."""
    faults = list(_faults(fault))
    # Of a union's types pydantic reports each. If one fits except for something within it, the others are left out.
    within = {place[: match.start()] for place, _ in faults for match in re.finditer(r"[.\[]", place)}
    return list(dict.fromkeys(line for place, line in faults if not place or place not in within))


def _faults(fault: ValidationError) -> Iterator[tuple[str, str]]:
    suggestions = 0
    for error in fault.errors():
        place = shortened(_dotted(error["loc"]))
        if error["type"] == "value_error":
            yield from (("", line) for line in str(error.get("ctx", {}).get("error", error["msg"])).splitlines())
        elif error["type"] == "invalid_key":
            yield place, f"{place}: keys must be text, not {shown(error['input'])}"
        elif error["type"] == "extra_forbidden":
            suggestions += 1
            close = nearest(place) if suggestions <= _MOST_SUGGESTIONS else None
            yield place, f"{place}: unknown key" + (f"; did you mean {close}?" if close else "")
        else:
            place, rule = _rule(error["loc"])
            place = shortened(place)
            yield place, f"{place}: must be {rule}, not {shown(error['input'])}"


def shortened(key: str) -> str:
    """A key as it is shown: the beginning of a very long one."""
    return key if len(key) <= _LONGEST_NAME else f"{key[:_LONGEST_NAME]}…"


def leaves(section: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key of a section with its field, in the schema's order."""
    for name, field in section.model_fields.items():
        below = section_of(field.annotation)
        if below is not None:
            yield from leaves(below, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def sections(section: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[str]:
    """The dotted name of each section, `latents` and `latents.walks` too, in the schema's order."""
    for name, field in section.model_fields.items():
        below = section_of(field.annotation)
        if below is not None:
            yield prefix + name
            yield from sections(below, f"{prefix}{name}.")


def section_of(kind: Any) -> type[BaseModel] | None:
    """The section that a field holds; None if it holds a value."""
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def nearest(dotted: str) -> str | None:
    """The known key or section that an unknown one was probably meant to be.

    >>> nearest("optimizer.lr"), nearest("generator_lr"), nearest("trainig"), nearest("foo")
    ('optimizer.generator_lr', 'optimizer.generator_lr', 'training', None)
    """
    section, _, name = dotted.rpartition(".")
    if len(name) > _LONGEST_NAME:
        return None
    known_sections = [known for known in sections() if known.rpartition(".")[0] == section]
    best, best_score = None, 0.65
    for known in [key for key, _ in leaves()] + known_sections:
        known_section, _, known_name = known.rpartition(".")
        score = difflib.SequenceMatcher(None, name, known_name).ratio()
        if name in known_name.split("_"):
            score = max(score, 0.8)
        elif score < 0.65:
            continue
        score += 0.2 * (known_section == section)
        if score > best_score:
            best, best_score = known, score
    return best


def _rule(place: Place) -> tuple[str, str]:
    """The key at a place in the document, as a user would write it, and what its value must be."""
    kind: Any = Experiment
    limits: list[Any] = []
    path = ""
    for step in place:
        section = section_of(kind)
        if section is not None:
            field = section.model_fields[str(step)]
            kind, limits = field.annotation, field.metadata
            path = f"{path}.{step}" if path else str(step)
            continue
        containers = [member for member in (kind, *get_args(kind)) if get_origin(member) in (list, dict)]
        container = list if isinstance(step, int) else dict
        below = [get_args(member)[-1] for member in containers if get_origin(member) is container]
        # Any other step is pydantic's name for the member of a union that it tried.
        if below and step not in ("[key]",) and not _names_a_member(step, kind):
            kind, limits = below[0], []
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path, allowed(kind, limits)


def _names_a_member(step: int | str, kind: Any) -> bool:
    return isinstance(step, str) and step.startswith(("list[", "dict[")) and get_origin(kind) not in (list, dict)


def _dotted(place: Place) -> str:
    return ".".join(str(step) for step in place if step != "[key]")
