"""The JSON document `arithmetic.json` of one evaluated expression."""

from typing import Any

import numpy as np

from framework.latents.arithmetic.plan import Note
from framework.latents.arithmetic.selection import SURE, sure_count
from framework.latents.arithmetic.trace import ArithmeticTrace
from framework.latents.attributes.expression import format_expression
from framework.latents.protocols import typical_norm


def document_of(trace: ArithmeticTrace, *, requested: str, notes: list[Note]) -> dict[str, Any]:
    """The content of `arithmetic.json`.

    Args:
        requested: The expression of the configuration, which may differ from the one that was run.
        notes: Remarks for the reader, such as why the fallback expression was run.
    """
    latent_size = trace.result.shape[0]
    protocol = _protocol(trace)
    rows = trace.measured.rows if trace.measured else []
    shown = {c.text: float(c.probability(trace.judged.measurer)[0]) for c in trace.should_have} if trace.judged else {}
    return {
        "expression": format_expression(trace.terms),
        "requested_expression": requested,
        "terms": [term._asdict() for term in trace.terms],
        "groups": {name: _group(trace, name) for name in trace.groups},
        "should_have": [condition.to_json() for condition in trace.should_have],
        "result": {"assessed": {text: round(value, 4) for text, value in shown.items()}},
        "latent_norm": {
            "result": round(float(np.linalg.norm(trace.result)), 4),
            "repeats_mean": round(trace.measured.norm, 4) if trace.measured else None,
            "typical": round(typical_norm(latent_size), 4),
        },
        "measured": rows,
        "scores": [_score(trace, row, protocol) for row in rows],
        "protocol": protocol,
        "notes": notes,
    }


def _protocol(trace: ArithmeticTrace) -> dict[str, Any]:
    return {
        "finder": trace.assessors.finder.digest if trace.assessors else None,
        "measurer": trace.assessors.measurer.digest if trace.assessors else None,
        "seed": trace.config.seed,
        "candidates": len(trace.candidates) if trace.candidates else 0,
        "surely_assessed_from": SURE,
        "group_size": trace.config.arithmetic.group_size,
        "repeats": trace.config.arithmetic.repeats if trace.measured else 0,
        "result": "raw sum of the signed group means",
    }


def _score(trace: ArithmeticTrace, row: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    what = {"expression": format_expression(trace.terms), "shows": row["attribute"]}
    chance = {key: row[key] for key in ("count", "interval", "random_share", "random_samples", "random_interval")}
    return {"metric": "latent_arithmetic_share", "value": row["share"], "protocol": what | protocol | chance}


def _group(trace: ArithmeticTrace, name: str) -> dict[str, Any]:
    group, members, draws = trace.groups[name], trace.members[name], trace.draws_of(name)
    entry: dict[str, Any] = {
        "chosen_by": "photograph" if group.latent is not None else "assessor" if group.numbers is None else "person",
        "numbers": members.numbers,
        "scores": None if members.scores is None else [round(float(score), 4) for score in members.scores],
        "condition": group.condition.to_json() if group.condition else None,
        "mean_norm": round(float(np.linalg.norm(trace.means[name])), 4),
    }
    if group.condition and trace.candidates:
        entry["surely_assessed"] = sure_count(trace.candidates, group.condition)
    if draws:
        entry["repeats_draw_from"] = len(draws.pool)
        entry["repeats_least_score"] = round(draws.least_sureness, 4)
        entry["repeats_a_sample_is_in"] = draws.most_uses
    return entry
