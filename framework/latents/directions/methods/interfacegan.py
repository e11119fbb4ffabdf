"""Linear boundaries between two sides of latents, and what is held fixed along one.

InterFaceGAN (Shen et al. 2020, "Interpreting the latent space of GANs for semantic face editing") separates the samples
that an assessor is surest of on either side by a linear support vector machine and moves along its normal; a direction
is made conditional by projecting others' normals out of it. Latent Compass (Schwettmann et al. 2020) draws the same
kind of boundary between two piles that a person has sorted. Both papers use the hinge loss; here it is squared, whose
minimum is unique, and the normal is the same where the sides can be separated by the widest margin.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.svm import LinearSVC

from framework.errors import LatentsError
from framework.latents.directions.direction import unit

LEAST_A_SIDE = 2
# Of violations against the margin's width: one so wide that most samples violate it hears all of them, a narrow one
# only those nearest to the boundary, of which an assessor is least sure. On drawn faces the normal for grey hair had
# a cosine of 0.82 with a ridge regression's direction at C = 1, of 0.87 at 1e-3 and of 0.90 at 1e-4.
_PENALTY = 1e-4


def boundary_normal(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The unit normal [z] of the boundary, from low [n,z] to high [m,z].

    Args:
        low: Latents of one side.
        high: Of the other.

    Raises:
        LatentsError: A side has fewer than 2 latents.
    """
    for name, side in (("low", low), ("high", high)):
        if len(side) < LEAST_A_SIDE:
            raise LatentsError(
                f"a boundary wants at least {LEAST_A_SIDE} samples a side, and the {name} one has {len(side)}"
            )
    machine = LinearSVC(C=_PENALTY, class_weight="balanced", dual="auto", max_iter=100_000, random_state=0)
    machine.fit(np.concatenate([low, high]).astype(np.float64), np.repeat([0, 1], [len(low), len(high)]))
    return unit(machine.coef_[0])


def difference_normal(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The unit vector [z] from the mean of low [n,z] to that of high [m,z], as latent arithmetic goes."""
    if min(len(low), len(high)) == 0:
        raise LatentsError("a difference wants samples on both sides")
    return unit(high.mean(axis=0, dtype=np.float64) - low.mean(axis=0, dtype=np.float64))


def conditional(direction: np.ndarray, fixed: Sequence[np.ndarray]) -> np.ndarray:
    """The part of a direction [z] that leaves others unchanged: their span is projected out of it.

    Raises:
        LatentsError: Nothing is left of it.
    """
    exact = np.asarray(direction, np.float64)
    if not fixed:
        return unit(exact)
    basis, _ = np.linalg.qr(np.stack([np.asarray(other, np.float64) for other in fixed], axis=1))
    left = exact - basis @ (basis.T @ exact)
    if np.linalg.norm(left) < 1e-6 * np.linalg.norm(exact):
        raise LatentsError("nothing is left of the direction once the others are held fixed")
    return unit(left)


def surest(scores: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the `count` lowest and of the `count` highest scores [n], the surest first; ties by number.

    Raises:
        LatentsError: There are fewer than 2 * count scores.
    """
    if len(scores) < 2 * count:
        raise LatentsError(f"{count} samples a side want at least {2 * count} candidates, not {len(scores)}")
    order = np.argsort(scores, kind="stable")
    return order[:count], order[::-1][:count]
