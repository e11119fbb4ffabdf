"""Labels of a set of images. Values are float32, NaN where one is unknown."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Labels:
    """Labels by name, and the classes that class labels' values count.

    Args:
        values: Label -> float32 [n].
        classes: Class label -> its classes; value k means classes[k].
    """

    values: dict[str, np.ndarray]
    classes: dict[str, list[str]]
