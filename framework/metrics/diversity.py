"""The diversity of samples relative to real images."""

import numpy as np

from framework.metrics.moments import Moments


def relative_diversity(real: Moments, fake: Moments) -> float:
    """Mean squared distance between two generated images divided by that between two real images, in feature space.

    The value is 1 if samples are as diverse as real images, and 0 if they are all the same. The mean over all pairs of
    different images is twice the trace of the covariance (with n − 1), so moments are sufficient.

    Raises:
        ValueError: The real images are all the same.
    """
    spread = float(np.trace(real.covariance))
    if not spread > 0:
        raise ValueError("real images that are all the same have no diversity to compare with")
    return float(np.trace(fake.covariance)) / spread
