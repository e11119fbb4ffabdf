"""The order of a Keras model's layers: sequential, or functional where each layer feeds exactly one other."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from framework.models.architectures.described_layers import Shape
from framework.models.keras_import.layers import RefusedError

_FUNCTIONAL = ("Functional", "Model")
_INPUT = "InputLayer"


@dataclass(frozen=True)
class Entry:
    """A layer as Keras describes it.

    Args:
        name: As it is called in the file.
        kind: Its class.
        number: How many of this class stand before it in the file.
        config: Its settings.
        sources: Names of the layers that feed it; empty in a sequential model.
    """

    name: str
    kind: str
    number: int
    config: Mapping[str, Any]
    sources: tuple[str, ...]


def chain_of(document: Any) -> tuple[Shape, list[Entry]]:
    """The shape of a model's one input, and its layers in the order they are computed.

    Args:
        document: `model_config` or `config.json`, parsed.

    Raises:
        RefusedError: It is another kind of model, or no chain.
    """
    kind = document.get("class_name") if isinstance(document, dict) else None
    if not isinstance(document, dict) or kind not in ("Sequential", *_FUNCTIONAL):
        raise RefusedError(f"is a {kind or 'model of no known kind'}; taken are Sequential and Functional models")
    _refuse_custom(document, "the model")
    config = document.get("config")
    listed = config.get("layers") if isinstance(config, dict) else config  # a bare list before Keras 2.2.3
    if not isinstance(listed, list) or not listed:
        raise RefusedError("has no layers")
    entries = list(_entries(listed))
    if kind == "Sequential":
        first, rest = entries[0], entries[1:] if entries[0].kind == _INPUT else entries
    else:
        first, rest = _in_order(entries, config if isinstance(config, dict) else {})
    if not rest:
        raise RefusedError("has no layers")
    return _input_shape(first), rest


def _entries(listed: list[Any]) -> Iterator[Entry]:
    counts: Counter[str] = Counter()
    for place, layer in enumerate(listed):
        kind, config = (layer.get("class_name"), layer.get("config")) if isinstance(layer, dict) else (None, None)
        if not isinstance(kind, str):
            raise RefusedError(f"layer {place} is not described as Keras does")
        name = config.get("name") if isinstance(config, dict) else None
        name = name if isinstance(name, str) else str(layer.get("name", place))
        _refuse_custom(layer, f"layer {name} ({kind})")
        if not isinstance(config, dict):
            raise RefusedError(f"layer {name} ({kind}) is not described as Keras does")
        yield Entry(name, kind, counts[kind], config, tuple(_sources(layer, f"layer {name} ({kind})")))
        counts[kind] += 1


def _refuse_custom(described: Mapping[str, Any], what: str) -> None:
    """A class of somebody's own that bears the name of one of Keras's."""
    kind, registered, module = (described.get(key) for key in ("class_name", "registered_name", "module"))
    if registered not in (None, kind):
        raise RefusedError(f"{what} is a class of somebody's own, {registered}, which is not taken")
    if module is not None and str(module).split(".")[0] not in ("keras", "tensorflow", "tf_keras"):
        raise RefusedError(f"{what} is a class of somebody's own, of the module {module}, which is not taken")


def _sources(layer: Mapping[str, Any], what: str) -> Iterator[str]:
    nodes = layer.get("inbound_nodes") or []
    if len(nodes) > 1:
        raise RefusedError(f"{what} is used {len(nodes)} times; taken is a chain of layers")
    for node in nodes:
        for name, arguments in _tensors(node, what):
            said = [f"{key}={value}" for key, value in arguments.items() if value not in (None, False)]
            if said:
                raise RefusedError(f"{what} is called with {said[0]}, which is not taken")
            yield name


def _tensors(node: Any, what: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The layers that one call is given: Keras 2 lists [name, node, tensor, arguments], Keras 3 describes tensors."""
    try:
        if isinstance(node, dict):
            for tensor in node["args"]:
                if tensor["class_name"] != "__keras_tensor__":
                    raise RefusedError(f"{what} is given something else than a layer's output")
                yield tensor["config"]["keras_history"][0], node.get("kwargs") or {}
        else:
            for name, _, _, *arguments in node:
                yield name, arguments[0] if arguments else {}
    except (KeyError, TypeError, ValueError, IndexError):
        raise RefusedError(
            f"{what} is given something else than one layer's output; taken is a chain of layers"
        ) from None


def _in_order(entries: list[Entry], config: Mapping[str, Any]) -> tuple[Entry, list[Entry]]:
    """The input, then each layer after the one that feeds it."""
    for key, what in (("input_layers", "inputs"), ("output_layers", "outputs")):
        count = len(_ends(config.get(key)))
        if count != 1:
            raise RefusedError(f"has {count} {what}; taken are models of one input and one output")
    inputs = [entry for entry in entries if entry.kind == _INPUT]
    if len(inputs) != 1:
        raise RefusedError(f"has {len(inputs)} inputs; taken are models of one input and one output")
    fed: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind == _INPUT:
            continue
        if len(entry.sources) != 1:
            raise RefusedError(f"layer {entry.name} ({entry.kind}) has {len(entry.sources)} inputs; taken is a chain")
        if entry.sources[0] in fed:
            raise RefusedError(f"layer {entry.sources[0]} feeds two layers; taken is a chain of layers")
        fed[entry.sources[0]] = entry
    order: list[Entry] = []
    here = inputs[0].name
    while here in fed:
        order.append(fed.pop(here))
        here = order[-1].name
    if fed or here != _ends(config.get("output_layers"))[0]:
        raise RefusedError("has layers outside the way from its input to its output; taken is a chain of layers")
    return inputs[0], order


def _ends(value: Any) -> list[str]:
    """Names in `[name, 0, 0]` (Keras 3, one) or `[[name, 0, 0], …]`."""
    if not isinstance(value, list):
        return []
    listed = [value] if value and isinstance(value[0], str) else value
    return [str(one[0]) for one in listed if isinstance(one, list) and one]


def _input_shape(first: Entry) -> Shape:
    config = first.config
    given = config.get("batch_shape") or config.get("batch_input_shape")
    sides = given[1:] if isinstance(given, list) else None
    if not sides or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise RefusedError(f"layer {first.name} ({first.kind}) leaves the input's shape open; taken is a fixed one")
    return tuple(sides)
