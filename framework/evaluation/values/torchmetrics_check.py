"""Scores by torchmetrics' own classes and, for Inception, by the network that it brings: `evaluation.engine`.

What makes it agree with ours to rounding: `antialias=False` (since 1.8 it resizes with antialias otherwise), uint8
images with `normalize=False` (else it truncates where we round), and the same file of weights. Its KID and Inception
Score take no path, so they are given the network. Its own draws of subsets and splits differ from ours.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.config.metrics import METRICS
from framework.evaluation.features.extractor import BLOCK_IMAGES, FeatureSpec, build_extractor
from framework.evaluation.features.weights import read_weights
from framework.evaluation.sources.source import SourceSpec, open_source


class _OurFeatures(nn.Module):
    """Our extractor, where torchmetrics has no network of that kind: an assessor's, the clean resize, bfloat16."""

    def __init__(self, features: FeatureSpec, *, logits: bool) -> None:
        super().__init__()
        self._extract, self._logits = build_extractor(features), logits
        self.num_features = features.tap

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(self._extract.with_logits(pixels)[1] if self._logits else self._extract(pixels))


class _Double(nn.Module):
    """A network's features as float64."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, images: Tensor) -> Tensor:
        return self._network(images).double()


class _Maker:
    """Makes the network that a class of torchmetrics is given.

    Args:
        features: Whose features.
        folder: For a file of weights that we wrote: torch-fidelity unpickles all that a file holds.
    """

    def __init__(self, features: FeatureSpec, folder: str) -> None:
        self._features, self._file = features, Path(folder) / "weights.pth"

    def __call__(self, *, logits: bool = False) -> nn.Module:
        features = self._features
        plain = (features.kind, features.resize_name, features.precision)
        if plain != ("inception", "tensorflow2015", "float32"):
            return _OurFeatures(features, logits=logits)
        from torchmetrics.image.fid import NoTrainInceptionV3

        torch.save(read_weights(features.path, digest=features.digest)[0], self._file)
        output = "logits_unbiased" if logits else str(features.tap)
        return NoTrainInceptionV3("inception-v3-compat", [output], str(self._file), antialias=False)


def second_opinion(
    metrics: Sequence[str], features: FeatureSpec, *, real: SourceSpec, fake: SourceSpec
) -> dict[str, tuple[float, float | None]]:
    """Value and standard deviation (over its subsets or splits) of each metric.

    Args:
        metrics: Those that torchmetrics has.
        features: Whose.
        real: The reference.
        fake: What is scored.
    """
    with (
        warnings.catch_warnings(),
        # Its draws of subsets and splits come from torch's global state, which stays as it was.
        torch.random.fork_rng(devices=[]),
        tempfile.TemporaryDirectory(prefix="latentscape-") as folder,
    ):
        torch.default_generator.manual_seed(0)
        warnings.filterwarnings("ignore", message="Metric .* will save all extracted features in buffer")
        return {metric: _COMPUTE[metric](_Maker(features, folder), real, fake) for metric in metrics}


def _fid(network: _Maker, real: SourceSpec, fake: SourceSpec) -> tuple[float, None]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=network(), normalize=False)
    _feed(metric, real, fake)
    return float(metric.compute()), None


def _kid(network: _Maker, real: SourceSpec, fake: SourceSpec) -> tuple[float, float]:
    from torchmetrics.image.kid import KernelInceptionDistance

    settings = METRICS["kid"].settings_for(real=real.count, fake=fake.count)
    subsets, subset_size = (settings[name] for name in ("subsets", "subset_size"))
    assert isinstance(subsets, int)
    assert isinstance(subset_size, int)
    # In float32 a kernel distance keeps three digits.
    metric = KernelInceptionDistance(
        feature=_Double(network()), subsets=subsets, subset_size=subset_size, normalize=False
    )
    _feed(metric, real, fake)
    mean, sd = metric.compute()
    return float(mean), float(sd)


def _inception_score(network: _Maker, real: SourceSpec, fake: SourceSpec) -> tuple[float, float]:  # noqa: ARG001
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=network(logits=True), splits=10, normalize=False)
    for images in _blocks(fake):
        metric.update(images)
    mean, sd = metric.compute()
    return float(mean), float(sd)


_COMPUTE = {"fid": _fid, "kid": _kid, "inception_score": _inception_score}


def _feed(metric: Any, real: SourceSpec, fake: SourceSpec) -> None:
    for source, is_real in ((real, True), (fake, False)):
        for images in _blocks(source):
            metric.update(images, real=is_real)


@torch.no_grad()
def _blocks(source: SourceSpec) -> Iterator[Tensor]:
    """uint8 [n,3 or 1,h,w], grey repeated; images of mixed sizes one at a time."""
    read = open_source(source)
    for start in range(0, source.count, BLOCK_IMAGES):
        block = read(start, min(start + BLOCK_IMAGES, source.count))
        for part in [block] if isinstance(block, np.ndarray) else [image[None] for image in block]:
            images = torch.from_numpy(np.array(part)).permute(0, 3, 1, 2)
            yield images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
