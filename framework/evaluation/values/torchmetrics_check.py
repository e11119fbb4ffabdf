"""Scores by the classes of torchmetrics and, for Inception, by its network, for `evaluation.engine`.

They agree with ours except for rounding. This needs `antialias=False` (since 1.8 it resizes with antialias by default),
uint8 images with `normalize=False` (otherwise it truncates where we round), and the same file of weights. Its KID and
Inception Score do not accept a path, so they get the network. Its draws of subsets and splits differ from ours.
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
    """Our extractor, for features that torchmetrics does not have: an assessor, the clean resize, bfloat16."""

    def __init__(self, features: FeatureSpec, *, logits: bool) -> None:
        super().__init__()
        self._extract, self._logits = build_extractor(features), logits
        self.num_features = features.tap

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 2, 3, 1).numpy()
        return torch.from_numpy(self._extract.with_logits(pixels)[1] if self._logits else self._extract(pixels))


class _Double(nn.Module):
    """Converts the features of a network to float64."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = network

    def forward(self, images: Tensor) -> Tensor:
        return self._network(images).double()


class _Maker:
    """Builds the network for a class of torchmetrics.

    Args:
        folder: For a copy of the weights that we write, because torch-fidelity unpickles any content of a file.
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


def torchmetrics_values(
    metrics: Sequence[str], features: FeatureSpec, *, real: SourceSpec, fake: SourceSpec
) -> dict[str, tuple[float, float | None]]:
    """The value of each metric by torchmetrics and, if it has one, its standard deviation over subsets or splits.

    Args:
        metrics: Metrics that torchmetrics has.
        fake: The images that are scored.
    """
    with (
        warnings.catch_warnings(),
        # torchmetrics draws subsets and splits with torch's global random state, which is restored afterwards.
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
    # In float32 a kernel distance would have only three correct digits.
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
    """Blocks of images, uint8 [n,3,h,w], grey repeated; images of different sizes come one at a time."""
    read = open_source(source)
    for start in range(0, source.count, BLOCK_IMAGES):
        block = read(start, min(start + BLOCK_IMAGES, source.count))
        for part in [block] if isinstance(block, np.ndarray) else [image[None] for image in block]:
            images = torch.from_numpy(np.array(part)).permute(0, 3, 1, 2)
            yield images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
