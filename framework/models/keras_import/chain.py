"""The layers of a Keras model in order: a sequential model, or a functional one without branches."""

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

    Attributes:
        name: The layer's name in the file.
        kind: The name of its class.
        number: Number of layers of this class before it in the file.
        config: The settings of the layer.
        sources: Names of the layers whose outputs it receives; empty in a sequential model.
    """

    name: str
    kind: str
    number: int
    config: Mapping[str, Any]
    sources: tuple[str, ...]


def chain_of(document: Any) -> tuple[Shape, list[Entry]]:
    """The shape of the model's only input, and its layers in order of computation.

    Args:
        document: The parsed `model_config` or `config.json`.

    Raises:
        RefusedError: The model is neither sequential nor functional, or not a chain.
    """
    kind = document.get("class_name") if isinstance(document, dict) else None
    if not isinstance(document, dict) or kind not in ("Sequential", *_FUNCTIONAL):
        raise RefusedError(f"is a {kind or 'model of unknown class'}; supported: Sequential and Functional models")
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
    """Raises `RefusedError` for a custom class that has the same name as one of Keras."""
    kind, registered, module = (described.get(key) for key in ("class_name", "registered_name", "module"))
    if registered not in (None, kind):
        raise RefusedError(f"{what} is the custom class {registered}, which is not supported")
    if module is not None and str(module).split(".")[0] not in ("keras", "tensorflow", "tf_keras"):
        raise RefusedError(f"{what} is a custom class of the module {module}, which is not supported")


def _sources(layer: Mapping[str, Any], what: str) -> Iterator[str]:
    nodes = layer.get("inbound_nodes") or []
    if not isinstance(nodes, list):
        raise RefusedError(f"{what} has inputs that are not described as Keras does")
    if len(nodes) > 1:
        raise RefusedError(f"{what} is used {len(nodes)} times; supported: a chain of layers")
    for node in nodes:
        for name, arguments in _tensors(node, what):
            if not isinstance(name, str) or not isinstance(arguments, Mapping):
                raise RefusedError(f"{what} has inputs that are not described as Keras does")
            settings = [f"{key}={value}" for key, value in arguments.items() if value not in (None, False)]
            if settings:
                raise RefusedError(f"{what} is called with {settings[0]}, which is not supported")
            yield name


def _tensors(node: Any, what: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The inputs of one call of a layer, and its arguments.

    Keras 2 lists [name, node, tensor, arguments]; Keras 3 describes tensors.
    """
    try:
        if isinstance(node, dict):
            for tensor in node["args"]:
                if tensor["class_name"] != "__keras_tensor__":
                    raise RefusedError(f"{what} has an input that is not the output of a layer")
                yield tensor["config"]["keras_history"][0], node.get("kwargs") or {}
        else:
            for name, _, _, *arguments in node:
                yield name, arguments[0] if arguments else {}
    except (KeyError, TypeError, ValueError, IndexError):
        raise RefusedError(
            f"{what} has an input that is not the output of one layer; supported: a chain of layers"
        ) from None


def _in_order(entries: list[Entry], config: Mapping[str, Any]) -> tuple[Entry, list[Entry]]:
    """The input layer, and the other layers in order of computation."""
    for key, what in (("input_layers", "inputs"), ("output_layers", "outputs")):
        count = len(_ends(config.get(key)))
        if count != 1:
            raise RefusedError(f"has {count} {what}; supported: models of one input and one output")
    inputs = [entry for entry in entries if entry.kind == _INPUT]
    if len(inputs) != 1:
        raise RefusedError(f"has {len(inputs)} inputs; supported: models of one input and one output")
    fed: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind == _INPUT:
            continue
        if len(entry.sources) != 1:
            what = f"layer {entry.name} ({entry.kind})"
            raise RefusedError(f"{what} has {len(entry.sources)} inputs; supported: a chain of layers")
        if entry.sources[0] in fed:
            raise RefusedError(f"layer {entry.sources[0]} feeds two layers; supported: a chain of layers")
        fed[entry.sources[0]] = entry
    order: list[Entry] = []
    current = inputs[0].name
    while current in fed:
        order.append(fed.pop(current))
        current = order[-1].name
    if fed or current != _ends(config.get("output_layers"))[0]:
        raise RefusedError("has layers that are not between its input and output; supported: a chain of layers")
    return inputs[0], order


def _ends(value: Any) -> list[str]:
    """The layer names in `[name, 0, 0]` (Keras 3 with one tensor) or `[[name, 0, 0], …]`."""
    if not isinstance(value, list):
        return []
    listed = [value] if value and isinstance(value[0], str) else value
    return [str(tensor[0]) for tensor in listed if isinstance(tensor, list) and tensor]


def _input_shape(first: Entry) -> Shape:
    config = first.config
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    sides = shape[1:] if isinstance(shape, list) else None
    if not sides or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise RefusedError(f"layer {first.name} ({first.kind}) does not fix the input's shape; a fixed one is needed")
    return tuple(sides)
