"""Scores of a run and of any two image collections, computed over the cluster."""

from pathlib import Path
from typing import Any

from framework.checkpoint import load_generator
from framework.config import EvaluationConfig
from framework.evaluation import (
    FeatureSpec,
    ImageSide,
    Protocol,
    real_statistics,
    resolve_features,
    score_from_moments,
)
from framework.evaluation.sources import SourceSpec, find_source, store_spec
from framework.metrics import Moments
from framework.orchestration.cluster import Cluster
from framework.orchestration.depot import Depot, Needs
from framework.orchestration.moments import source_moments
from framework.orchestration.resources import Plan
from framework.orchestration.shards import Tasks, task_resources
from framework.orchestration.study import Study, Watch
from framework.orchestration.target import Target
from framework.orchestration.work import TrialScoring
from framework.storage import is_uri


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
    fake = source_moments(
        source,
        features,
        blocks=settings.batch_size,
        crew=Tasks(study.task_resources(), study.needs(features.path)),
        name=f"evaluate {target.checkpoint}",
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
        source_moments(
            source,
            features,
            blocks=settings.batch_size,
            crew=Tasks(task_resources(settings.workers, cluster, gpus=settings.gpus_per_worker), needs),
            name=f"measure {place}",
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


def real_moments(study: Study, features: FeatureSpec) -> tuple[Moments, Path, ImageSide]:
    """Moments of all training images, computed once for their content and these features, and where they are kept."""
    source = store_spec(study.images, split="training")

    def compute() -> Moments:
        return source_moments(
            source,
            features,
            blocks=study.experiment.evaluation.batch_size,
            crew=Tasks(study.task_resources(), study.needs(features.path, study.images.path)),
            name="measure real images",
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
