"""Linear boundaries between two sets of latents, and directions that leave others unchanged.

InterFaceGAN (Shen et al. 2020, "Interpreting the latent space of GANs for semantic face editing") separates the samples
of which an assessor is surest on either side with a linear support vector machine, and moves along the normal. A
direction becomes conditional by projecting the normals of other attributes out of it. Latent Compass (Schwettmann et
al. 2020) computes the same kind of boundary between two piles that a person has sorted. Both papers use the hinge
loss; here it is squared, so that the minimum is unique.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.svm import LinearSVC

from framework.errors import LatentsError
from framework.latents.directions.direction import unit

LEAST_A_SIDE = 2
# The SVM's C. With a small C the margin is so wide that most samples influence the normal; with a large one only those
# nearest to the boundary do, of which the assessor is least sure. On drawn faces the normal for grey hair had a cosine
# of 0.82 with a ridge regression's direction at C = 1, of 0.87 at 1e-3 and of 0.90 at 1e-4.
_PENALTY = 1e-4


def boundary_normal(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The unit normal [z] of the boundary, pointing from latents low [n,z] to high [m,z].

    Raises:
        LatentsError: A side has fewer than 2 latents.
    """
    for name, side in (("low", low), ("high", high)):
        if len(side) < LEAST_A_SIDE:
            raise LatentsError(
                f"a boundary needs at least {LEAST_A_SIDE} samples on each side, but the {name} side has {len(side)}"
            )
    machine = LinearSVC(C=_PENALTY, class_weight="balanced", dual="auto", max_iter=100_000, random_state=0)
    machine.fit(np.concatenate([low, high]).astype(np.float64), np.repeat([0, 1], [len(low), len(high)]))
    return unit(machine.coef_[0])


def difference_normal(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The unit vector [z] from the mean of low [n,z] to the mean of high [m,z], as in latent arithmetic."""
    if min(len(low), len(high)) == 0:
        raise LatentsError("a difference needs samples on both sides")
    return unit(high.mean(axis=0, dtype=np.float64) - low.mean(axis=0, dtype=np.float64))


def conditional(direction: np.ndarray, fixed: Sequence[np.ndarray]) -> np.ndarray:
    """Projects the span of the fixed directions out of a direction [z], scaled to length 1.

    Raises:
        LatentsError: The direction lies in that span.
    """
    exact = np.asarray(direction, np.float64)
    if not fixed:
        return unit(exact)
    basis, _ = np.linalg.qr(np.stack([np.asarray(other, np.float64) for other in fixed], axis=1))
    remainder = exact - basis @ (basis.T @ exact)
    if np.linalg.norm(remainder) < 1e-6 * np.linalg.norm(exact):
        raise LatentsError("nothing is left of the direction after the fixed ones are projected out")
    return unit(remainder)


def surest(scores: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the `count` lowest and the `count` highest scores [n], the most extreme first; ties by index.

    Raises:
        LatentsError: There are fewer than 2 * count scores.
    """
    if len(scores) < 2 * count:
        raise LatentsError(f"{count} samples per side need at least {2 * count} candidates, not {len(scores)}")
    order = np.argsort(scores, kind="stable")
    return order[:count], order[::-1][:count]
