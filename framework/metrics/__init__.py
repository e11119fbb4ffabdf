"""Arrays in, numbers out: moments that merge, and the distances between them."""

from framework.metrics.frechet import frechet_distance
from framework.metrics.moments import Moments

__all__ = ["Moments", "frechet_distance"]
