"""YAML 1.2 as plain Python values, within limits that no configuration needs to pass; and an experiment as YAML."""

import io
import itertools
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, Node, SequenceNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.scanner import Scanner

from framework.config.experiment import Experiment
from framework.errors import ConfigError

MOST_CHARACTERS = 1_000_000  # ruamel.yaml reads about 100,000 a second
MOST_VALUES = 50_000
MOST_LEVELS = 32
MOST_DIGITS = 300
_TOO_DEEP = f"is nested more than {MOST_LEVELS} levels deep"


def parse_yaml(text: str, *, source: str) -> Any:
    """YAML 1.2 as plain Python values: 2e-4 is a number, `on` and `2024-01-31` are strings.

    Raises:
        ConfigError: The text is not YAML, or it is larger or nested deeper than any configuration; aliases count as
            often as they are used.
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"{source}: has {len(text):,} characters; a configuration has at most {MOST_CHARACTERS:,}")
    try:
        parser = YAML(typ="safe", pure=True)
        parser.Scanner, parser.Composer, parser.Constructor = _Scanner, _Composer, _Constructor
        constructor, _ = parser.get_constructor_parser(io.StringIO(text))
        node = constructor.composer.get_single_node()
        if node is None:
            return None
        size = _size(node, {})
        if size > MOST_VALUES:
            raise ConfigError(f"{source}: its aliases expand to {size:,} values; at most {MOST_VALUES:,} are allowed")
        return constructor.construct_document(node)
    except MarkedYAMLError as fault:
        line = f", line {fault.problem_mark.line + 1}" if fault.problem_mark and "\n" in text.strip() else ""
        raise ConfigError(f"{source}{line}: not valid YAML: {fault.problem}") from None
    except (YAMLError, ValueError, TypeError, LookupError, RecursionError) as fault:
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(fault).split())[:200]}") from None


class _Scanner(Scanner):
    """Refuses deep brackets as it meets them, because it takes the square of their number to scan them."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803 - ruamel's name
        if self.flow_level >= MOST_LEVELS:
            raise ValueError(_TOO_DEEP)
        super().fetch_flow_collection_start(TokenClass, to_push)


class _Composer(Composer):
    """Refuses documents that are too deep or too large before they are read to their end."""

    level = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.level, self.nodes = self.level + 1, self.nodes + 1
        if self.level > MOST_LEVELS:
            raise ValueError(_TOO_DEEP)
        if self.nodes > MOST_VALUES:
            raise ValueError(f"has more than {MOST_VALUES:,} values")
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


def _size(node: Node, known: dict[int, int]) -> int:
    """How many values a node stands for, with each alias counted as what it repeats.

    Args:
        node: The node.
        known: Identity of a collection -> its size, or 0 while it is counted.
    """
    if not isinstance(node, CollectionNode):
        node.value.encode()  # half of a surrogate pair, which an escape can give, is not Unicode
        return 1
    size = known.get(id(node))
    if size == 0:
        raise ValueError(f"the alias of line {node.start_mark.line + 1} refers to itself")
    if size is None:
        known[id(node)] = 0
        below = node.value if isinstance(node, SequenceNode) else itertools.chain.from_iterable(node.value)
        known[id(node)] = size = 1 + sum(_size(each, known) for each in below)
    return size


class _Constructor(SafeConstructor):
    """Plain values only; dates, which are not part of YAML 1.2, stay text."""

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number. Numbers beyond all keys are refused here, because Python cannot write the largest."""
        if len(node.value) > MOST_DIGITS:
            raise ValueError(f"line {node.start_mark.line + 1}: a whole number of {len(node.value):,} digits")
        return super().construct_yaml_int(node)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def to_yaml(experiment: Experiment) -> str:
    """All keys of an experiment as YAML, which load_experiment reads back."""
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    # Keep the schema's order.
    writer.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    writer.dump(experiment.model_dump(), stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Plain values; text with line breaks or control characters is quoted, since only this preserves them."""

    def represent_text(self, data: str) -> Any:
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_text)
