"""The Inception Score (Salimans et al. 2016, "Improved techniques for training GANs")."""

import numpy as np
import torch


def inception_score(logits: np.ndarray, *, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Mean and standard deviation (with n) of exp(E KL(p(y|x) ‖ p(y))) over splits of the images.

    Args:
        logits: [n,c], finite.
        splits: Number of parts into which the images are divided after a seeded shuffle.
        seed: The seed of the shuffle, which is the same as torch-fidelity's for the same seed.

    Raises:
        ValueError: There are fewer images than splits, or logits are not finite.
    """
    if len(logits) < splits:
        raise ValueError(f"{splits} splits need at least {splits} images; there are {len(logits)}")
    if not np.isfinite(logits).all():
        raise ValueError("logits that are not finite have no Inception Score")
    order = np.random.RandomState(seed).permutation(len(logits))
    values = torch.tensor(np.asarray(logits)[order], dtype=torch.float64)
    scores = []
    for part in range(splits):
        log_p = values[part * len(values) // splits : (part + 1) * len(values) // splits].log_softmax(dim=1)
        p = log_p.exp()
        divergence = (p * (log_p - p.mean(dim=0, keepdim=True).log())).sum(dim=1)
        scores.append(float(divergence.mean().exp()))
    return float(np.mean(scores)), float(np.std(scores))
