"""One pass over images: scores of a run's checkpoints, or of any set of images, against the same reference."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framework.config.metrics import METRICS
from framework.evaluation import FeatureSpec, Protocol, Request, SourceSpec, drawn, statistics_moments
from framework.evaluation.requests.passes import needs_rows
from framework.evaluation.values.compute import by_torchmetrics, combined, measure
from framework.evaluation.values.feature_set import FeatureSet, Value
from framework.orchestration.scoring.features import FeatureComputer, delete_features
from framework.orchestration.scoring.precision_shift import SHIFT_IMAGES, check_gain, precision_shift, with_shift


@dataclass(frozen=True)
class Scored:
    """What is scored: a checkpoint or a set of images.

    Attributes:
        name: Shown while it is scored.
        protocols: Each requested score with its protocol; all of one pass.
        sources: The images; for a generator one source per latent seed.
        about: Further keys of each score document.
    """

    name: str
    protocols: Mapping[Request, Protocol]
    sources: Sequence[SourceSpec]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with.

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
    """Yields the scores of each checkpoint or set of images, in the given order.

    The features of generated samples are deleted when the caller asks for the next scores, because the same samples
    can be computed again.

    Args:
        reference: The real images that all are compared with.
        scored: What is scored; at least one.
        computer: Computes features and metrics.
        say: Called with one-line messages.

    Raises:
        EvaluationError: A metric cannot be computed from these images, or bfloat16 is not faster.
    """
    all_requests = list(dict.fromkeys(request for subject in scored for request in subject.protocols))
    if all_requests[0].engine == "torchmetrics":
        for subject in scored:
            pool, requests = computer.parts_pool(f"score {subject.name}"), [*subject.protocols]
            values = [by_torchmetrics(requests, features, reference.real, source, pool) for source in subject.sources]
            yield _documents(subject, values, {})
        return
    real, _ = reference_features(all_requests, features, reference, computer, say=say)
    shifts = _shifts(all_requests, features, reference, scored[0], computer)
    for number, subject in enumerate(scored, start=1):
        title = f"{subject.name} ({number} of {len(scored)})" if len(scored) > 1 else subject.name
        requests, values, files = [*subject.protocols], [], []
        for source in subject.sources:
            sides = _with_scored(real, source, features, requests, computer, title=title)
            values.append(measure(requests, sides, computer.parts_pool(f"score {subject.name}", sides.files())))
            files += sides.files(of_fake=True) if source.kind == "generator" else []
        yield _documents(subject, values, shifts)
        for file in files:
            delete_features(file)


def reference_features(
    requests: Sequence[Request],
    features: FeatureSpec,
    reference: Reference,
    computer: FeatureComputer,
    *,
    say: Callable[[str], None],
    keep_rows: bool = False,
) -> tuple[FeatureSet, Path | None]:
    """The features and moments of the reference that these requests need, and the file of its moments, if any.

    Args:
        requests: All of one pass.
        reference: Real images or statistics.
        computer: Computes features and moments.
        say: Called with one-line messages.
        keep_rows: Whether a later pass needs the features of each image. If so, they are computed now, so that the
            images go through the extractor only once.

    Raises:
        EvaluationError: bfloat16 is not faster than float32 here.
    """
    if features.precision != "float32" and reference.real.kind != "statistics":
        check_gain(features, computer.pool, say=say)
    plain, real = dataclasses.replace(features, logits=False), reference.real
    with_real = [request for request in requests if METRICS[request.metric].has_real]
    if not with_real:
        return FeatureSet(real=None), None
    if real.kind == "statistics":
        return FeatureSet(real=statistics_moments(real, plain)), None
    rows = held_out = None
    needed = any(request.needs_features for request in with_real)
    if needed or keep_rows:
        rows, _ = computer.features(real, plain, name="real images")
    moments, place = computer.kept_moments(real, plain, name="real images", rows=rows)
    if reference.held_out is not None and any(request.needs_held_out for request in requests):
        held_out, _ = computer.features(reference.held_out, plain, name="held-out images")
    return FeatureSet(real=moments, real_features=rows if needed else None, held_out_features=held_out), place


def _with_scored(
    real: FeatureSet,
    source: SourceSpec,
    features: FeatureSpec,
    requests: Sequence[Request],
    computer: FeatureComputer,
    *,
    title: str,
) -> FeatureSet:
    """The reference, together with what these requests need of the images that are scored."""
    if source.kind == "statistics":
        return dataclasses.replace(real, fake=statistics_moments(source, dataclasses.replace(features, logits=False)))
    name = f"{title}: {'samples' if source.kind == 'generator' else 'images'}"
    if not needs_rows(requests):
        return dataclasses.replace(real, fake=computer.moments(source, features, name=name))
    rows, logits = computer.features(source, features, name=name)
    return dataclasses.replace(real, fake_features=rows, logits=logits)


def _shifts(
    requests: list[Request],
    features: FeatureSpec,
    reference: Reference,
    first: Scored,
    computer: FeatureComputer,
) -> dict[Request, dict[str, Any]]:
    """How much bfloat16 changes each score, measured on the first subject; empty for float32."""
    fake = first.sources[0]
    if features.precision == "float32" or "statistics" in (reference.real.kind, fake.kind):
        return {}
    if fake.kind == "generator":
        fake = drawn(fake, SHIFT_IMAGES, seed=requests[0].seed)
    needs_held_out = any(request.needs_held_out for request in requests)
    shifts = precision_shift(
        requests,
        features,
        real=reference.real,
        fake=fake,
        held_out=reference.held_out if needs_held_out else None,
        computer=computer,
    )
    where = {key: value for key, value in first.about.items() if key == "checkpoint"}
    return {request: {**where, **shift} for request, shift in shifts.items()}


def _documents(
    scored: Scored, values: Sequence[Mapping[Request, Value]], shifts: Mapping[Request, dict[str, Any]]
) -> list[dict[str, Any]]:
    scores = {
        request: combined(protocol, [each[request] for each in values])
        for request, protocol in scored.protocols.items()
    }
    return [with_shift(score, shifts.get(request)) | {**scored.about} for request, score in scores.items()]
