"""How many samples are not copies of training images."""

import numpy as np


def authenticity(nearest: np.ndarray, nearest_index: np.ndarray, real_nearest: np.ndarray) -> float:
    """Share of samples that are authentic (Alaa et al. 2022, "How faithful is your synthetic data?").

    A sample is authentic if the training image nearest to it has another training image that is nearer still.

    Args:
        nearest: [m], each sample's distance to the nearest training image.
        nearest_index: [m], which one that is.
        real_nearest: [n], each training image's distance to the nearest other one.

    Raises:
        ValueError: A distance is not finite.
    """
    if not (np.isfinite(nearest).all() and np.isfinite(real_nearest).all()):
        raise ValueError("distances that are not finite cannot be compared")
    return float((real_nearest[nearest_index] < nearest).mean())
