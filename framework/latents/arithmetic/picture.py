"""The arithmetic as a picture that says how it came about."""

import numpy as np

from framework.images import Term, equation
from framework.latents.arithmetic.trace import ArithmeticTrace
from framework.latents.attributes.expression import format_expression
from framework.latents.protocols import GeneratorLike


def draw(study: ArithmeticTrace, generator: GeneratorLike) -> np.ndarray:
    """The equation of pictures, [H, W, 3] uint8, with its scores, where its members come from, what was measured."""
    names = list(study.members)
    vectors = np.stack([*study.means.values(), study.result]).astype(np.float32)
    *means, result = generator.images(vectors)
    pictures = {name: generator.images(study.members[name].latents) for name in names}
    terms = [
        Term(
            sign=term.sign,
            name=term.group,
            members=pictures[term.group],
            member_captions=_captions(study, term.group),
            mean=means[names.index(term.group)],
        )
        for term in study.terms
    ]
    return equation(terms, result, _result(study), title=format_expression(study.terms), note="\n".join(_lines(study)))


def _captions(study: ArithmeticTrace, name: str) -> list[str]:
    members = study.members[name]
    if not members.numbers:
        return ["photograph"]
    if members.scores is None:
        return [str(number) for number in members.numbers]
    return [f"{number}\n{score:.2f}" for number, score in zip(members.numbers, members.scores, strict=True)]


def _result(study: ArithmeticTrace) -> str:
    if study.judged is None:
        return "result"
    scores = study.judged.measurer
    shown = [f"{condition.text} {condition.probability(scores)[0]:.2f}" for condition in study.should_have]
    return "\n".join(["result", *shown])


def _lines(study: ArithmeticTrace) -> list[str]:
    seed = f"samples of seed {study.config.seed}"
    by_person = [name for name, group in study.groups.items() if group.numbers is not None]
    photographs = [name for name, group in study.groups.items() if group.latent is not None]
    by_assessor = [name for name in study.groups if name not in (*by_person, *photographs)]
    has_scores = any(members.scores is not None for members in study.members.values())
    scored = "; under each its number" + (" and the assessor's score" if has_scores else "")
    lines = []
    if by_assessor and study.candidates:
        what = ", ".join(by_assessor)
        lines.append(f"{what}: the surest of {len(study.candidates):,} {seed}, chosen by the assessor{scored}.")
    if by_person:
        lines.append(f"{', '.join(by_person)}: chosen by a person from the numbered {seed}{'' if lines else scored}.")
    if photographs:
        lines.append(f"{', '.join(photographs)}: a photograph each, as projection found it.")
    if study.measured:
        row = study.measured.rows[0]
        low, high = row["interval"]
        lines.append(
            f"Over {row['repeats']} repeats with other samples, {row['share']:.0%} of the results "
            f"({low:.0%} to {high:.0%}) are assessed as {row['attribute']}; "
            f"of {row['random_samples']:,} random samples, {row['random_share']:.1%}. "
            "The results are judged by a second assessor, trained on other images."
        )
    return lines + [f"Note: {note['text']}." for note in study.notes()]
