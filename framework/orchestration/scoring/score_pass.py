"""One pass over images: scores of a run's checkpoints, or of any set of images, against the same reference."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.config.metrics import METRICS
from framework.evaluation import FeatureSpec, Protocol, Request, SourceSpec, drawn, statistics_moments
from framework.evaluation.requests.passes import needs_rows
from framework.evaluation.values.compute import Sides, Value, by_torchmetrics, combined, measure
from framework.orchestration.scoring.features import FeatureComputer, delete_features
from framework.orchestration.scoring.precision_shift import SHIFT_IMAGES, check_gain, precision_shift, with_shift


@dataclass(frozen=True)
class Scored:
    """What is scored: a checkpoint, or a set of images.

    Attributes:
        name: Shown while it is scored.
        protocols: Each score that is asked for, with its protocol; all of one pass.
        sources: Its images; for a generator one source per latent seed.
        about: Further keys of each score's document.
    """

    name: str
    protocols: Mapping[Request, Protocol]
    sources: Sequence[SourceSpec]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """What images are compared with.

    Attributes:
        real: Real images, or a file of statistics.
        held_out: Real images that training never sees; None if no metric of the pass needs them.
    """

    real: SourceSpec
    held_out: SourceSpec | None = None


def score_pass(
    features: FeatureSpec,
    reference: Reference,
    scored: Sequence[Scored],
    computer: FeatureComputer,
    *,
    say: Callable[[str], None],
) -> Iterator[list[dict[str, Any]]]:
    """Yields the scores of each, in the order in which they are asked for.

    The features of generated samples are deleted when the caller asks for the next scores: the same samples can be
    computed again.

    Args:
        features: Which features.
        reference: What all are compared with.
        scored: At least one.
        computer: Computes features and metrics.
        say: Called with one-line messages.

    Raises:
        EvaluationError: A metric that these images do not give, or bfloat16 where it is not faster.
    """
    asked = list(dict.fromkeys(request for one in scored for request in one.protocols))
    if asked[0].engine == "torchmetrics":
        for one in scored:
            pool = computer.parts_pool(f"score {one.name}")
            values = [by_torchmetrics([*one.protocols], features, reference.real, each, pool) for each in one.sources]
            yield _documents(one, values, {})
        return
    shifts = _shifts(asked, features, reference, scored[0], computer, say)
    real, _ = reference_features(asked, features, reference, computer)
    for number, one in enumerate(scored, start=1):
        title = f"{one.name} ({number} of {len(scored)})" if len(scored) > 1 else one.name
        requests, values, files = [*one.protocols], [], []
        for source in one.sources:
            sides = _with_scored(real, source, features, requests, computer, title=title)
            values.append(measure(requests, sides, computer.parts_pool(f"score {one.name}", sides.files())))
            files += sides.files(of_fake=True) if source.kind == "generator" else []
        yield _documents(one, values, shifts)
        for file in files:
            delete_features(file)


def reference_features(
    requests: Sequence[Request],
    features: FeatureSpec,
    reference: Reference,
    computer: FeatureComputer,
    *,
    keep_rows: bool = False,
) -> tuple[Sides, Path | None]:
    """What these requests need of the reference, and the file that keeps its moments, if there is one.

    Args:
        requests: All of one pass.
        features: Which features.
        reference: Real images or statistics.
        computer: Computes them.
        keep_rows: Whether a later pass needs the features of each image. They are computed now then, so that the
            images go through the extractor once.
    """
    plain, real = dataclasses.replace(features, logits=False), reference.real
    comparing = [request for request in requests if METRICS[request.metric].has_real]
    if not comparing:
        return Sides(real=None), None
    if real.kind == "statistics":
        return Sides(real=statistics_moments(real, plain)), None
    rows = held_out = None
    needed = any(request.needs_features for request in comparing)
    if needed or keep_rows:
        rows, _ = computer.features(real, plain, name="real images measured")
    moments, place = computer.kept_moments(real, plain, name="real images measured", rows=rows)
    if reference.held_out is not None and any(request.needs_held_out for request in requests):
        held_out, _ = computer.features(reference.held_out, plain, name="held-out images measured")
    return Sides(real=moments, real_features=rows if needed else None, held_out_features=held_out), place


def _with_scored(
    real: Sides,
    source: SourceSpec,
    features: FeatureSpec,
    requests: Sequence[Request],
    computer: FeatureComputer,
    *,
    title: str,
) -> Sides:
    """The reference with what these requests need of the images that are scored."""
    if source.kind == "statistics":
        return dataclasses.replace(real, fake=statistics_moments(source, dataclasses.replace(features, logits=False)))
    name = f"{title}: {'samples' if source.kind == 'generator' else 'images'}"
    if not needs_rows(requests):
        return dataclasses.replace(real, fake=computer.moments(source, features, name=name))
    rows, logits = computer.features(source, features, name=name)
    return dataclasses.replace(real, fake_features=rows, logits=logits)


def _shifts(
    asked: list[Request],
    features: FeatureSpec,
    reference: Reference,
    first: Scored,
    computer: FeatureComputer,
    say: Callable[[str], None],
) -> dict[Request, dict[str, Any]]:
    """How far bfloat16 moves each score, measured on the first that is scored; empty in float32."""
    fake = first.sources[0]
    if features.precision == "float32" or "statistics" in (reference.real.kind, fake.kind):
        return {}
    check_gain(features, computer.crew, say=say)
    if fake.kind == "generator":
        fake = drawn(fake, SHIFT_IMAGES, seed=asked[0].seed)
    needs_held_out = any(request.needs_held_out for request in asked)
    found = precision_shift(
        asked,
        features,
        real=reference.real,
        fake=fake,
        held_out=reference.held_out if needs_held_out else None,
        computer=computer,
    )
    where = {key: value for key, value in first.about.items() if key == "checkpoint"}
    return {request: {**where, **shift} for request, shift in found.items()}


def _documents(
    one: Scored, values: Sequence[Mapping[Request, Value]], shifts: Mapping[Request, dict[str, Any]]
) -> list[dict[str, Any]]:
    scores = {
        request: combined(protocol, [each[request] for each in values]) for request, protocol in one.protocols.items()
    }
    return [with_shift(score, shifts.get(request)) | {**one.about} for request, score in scores.items()]
