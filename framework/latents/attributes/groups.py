"""What a group's name means: numbers that a person chose on the sheet, or what an assessor is to look for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.latents.protocols import AssessorLike, Scores

Labels = Mapping[str, Sequence[str] | None]
"""Attribute -> its classes, None for a binary one."""


@dataclass(frozen=True)
class Condition:
    """What an image is to show.

    Attributes:
        attribute: The label's name.
        at: "high" or "low" of a binary label, else a class.
        column: The class's place among the label's classes; None for a binary label.
    """

    attribute: str
    at: str
    column: int | None = None

    @property
    def text(self) -> str:
        """In a word or two.

        >>> Condition("glasses", "low").text
        'no glasses'
        """
        return {"high": self.attribute, "low": f"no {self.attribute}"}.get(self.at, self.at)

    def probability(self, scores: Scores) -> np.ndarray:
        """[n] probabilities that the images show it."""
        found = scores[self.attribute]
        if self.column is not None:
            return found[:, self.column]
        return 1 - found if self.at == "low" else found

    def holds(self, scores: Scores) -> np.ndarray:
        """[n] bool: the likelier of two, or the likeliest of several classes."""
        found = scores[self.attribute]
        if self.column is not None:
            return found.argmax(axis=1) == self.column
        return (found < 0.5) if self.at == "low" else (found >= 0.5)

    def to_json(self) -> dict[str, Any]:
        """As the configuration spells it."""
        return {"attribute": self.attribute, "at": self.at}


@dataclass(frozen=True)
class Group:
    """A resolved group.

    Numbers, or a condition, or both (chosen by a person, and known to the assessor by name); or the latent [z] of a
    photograph.
    """

    name: str
    numbers: tuple[int, ...] | None
    condition: Condition | None
    latent: np.ndarray | None = None


class UnknownGroupError(LatentsError):
    """Neither numbers nor labels say what a group is; with either it could be run."""


def labels_of(assessor: AssessorLike | None) -> dict[str, Sequence[str] | None]:
    """What an assessor knows; nothing where there is none."""
    known = assessor.attributes if assessor else ()
    return {attribute.name: None if attribute.classes is None else tuple(attribute.classes) for attribute in known}


def known_names(config: LatentsConfig, labels: Labels) -> list[str]:
    """Every name that resolves by itself: groups of the configuration, attributes, their absence, classes."""
    names = list(config.groups)
    for attribute, classes in labels.items():
        names += [attribute, f"no_{attribute}"] if classes is None else classes
    return list(dict.fromkeys(names))


def resolve_group(name: str, config: LatentsConfig, labels: Labels) -> Group:
    """The group that a name of the expression means.

    In this order: a group of `latents.groups`; a binary attribute (`glasses`: it is there); `no_` and a binary
    attribute (it is not); a class of any attribute (`old`).

    Raises:
        UnknownGroupError: It is none of them; the message names what is known.
        LatentsError: It is a class of two attributes, or not one of its attribute's.
    """
    given = config.groups.get(name)
    if isinstance(given, list):
        try:
            condition = _by_name(name, config, labels)
        except LatentsError:
            condition = None
        return Group(name, tuple(given), condition)
    if given is not None:
        return Group(name, None, _condition(given["attribute"], given["at"], labels, where=f"latents.groups.{name}"))
    return Group(name, None, _by_name(name, config, labels))


def _by_name(name: str, config: LatentsConfig, labels: Labels) -> Condition:
    if name in labels:
        classes = labels[name]
        if classes is not None:
            raise LatentsError(f"latents.expression: {name} is one of several, so name which: {', '.join(classes)}")
        return Condition(name, "high")
    bare = name.removeprefix("no_")
    if bare != name and labels.get(bare, ()) is None:
        return Condition(bare, "low")
    found = [Condition(a, name, list(c).index(name)) for a, c in labels.items() if c is not None and name in c]
    if len(found) == 1:
        return found[0]
    if found:
        owners = " and ".join(condition.attribute for condition in found)
        raise LatentsError(
            f"latents.expression: {name} is a class of {owners}; "
            f"say which by latents.groups.{name}={{attribute: {found[0].attribute}, at: {name}}}"
        )
    known = ", ".join(known_names(config, labels)) or "none, for there are no groups and no assessor"
    raise UnknownGroupError(f"latents.expression: no group {name!r}; known: {known}")


def _condition(attribute: str, at: str, labels: Labels, *, where: str) -> Condition:
    if attribute not in labels:
        known = ", ".join(labels) or "none, for there is no assessor"
        raise UnknownGroupError(f"{where}: no attribute {attribute!r}; known: {known}")
    classes = labels[attribute]
    allowed = ["high", "low"] if classes is None else list(classes)
    if at not in allowed:
        raise LatentsError(f"{where}: {attribute} is one of {', '.join(allowed)}, not {at!r}")
    return Condition(attribute, at, None if classes is None else allowed.index(at))
