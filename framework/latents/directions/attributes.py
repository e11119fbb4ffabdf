"""The attributes for which directions are found and effects measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.errors import LatentsError
from framework.latents.attributes.groups import Labels, class_names
from framework.latents.protocols import Scores

_LEAST_PROBABILITY = 1e-6  # a probability of 0 or 1 has no logit


@dataclass(frozen=True)
class Attribute:
    """A binary label of the assessor, or one class of a label with several.

    Attributes:
        name: The name of the label (`smiling`) or of the class (`old`, or `age_group=old` if it is not unique).
        column: Index of the class; None for a binary label.
    """

    name: str
    label: str
    column: int | None = None

    def values(self, scores: Scores) -> np.ndarray:
        """[n] logits of the assessor's probabilities."""
        probabilities = scores[self.label]
        return logits(probabilities if self.column is None else probabilities[:, self.column])


def attributes_of(labels: Labels, names: Sequence[str] | None, *, key: str = "attributes") -> list[Attribute]:
    """The attributes with these names, or all: binary labels, and each class of the other labels.

    Raises:
        LatentsError: The assessor does not know one of the names.
    """
    attributes = {}
    for label, classes in labels.items():
        if classes is None:
            attributes[label] = Attribute(label, label)
        else:
            for column, name in enumerate(class_names(labels, label)):
                attributes[name] = Attribute(name, label, column)
    unknown = [name for name in names or () if name not in attributes]
    if unknown:
        known = ", ".join(attributes) or "none, because there is no assessor"
        raise LatentsError(f"latents.directions.{key}: no attribute {', '.join(unknown)}; known: {known}")
    return list(attributes.values()) if names is None else [attributes[name] for name in names]


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits of probabilities of any shape, float64; probabilities are clipped to stay finite.

    >>> logits(np.array([0.5, 1.0])).round(2).tolist()
    [0.0, 13.82]
    """
    p = np.clip(np.asarray(probabilities, np.float64), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(p / (1 - p))
