"""Reads YAML and dotted overrides into a frozen Experiment; all faults are reported together, by dotted key."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from framework.config.experiment import Experiment
from framework.config.faults import fault_lines, leaves, section_of
from framework.config.recipes import RECIPE, settings_of_recipe
from framework.config.renames import Say, new_name, rename_document, rename_overrides
from framework.config.words import is_text
from framework.config.yaml import parse_yaml
from framework.errors import ConfigError
from framework.files import MOST_DOCUMENT_BYTES, read_file

MOST_FAULTS = 100
# What the experiment.yaml of a run means that was written before these keys were there.
OF_OLD_RUNS = {"data.rules": 1, "data.copies": "keep"}
_QUOTES = "\"'"
_SUM_OF_QUOTED = re.compile(r"""("[^"]*"|'[^']*')\s*[-+−–]""")


def load_experiment(
    path: str | Path, overrides: Mapping[str, Any] | None = None, *, say: Say | None = None
) -> Experiment:
    """The experiment in a YAML file, with overrides; `name` defaults to the file's name without its ending.

    Args:
        overrides: Dotted key -> value; they take precedence over the file.
        say: Called with one line for each key that goes by its old name.

    Raises:
        ConfigError: The file is missing or not YAML, or a key or value is not allowed; has all faults.
    """
    path = Path(path)
    try:
        text = read_file(path, most_bytes=MOST_DOCUMENT_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read ({getattr(fault, 'strerror', None) or fault})") from None
    return experiment_from_text(text, source=str(path), overrides=overrides, name=path.stem, say=say)


def experiment_from_text(
    text: str,
    *,
    source: str,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    say: Say | None = None,
    of_run: bool = False,
) -> Experiment:
    """As load_experiment, from the YAML text.

    Args:
        source: The name of the text in error messages.
        of_run: Whether it is a run's own experiment.yaml, which may be older than some keys (`OF_OLD_RUNS`).
    """
    document = parse_yaml(text, source=source)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: must be a mapping of sections, not {type(document).__name__}")
    if name is not None:
        document = {"name": name, **document}
    document, faults = rename_document(document, say)
    if of_run:
        document = _overlaid(document, {key: value for key, value in OF_OLD_RUNS.items() if not _has(document, key)})
    overrides, more = rename_overrides(overrides or {}, say)
    # The settings of a run are those that it began with, with its recipe already in them.
    chosen = RECIPE in overrides or not of_run
    return _validated(_with_recipe(document, overrides) if chosen else _overlaid(document, overrides), [*faults, *more])


def with_overrides(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """A changed copy: `with_overrides(experiment, {"optimizer.generator_lr": 1e-4})`.

    A `recipe` among the overrides adds its settings, and the other overrides take precedence over these.

    Raises:
        ConfigError: A key is unknown or a value is not allowed; has all faults.
    """
    overrides, faults = rename_overrides(overrides)
    if experiment.recipe not in (None, overrides.get(RECIPE, experiment.recipe)):
        faults = [
            *faults,
            f"recipe: the settings of {experiment.recipe} are in these already; choose another in the config",
        ]
    overlay = _with_recipe if RECIPE in overrides else _overlaid
    return _validated(overlay(experiment.model_dump(), overrides), faults)


def parse_overrides(arguments: list[str], *, say: Say | None = None) -> dict[str, Any]:
    """`["a.b=2e-4", "c=[1, 2]"]` -> `{"a.b": 0.0002, "c": [1, 2]}`, with new names for old ones.

    Values are YAML 1.2; the value of a key that holds text is taken as typed.

    >>> parse_overrides(["optimizer.generator_lr=2e-4", "data.path=on", "name=2024", "data.labels=null"])
    {'optimizer.generator_lr': 0.0002, 'data.path': 'on', 'name': '2024', 'data.labels': None}

    Args:
        arguments: Each `key=value`.
        say: Called with one line for each key that goes by its old name.

    Raises:
        ConfigError: An argument is not `key=value`, a value is not YAML, or a key has two different values, one of
            them under its old name.
    """
    text_keys = {key for key, field in leaves() if is_text(field.annotation)}
    parsed = {}
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not (key and equals):
            raise ConfigError(f"{argument}: must be key=value")
        # In YAML `- a + b` is a list, `2024` a number and `@x` an error. If the key holds text, they are text.
        # So is `"a b" - c`, which begins like a quoted text and is none.
        as_typed = value not in ("", "~", "null") and (value[0] not in _QUOTES or _SUM_OF_QUOTED.match(value))
        parsed[key] = value if as_typed and new_name(key) in text_keys else parse_yaml(value, source=key)
    renamed, faults = rename_overrides(parsed, say)
    if faults:
        raise ConfigError(*faults)
    return renamed


def known_keys() -> Iterator[str]:
    """Each dotted key of the schema, in its order."""
    return (key for key, _ in leaves())


def _overlaid(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document of nested sections with overrides in their places."""
    result = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    for dotted, value in overrides.items():
        *path, last = _steps(dotted)
        node = result
        for step in path:
            child = node.get(step)
            node[step] = child = dict(child) if isinstance(child, dict) else {}
            node = child
        node[last] = value
    return result


def _with_recipe(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a document with the settings of the recipe that is chosen, and over them the overrides."""
    settings, _ = rename_overrides(settings_of_recipe(_overlaid(document, overrides)))
    return _overlaid(_overlaid(document, settings), overrides)


def _has(document: Mapping[str, Any], dotted: str) -> bool:
    section, _, name = dotted.partition(".")
    below = document.get(section)
    return isinstance(below, dict) and name in below


def _steps(dotted: str) -> list[str]:
    """The path to a key. Below a key that holds a mapping the rest is one name: `search.space` has dotted names."""
    for known in known_keys():
        if dotted.startswith(f"{known}."):
            return [*known.split("."), dotted.removeprefix(f"{known}.")]
    return dotted.split(".")


def _validated(document: dict[str, Any], faults: Iterable[str] = ()) -> Experiment:
    """The experiment of a document; raises a ConfigError with the faults that were found before and its own."""
    lines = list(faults)
    document = _without_null_sections(document)
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as fault:
        lines += fault_lines(fault)
        known = set(lines)
        # The checks between keys run only if every value is allowed, so they run again without the others.
        try:
            Experiment.model_validate(_without(document, [error["loc"] for error in fault.errors()]))
        except ValidationError as further:
            lines += [line for line in fault_lines(further) if line not in known]
        raise ConfigError(*_capped(lines)) from None
    if lines:
        raise ConfigError(*_capped(lines))
    return experiment


def _capped(lines: list[str]) -> list[str]:
    """The lines, or the first of very many."""
    left_out = len(lines) - MOST_FAULTS
    return lines if left_out <= 0 else [*lines[:MOST_FAULTS], f"… and {left_out:,} more faults"]


def _without_null_sections(document: dict[str, Any], section: type[BaseModel] = Experiment) -> dict[str, Any]:
    """In YAML a section whose every key is commented out is null; it means the defaults."""
    result = dict(document)
    for name, field in section.model_fields.items():
        below = section_of(field.annotation)
        if below is not None and name in result:
            value = {} if result[name] is None else result[name]
            result[name] = _without_null_sections(value, below) if isinstance(value, dict) else value
    return result


def _without(document: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """A copy of a document without the keys at these places."""
    result = _without_null_sections(document)
    for place in places:
        node: dict[Any, Any] = result
        section: type[BaseModel] | None = Experiment
        for step, below in zip(place, [*place, None][1:], strict=True):
            field = section.model_fields.get(str(step)) if section else None
            section = section_of(field.annotation) if field else None
            if section is None or below is None or not isinstance(node.get(step), dict):
                node.pop(step, None)
                break
            node = node[step]
    return result
