"""Everything that one piece of arithmetic found, and its JSON document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.latents.expression import SignedGroup, format_expression
from framework.latents.groups import Condition, Group
from framework.latents.measure import combine, expected
from framework.latents.plan import Note
from framework.latents.selection import SURE, Candidates, Hands, sure_count
from framework.latents.subjects import Assessed, Judges, typical_norm


@dataclass(frozen=True)
class Members:
    """The samples that stand for a group in the picture.

    Attributes:
        numbers: From 1, as on the sheet.
        latents: [k, z] float32.
        scores: [k] the finder's probabilities of what the group stands for; None where it does not know.
    """

    numbers: list[int]
    latents: np.ndarray
    scores: np.ndarray | None


@dataclass(frozen=True)
class Measured:
    """The same expression with other samples, again and again.

    Attributes:
        hands: The members of each repeat.
        rows: How often the results show what they should, see `measure.measured_rows`.
        norm: Mean norm of the results.
    """

    hands: Mapping[str, Hands]
    rows: list[dict[str, Any]]
    norm: float


@dataclass(frozen=True)
class Study:
    """One expression, worked out on one generator.

    Attributes:
        config: As given.
        terms: The expression that was run.
        groups: What its names mean.
        members: Of each group.
        judges: None where there is no assessor.
        candidates: The samples that the assessor chose from and that chance is measured on; None where not needed.
        judged: Both assessors' scores of the picture's result, of length 1; None where there is no assessor.
        measured: None where the assessor does not know every group, or nothing says what to look for.
    """

    config: LatentsConfig
    terms: list[SignedGroup]
    groups: Mapping[str, Group]
    members: Mapping[str, Members]
    judges: Judges | None
    candidates: Candidates | None
    judged: Assessed | None
    measured: Measured | None

    @property
    def should_have(self) -> list[Condition]:
        """What the result should show."""
        return expected(self.terms, conditions_of(self.groups))

    @property
    def means(self) -> dict[str, np.ndarray]:
        """[z] of each group."""
        return {name: members.latents.mean(axis=0) for name, members in self.members.items()}

    @property
    def result(self) -> np.ndarray:
        """[z], the raw sum."""
        return combine(self.terms, self.means)

    def hands_of(self, name: str) -> Hands | None:
        """What the repeats drew of a group; None where nothing was measured."""
        return self.measured.hands.get(name) if self.measured else None

    def notes(self) -> list[Note]:
        """What a reader has to know to judge it."""
        texts = [text for name in self.groups if (text := self._unsure(name))]
        if self.measured is None:
            texts.append(self._why_not_measured())
        else:
            texts += [
                f"{name}: the repeats share {len(hands.pool):,} samples, each in up to {hands.most_uses} of them; "
                "more latents.candidates would spread them"
                for name, hands in self.measured.hands.items()
                if hands.most_uses > 1
            ]
        attributes = [condition.attribute for condition in self.should_have]
        if len(set(attributes)) < len(attributes):
            asked = " and ".join(condition.text for condition in self.should_have)
            texts.append(f"no image can show {asked} at once, so the share of results that show all is 0")
        return [{"text": text} for text in texts]

    def _unsure(self, name: str) -> str:
        """Whether the picture or the repeats had to do with samples that the finder is not sure of."""
        condition, hands = self.groups[name].condition, self.hands_of(name)
        if condition is None or self.candidates is None:
            return ""
        chosen, found = self.members[name].scores, []
        if self.groups[name].numbers is None and chosen is not None and chosen.min() < SURE:
            found.append(f"the picture's go down to {chosen.min():.2f}")
        if hands is not None and hands.least_sureness < SURE:
            found.append(f"those of the repeats to {hands.least_sureness:.2f}")
        if not found:
            return ""
        sure, count = sure_count(self.candidates, condition), len(self.candidates)
        return (
            f"{name}: {sure} of {count:,} samples are assessed past {SURE:g}; the surest were taken, "
            + " and ".join(found)
        )

    def _why_not_measured(self) -> str:
        if self.judges is None:
            return "not measured: there is no assessor, for the data has no labels"
        unknown = [name for name, group in self.groups.items() if group.condition is None]
        if unknown:
            return f"not measured: the assessor knows nothing of {', '.join(unknown)}"
        return "not measured: no group is counted with +, so nothing says what the result should show"


def conditions_of(groups: Mapping[str, Group]) -> dict[str, Condition]:
    """The groups that an assessor can find, with what it is to look for."""
    return {name: group.condition for name, group in groups.items() if group.condition is not None}


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
        "group_size": study.config.group_size,
        "repeats": study.config.repeats if study.measured else 0,
        "result": "raw sum of the signed group means",
    }


def _score(study: Study, row: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    own = {"expression": format_expression(study.terms), "shows": row["attribute"]}
    beside = {key: row[key] for key in ("count", "interval", "random_share", "random_samples", "random_interval")}
    return {"metric": "latent_arithmetic_share", "value": row["share"], "protocol": own | protocol | beside}


def _group(study: Study, name: str) -> dict[str, Any]:
    group, members, hands = study.groups[name], study.members[name], study.hands_of(name)
    found: dict[str, Any] = {
        "chosen_by": "assessor" if group.numbers is None else "person",
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
