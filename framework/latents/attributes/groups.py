"""Resolves the name of a group to sample numbers that a person chose, or to a condition for the assessor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.attributes.expression import quoted
from framework.latents.protocols import AssessorLike, Scores

Labels = Mapping[str, Sequence[str] | None]
"""Attribute -> its classes, None for a binary one."""


@dataclass(frozen=True)
class Condition:
    """One attribute that an image should show or lack.

    Attributes:
        at: "high" or "low" for a binary label, else the name of a class.
        column: Index of the class among the label's classes; None for a binary label.
    """

    attribute: str
    at: str
    column: int | None = None

    @property
    def text(self) -> str:
        """The condition in words.

        >>> Condition("glasses", "low").text
        'no glasses'
        """
        return {"high": self.attribute, "low": f"no {self.attribute}"}.get(self.at, self.at)

    def probability(self, scores: Scores) -> np.ndarray:
        """[n] probabilities that the images fulfil the condition."""
        probabilities = scores[self.attribute]
        if self.column is not None:
            return probabilities[:, self.column]
        return 1 - probabilities if self.at == "low" else probabilities

    def holds(self, scores: Scores) -> np.ndarray:
        """[n] bool: whether the most likely class fulfils the condition."""
        probabilities = scores[self.attribute]
        if self.column is not None:
            return probabilities.argmax(axis=1) == self.column
        return (probabilities < 0.5) if self.at == "low" else (probabilities >= 0.5)

    def to_json(self) -> dict[str, Any]:
        """The condition in the form that `latents.groups` uses."""
        return {"attribute": self.attribute, "at": self.at}


@dataclass(frozen=True)
class Group:
    """A resolved group: numbers, a condition, or the latent [z] of a photograph.

    A group has both numbers and a condition if a person chose the samples and the assessor knows the group's name.
    """

    name: str
    numbers: tuple[int, ...] | None
    condition: Condition | None
    latent: np.ndarray | None = None


class UnknownGroupError(LatentsError):
    """A group that neither sample numbers nor labels define; the expression can be run once either does."""


def labels_of(assessor: AssessorLike | None) -> dict[str, Sequence[str] | None]:
    """Attribute -> classes of an assessor, None for a binary one; empty without an assessor."""
    known = assessor.attributes if assessor else ()
    return {attribute.name: None if attribute.classes is None else tuple(attribute.classes) for attribute in known}


def known_names(config: LatentsConfig, labels: Labels) -> list[str]:
    """All names that `resolve_group` accepts: groups of the configuration, attributes, their absence, classes."""
    names = list(config.groups)
    for attribute, classes in labels.items():
        names += [attribute, f"no_{attribute}"] if classes is None else class_names(labels, attribute)
    return list(dict.fromkeys(names))


def class_names(labels: Labels, attribute: str) -> list[str]:
    """The names of an attribute's classes as groups and directions: `attribute=class` where another one has the name.

    >>> class_names({"race": ["asian", "other"], "hair": ["other", "red"]}, "hair")
    ['hair=other', 'red']
    """
    elsewhere = {name for other, classes in labels.items() if other != attribute for name in (other, *(classes or ()))}
    return [f"{attribute}={name}" if name in elsewhere else name for name in labels[attribute] or ()]


def resolve_group(name: str, config: LatentsConfig, labels: Labels) -> Group:
    """Resolves a name of the expression.

    In this order, a name may be a group of `latents.groups`; a binary attribute that is present (`glasses`); `no_` and
    a binary attribute that is absent; a class of any attribute (`old`, or `age_group=old`).

    Raises:
        UnknownGroupError: The name is unknown; the message lists the known ones.
        LatentsError: The name is a class of two attributes, or `latents.groups` names a class that does not exist.
    """
    configured = config.groups.get(name)
    if isinstance(configured, list):
        try:
            condition = _by_name(name, config, labels)
        except LatentsError:
            condition = None
        return Group(name, tuple(configured), condition)
    if configured is not None:
        attribute, at = configured["attribute"], configured["at"]
        return Group(name, None, _condition(attribute, at, labels, where=f"latents.groups.{name}"))
    return Group(name, None, _by_name(name, config, labels))


def _by_name(name: str, config: LatentsConfig, labels: Labels) -> Condition:
    if name in labels:
        classes = labels[name]
        if classes is not None:
            raise LatentsError(
                f"latents.arithmetic.expression: {name} has several classes; name one of {', '.join(classes)}"
            )
        return Condition(name, "high")
    bare = name.removeprefix("no_")
    if bare != name and labels.get(bare, ()) is None:
        return Condition(bare, "low")
    attribute, _, at = name.partition("=")
    if at and at in (labels.get(attribute) or ()):
        return _condition(attribute, at, labels, where="latents.arithmetic.expression")
    matches = [Condition(a, name, list(c).index(name)) for a, c in labels.items() if c is not None and name in c]
    if len(matches) == 1:
        return matches[0]
    if matches:
        owners = " and ".join(condition.attribute for condition in matches)
        raise LatentsError(
            f"latents.arithmetic.expression: {name} is a class of {owners}; choose one as in "
            f"{quoted(f'{matches[0].attribute}={name}')}"
        )
    known = ", ".join(map(quoted, known_names(config, labels))) or "none, because there are no groups and no assessor"
    raise UnknownGroupError(f"latents.arithmetic.expression: no group {name!r}; known: {known}")


def _condition(attribute: str, at: str, labels: Labels, *, where: str) -> Condition:
    if attribute not in labels:
        known = ", ".join(labels) or "none, because there is no assessor"
        raise UnknownGroupError(f"{where}: no attribute {attribute!r}; known: {known}")
    classes = labels[attribute]
    allowed = ["high", "low"] if classes is None else list(classes)
    if at not in allowed:
        at = _in_other_words(at, allowed, binary=classes is None)
    if at not in allowed:
        raise LatentsError(f"{where}: {attribute} must be one of {', '.join(allowed)}, not {at!r}")
    return Condition(attribute, at, None if classes is None else allowed.index(at))


def _in_other_words(at: str, allowed: list[str], *, binary: bool) -> str:
    """The allowed value that a person means by true, yes, or a class in other case; else the same text."""
    if binary:
        return {"true": "high", "yes": "high", "1": "high", "false": "low", "no": "low", "0": "low"}.get(at.lower(), at)
    alike = [name for name in allowed if name.casefold() == at.casefold()]
    return alike[0] if len(alike) == 1 else at
