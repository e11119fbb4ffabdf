"""Requested scores, and the passes over the images in which they are computed together."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from framework.config import EvaluationConfig
from framework.config.metrics import METRICS, FeatureKind, MetricName
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.protocols.named import NamedProtocol, smaller_protocol
from framework.evaluation.protocols.protocol import Engine, ImageSetSpec, Protocol
from framework.evaluation.sources.source import SourceSpec, drawn, truncated


@dataclass(frozen=True)
class Request:
    """A requested score.

    Attributes:
        kind: The kind of extractor.
        resize: How images are resized.
        precision: Precision of the extractor.
        samples: Number of generated images.
        seed: Seed of the latents; with several seeds, the first one.
        seeds: Number of latent seeds.
        engine: Which implementation computes the metric.
        named: The named protocol that was requested; None if a metric was requested.
        truncation: Scale ψ of the latents of generated images; None for 1.
    """

    metric: MetricName
    kind: FeatureKind
    tap: int
    resize: Literal["tensorflow2015", "clean", "none"]
    precision: Literal["float32", "bfloat16"]
    samples: int
    seed: int
    seeds: int
    engine: Engine
    named: NamedProtocol | None = None
    truncation: float | None = None

    @property
    def needs_features(self) -> bool:
        """Whether the metric needs the features of each image; otherwise their moments are enough."""
        return METRICS[self.metric].needs_features

    @property
    def needs_held_out(self) -> bool:
        """Whether the metric needs real images that training never sees."""
        return METRICS[self.metric].has_held_out

    @property
    def name(self) -> str:
        """The name by which the score was requested."""
        return self.named.name if self.named else self.metric

    def protocol(
        self, features: FeatureSpec, *, fake: ImageSetSpec, real: ImageSetSpec, held_out: ImageSetSpec | None = None
    ) -> Protocol:
        """The protocol of the score of these sides; sides that the metric does not need are omitted.

        Raises:
            EvaluationError: The sides have fewer images than the named protocol requires, or do not fit the metric.
        """
        self._check_counts(real=real, fake=fake)
        metric = METRICS[self.metric]
        return Protocol.of(
            features,
            fake=fake,
            real=real if metric.has_real else None,
            held_out=held_out if metric.has_held_out else None,
            metric=self.metric,
            seeds=self.seeds if fake.split == "generated" else 1,
            engine=self.engine,
        )

    def _check_counts(self, *, real: ImageSetSpec, fake: ImageSetSpec) -> None:
        if self.named is None:
            return
        if METRICS[self.metric].has_real and (real.count is None or real.count < self.named.least_real):
            part = {"training": "training part", "statistics": "file of statistics"}.get(real.split, "reference")
            has = "does not contain their number" if real.count is None else f"has {real.count:,}"
            other = smaller_protocol(self.name, real=real.count or 0)
            instead = f"; {other.name} needs only {other.least_real:,}" if other else ""
            raise EvaluationError(
                f"{self.name}: needs at least {self.named.least_real:,} real images, but the {part} {has}{instead}"
            )
        if fake.count != self.named.samples:
            raise EvaluationError(f"{self.name}: needs {self.named.samples:,} images to score, not {fake.count}")


@dataclass(frozen=True)
class ScoringPass:
    """Scores that share one pass over the images: the same extractor and the same samples.

    Scores may need different numbers of samples: a smaller sample is a prefix of a larger one.

    Attributes:
        requests: The requested scores; at least one.
    """

    requests: tuple[Request, ...]

    @property
    def samples(self) -> int:
        """Number of generated images: the largest number that a request needs."""
        return max(request.samples for request in self.requests)

    @property
    def seeds(self) -> range:
        """The latent seeds."""
        first = self.requests[0]
        return range(first.seed, first.seed + first.seeds)

    @property
    def truncation(self) -> float | None:
        """Scale ψ of the latents; None for 1."""
        return self.requests[0].truncation

    @property
    def logits(self) -> bool:
        """Whether logits are needed in addition to the features."""
        return any(request.metric == "inception_score" for request in self.requests)

    def features(self, config: EvaluationConfig, *, assessor_folder: str | Path | None) -> FeatureSpec:
        """The features of the pass.

        Raises:
            EvaluationError: They are not available or not finite. The message begins with the names of the requests.
        """
        first = self.requests[0]
        keys: dict[str, Any] = {"metrics": [request.metric for request in self.requests]}
        if first.kind not in ("function", "file"):  # the setting names these itself
            keys["features"] = first.kind
        if first.kind == "inception":
            keys |= {"tap": first.tap, "resize": first.resize, "precision": first.precision}
        try:
            return resolve_features(config.model_copy(update=keys), assessor_folder=assessor_folder)
        except EvaluationError as fault:
            names = ", ".join(request.name for request in self.requests)
            raise EvaluationError(f"{names}: {str(fault).replace('evaluation.tap: ', 'tap ')}") from None


def needs_rows(requests: Iterable[Request]) -> bool:
    """Whether a pass needs the features of each image that is scored; otherwise the moments of all are enough."""
    requests = list(requests)
    return any(request.needs_features for request in requests) or len({request.samples for request in requests}) > 1


def passes(requests: Iterable[Request]) -> list[ScoringPass]:
    """Groups requests into passes; passes, and the requests of each, keep the order of the requests."""
    groups: dict[tuple, list[Request]] = {}
    for request in requests:
        key = (
            request.kind,
            request.tap,
            request.resize,
            request.precision,
            request.seed,
            request.seeds,
            request.engine,
            request.truncation,
        )
        groups.setdefault(key, []).append(request)
    return [ScoringPass(tuple(group)) for group in groups.values()]


def pair_passes(
    requests: Iterable[Request], *, reference: SourceSpec, scored: SourceSpec
) -> list[tuple[ScoringPass, SourceSpec, SourceSpec]]:
    """The passes of `evaluate A B`, each with its reference and the images that it scores.

    A metric uses all images in their own order; a named protocol uses exactly as many as it requires, drawn by its
    seed.

    Raises:
        EvaluationError: There are fewer images than a named protocol requires.
    """
    requests = list(requests)
    count = scored.side.count or 0  # 0 for a file of statistics that does not contain it
    unnamed = [dataclasses.replace(request, samples=count) for request in requests if request.named is None]
    prepared = [(one_pass, reference, truncated(scored, one_pass.truncation)) for one_pass in passes(unnamed)]
    for one_pass in passes(request for request in requests if request.named is not None):
        first = one_pass.requests[0]
        try:
            sample = drawn(scored, one_pass.samples, seed=first.seed)
        except EvaluationError as fault:
            names = ", ".join(request.name for request in one_pass.requests)
            raise EvaluationError(f"{names}: {fault}") from None
        prepared.append((one_pass, reference, truncated(sample, one_pass.truncation)))
    return prepared
