"""Arrays in, numbers out: moments that merge, the distances between them, and which way a metric is better."""

from framework.metrics.direction import cost, higher_is_better
from framework.metrics.frechet import frechet_distance
from framework.metrics.moments import Moments

__all__ = ["Moments", "cost", "frechet_distance", "higher_is_better"]
