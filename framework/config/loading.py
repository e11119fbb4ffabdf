"""YAML and dotted overrides in, a frozen Experiment out, every fault in one go by its dotted key."""

import difflib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from framework.config.schema import Experiment
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
    """`["a.b=2e-4", "c=[1, 2]"]` -> `{"a.b": 0.0002, "c": [1, 2]}`; values are YAML 1.2.

    >>> parse_overrides(["optimizer.generator_lr=2e-4", "data.path=on"])
    {'optimizer.generator_lr': 0.0002, 'data.path': 'on'}
    """
    parsed = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        parsed[key.strip()] = parse_yaml(value, source=key.strip())
    return parsed


def parse_yaml(text: str, *, source: str) -> Any:
    """YAML 1.2 as plain Python: 2e-4 is a number, `on` a string."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as fault:
        first_line = " ".join(str(fault).split())
        raise ConfigError(f"{source}: no valid YAML: {first_line}") from None


def to_yaml(experiment: Experiment) -> str:
    """The resolved experiment, every key, as YAML that load_experiment reads back."""
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue] - keep the schema's order
    writer.dump(experiment.model_dump(), stream)
    return stream.getvalue()


def known_keys(section: type[BaseModel] = Experiment, prefix: str = "") -> Iterator[str]:
    """Each dotted key that the schema knows, in its order."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from known_keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _overlaid(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    result = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    for dotted, value in overrides.items():
        here, *deeper = dotted.split(".")
        node = result
        for step in deeper:
            child = node.get(here)
            node[here] = child = dict(child) if isinstance(child, dict) else {}
            node, here = child, step
        node[here] = value
    return result


def _validated(document: dict[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(document)
    except ValidationError as fault:
        faults = _lines(fault)
        # Model-wide checks run only on a whole document: without the refused values they can speak too.
        try:
            Experiment.model_validate(_without(document, [error["loc"] for error in fault.errors()]))
        except ValidationError as further:
            faults += [line for line in _lines(further) if line not in faults]
        raise ConfigError(*faults) from None


def _without(document: dict[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    result = _overlaid(document, {})
    for place in places:
        node: Any = result
        for step in place[:1]:
            if len(place) > 1 and isinstance(node.get(step), dict):
                node[step].pop(place[1], None)
            else:
                node.pop(step, None)
    return result


def _lines(fault: ValidationError) -> list[str]:
    lines: list[str] = []
    for error in fault.errors():
        lines += _fault_lines(dict(error))
    return list(dict.fromkeys(lines))


def _fault_lines(error: dict[str, Any]) -> list[str]:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]).splitlines()
    known = set(known_keys()) | set(Experiment.model_fields)
    dotted = ".".join(str(step) for step in error["loc"])
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(dotted, sorted(known), n=1, cutoff=0.6)
        if not close:  # the right name in the wrong section
            close = [key for key in sorted(known) if key.rsplit(".", 1)[-1] == dotted.rsplit(".", 1)[-1]][:1]
        return [f"{dotted}: unknown key" + (f"; did you mean {close[0]}?" if close else "")]
    # A union's member is the last step of its place: the key itself is what the schema knows.
    while dotted not in known and "." in dotted:
        dotted = dotted.rsplit(".", 1)[0]
    allowed = _allowed(dotted)
    rule = f"wants {allowed}" if allowed else error["msg"][0].lower() + error["msg"][1:]
    return [f"{dotted}: {rule}, not {error['input']!r}"]


def _allowed(dotted: str) -> str | None:
    """The values of a key that is a choice, written out; None for any other."""
    section: Any = Experiment
    *path, name = dotted.split(".")
    for step in path:
        section = section.model_fields[step].annotation
    field = section.model_fields.get(name)
    options = list(_options(field.annotation)) if field else []
    return " or ".join(options) if options and all(options) else None


def _options(kind: Any) -> Iterator[str]:
    members = get_args(kind)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if not members:
        yield words.get(kind, "" if not isinstance(kind, (str, int)) or isinstance(kind, type) else str(kind))
    elif getattr(kind, "__origin__", None) in (list, dict):
        yield ""
    else:
        for member in members:
            yield from _options(member)
