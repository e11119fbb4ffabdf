"""Scores of any two image collections, computed over the cluster."""

import tempfile
from pathlib import Path
from typing import Any

from framework.config import EvaluationConfig, Experiment
from framework.config.code import entry_of
from framework.evaluation import Request, SourceSpec, find_source, pair_passes, requested, resolve_features
from framework.evaluation.cost import plan_pair, refuse_oversized
from framework.evaluation.sources.files import left_out_text
from framework.evaluation.sources.source import truncated
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import FileServer, NodeFiles
from framework.orchestration.context import say_wait
from framework.orchestration.pool.tasks import gpus_of_scores, task_resources
from framework.orchestration.progress import Progress
from framework.orchestration.scoring.features import feature_computer
from framework.orchestration.scoring.score_pass import Reference, Scored, score_pass
from framework.storage import is_uri


def pair_requests(
    reference: str, scored: str, *, settings: EvaluationConfig, progress: Progress
) -> tuple[list[Request], list[SourceSpec]]:
    """The scores to compute for two collections of images, and the two collections; computes nothing.

    Raises:
        EvaluationError: A collection holds no usable images, or a metric cannot be computed from them.
    """
    features = resolve_features(settings, assessor_folder=None)
    mixed = settings.resize != "auto"
    sources = [
        find_source(place, samples=settings.samples, seed=settings.seed, mixed=mixed) for place in (reference, scored)
    ]
    for place, source in zip((reference, scored), sources, strict=True):
        progress.say(f"{place}: {_described(source)}")
    for scale in settings.truncation:
        truncated(sources[1], None if scale == 1.0 else scale)  # raises an error unless it is a generator
    has_images = all(source.kind != "statistics" for source in sources)
    return requested(settings, features=features, has_images=has_images), sources


def evaluate_pair(
    reference: str, scored: str, *, experiment: Experiment, cluster: Cluster, progress: Progress
) -> list[dict[str, Any]]:
    """The scores of `scored` against `reference`, from all their images or as many as a named protocol requires.

    Raises:
        EvaluationError: A collection holds no usable images, or a metric cannot be computed from them.
    """
    settings = experiment.evaluation
    requests, sources = pair_requests(reference, scored, settings=settings, progress=progress)
    if cluster.embedded:
        refuse_oversized(plan_pair(requests, settings=settings, reference=sources[0], scored=sources[1]))
    scores: list[dict[str, Any]] = []
    prepared = [
        (one_pass, one_pass.features(settings, assessor_folder=None), real, fake)
        for one_pass, real, fake in pair_passes(requests, reference=sources[0], scored=sources[1])
    ]
    resources = task_resources(settings.workers, cluster, gpus=gpus_of_scores(experiment, cluster))
    say_wait(resources, cluster, progress)
    weights = {file for _, spec, _, _ in prepared for file in spec.files}
    files = [source.location for source in sources if not is_uri(source.location) and not entry_of(source.location)]
    file_server = None if cluster.embedded else FileServer.new()

    def node_files(*places: Path | str) -> NodeFiles | None:
        return None if file_server is None else NodeFiles(file_server, tuple(map(str, places)))

    with (
        tempfile.TemporaryDirectory(prefix="latentscape-") as folder,
        feature_computer(
            resources,
            cluster,
            cache=Path(folder),
            blocks=settings.feature_batch_blocks,
            counter=progress.counter,
            node_files=node_files,
            files=(*weights, *files),
        ) as computer,
    ):
        for one_pass, features, real, fake in prepared:
            sides = {"real": computer.on_device(real).side, "fake": computer.on_device(fake).side}
            protocols = {request: request.protocol(features, **sides) for request in one_pass.requests}
            images = Scored(scored, protocols, [fake])
            for pass_scores in score_pass(features, Reference(real), [images], computer, say=progress.say):
                scores += pass_scores
    return scores


def _described(source: SourceSpec) -> str:
    side = source.side
    if source.kind == "statistics":
        return "statistics" + ("" if side.count is None else f" of {side.count:,} images")
    size = "of mixed sizes" if side.height is None else f"{side.height}x{side.width}"
    others = f" ({left_out_text(dict(source.left_out))})" if source.left_out else ""
    return f"all {side.count:,} images, {size}{others}"
