"""Latent arithmetic: groups of samples, their means, the signed sum, and how often it shows what it should.

After Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks" (2016), section 6.3.2: means of three samples, added raw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.arithmetic.document import document_of
from framework.latents.arithmetic.picture import draw
from framework.latents.arithmetic.plan import Note, plan_of
from framework.latents.arithmetic.selection import Candidates, choose, deal, gather, require_candidates
from framework.latents.arithmetic.trace import Measured, Members, Study, conditions_of
from framework.latents.attributes.expression import SignedGroup
from framework.latents.attributes.groups import Condition, Group, labels_of
from framework.latents.attributes.shares import combine, expected, measured_rows
from framework.latents.protocols import Assess, Assessed, GeneratorLike, Judges, assess_latents


@dataclass(frozen=True)
class ArithmeticResult:
    """What came of an expression.

    Attributes:
        picture: The equation, [H, W, 3] uint8; None where no expression could be run.
        document: `arithmetic.json`; its notes say what could not be done, with the command that finishes it.
        latent: [z], the result; None where no expression could be run.
    """

    picture: np.ndarray | None
    document: dict[str, Any]
    latent: np.ndarray | None

    @property
    def notes(self) -> list[Note]:
        """Each {"text"} or {"text", "command"}."""
        return self.document["notes"]


def run_arithmetic(
    generator: GeneratorLike,
    config: LatentsConfig,
    *,
    judges: Judges | None,
    assess: Assess | None = None,
    target: str = "RUN",
    fallback: bool = True,
    photographs: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> ArithmeticResult:
    """Run `latents.expression`, or what there is in its place, and measure it.

    Members are the numbers of `latents.groups`, else the samples of which the finder is surest. Where the assessor
    knows every group, the expression is repeated `latents.repeats` times with other samples, and the measurer says
    how many results show what the groups counted with + stand for.

    Args:
        generator: Makes the images.
        config: The section `latents`.
        judges: The finder and the measurer; None where the data has no labels.
        assess: Judges latents in place of this process, such as over a cluster; must give what
            `subjects.assess_latents` gives.
        target: The run or checkpoint as the command in the notes names it in a shell.
        photographs: Name -> latent [z] of projected photographs, each a group of its own in the expression.
        fallback: Whether `latents.fallback_expression` is run where the expression's groups are unknown.

    Raises:
        LatentsError: An expression is none; or a group is unknown and `fallback` is False; or there are too few
            candidates for the groups.
    """
    labels = labels_of(judges.finder if judges else None)
    if judges and labels_of(judges.measurer) != labels:
        raise LatentsError("latents: the two assessors know other labels; train both on the same data")
    plan = plan_of(config, labels, target=target, fallback=fallback, photographs=photographs)
    if not plan.terms:
        document = {
            "expression": "",
            "requested_expression": config.arithmetic.expression,
            "measured": [],
            "notes": plan.notes,
        }
        return ArithmeticResult(picture=None, document=document, latent=None)
    if judges and assess is None:
        assess = partial(assess_latents, generator, judges)
    study = _study(generator, config, plan.terms, plan.groups, judges=judges, assess=assess)
    document = document_of(study, requested=config.arithmetic.expression, notes=[*plan.notes, *study.notes()])
    return ArithmeticResult(picture=draw(study, generator), document=document, latent=study.result)


def _study(
    generator: GeneratorLike,
    config: LatentsConfig,
    terms: list[SignedGroup],
    groups: Mapping[str, Group],
    *,
    judges: Judges | None,
    assess: Assess | None,
) -> Study:
    conditions = conditions_of(groups)
    sought = {name: condition for name, condition in conditions.items() if groups[name].numbers is None}
    measurable = len(conditions) == len(groups) and bool(expected(terms, conditions))
    candidates = measured = None
    if assess is not None and (sought or measurable):
        candidates = _candidates(generator, config, conditions if measurable else sought, assess, measurable=measurable)
    chosen = choose(candidates, sought, size=config.arithmetic.group_size) if candidates and sought else {}
    numbered = [name for name, group in groups.items() if group.latent is None]
    indices = {name: chosen.get(name) or [number - 1 for number in groups[name].numbers or ()] for name in numbered}
    latents = generator.sample_latents(1 + max((max(m) for m in indices.values()), default=0), config.seed)
    parts = {n: latents[indices[n]] if g.latent is None else g.latent[None] for n, g in groups.items()}
    if candidates and measurable and assess is not None:
        pictured = [index for members in indices.values() for index in members]
        measured = _measure(config, terms, conditions, candidates, assess, without=pictured)
    result = combine(terms, {name: part.mean(axis=0) for name, part in parts.items()})
    judged = None
    if assess is not None:  # the members one after the other, then the result
        judged = assess(np.concatenate([*parts.values(), result[None]]))
    members = _members(groups, indices, parts, judged)
    return Study(config, terms, groups, members, judges, candidates, judged and judged.last(), measured)


def _candidates(
    generator: GeneratorLike,
    config: LatentsConfig,
    conditions: Mapping[str, Condition],
    assess: Assess,
    *,
    measurable: bool,
) -> Candidates:
    require_candidates(config.arithmetic.candidates, groups=len(conditions), group_size=config.arithmetic.group_size)
    wanted = config.arithmetic.group_size * (config.arithmetic.repeats + 1 if measurable else 1)
    looked_for = list(conditions.values())
    return gather(generator, assess, looked_for, seed=config.seed, wanted=wanted, most=config.arithmetic.candidates)


def _measure(
    config: LatentsConfig,
    terms: list[SignedGroup],
    conditions: Mapping[str, Condition],
    candidates: Candidates,
    assess: Assess,
    *,
    without: list[int],
) -> Measured:
    """Repeat the expression with members that are not in the picture, and have the results judged."""
    size, repeats = config.arithmetic.group_size, config.arithmetic.repeats
    hands = deal(candidates, conditions, size=size, repeats=repeats, without=without, seed=config.seed)
    means = {name: candidates.latents[hand.drawn].mean(axis=1) for name, hand in hands.items()}
    results = combine(terms, means)  # [repeats, z]
    shown = assess(results).measurer
    rows = measured_rows(expected(terms, conditions), shown, candidates.assessed.measurer)
    return Measured(hands=hands, rows=rows, norm=float(np.linalg.norm(results, axis=1).mean()))


def _members(
    groups: Mapping[str, Group],
    indices: Mapping[str, list[int]],
    parts: Mapping[str, np.ndarray],
    judged: Assessed | None,
) -> dict[str, Members]:
    """Each group's samples, with the finder's scores of them; `judged` has them in the groups' order."""
    members, first = {}, 0
    for name, group in groups.items():
        latents, scores = parts[name], None
        if judged is not None and group.condition is not None:
            scores = group.condition.probability(judged.finder)[first : first + len(latents)]
        members[name] = Members([index + 1 for index in indices.get(name, [])], latents, scores)
        first += len(latents)
    return members
