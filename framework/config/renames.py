"""Keys that were renamed: their old names are still accepted wherever a key is accepted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from framework.config.faults import leaves
from framework.config.schema import LatentsConfig
from framework.config.words import shown

Say = Callable[[str], None]
_MOST_LINES = 5  # of a document with more old names only one line is said

# The keys of `latents` before they had sections, in their order of then, and where each is now.
_LATENTS = {
    "interpolation_steps": "walks.steps",
    "path_pairs": "walks.pairs",
    "loop_samples": "walks.loop_samples",
    "corner_steps": "walks.corner_steps",
    "sheet_samples": "arithmetic.sheet_samples",
    "groups": "groups",
    "expression": "arithmetic.expression",
    "fallback_expression": "arithmetic.fallback_expression",
    "group_size": "arithmetic.group_size",
    "candidates": "arithmetic.candidates",
    "repeats": "arithmetic.repeats",
    "method": "directions.method",
    "name": "directions.name",
    "attributes": "directions.attributes",
    "fixed": "directions.fixed",
    "samples": "directions.samples",
    "side": "directions.per_class",
    "components": "directions.components",
    "edits": "directions.edits",
    "walk": "directions.path",
    "score": "directions.score",
    "learning_rate": "directions.learning_rate",
    "directions": "steering.directions",  # a list; a mapping is the section `latents.directions`
    "strengths": "steering.strengths",
    "strip_samples": "steering.strip_samples",
    "effect_samples": "steering.effect_samples",
    "random_directions": "steering.random_directions",
    "piles": "directions.sorted_samples",
    "projection_features": "projection.features",
    "projection_starts": "projection.starts",
    "projection_steps": "projection.steps",
    "projection_controls": "projection.controls",
    "projection_held_out": "projection.held_out",
    "map_method": "maps.method",
    "map_images": "maps.images",
    "map_samples": "maps.samples",
    "map_steps": "maps.steps",
    "map_confidence": "maps.confidence",
    "map_label": "maps.label",
    "seed": "seed",
    "start": "start",
}
RENAMED: dict[str, str] = {
    "evaluation.batch_size": "evaluation.feature_batch_blocks",
    **{f"latents.{old}": f"latents.{new}" for old, new in _LATENTS.items() if old != new},
}
"""Old dotted name -> new one."""


def new_name(dotted: str, value: Any = None) -> str:
    """The name that a key has now.

    `latents.directions` was a list and is now a section, so its value decides which of the two is meant.

    >>> new_name("latents.side"), new_name("model.width")
    ('latents.directions.per_class', 'model.width')
    >>> new_name("latents.directions", ["smiling"]), new_name("latents.directions", {"method": "sefa"})
    ('latents.steering.directions', 'latents.directions')
    """
    is_section = dotted == "latents.directions" and (value is None or isinstance(value, Mapping))
    return dotted if is_section else RENAMED.get(dotted, dotted)


def rename_overrides(overrides: Mapping[str, Any], say: Say | None = None) -> tuple[dict[str, Any], list[str]]:
    """Dotted overrides under their new names, and a line for each key that has two different values.

    Args:
        overrides: Dotted key -> value; a section's value is a mapping.
        say: Called with one line for each old name.
    """
    renamed: dict[str, Any] = {}
    typed: dict[str, str] = {}
    faults: list[str] = []
    for key, value in overrides.items():
        name = new_name(key, value)
        if name in renamed and renamed[name] != value:
            old = key if key != name else typed[name]
            faults.append(_two_values(old, name, overrides[old], overrides[name]))
            continue
        if name != key and say is not None:
            say(_renamed_line(key, name))
        renamed[name], typed[name] = value, key
        if isinstance(value, Mapping) and any(old.startswith(f"{name}.") for old in RENAMED):
            document, more = rename_document({name: value}, say)
            renamed[name] = document[name]
            faults += more
    return renamed, faults


def rename_document(document: Mapping[str, Any], say: Say | None = None) -> tuple[dict[str, Any], list[str]]:
    """A copy of a YAML document with nested sections in which old keys have their new names, and a line per fault.

    If there are more than five old names, `say` is called with one line for all of them.
    """
    result = _copied(document)
    old_values = dict(_taken(result))
    faults: list[str] = []
    if say is not None:
        for line in _renamed_lines(list(old_values)):
            say(line)
    for old, value in old_values.items():
        new = RENAMED[old]
        section, name = _section_for(result, new)
        if section is None:  # something else than a section stands there, and the schema refuses it
            continue
        if name in section and section[name] != value:
            faults.append(_two_values(old, new, value, section[name]))
        section.setdefault(name, value)
    return result, faults


def flat_latents(latents: LatentsConfig) -> dict[str, Any]:
    """The section `latents` as the documents of studies record it: flat, under the old names.

    Artifacts are found again by comparing these documents, so a renamed key must not change them. For the same reason a
    key that came later is in them, under its dotted name, only where it is not at its default.
    """
    flat = {old: attrgetter(new)(latents) for old, new in _LATENTS.items()}
    for name, field in leaves(LatentsConfig):
        value = attrgetter(name)(latents)
        if name not in _LATENTS.values() and value != field.default:
            flat[name] = value
    return flat


def _taken(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Takes every old key out of a document: its dotted old name and its value."""
    for old in RENAMED:
        section, _, name = old.partition(".")
        keys = document.get(section)
        if isinstance(keys, dict) and name in keys and new_name(old, keys[name]) != old:
            yield old, keys.pop(name)


def _section_for(document: dict[str, Any], dotted: str) -> tuple[dict[str, Any] | None, str]:
    """The mapping that a key belongs in, added where it is missing, and the key's own name."""
    *path, name = dotted.split(".")
    section = document
    for step in path:
        if section.get(step) is None:
            section[step] = {}
        section = section[step]
        if not isinstance(section, dict):
            return None, name
    return section, name


def _copied(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in document.items()}


def _renamed_lines(old_names: Sequence[str]) -> list[str]:
    """A line for each; one for all if there are many, as in a run's experiment.yaml that serves as a config."""
    if len(old_names) <= _MOST_LINES:
        return [_renamed_line(old, RENAMED[old]) for old in old_names]
    example = f"{old_names[0]} is now {RENAMED[old_names[0]]}"
    names = f"Renamed: {len(old_names)} keys have new names, for example {example}"
    return [f"{names}; the old names still work, and docs/latents.md lists them"]


def _renamed_line(old: str, new: str) -> str:
    return f"Renamed: {old} is now {new}; the old name still works"


def _two_values(old: str, new: str, old_value: Any, new_value: Any) -> str:
    values = f"{shown(old_value)} and {shown(new_value)}"
    return f"{old}: is the old name of {new}, and the two have different values, {values}; remove {old}"
