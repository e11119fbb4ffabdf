"""Scores as Ray work: shards of samples over tasks, moments merged in order."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework.checkpoint import Checkpoint, load_generator
from framework.data import open_store
from framework.evaluation import (
    FeatureSpec,
    ImageSide,
    Protocol,
    image_shard_moments,
    load_moments,
    merge_in_order,
    real_statistics,
    sample_shard_moments,
    score_from_moments,
    shards,
)
from framework.metrics import Moments
from framework.orchestration.loaded import loaded_extractor, loaded_generator
from framework.orchestration.resources import Plan
from framework.orchestration.shards import TaskResources, map_in_order
from framework.orchestration.study import Study
from framework.orchestration.target import Target
from framework.orchestration.work import TrialScoring


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
    protocol = Protocol.of(features, real=real_side, fake=_generated(study, samples=settings.samples))
    known = [
        score
        for score in study.run.scores()
        if (score["protocol"], score.get("generator")) == (protocol.document(), generator.digest)
    ]
    if known:
        return known
    counter = study.watch.counter("samples scored, by 256")
    work = [
        (target.location, generator.digest, features, settings.seed, start, stop, settings.batch_size)
        for start, stop in shards(settings.samples)
    ]
    resources = study.task_resources()
    name = f"evaluate {target.checkpoint}"
    parts = map_in_order(_sample_shard, work, resources=resources, name=name, done=counter)
    score = score_from_moments(real, merge_in_order(parts), protocol)
    score |= {"checkpoint": target.checkpoint, "generator": generator.digest}
    study.run.add_scores([score])
    return [score]


def trial_scoring(study: Study, plan: Plan) -> TrialScoring:
    """How the trials of a run are scored; the real side is made here, once for all of them."""
    settings = study.experiment.evaluation
    features = study.features()
    _, path, real_side = real_moments(study, features)
    protocol = Protocol.of(features, real=real_side, fake=_generated(study, samples=settings.trial_samples))
    tasks = max(1, round(plan.workers * plan.cores_per_worker)) if settings.workers == "auto" else settings.workers
    return TrialScoring(
        features=features,
        real=str(path),
        protocol=protocol,
        samples=settings.trial_samples,
        seed=settings.seed,
        blocks=settings.batch_size,
        tasks=tasks,
    )


def score_in_trial(scoring: TrialScoring, checkpoint: Checkpoint, *, device: torch.device) -> FinishedScore:
    """Scores a checkpoint while its trial waits: on the worker's own GPU, else in Ray tasks on the trial's cores."""
    digest = load_generator(checkpoint.folder.location).digest
    work = [
        (checkpoint.folder.location, digest, scoring.features, scoring.seed, start, stop, scoring.blocks)
        for start, stop in shards(scoring.samples)
    ]
    if device.type == "cuda":
        parts = (_sample_shard(*arguments) for arguments in work)
    else:
        resources = TaskResources(workers=scoring.tasks, cores=0.0)
        parts = map_in_order(_sample_shard, work, resources=resources, name=f"score {checkpoint.name}")
    fake = merge_in_order(parts)
    return FinishedScore(score_from_moments(load_moments(Path(scoring.real)), fake, scoring.protocol))


def real_moments(study: Study, features: FeatureSpec) -> tuple[Moments, Path, ImageSide]:
    """Moments of all training images, computed once for their content and these features, and where they are kept."""
    images = study.images
    side = ImageSide(
        count=len(images.training_indices),
        split="training",
        height=images.resolution,
        width=images.resolution,
        channels=images.channels,
        digest=images.digest,
    )
    compute = partial(_compute_real, study, features)
    moments, path = real_statistics(features, side, compute=compute, cache=study.cache)
    return moments, path, side


def _compute_real(study: Study, features: FeatureSpec) -> Moments:
    store = str(study.images.path)
    settings = study.experiment.evaluation
    work = [
        (store, features, start, stop, settings.batch_size)
        for start, stop in shards(len(study.images.training_indices))
    ]
    counter = study.watch.counter("real images measured, by 256")
    parts = map_in_order(_real_shard, work, resources=study.task_resources(), name="measure real images", done=counter)
    return merge_in_order(parts)


def _generated(study: Study, *, samples: int) -> ImageSide:
    images = study.images
    return ImageSide(
        count=samples,
        split="generated",
        height=images.resolution,
        width=images.resolution,
        channels=images.channels,
        seed=study.experiment.evaluation.seed,
    )


def _sample_shard(
    checkpoint: str, digest: str, features: FeatureSpec, seed: int, start: int, stop: int, blocks: int
) -> Moments:
    generator = loaded_generator(checkpoint, digest)
    return sample_shard_moments(generator, loaded_extractor(features), seed=seed, start=start, stop=stop, blocks=blocks)


def _real_shard(store: str, features: FeatureSpec, start: int, stop: int, blocks: int) -> Moments:
    images = open_store(Path(store))
    return image_shard_moments(
        images.images,
        loaded_extractor(features),
        start=start,
        stop=stop,
        indices=np.asarray(images.training_indices),
        blocks=blocks,
    )
