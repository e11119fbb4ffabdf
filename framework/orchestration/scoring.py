"""Scores as Ray work: shards of images over tasks, moments merged in order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framework.checkpoint import Checkpoint, load_generator
from framework.config import EvaluationConfig
from framework.evaluation import (
    FeatureSpec,
    ImageSide,
    Protocol,
    load_moments,
    merge_in_order,
    real_statistics,
    resolve_features,
    score_from_moments,
    shards,
)
from framework.evaluation.sources import SourceSpec, find_source, source_shard_moments, store_spec
from framework.metrics import Moments
from framework.orchestration.cluster import Cluster
from framework.orchestration.depot import Depot, Needs
from framework.orchestration.resources import Plan
from framework.orchestration.shards import TaskResources, map_in_order, task_device
from framework.orchestration.study import Study, Watch, task_resources
from framework.orchestration.target import Target
from framework.orchestration.work import TrialScoring
from framework.storage import is_uri


@dataclass(frozen=True)
class FinishedScore:
    """A score's handle; here it was waited for."""

    document: dict[str, Any]

    def result(self) -> dict[str, Any]:
        """The score document."""
        return self.document


def evaluate(study: Study, target: Target) -> list[dict[str, Any]]:
    """The score of a checkpoint by the run's evaluation settings, kept in scores.json; not computed a second time."""
    settings = study.experiment.evaluation
    features = study.features()
    real, _, real_side = real_moments(study, features)
    generator = load_generator(target.location)
    side = _generated(study, samples=settings.samples)
    protocol = Protocol.of(features, real=real_side, fake=side)
    known = [
        score
        for score in study.run.scores()
        if (score["protocol"], score.get("generator")) == (protocol.document(), generator.digest)
    ]
    if known:
        return known
    source = SourceSpec("generator", target.location, side.model_copy(update={"digest": generator.digest}))
    fake = _moments(
        source,
        features,
        blocks=settings.batch_size,
        resources=study.task_resources(),
        name=f"evaluate {target.checkpoint}",
        needs=study.needs(features.path),
        done=study.watch.counter("samples scored, by 256"),
    )
    score = score_from_moments(real, fake, protocol) | {"checkpoint": target.checkpoint, "generator": generator.digest}
    study.run.add_scores([score])
    return [score]


def evaluate_pair(
    reference: str, scored: str, *, settings: EvaluationConfig, cluster: Cluster, watch: Watch
) -> dict[str, Any]:
    """The Fréchet distance of `scored` to `reference`, all their images; a generator makes `evaluation.samples`.

    Raises:
        EvaluationError: One of them holds no usable images, or the features are not at hand.
    """
    features = resolve_features(settings, assessor_folder=None)
    sources = [find_source(place, samples=settings.samples, seed=settings.seed) for place in (reference, scored)]
    places = (features.path, *(source.location for source in sources if not is_uri(source.location)))
    needs = None if cluster.embedded else Needs(Depot.new(), places)
    for place, source in zip((reference, scored), sources, strict=True):
        watch.say(f"{place}: all {source.side.count:,} images, {source.side.height}x{source.side.width}")
    real, fake = (
        _moments(
            source,
            features,
            blocks=settings.batch_size,
            resources=task_resources(settings.workers, cluster),
            name=f"measure {place}",
            needs=needs,
            done=watch.counter("images measured, by 256"),
        )
        for place, source in zip((reference, scored), sources, strict=True)
    )
    return score_from_moments(real, fake, Protocol.of(features, real=sources[0].side, fake=sources[1].side))


def trial_scoring(study: Study, plan: Plan) -> TrialScoring:
    """How the trials of a run are scored; the real side is made here, once for all of them."""
    settings = study.experiment.evaluation
    features = study.trial_features()
    _, path, real_side = real_moments(study, features)
    protocol = Protocol.of(features, real=real_side, fake=_generated(study, samples=settings.trial_samples))
    tasks = (
        max(1, round(plan.fewest_workers * plan.cores_per_worker)) if settings.workers == "auto" else settings.workers
    )
    return TrialScoring(
        features=features,
        real=str(path),
        protocol=protocol,
        blocks=settings.batch_size,
        tasks=tasks,
        needs=study.needs(features.path),
    )


def score_in_trial(scoring: TrialScoring, checkpoint: Checkpoint, *, device: torch.device) -> FinishedScore:
    """Scores a checkpoint while its trial waits: on the worker's own GPU, else in Ray tasks on the trial's cores."""
    location = checkpoint.folder.location
    side = scoring.protocol.fake.model_copy(update={"digest": load_generator(location).digest})
    source = SourceSpec("generator", location, side)
    if device.type == "cuda":
        work = _shard_work(source, scoring.features, blocks=scoring.blocks)
        fake = merge_in_order(_shard(*arguments) for arguments in work)
    else:
        resources = TaskResources(workers=scoring.tasks, cores=0.0)
        name = f"score {checkpoint.name}"
        fake = _moments(
            source, scoring.features, blocks=scoring.blocks, resources=resources, name=name, needs=scoring.needs
        )
    return FinishedScore(score_from_moments(load_moments(Path(scoring.real)), fake, scoring.protocol))


def real_moments(study: Study, features: FeatureSpec) -> tuple[Moments, Path, ImageSide]:
    """Moments of all training images, computed once for their content and these features, and where they are kept."""
    source = store_spec(study.images, split="training")

    def compute() -> Moments:
        return _moments(
            source,
            features,
            blocks=study.experiment.evaluation.batch_size,
            resources=study.task_resources(),
            name="measure real images",
            needs=study.needs(features.path, study.images.path),
            done=study.watch.counter("real images measured, by 256"),
        )

    moments, path = real_statistics(features, source.side, compute=compute, cache=study.cache)
    return moments, path, source.side


def _generated(study: Study, *, samples: int) -> ImageSide:
    images = study.images
    return ImageSide(
        count=samples,
        split="generated",
        height=images.resolution,
        width=images.resolution,
        channels=study.experiment.data.channels,
        seed=study.experiment.evaluation.seed,
    )


def _moments(
    source: SourceSpec,
    features: FeatureSpec,
    *,
    blocks: int,
    resources: TaskResources,
    name: str,
    needs: Needs | None = None,
    done: Callable[[int, int], None] | None = None,
) -> Moments:
    work = _shard_work(source, features, blocks=blocks)
    return merge_in_order(map_in_order(_shard, work, resources=resources, name=name, needs=needs, done=done))


def _shard_work(source: SourceSpec, features: FeatureSpec, *, blocks: int) -> list[tuple]:
    return [(source, features, start, stop, blocks) for start, stop in shards(source.side.count)]


def _shard(source: SourceSpec, features: FeatureSpec, start: int, stop: int, blocks: int) -> Moments:
    return source_shard_moments(source, features, start=start, stop=stop, blocks=blocks, device=task_device())
