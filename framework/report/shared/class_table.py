"""Tables of the scores per class: a row for each class, with its images, its scores, and whether it is obeyed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.config.metrics import METRICS, PER_CLASS
from framework.report.read.json_values import as_dict, finite

_OBEYED = "obeyed"


@dataclass
class ClassRow:
    """One class.

    Attributes:
        value: The name of the class, or 0 or 1.
        images: Number of real images, and of generated ones.
        scores: Family of a metric -> score.
        obeyed: The share of generated images in which the assessor finds the class; None if it was not asked.
        real_obeyed: The same share of held-out real images; None without such.
        held_out: Their number.
    """

    value: str
    images: int
    scores: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    obeyed: float | None = None
    real_obeyed: float | None = None
    held_out: int | None = None


@dataclass
class ClassTable:
    """The classes of one label, all compared in the same way.

    Attributes:
        label: The label.
        metrics: Family of a metric -> the name of its scores without the ending, in the order of `METRICS`.
        features: The name of the network whose features are compared; empty if only the assessor was asked.
        truncation: ψ of the samples.
    """

    label: str
    metrics: dict[str, str]
    rows: list[ClassRow]
    features: str
    truncation: float


def class_tables(scores: Sequence[Mapping[str, Any]]) -> list[ClassTable]:
    """The tables of scores per class; malformed scores are skipped, and so are scores over all.

    Args:
        scores: The scores of one checkpoint. A later score replaces an earlier one of the same place in the table.
    """
    sound = [score for score in scores if _is_sound(score)]
    compared, obeyed = (
        [s for s in sound if (s["protocol"].get("family") == _OBEYED) == is_it] for is_it in (False, True)
    )
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for score in compared:
        groups.setdefault(_key(score, *_COMPARED), []).append(score)
    for score in obeyed:
        if not any(_key(group[0]) == _key(score) for group in groups.values()):
            groups.setdefault(_key(score), []).append(score)
    return [_table(group, [each for each in obeyed if _key(each) == _key(group[0])]) for group in groups.values()]


_COMPARED = ("features", "tap", "resize", "seeds", "engine")


def _is_sound(score: Mapping[str, Any]) -> bool:
    protocol = as_dict(score.get("protocol"))
    fake = as_dict(protocol.get("fake"))
    is_divided = all(isinstance(fake.get(key), str) for key in ("label", "value")) and isinstance(
        fake.get("count"), int
    )
    is_known = protocol.get("family", "fid") in (*METRICS, _OBEYED)
    return is_divided and is_known and isinstance(score.get("metric"), str) and finite(score.get("value")) is not None


def _key(score: Mapping[str, Any], *names: str) -> str:
    """What scores of one table have in common: the samples but for their class, and these keys of the protocol."""
    protocol = score["protocol"]
    fake = {name: value for name, value in protocol["fake"].items() if name not in ("value", "device")}
    precision = str(protocol.get("precision")).partition(",")[0] if names else ""
    return json.dumps([fake, precision, *(protocol.get(name) for name in names)], sort_keys=True)


def _table(scores: Sequence[Mapping[str, Any]], obeyed: Sequence[Mapping[str, Any]]) -> ClassTable:
    first = scores[0]["protocol"]
    rows: dict[str, ClassRow] = {}
    named: dict[str, str] = {}
    for score in (*scores, *obeyed):
        protocol = score["protocol"]
        row = rows.setdefault(protocol["fake"]["value"], ClassRow(protocol["fake"]["value"], protocol["fake"]["count"]))
        family = protocol.get("family", "fid")
        if family != _OBEYED:
            row.scores[family], named[family] = score, score["metric"].removesuffix(PER_CLASS)
            continue
        row.obeyed, row.real_obeyed = score["value"], finite(as_dict(score.get("detail")).get("real"))
        row.held_out = as_dict(protocol.get("real")).get("count")
    return ClassTable(
        label=first["fake"]["label"],
        metrics={family: named[family] for family in METRICS if family in named},
        rows=list(rows.values()),
        features=str(as_dict(first.get("features")).get("name") or ""),
        truncation=finite(first["fake"].get("truncation")) or 1.0,
    )
