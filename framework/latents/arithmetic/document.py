"""One piece of arithmetic as the JSON document `arithmetic.json`."""

from typing import Any

import numpy as np

from framework.latents.arithmetic.plan import Note
from framework.latents.arithmetic.selection import SURE, sure_count
from framework.latents.arithmetic.trace import Study
from framework.latents.attributes.expression import format_expression
from framework.latents.protocols import typical_norm


def document_of(study: Study, *, requested: str, notes: list[Note]) -> dict[str, Any]:
    """`arithmetic.json`."""
    latent_size = study.result.shape[0]
    protocol = _protocol(study)
    rows = study.measured.rows if study.measured else []
    shown = {c.text: float(c.probability(study.judged.measurer)[0]) for c in study.should_have} if study.judged else {}
    return {
        "expression": format_expression(study.terms),
        "requested_expression": requested,
        "terms": [term._asdict() for term in study.terms],
        "groups": {name: _group(study, name) for name in study.groups},
        "should_have": [condition.to_json() for condition in study.should_have],
        "result": {"assessed": {text: round(value, 4) for text, value in shown.items()}},
        "latent_norm": {
            "result": round(float(np.linalg.norm(study.result)), 4),
            "repeats_mean": round(study.measured.norm, 4) if study.measured else None,
            "typical": round(typical_norm(latent_size), 4),
        },
        "measured": rows,
        "scores": [_score(study, row, protocol) for row in rows],
        "protocol": protocol,
        "notes": notes,
    }


def _protocol(study: Study) -> dict[str, Any]:
    return {
        "finder": study.judges.finder.digest if study.judges else None,
        "measurer": study.judges.measurer.digest if study.judges else None,
        "seed": study.config.seed,
        "candidates": len(study.candidates) if study.candidates else 0,
        "surely_assessed_from": SURE,
        "group_size": study.config.arithmetic.group_size,
        "repeats": study.config.arithmetic.repeats if study.measured else 0,
        "result": "raw sum of the signed group means",
    }


def _score(study: Study, row: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    own = {"expression": format_expression(study.terms), "shows": row["attribute"]}
    beside = {key: row[key] for key in ("count", "interval", "random_share", "random_samples", "random_interval")}
    return {"metric": "latent_arithmetic_share", "value": row["share"], "protocol": own | protocol | beside}


def _group(study: Study, name: str) -> dict[str, Any]:
    group, members, hands = study.groups[name], study.members[name], study.hands_of(name)
    found: dict[str, Any] = {
        "chosen_by": "photograph" if group.latent is not None else "assessor" if group.numbers is None else "person",
        "numbers": members.numbers,
        "scores": None if members.scores is None else [round(float(score), 4) for score in members.scores],
        "condition": group.condition.to_json() if group.condition else None,
        "mean_norm": round(float(np.linalg.norm(study.means[name])), 4),
    }
    if group.condition and study.candidates:
        found["surely_assessed"] = sure_count(study.candidates, group.condition)
    if hands:
        found["repeats_draw_from"] = len(hands.pool)
        found["repeats_least_score"] = round(hands.least_sureness, 4)
        found["repeats_a_sample_is_in"] = hands.most_uses
    return found
