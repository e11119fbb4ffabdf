"""YAML and dotted overrides in, a frozen Experiment out, every fault in one go by its dotted key."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import SafeRepresenter

from framework.config.experiment import Experiment
from framework.config.faults import fault_lines, leaves, section_of
from framework.config.words import is_text
from framework.errors import ConfigError


def load_experiment(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """The experiment in a YAML file, with overrides; `name` defaults to the file's stem.

    Raises:
        ConfigError: The file is missing or no YAML, or a key or value is refused; all faults together.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read ({getattr(fault, 'strerror', None) or fault})") from None
    return experiment_from_text(text, source=str(path), overrides=overrides, name=path.stem)


def experiment_from_text(
    text: str, *, source: str, overrides: Mapping[str, Any] | None = None, name: str | None = None
) -> Experiment:
    """As load_experiment, from the YAML itself; `source` is what faults call it."""
    document = parse_yaml(text, source=source)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(f"{source}: wants a mapping of sections at its top, not {type(document).__name__}")
    if name is not None:
        document = {"name": name, **document}
    return _validated(_overlaid(document, overrides or {}))


def with_overrides(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """A changed copy: `with_overrides(experiment, {"optimizer.generator_lr": 1e-4})`.

    Raises:
        ConfigError: A key is unknown or a value refused; all faults together.
    """
    return _validated(_overlaid(experiment.model_dump(), overrides))


def parse_overrides(arguments: list[str]) -> dict[str, Any]:
    """`["a.b=2e-4", "c=[1, 2]"]` -> `{"a.b": 0.0002, "c": [1, 2]}`; values are YAML 1.2, those of text keys as typed.

    >>> parse_overrides(["optimizer.generator_lr=2e-4", "data.path=on", "name=2024", "data.labels=null"])
    {'optimizer.generator_lr': 0.0002, 'data.path': 'on', 'name': '2024', 'data.labels': None}

    Raises:
        ConfigError: An argument is no `key=value`, or a value is no YAML.
    """
    text_keys = {key for key, field in leaves() if is_text(field.annotation)}
    parsed = {}
    for argument in arguments:
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not (key and equals):
            raise ConfigError(f"{argument}: wants key=value")
        # `- a + b` is a list in YAML, `2024` a number, `@x` nothing: where only text fits, it is the text.
        as_typed = key in text_keys and value not in ("", "~", "null") and value[0] not in "\"'"
        parsed[key] = value if as_typed else parse_yaml(value, source=key)
    return parsed


def parse_yaml(text: str, *, source: str) -> Any:
    """YAML 1.2 as plain Python: 2e-4 is a number, `on` and `2024-01-31` are strings."""
    try:
        parser = YAML(typ="safe", pure=True)
        parser.Constructor = _Constructor
        return parser.load(text)
    except MarkedYAMLError as fault:
        line = f", line {fault.problem_mark.line + 1}" if fault.problem_mark and "\n" in text.strip() else ""
        raise ConfigError(f"{source}{line}: no valid YAML: {fault.problem}") from None
    except (YAMLError, ValueError, TypeError, LookupError, RecursionError) as fault:
        raise ConfigError(f"{source}: no valid YAML: {' '.join(str(fault).split())[:200]}") from None


class _Constructor(SafeConstructor):
    """Plain values only; dates, which YAML 1.2 does not know, stay text."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def to_yaml(experiment: Experiment) -> str:
    """The resolved experiment, every key, as YAML that load_experiment reads back."""
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    # Keep the schema's order.
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.dump(experiment.model_dump(), stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Plain values; text with line breaks or control characters is quoted, which alone keeps them as they are."""

    def represent_text(self, data: str) -> Any:
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_text)


def known_keys() -> Iterator[str]:
    """Each dotted key that the schema knows, in its order."""
    return (key for key, _ in leaves())


def _overlaid(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
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


def _steps(dotted: str) -> list[str]:
    """Where a key lies; below a key that holds a mapping the rest is one name: `search.space` has dotted ones."""
    for known in known_keys():
        if dotted.startswith(f"{known}."):
            return [*known.split("."), dotted.removeprefix(f"{known}.")]
    return dotted.split(".")


def _validated(document: dict[str, Any]) -> Experiment:
    # A section whose every key is commented out is null in YAML, and means its defaults.
    sections = {name for name, field in Experiment.model_fields.items() if section_of(field.annotation)}
    document = {name: {} if value is None and name in sections else value for name, value in document.items()}
    try:
        return Experiment.model_validate(document)
    except ValidationError as fault:
        faults = fault_lines(fault)
        # Model-wide checks run only on a whole document: without the refused values they can speak too.
        try:
            Experiment.model_validate(_without(document, [error["loc"] for error in fault.errors()]))
        except ValidationError as further:
            faults += [line for line in fault_lines(further) if line not in faults]
        raise ConfigError(*faults) from None


def _without(document: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    result = _overlaid(document, {})
    for place in places:
        section, key = [str(step) for step in (*place, "", "")][:2]
        below = result.get(section)
        if key and isinstance(below, dict):
            below.pop(key, None)
        else:
            result.pop(section, None)
    return result
