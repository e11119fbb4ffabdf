"""The labels of a set of images."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Labels:
    """Values of labels, and the classes of labels that have classes.

    Attributes:
        values: Label -> float32 [n], NaN where the value is unknown.
        classes: Class label -> names of its classes; value k means classes[k].
    """

    values: dict[str, np.ndarray]
    classes: dict[str, list[str]]
