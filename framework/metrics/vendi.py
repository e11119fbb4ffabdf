"""The Vendi score: how many distinct images a set amounts to."""

from typing import Any

import numpy as np


def normalised_products(features: Any) -> np.ndarray:
    """The sum over images of x xᵀ [d,d] float64, with x an image's features [d] divided by their length.

    Args:
        features: [n,d]; sums of parts add up to that of the whole.

    Raises:
        ValueError: Features of length zero, or not finite.
    """
    rows = np.asarray(features, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("features of length zero, or not finite, have no direction")
    unit = rows / lengths
    return unit.T @ unit


def vendi_of_products(products: np.ndarray, count: int) -> float:
    """The Vendi score (Friedman & Dieng 2023) with the cosine kernel, from 1 (all alike) to min(n, d).

    It is exp(−Σ λ log λ) over the eigenvalues λ of K / n, with K [n,n] the cosines between images. The products [d,d]
    have the same eigenvalues other than zero, and d is smaller than n.

    Args:
        products: `normalised_products` of all n images.
    """
    eigenvalues = np.linalg.eigvalsh(products / count)
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))
