"""Scores of several checkpoints side by side: one column a protocol, so that what is unlike never shares one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.checkpoint.foreign import entry_of
from framework.metrics import cost
from framework.report.read.json_values import finite
from framework.runs import RunFolder


@dataclass(frozen=True)
class Row:
    """One checkpoint.

    Attributes:
        name: As the user called it.
        checkpoint: Path within its run.
        images_seen: Its clock.
        scores: Its score documents.
    """

    name: str
    checkpoint: str
    images_seen: int
    scores: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """The scores of one protocol.

    Attributes:
        name: The metric; followed by (a), (b), … where protocols of one metric differ.
        metric: The metric.
        protocol: The protocol's document.
        differs: Key -> value, of what sets it apart from the other protocols of its metric.
        scores: One a row; None where the checkpoint has none.
        best: Numbers of the rows whose value no other beats; none where all are equal.
    """

    name: str
    metric: str
    protocol: dict[str, Any]
    differs: dict[str, Any]
    scores: list[Mapping[str, Any] | None]
    best: list[int]


def read_row(name: str, run: RunFolder, checkpoint: str) -> Row:
    """A checkpoint, or an entry, with all that its run knows of its scores; what is no score is passed over."""
    scores = [score for score in run.scores() if _is_score(score) and score.get("checkpoint") == checkpoint]
    return Row(name, checkpoint, 0 if entry_of(checkpoint) else int(checkpoint.rpartition("/")[2]), scores)


def _is_score(document: Any) -> bool:
    if not isinstance(document, Mapping) or not isinstance(document.get("metric"), str):
        return False
    value = document.get("value")
    numbered = isinstance(value, (int, float)) and finite(value) is not None  # none of text, which finite takes too
    return isinstance(document.get("protocol"), Mapping) and numbered


def columns(rows: Sequence[Row]) -> list[Column]:
    """All protocols in the order they are met, those of one metric beside each other."""
    protocols: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        for score in row.scores:
            document = dict(score["protocol"])
            protocols.setdefault(score["metric"], {})[_key(document)] = document
    found = []
    for metric, documents in protocols.items():
        flat = {key: _flat(document) for key, document in documents.items()}
        every = dict.fromkeys(name for one in flat.values() for name in one)
        apart = [name for name in every if len({_key(one.get(name)) for one in flat.values()}) > 1]
        for number, (key, document) in enumerate(documents.items()):
            scores = [_newest(row, metric, key) for row in rows]
            found.append(
                Column(
                    f"{metric} ({chr(ord('a') + number)})" if len(documents) > 1 else metric,
                    metric,
                    document,
                    {name: flat[key].get(name) for name in apart},
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
    apart = len(set(costs.values())) > 1
    return [number for number, value in costs.items() if value == min(costs.values())] if apart else []


def _key(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value.

    >>> _flat({"real": {"count": 5}, "tap": 768})
    {'real.count': 5, 'tap': 768}
    """
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
