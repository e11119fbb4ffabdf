"""Latent arithmetic: the signed sum of group means, and how often the result shows the expected attributes.

After Radford, Metz and Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks" (2016), section 6.3.2: means of three samples, added without normalisation.
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
from framework.latents.arithmetic.trace import ArithmeticTrace, Measured, Members, conditions_of
from framework.latents.attributes.expression import SignedGroup
from framework.latents.attributes.groups import Condition, Group, labels_of
from framework.latents.attributes.shares import combine, expected, measured_rows
from framework.latents.protocols import Assess, Assessed, Assessors, GeneratorLike, assess_latents


@dataclass(frozen=True)
class ArithmeticResult:
    """The result of an expression; picture and latent are None if no expression could be run.

    Attributes:
        picture: The equation, [H, W, 3] uint8.
        document: The content of `arithmetic.json`; its notes say what could not be done, with the command that
            completes it.
        latent: The result, [z].
    """

    picture: np.ndarray | None
    document: dict[str, Any]
    latent: np.ndarray | None

    @property
    def notes(self) -> list[Note]:
        """Remarks for the reader, each {"text"} or {"text", "command"}."""
        return self.document["notes"]


def run_arithmetic(
    generator: GeneratorLike,
    config: LatentsConfig,
    *,
    assessors: Assessors | None,
    assess: Assess | None = None,
    target: str = "RUN",
    fallback: bool = True,
    photographs: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> ArithmeticResult:
    """Runs `latents.arithmetic.expression` or its fallback, and measures how often it succeeds.

    The members of a group are the numbers of `latents.groups`, else the samples of which the finder is surest. If the
    assessor knows every group, the expression is repeated `latents.arithmetic.repeats` times with other samples, and
    the measurer counts how many results show the attributes of all groups that are added.

    Args:
        assessors: The finder and the measurer; None if the data has no labels.
        assess: Assesses latents elsewhere, such as on a cluster; must return the same as `protocols.assess_latents`.
        target: The run or checkpoint, as it is written in the commands of the notes.
        photographs: Name -> latent [z] of projected photographs; each is a group with one member.
        fallback: Whether to run `latents.arithmetic.fallback_expression` if a group of the expression is unknown.

    Raises:
        LatentsError: An expression cannot be parsed, a group is unknown and `fallback` is False, or there are too few
            candidates for the groups.
    """
    labels = labels_of(assessors.finder if assessors else None)
    if assessors and labels_of(assessors.measurer) != labels:
        raise LatentsError("latents: the two assessors have different labels; train both on the same data")
    plan = plan_of(config, labels, target=target, fallback=fallback, photographs=photographs)
    if not plan.terms:
        document = {
            "expression": "",
            "requested_expression": config.arithmetic.expression,
            "measured": [],
            "notes": plan.notes,
        }
        return ArithmeticResult(picture=None, document=document, latent=None)
    if assessors and assess is None:
        assess = partial(assess_latents, generator, assessors)
    trace = _evaluate(generator, config, plan.terms, plan.groups, assessors=assessors, assess=assess)
    document = document_of(trace, requested=config.arithmetic.expression, notes=[*plan.notes, *trace.notes()])
    return ArithmeticResult(picture=draw(trace, generator), document=document, latent=trace.result)


def _evaluate(
    generator: GeneratorLike,
    config: LatentsConfig,
    terms: list[SignedGroup],
    groups: Mapping[str, Group],
    *,
    assessors: Assessors | None,
    assess: Assess | None,
) -> ArithmeticTrace:
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
    if assess is not None:  # one call for all members in order and the result, so that the images share batches
        judged = assess(np.concatenate([*parts.values(), result[None]]))
    members = _members(groups, indices, parts, judged)
    return ArithmeticTrace(config, terms, groups, members, assessors, candidates, judged and judged.last(), measured)


def _candidates(
    generator: GeneratorLike,
    config: LatentsConfig,
    conditions: Mapping[str, Condition],
    assess: Assess,
    *,
    measurable: bool,
) -> Candidates:
    require_candidates(config.arithmetic.candidates, groups=len(conditions), group_size=config.arithmetic.group_size)
    needed = config.arithmetic.group_size * (config.arithmetic.repeats + 1 if measurable else 1)
    sought = list(conditions.values())
    return gather(generator, assess, sought, seed=config.seed, needed=needed, most=config.arithmetic.candidates)


def _measure(
    config: LatentsConfig,
    terms: list[SignedGroup],
    conditions: Mapping[str, Condition],
    candidates: Candidates,
    assess: Assess,
    *,
    without: list[int],
) -> Measured:
    """Repeats the expression with members that are not in the picture, and has the results assessed."""
    size, repeats = config.arithmetic.group_size, config.arithmetic.repeats
    draws = deal(candidates, conditions, size=size, repeats=repeats, without=without, seed=config.seed)
    means = {name: candidates.latents[draw.drawn].mean(axis=1) for name, draw in draws.items()}
    results = combine(terms, means)  # [repeats, z]
    shown = assess(results).measurer
    rows = measured_rows(expected(terms, conditions), shown, candidates.assessed.measurer)
    return Measured(draws=draws, rows=rows, norm=float(np.linalg.norm(results, axis=1).mean()))


def _members(
    groups: Mapping[str, Group],
    indices: Mapping[str, list[int]],
    parts: Mapping[str, np.ndarray],
    judged: Assessed | None,
) -> dict[str, Members]:
    """The samples of each group with the finder's scores; `judged` holds the scores in the order of the groups."""
    members, first = {}, 0
    for name, group in groups.items():
        latents, scores = parts[name], None
        if judged is not None and group.condition is not None:
            scores = group.condition.probability(judged.finder)[first : first + len(latents)]
        members[name] = Members([index + 1 for index in indices.get(name, [])], latents, scores)
        first += len(latents)
    return members
