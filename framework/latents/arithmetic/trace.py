"""Everything that one piece of arithmetic found, and what a reader has to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.latents.arithmetic.plan import Note
from framework.latents.arithmetic.selection import SURE, Candidates, RepeatedDraws, sure_count
from framework.latents.attributes.expression import SignedGroup
from framework.latents.attributes.groups import Condition, Group
from framework.latents.attributes.shares import combine, expected
from framework.latents.protocols import Assessed, Assessors


@dataclass(frozen=True)
class Members:
    """The samples that stand for a group in the picture.

    Attributes:
        numbers: From 1, as on the sheet; none of a photograph.
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

    hands: Mapping[str, RepeatedDraws]
    rows: list[dict[str, Any]]
    norm: float


@dataclass(frozen=True)
class ArithmeticTrace:
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
    judges: Assessors | None
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

    def hands_of(self, name: str) -> RepeatedDraws | None:
        """What the repeats drew of a group; None where nothing was measured."""
        return self.measured.hands.get(name) if self.measured else None

    def notes(self) -> list[Note]:
        """What a reader has to know to judge it."""
        texts = [text for name in self.groups if (text := self._unsure(name))]
        if self.measured is None:
            texts.append(self._why_not_measured())
        else:
            texts += self._reused()
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
            found.append(f"in the picture down to {chosen.min():.2f}")
        if hands is not None and hands.least_sureness < SURE:
            found.append(f"in the repeats down to {hands.least_sureness:.2f}")
        if not found:
            return ""
        sure, count = sure_count(self.candidates, condition), len(self.candidates)
        which = f"{name}: only {sure:,} of {count:,} samples are assessed past {SURE:g}"
        return f"{which}, so the surest were taken, {' and '.join(found)}"

    def _reused(self) -> list[str]:
        """Where repeats share samples, which makes them less than independent."""
        hands = self.measured.hands if self.measured else {}
        shared = [
            f"{n} ({len(h.pool):,} samples, each up to {h.most_uses} times)"
            for n, h in hands.items()
            if h.most_uses > 1
        ]
        if not shared:
            return []
        return [
            f"the repeats share samples of {', '.join(shared)}; more latents.candidates would make them independent"
        ]

    def _why_not_measured(self) -> str:
        if self.judges is None:
            return "not measured: there is no assessor, for the data has no labels"
        photographs = [name for name, group in self.groups.items() if group.latent is not None]
        if photographs:
            return f"not measured over repeats: there is one {' and one '.join(photographs)} only"
        unknown = [name for name, group in self.groups.items() if group.condition is None]
        if unknown:
            return f"not measured: the assessor knows nothing of {', '.join(unknown)}"
        return "not measured: no group is counted with +, so nothing says what the result should show"


def conditions_of(groups: Mapping[str, Group]) -> dict[str, Condition]:
    """The groups that an assessor can find, with what it is to look for."""
    return {name: group.condition for name, group in groups.items() if group.condition is not None}
