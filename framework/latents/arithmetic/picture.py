"""The picture of an evaluated expression."""

import numpy as np

from framework.images import Term, equation
from framework.latents.arithmetic.trace import ArithmeticTrace
from framework.latents.attributes.expression import format_expression
from framework.latents.protocols import GeneratorLike


def draw(trace: ArithmeticTrace, generator: GeneratorLike) -> np.ndarray:
    """Draws the equation as [H, W, 3] uint8: members, means and result with their scores, and notes below.

    The notes say how the members were chosen and what was measured.
    """
    names = list(trace.members)
    vectors = np.stack([*trace.means.values(), trace.result]).astype(np.float32)
    *means, result = generator.images(vectors)
    pictures = {name: generator.images(trace.members[name].latents) for name in names}
    terms = [
        Term(
            sign=term.sign,
            name=term.group,
            members=pictures[term.group],
            member_captions=_captions(trace, term.group),
            mean=means[names.index(term.group)],
        )
        for term in trace.terms
    ]
    return equation(terms, result, _result(trace), title=format_expression(trace.terms), note="\n".join(_lines(trace)))


def _captions(trace: ArithmeticTrace, name: str) -> list[str]:
    members = trace.members[name]
    if not members.numbers:
        return ["photograph"]
    if members.scores is None:
        return [str(number) for number in members.numbers]
    return [f"{number}\n{score:.2f}" for number, score in zip(members.numbers, members.scores, strict=True)]


def _result(trace: ArithmeticTrace) -> str:
    if trace.judged is None:
        return "result"
    scores = trace.judged.measurer
    shown = [f"{condition.text} {condition.probability(scores)[0]:.2f}" for condition in trace.should_have]
    return "\n".join(["result", *shown])


def _lines(trace: ArithmeticTrace) -> list[str]:
    seed = f"samples of seed {trace.config.seed}"
    by_person = [name for name, group in trace.groups.items() if group.numbers is not None]
    photographs = [name for name, group in trace.groups.items() if group.latent is not None]
    by_assessor = [name for name in trace.groups if name not in (*by_person, *photographs)]
    has_scores = any(members.scores is not None for members in trace.members.values())
    scored = "; under each its number" + (" and the assessor's score" if has_scores else "")
    lines = []
    if by_assessor and trace.candidates:
        names = ", ".join(by_assessor)
        lines.append(f"{names}: the surest of {len(trace.candidates):,} {seed}, chosen by the assessor{scored}.")
    if by_person:
        lines.append(f"{', '.join(by_person)}: chosen by a person from the numbered {seed}{'' if lines else scored}.")
    if photographs:
        lines.append(f"{', '.join(photographs)}: one projected photograph each.")
    if trace.measured:
        row = trace.measured.rows[0]
        low, high = row["interval"]
        lines.append(
            f"Over {row['repeats']} repeats with other samples, {row['share']:.0%} of the results "
            f"({low:.0%} to {high:.0%}) are assessed as {row['attribute']}; "
            f"of {row['random_samples']:,} random samples, {row['random_share']:.1%}. "
            "The results are assessed by a second assessor, trained on other images."
        )
    return lines + [f"Note: {note['text']}." for note in trace.notes()]
