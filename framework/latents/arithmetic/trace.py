"""All results of one evaluated expression, and the notes that a reader needs to judge them."""

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
    """The samples of a group in the picture.

    Attributes:
        numbers: Numbers on the sheet, starting at 1; empty for a photograph.
        latents: [k, z] float32.
        scores: [k] finder probabilities of the group's condition; None if the group has no condition.
    """

    numbers: list[int]
    latents: np.ndarray
    scores: np.ndarray | None


@dataclass(frozen=True)
class Measured:
    """The expression repeated with other samples.

    Attributes:
        draws: Group -> the members of each repeat.
        rows: How often the results show the expected attributes, as `shares.measured_rows` returns it.
        norm: Mean norm of the results.
    """

    draws: Mapping[str, RepeatedDraws]
    rows: list[dict[str, Any]]
    norm: float


@dataclass(frozen=True)
class ArithmeticTrace:
    """One expression, evaluated on one generator.

    Attributes:
        terms: The expression that was run.
        groups: The resolved group of each name.
        assessors: None if there is no assessor.
        candidates: The samples from which the assessor chose, and on which chance is measured; None if not needed.
        judged: Both assessors' scores of the result in the picture, of length 1; None if there is no assessor.
        measured: None if the assessor does not know every group, or if no group is added.
    """

    config: LatentsConfig
    terms: list[SignedGroup]
    groups: Mapping[str, Group]
    members: Mapping[str, Members]
    assessors: Assessors | None
    candidates: Candidates | None
    judged: Assessed | None
    measured: Measured | None

    @property
    def should_have(self) -> list[Condition]:
        """The conditions that the result should fulfil."""
        return expected(self.terms, conditions_of(self.groups))

    @property
    def means(self) -> dict[str, np.ndarray]:
        """Group -> mean latent [z] of its members."""
        return {name: members.latents.mean(axis=0) for name, members in self.members.items()}

    @property
    def result(self) -> np.ndarray:
        """The signed sum of the means, [z], not normalised."""
        return combine(self.terms, self.means)

    def draws_of(self, name: str) -> RepeatedDraws | None:
        """The members that the repeats drew for a group; None if nothing was measured."""
        return self.measured.draws.get(name) if self.measured else None

    def notes(self) -> list[Note]:
        """The remarks that a reader needs to judge the result."""
        texts = [text for name in self.groups if (text := self._unsure(name))]
        if self.measured is None:
            texts.append(self._why_not_measured())
        else:
            texts += self._reused()
        attributes = [condition.attribute for condition in self.should_have]
        if len(set(attributes)) < len(attributes):
            both = " and ".join(condition.text for condition in self.should_have)
            texts.append(f"no image can show {both} at once, so the share of results that show all is 0")
        return [{"text": text} for text in texts]

    def _unsure(self, name: str) -> str:
        """A note if the picture or the repeats use samples of which the finder is not sure, else ""."""
        condition, draws = self.groups[name].condition, self.draws_of(name)
        if condition is None or self.candidates is None:
            return ""
        chosen, places = self.members[name].scores, []
        if self.groups[name].numbers is None and chosen is not None and chosen.min() < SURE:
            places.append(f"in the picture down to {chosen.min():.2f}")
        if draws is not None and draws.least_sureness < SURE:
            places.append(f"in the repeats down to {draws.least_sureness:.2f}")
        if not places:
            return ""
        sure, count = sure_count(self.candidates, condition), len(self.candidates)
        which = f"{name}: only {sure:,} of {count:,} samples are assessed above {SURE:g}"
        return f"{which}, so the surest were taken, {' and '.join(places)}"

    def _reused(self) -> list[str]:
        """A note if repeats share samples, since they are then not independent."""
        draws = self.measured.draws if self.measured else {}
        shared = [
            f"{name} ({len(drawn.pool):,} samples, each up to {drawn.most_uses} times)"
            for name, drawn in draws.items()
            if drawn.most_uses > 1
        ]
        if not shared:
            return []
        more = "more latents.arithmetic.candidates would make them independent"
        return [f"the repeats share samples of {', '.join(shared)}; {more}"]

    def _why_not_measured(self) -> str:
        if self.assessors is None:
            return "not measured: there is no assessor, because the data has no labels"
        photographs = [name for name, group in self.groups.items() if group.latent is not None]
        if photographs:
            return f"not measured over repeats: there is only one {' and one '.join(photographs)}"
        unknown = [name for name, group in self.groups.items() if group.condition is None]
        if unknown:
            return f"not measured: the assessor does not know {', '.join(unknown)}"
        return "not measured: no group is added with +, so nothing defines what the result should show"


def conditions_of(groups: Mapping[str, Group]) -> dict[str, Condition]:
    """The groups that an assessor can find, each with its condition."""
    return {name: group.condition for name, group in groups.items() if group.condition is not None}
