"""How far samples lie apart from each other."""

import numpy as np

from framework.metrics.moments import Moments


def relative_diversity(real: Moments, fake: Moments) -> float:
    """Mean squared distance between two generated images over that between two real ones, in feature space.

    The mean over all pairs of different images is twice the trace of the covariance (by n − 1), so moments will do:
    1 where samples are as diverse as the real images, 0 where they are all the same.

    Raises:
        ValueError: The real images are all the same.
    """
    spread = float(np.trace(real.covariance))
    if not spread > 0:
        raise ValueError("real images that are all the same have no diversity to compare with")
    return float(np.trace(fake.covariance)) / spread
