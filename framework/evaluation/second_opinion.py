"""Scores by torchmetrics' own classes and, for Inception, by the network that it brings: `evaluation.engine`.

What makes it agree with ours to rounding: `antialias=False` (since 1.8 it resizes with antialias otherwise), uint8
images with `normalize=False` (else it truncates where we round), and the same file of weights. Its KID and Inception
Score take no path, so they are given the network. Its own draws of subsets and splits differ from ours.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.evaluation.families import FAMILIES
from framework.evaluation.features import BLOCK_IMAGES, FeatureSpec, build_extractor
from framework.evaluation.sources import SourceSpec, open_source


def second_opinion(
    families: Sequence[str], features: FeatureSpec, *, real: SourceSpec, fake: SourceSpec
) -> dict[str, tuple[float, float | None]]:
    """Value and standard deviation (over its subsets or splits) of each family.

    Args:
        families: Those that torchmetrics has.
        features: Whose.
        real: The reference.
        fake: What is scored.
    """
    torch.manual_seed(0)  # it draws subsets and splits from torch's global state
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Metric .* will save all extracted features in buffer")
        return {family: _COMPUTE[family](features, real, fake) for family in families}


def _fid(features: FeatureSpec, real: SourceSpec, fake: SourceSpec) -> tuple[float, None]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_network(features, str(features.tap)), normalize=False)
    _feed(metric, real, fake)
    return float(metric.compute()), None


def _kid(features: FeatureSpec, real: SourceSpec, fake: SourceSpec) -> tuple[float, float]:
    from torchmetrics.image.kid import KernelInceptionDistance

    settings = FAMILIES["kid"].settings_for(real=real.count, fake=fake.count)
    subsets, subset_size = (settings[name] for name in ("subsets", "subset_size"))
    assert isinstance(subsets, int)
    assert isinstance(subset_size, int)
    network = _network(features, str(features.tap))
    metric = KernelInceptionDistance(feature=network, subsets=subsets, subset_size=subset_size, normalize=False)
    _feed(metric, real, fake)
    mean, sd = metric.compute()
    return float(mean), float(sd)


def _inception_score(features: FeatureSpec, real: SourceSpec, fake: SourceSpec) -> tuple[float, float]:  # noqa: ARG001
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=_network(features, "logits_unbiased"), splits=10, normalize=False)
    for images in _blocks(fake):
        metric.update(images)
    mean, sd = metric.compute()
    return float(mean), float(sd)


_COMPUTE = {"fid": _fid, "kid": _kid, "inception_score": _inception_score}


class _OurFeatures(nn.Module):
    """Our extractor, where torchmetrics has no network of that kind: an assessor's features, or the clean resize."""

    def __init__(self, features: FeatureSpec) -> None:
        super().__init__()
        self._extract = build_extractor(features)
        self.num_features = features.tap

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self._extract(images.permute(0, 2, 3, 1).numpy()))


def _network(features: FeatureSpec, output: str) -> nn.Module:
    if features.kind == "assessor" or features.resize_name != "tensorflow2015":
        return _OurFeatures(features)
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3("inception-v3-compat", [output], features.path, antialias=False)


def _feed(metric: Any, real: SourceSpec, fake: SourceSpec) -> None:
    for source, is_real in ((real, True), (fake, False)):
        for images in _blocks(source):
            metric.update(images, real=is_real)


@torch.no_grad()
def _blocks(source: SourceSpec) -> Iterator[Tensor]:
    """uint8 [n,3 or 1,h,w], grey repeated."""
    read = open_source(source)
    for start in range(0, source.count, BLOCK_IMAGES):
        images = torch.from_numpy(np.stack(list(read(start, min(start + BLOCK_IMAGES, source.count))))).permute(
            0, 3, 1, 2
        )
        yield images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
