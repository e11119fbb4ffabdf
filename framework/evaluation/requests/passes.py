"""Scores to make, and the passes over the images that make them together."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from framework.config import EvaluationConfig
from framework.config.metrics import METRICS, MetricName
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.protocols.named import NamedProtocol, smaller_protocol
from framework.evaluation.protocols.protocol import Engine, ImageSide, Protocol
from framework.evaluation.sources.source import SourceSpec, drawn


@dataclass(frozen=True)
class Request:
    """A score to make.

    Attributes:
        metric: What is computed.
        kind: Of which extractor.
        tap: How many features.
        resize: What happens to an image's size before.
        precision: Of the extractor.
        samples: Generated images.
        seed: Of the latents, the first where there are more.
        seeds: How many.
        engine: Whose arithmetic.
        named: The protocol that was asked for by its name; none for a metric by its own.
    """

    metric: MetricName
    kind: Literal["inception", "assessor"]
    tap: int
    resize: Literal["tensorflow2015", "clean", "none"]
    precision: Literal["float32", "bfloat16"]
    samples: int
    seed: int
    seeds: int
    engine: Engine
    named: NamedProtocol | None = None

    @property
    def needs_features(self) -> bool:
        """Whether each image's features are wanted; moments are enough else."""
        return METRICS[self.metric].needs_features

    @property
    def needs_held_out(self) -> bool:
        """Whether real images are wanted that training never sees."""
        return METRICS[self.metric].has_held_out

    @property
    def name(self) -> str:
        """As it was asked for."""
        return self.named.name if self.named else self.metric

    def protocol(
        self, features: FeatureSpec, *, fake: ImageSide, real: ImageSide, held_out: ImageSide | None = None
    ) -> Protocol:
        """The protocol of the score of these sides; what its metric does not want is left out.

        Raises:
            EvaluationError: The sides have fewer images than the named protocol wants, or are none for the metric.
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

    def _check_counts(self, *, real: ImageSide, fake: ImageSide) -> None:
        if self.named is None:
            return
        if METRICS[self.metric].has_real and (real.count is None or real.count < self.named.least_real):
            part = {"training": "training part", "statistics": "file of statistics"}.get(real.split, "reference")
            has = "does not say how many it is of" if real.count is None else f"has {real.count:,}"
            other = smaller_protocol(self.name, real=real.count or 0)
            instead = f"; {other.name} wants {other.least_real:,}" if other else ""
            raise EvaluationError(
                f"{self.name}: wants at least {self.named.least_real:,} real images, and the {part} {has}{instead}"
            )
        if fake.count != self.named.samples:
            raise EvaluationError(f"{self.name}: wants {self.named.samples:,} images to score, not {fake.count}")


@dataclass(frozen=True)
class Pass:
    """Scores that one pass over the images makes: same extractor, same samples; fewer are the first of more.

    Attributes:
        requests: At least one.
    """

    requests: tuple[Request, ...]

    @property
    def samples(self) -> int:
        """Generated images: as many as the request that wants the most."""
        return max(request.samples for request in self.requests)

    @property
    def seeds(self) -> range:
        """Of the latents."""
        first = self.requests[0]
        return range(first.seed, first.seed + first.seeds)

    @property
    def logits(self) -> bool:
        """Whether the logits are wanted beside the features."""
        return any(request.metric == "inception_score" for request in self.requests)

    def features(self, config: EvaluationConfig, *, assessor_folder: str | Path | None) -> FeatureSpec:
        """Its extractor.

        Raises:
            EvaluationError: It is not here, or not finite at this tap; the line begins with what was asked for.
        """
        first = self.requests[0]
        wanted: dict[str, Any] = {"features": first.kind, "metrics": [request.metric for request in self.requests]}
        if first.kind == "inception":
            wanted |= {"tap": first.tap, "resize": first.resize, "precision": first.precision}
        try:
            return resolve_features(config.model_copy(update=wanted), assessor_folder=assessor_folder)
        except EvaluationError as fault:
            names = ", ".join(request.name for request in self.requests)
            raise EvaluationError(f"{names}: {str(fault).replace('evaluation.tap: ', 'tap ')}") from None


def needs_rows(requests: Iterable[Request]) -> bool:
    """Whether a pass needs the features of each image that is scored; the moments of all are enough otherwise."""
    asked = list(requests)
    return any(request.needs_features for request in asked) or len({request.samples for request in asked}) > 1


def passes(requests: Iterable[Request]) -> list[Pass]:
    """Requests by the pass that makes them, in the order in which they were asked for."""
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
        )
        groups.setdefault(key, []).append(request)
    return [Pass(tuple(group)) for group in groups.values()]


def pair_passes(
    requests: Iterable[Request], *, reference: SourceSpec, scored: SourceSpec
) -> list[tuple[Pass, SourceSpec, SourceSpec]]:
    """Passes of `evaluate A B`, each with its reference and with what it scores.

    Without a protocol all images are taken in their own order; a named one takes exactly as many as it wants, drawn
    by its seed.

    Raises:
        EvaluationError: There are fewer than a named protocol wants.
    """
    asked = list(requests)
    count = scored.side.count or 0  # a file of statistics that does not say
    every = [dataclasses.replace(request, samples=count) for request in asked if request.named is None]
    found = [(made, reference, scored) for made in passes(every)]
    for made in passes(request for request in asked if request.named is not None):
        first = made.requests[0]
        try:
            found.append((made, reference, drawn(scored, made.samples, seed=first.seed)))
        except EvaluationError as fault:
            names = ", ".join(request.name for request in made.requests)
            raise EvaluationError(f"{names}: {fault}") from None
    return found
