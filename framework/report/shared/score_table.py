"""A table of the scores of several checkpoints, one column per protocol: only scores of one protocol compare."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.config.code import entry_of
from framework.config.metrics import is_per_class
from framework.metrics import cost
from framework.report.read.json_values import finite
from framework.runs import RunFolder


@dataclass(frozen=True)
class Row:
    """One checkpoint.

    Attributes:
        name: The name that the user gave, e.g. a path.
        checkpoint: The path of the checkpoint within its run.
        images_seen: The training images it had seen.
    """

    name: str
    checkpoint: str
    images_seen: int
    scores: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """The scores of one protocol.

    Attributes:
        name: The metric; followed by (a), (b), … if there are several protocols of one metric.
        metric: The name of the metric alone.
        differs: Key -> value, of the keys in which the protocols of this metric differ.
        scores: One score per row; None if the checkpoint has none.
        best: Indexes of the rows with the best value; empty if all values are equal.
    """

    name: str
    metric: str
    protocol: dict[str, Any]
    differs: dict[str, Any]
    scores: list[Mapping[str, Any] | None]
    best: list[int]


def read_row(name: str, run: RunFolder, checkpoint: str) -> Row:
    """A checkpoint or a custom generator, with its scores over all in scores.json; malformed scores are skipped."""
    known = (score for score in run.scores() if _is_score(score) and not is_per_class(score["metric"]))
    scores = [score for score in known if score.get("checkpoint") == checkpoint]
    return Row(name, checkpoint, 0 if entry_of(checkpoint) else int(checkpoint.rpartition("/")[2]), scores)


def _is_score(document: Any) -> bool:
    if not isinstance(document, Mapping) or not isinstance(document.get("metric"), str):
        return False
    value = document.get("value")
    numbered = isinstance(value, (int, float)) and finite(value) is not None  # not text, which `finite` would accept
    return isinstance(document.get("protocol"), Mapping) and numbered


def columns(rows: Sequence[Row]) -> list[Column]:
    """One column for each protocol in the order of first occurrence; those of one metric stand together."""
    protocols: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        for score in row.scores:
            document = dict(score["protocol"])
            protocols.setdefault(score["metric"], {})[_key(document)] = document
    found = []
    for metric, documents in protocols.items():
        flat = {key: _flat(document) for key, document in documents.items()}
        names = dict.fromkeys(name for protocol in flat.values() for name in protocol)
        differing = [name for name in names if len({_key(protocol.get(name)) for protocol in flat.values()}) > 1]
        for number, (key, document) in enumerate(documents.items()):
            scores = [_newest(row, metric, key) for row in rows]
            found.append(
                Column(
                    f"{metric} ({chr(ord('a') + number)})" if len(documents) > 1 else metric,
                    metric,
                    document,
                    {name: flat[key].get(name) for name in differing},
                    scores,
                    _best(metric, scores),
                )
            )
    return found


def _newest(row: Row, metric: str, key: str) -> Mapping[str, Any] | None:
    matching = [score for score in row.scores if score["metric"] == metric and _key(score["protocol"]) == key]
    return matching[-1] if matching else None


def _best(metric: str, scores: Sequence[Mapping[str, Any] | None]) -> list[int]:
    costs = {number: cost(metric, score["value"]) for number, score in enumerate(scores) if score is not None}
    if len(set(costs.values())) < 2:
        return []
    return [number for number, value in costs.items() if value == min(costs.values())]


def _key(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested objects to dotted keys.

    >>> _flat({"real": {"count": 5}, "tap": 768})
    {'real.count': 5, 'tap': 768}
    """
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
