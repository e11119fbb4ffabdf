"""Scores of any two image collections, computed over the cluster."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framework.checkpoint.foreign import entry_of
from framework.config import EvaluationConfig, Experiment
from framework.evaluation import (
    FeatureSpec,
    Protocol,
    Request,
    SourceSpec,
    find_source,
    pair_passes,
    requested,
    resolve_features,
    statistics_moments,
)
from framework.evaluation.values.compute import Sides, by_torchmetrics, combined, measure
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import Depot, Needs
from framework.orchestration.context import say_wait
from framework.orchestration.pool.actors import Actors, cpu_tasks
from framework.orchestration.pool.tasks import gpus_of_scores, task_resources
from framework.orchestration.progress import Watch
from framework.orchestration.scoring.evaluate import gather_fake
from framework.orchestration.scoring.features import Gatherer
from framework.orchestration.scoring.precision_shift import check_gain, precision_shift, with_shift
from framework.storage import is_uri


def pair_requests(
    reference: str, scored: str, *, settings: EvaluationConfig, watch: Watch
) -> tuple[list[Request], list[SourceSpec]]:
    """What is asked for of two collections, and these; computes nothing.

    Raises:
        EvaluationError: One of them holds no usable images, or a metric cannot be made of them.
    """
    features = resolve_features(settings, assessor_folder=None)
    mixed = settings.resize != "auto"
    sources = [
        find_source(place, samples=settings.samples, seed=settings.seed, mixed=mixed) for place in (reference, scored)
    ]
    for place, source in zip((reference, scored), sources, strict=True):
        watch.say(f"{place}: {_described(source)}")
    has_images = all(source.kind != "statistics" for source in sources)
    return requested(settings, features=features, has_images=has_images), sources


def evaluate_pair(
    reference: str, scored: str, *, experiment: Experiment, cluster: Cluster, watch: Watch
) -> list[dict[str, Any]]:
    """The scores of `scored` against `reference`: all their images, or as many as a named protocol wants.

    Raises:
        EvaluationError: One of them holds no usable images, or a metric cannot be made of them.
    """
    settings = experiment.evaluation
    asked, sources = pair_requests(reference, scored, settings=settings, watch=watch)
    found = []
    prepared = [
        (made, made.features(settings, assessor_folder=None), real, fake)
        for made, real, fake in pair_passes(asked, reference=sources[0], scored=sources[1])
    ]
    resources = task_resources(settings.workers, cluster, gpus=gpus_of_scores(experiment, cluster))
    say_wait(resources, cluster, watch)
    weights = {spec.path for _, spec, _, _ in prepared}
    files = [source.location for source in sources if not is_uri(source.location) and not entry_of(source.location)]
    depot = None if cluster.embedded else Depot.new()

    def needs(*places: Path | str) -> Needs | None:
        return None if depot is None else Needs(depot, tuple(map(str, places)))

    with (
        tempfile.TemporaryDirectory(prefix="latentscape-") as folder,
        Actors(resources, kind="Scorer", needs=needs(*weights, *files)) as crew,
    ):
        gatherer = Gatherer(
            crew,
            Path(folder),
            settings.feature_batch_blocks,
            watch.counter,
            device=crew.device(),
            beside=cpu_tasks(crew.resources, cluster, needs(*weights, *files)),
            needs=needs,
        )
        for made, spec, real, fake in prepared:
            protocols = _pair_protocols(made.requests, spec, gatherer.on_device(real), gatherer.on_device(fake))
            if made.requests[0].engine == "torchmetrics":
                told = by_torchmetrics(made.requests, spec, real, fake, gatherer.sharer("compare"))
                found += [combined(protocols[request], [told[request]]) for request in made.requests]
                continue
            shifts: dict[Request, dict[str, Any]] = {}
            if spec.precision != "float32" and "statistics" not in (real.kind, fake.kind):
                check_gain(spec, crew)
                shifts = precision_shift(made.requests, spec, real=real, fake=fake, held_out=None, gatherer=gatherer)
            sides = _pair_sides(made.requests, spec, real, fake, gatherer)
            values = measure(made.requests, sides, gatherer.sharer("compare", sides.files()))
            found += [
                with_shift(combined(protocols[request], [values[request]]), shifts.get(request))
                for request in made.requests
            ]
    return found


def _pair_protocols(
    wanted: Sequence[Request], features: FeatureSpec, real: SourceSpec, fake: SourceSpec
) -> dict[Request, Protocol]:
    return {request: request.protocol(features, fake=fake.side, real=real.side) for request in wanted}


def _pair_sides(
    wanted: Sequence[Request], features: FeatureSpec, real: SourceSpec, fake: SourceSpec, gatherer: Gatherer
) -> Sides:
    plain = dataclasses.replace(features, logits=False)
    rows = None
    if any(request.needs_features for request in wanted):
        rows, _ = gatherer.features(real, plain, name="reference measured")
    if real.kind == "statistics":
        moments = statistics_moments(real, plain)
    else:
        moments, _ = gatherer.kept_moments(real, plain, name="reference measured", rows=rows)
    sides = Sides(real=moments, real_features=rows)
    if fake.kind == "statistics":
        return dataclasses.replace(sides, fake=statistics_moments(fake, plain))
    return gather_fake(fake, features, wanted, gatherer, sides, name="images measured")


def _described(source: SourceSpec) -> str:
    side = source.side
    if source.kind == "statistics":
        return "statistics" + ("" if side.count is None else f" of {side.count:,} images")
    size = "of mixed sizes" if side.height is None else f"{side.height}x{side.width}"
    return f"all {side.count:,} images, {size}"
