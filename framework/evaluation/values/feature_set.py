"""What metrics are computed from, and what they give."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from framework.config.metrics import METRICS, Settings
from framework.evaluation.values.parts import Features, PartsPool
from framework.metrics import Moments

_T = TypeVar("_T")


@dataclass(frozen=True)
class Value:
    """The value of a metric.

    Attributes:
        sd: Standard deviation over the metric's own subsets or splits, if it has any.
        detail: Further numbers behind the value.
    """

    value: float
    sd: float | None = None
    detail: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features and moments of the images of a pass; each is None if no metric of the pass needs it.

    Attributes:
        real: Moments of the real images.
        fake: Moments of all samples; None also if they are computed from the samples' features.
        real_features: Features of the real images.
        fake_features: Features of the samples.
        held_out_features: Features of real images that training never sees.
        logits: Logits of the samples.
    """

    real: Moments | None
    fake: Moments | None = None
    real_features: Features | None = None
    fake_features: Features | None = None
    held_out_features: Features | None = None
    logits: Features | None = None

    def files(self, *, of_fake: bool = False) -> list[Path]:
        """The files of features; with `of_fake` only those of the samples."""
        of_real = () if of_fake else (self.real_features, self.held_out_features)
        return [Path(place) for place in (*of_real, self.fake_features, self.logits) if isinstance(place, str)]


@dataclass(frozen=True, eq=False)
class Asked:
    """The metrics of a pass that use the same number of samples.

    Attributes:
        sides: Features and moments of the pass.
    """

    metrics: frozenset[str]
    count: int
    sides: FeatureSet
    pool: PartsPool

    def settings(self, metric: str) -> Settings:
        """The parameters of a metric."""
        real = self.sides.real
        return METRICS[metric].settings_for(real=None if real is None else real.count, fake=self.count)


def required(value: _T | None) -> _T:
    """The same value, which must not be None."""
    assert value is not None, "a pass has the features and moments that its metrics need"
    return value
