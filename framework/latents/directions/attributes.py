"""What directions are found for and effects measured of: each thing that an assessor tells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.errors import LatentsError
from framework.latents.attributes.groups import Labels
from framework.latents.protocols import Scores

_LEAST_PROBABILITY = 1e-6  # a probability of 0 or 1 has no logit


@dataclass(frozen=True)
class Attribute:
    """Something an assessor tells: a binary label, or one class of several.

    Attributes:
        name: `smiling`, or the class's, `old`.
        label: The label's name.
        column: The class's place; None for a binary label.
    """

    name: str
    label: str
    column: int | None = None

    def values(self, scores: Scores) -> np.ndarray:
        """[n] logits of what an assessor says."""
        found = scores[self.label]
        return logits(found if self.column is None else found[:, self.column])


def attributes_of(labels: Labels, wanted: Sequence[str] | None, *, key: str = "attributes") -> list[Attribute]:
    """The attributes of an assessor, or those that are named: binary labels, and each class of the others.

    Raises:
        LatentsError: A name that is none.
    """
    every = {}
    for label, classes in labels.items():
        if classes is None:
            every[label] = Attribute(label, label)
        else:
            every |= {name: Attribute(name, label, column) for column, name in enumerate(classes)}
    unknown = [name for name in wanted or () if name not in every]
    if unknown:
        known = ", ".join(every) or "none, for there is no assessor"
        raise LatentsError(f"latents.{key}: no attribute {', '.join(unknown)}; known: {known}")
    return list(every.values()) if wanted is None else [every[name] for name in wanted]


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities of any shape as logits, float64.

    >>> logits(np.array([0.5, 1.0])).round(2).tolist()
    [0.0, 13.82]
    """
    p = np.clip(np.asarray(probabilities, np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(p / (1 - p))
