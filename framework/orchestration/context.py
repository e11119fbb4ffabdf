"""A run with all that its jobs need at hand: images, assessors, the cluster, and someone to tell."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from framework.config import AssessorConfig, Experiment
from framework.data import PackedStore, open_store, prepare
from framework.errors import DataError
from framework.evaluation import FeatureSpec, resolve_features
from framework.models.assessor.assessor import Assessor
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import Depot, Needs
from framework.orchestration.cluster.stop_flag import StopFlag
from framework.orchestration.pool.tasks import TaskResources, Tasks, gpus_of_tasks, task_device, task_resources
from framework.orchestration.progress import Watch
from framework.runs import RunFolder, cache_folder
from framework.runs.folder import now, run_place
from framework.runs.lease import lease
from framework.training import AssessorPair
from framework.training import train_assessors as _train_assessors
from framework.training.assessor.train import PARTS, train_half


@dataclass(frozen=True)
class Study:
    """What crosses from step to step of a run.

    Args:
        run: Where results go.
        images: The packed images, training part and held-out part.
        assessors: Two on disjoint halves of the labelled images, or None where the images have no labels.
        cluster: What the work is shared over.
        watch: Who is told.
    """

    run: RunFolder
    images: PackedStore
    assessors: AssessorPair | None
    cluster: Cluster
    watch: Watch

    @property
    def experiment(self) -> Experiment:
        """The run's."""
        return self.run.experiment

    def made(self, name: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """The artifact of this name, a document, where it is there and was made of the same; else None."""
        artifacts = self.run.artifacts
        document = artifacts.read_json(name) if artifacts.exists(name) else {}
        return document if document and all(document.get(key) == value for key, value in about.items()) else None

    @property
    def cache(self) -> Path:
        """Where what is kept between runs lies."""
        return cache_folder(self.experiment.storage)

    @cached_property
    def _depot(self) -> Depot:
        return Depot.new()

    @cached_property
    def stop(self) -> StopFlag:
        """Raised where the job is interrupted; every trial of it reads this one."""
        return StopFlag.new(f"stop {self.run.folder.name}")

    def needs(self, *places: Path | str) -> Needs | None:
        """For work that reads these paths of this node: on a cluster they may have to be brought to others."""
        if self.cluster.embedded:
            return None
        return Needs(self._depot, tuple(str(place) for place in places))

    def task_resources(self, *, on_cpus: bool = False) -> TaskResources:
        """For the tasks of a job that has the cluster to itself: a core each, or a GPU where there are any.

        Args:
            on_cpus: For work that GPUs have no part in.
        """
        cluster = self.cluster.now()
        gpus = 0.0 if on_cpus else gpus_of_tasks(self.experiment, cluster)
        resources = task_resources(self.experiment.evaluation.workers, cluster, gpus=gpus)
        say_wait(resources, cluster, self.watch)
        return resources

    def trial_metric(self) -> str:
        """The metric that trials are judged by, from `search.metric`."""
        metric = self.experiment.search.metric
        return "fid" if metric in ("auto", "assessor_frechet_distance") else metric

    def trial_features(self) -> FeatureSpec:
        """Which features trials are judged by: those that `search.metric` says, else those of scores."""
        kinds = {"fid": "inception", "inception_score": "inception", "assessor_frechet_distance": "assessor"}
        settings, metric = self.experiment.evaluation, self.experiment.search.metric
        asked = settings.model_copy(update={"features": kinds.get(metric, settings.features)})
        return resolve_features(asked, assessor_folder=self.measurer)

    @property
    def measurer(self) -> Path | None:
        """The folder of the assessor that measures; None where there is none."""
        return self.assessors.folder / "measurer" if self.assessors is not None else None


def say_wait(resources: TaskResources, cluster: Cluster, watch: Watch) -> None:
    """Says it where work is for GPUs that are yet to come: until the first one is there nothing else would be seen."""
    if resources.gpus and not cluster.gpus:
        watch.say("waiting for a node with a GPU (evaluation.gpus_per_worker=0 does without)")


def prepare_images(experiment: Experiment, watch: Watch) -> PackedStore:
    """The packed images of an experiment; made once, opened after that."""
    cache = cache_folder(experiment.storage)
    images = prepare(experiment.data, cache=cache, progress=watch.counter("images prepared"))
    rejected = f", {len(images.rejected)} rejected" if images.rejected else ""
    watch.say(
        f"Images: {len(images.names):,} of {images.resolution}x{images.resolution} ({images.source}), "
        f"{len(images.training_indices):,} for training, {len(images.held_out_indices):,} held out{rejected}"
    )
    return images


@contextlib.contextmanager
def begin_run(experiment: Experiment, images: PackedStore, command: list[str], watch: Watch) -> Iterator[RunFolder]:
    """RUN, begun or gone on with, and nobody else's for this block.

    Raises:
        CheckpointError: Its checkpoints are of other images or settings.
        LeaseError: Another job is writing to it.
    """
    with lease(run_place(experiment), command, on_lost=watch.end):
        yield RunFolder.create(experiment, command, data=about_images(images))


def end_run(run: RunFolder) -> None:
    """Notes the end, and what the trials warned of."""
    warned = [f"trial {row['trial']}: {row['warnings']}" for row in run.leaderboard() if row.get("warnings")]
    run.note(ended=now(), warnings=warned)


def about_images(images: PackedStore) -> dict[str, Any]:
    """What run.json says of the images; no path."""
    return {
        "source": images.source,
        "images": len(images.names),
        "training": len(images.training_indices),
        "held_out": len(images.held_out_indices),
        "rejected": len(images.rejected),
        "resolution": images.resolution,
        "channels": images.channels,
        "digest": images.digest,
        "labels": sorted(images.labels),
    }


def train_assessors(
    run: RunFolder, images: PackedStore, watch: Watch, cluster: Cluster | None = None
) -> AssessorPair | None:
    """Both assessors, trained or from the cache; None, and a line that says why, where there are no labels.

    They train on the cluster's GPUs where it has any, else in this process.
    """
    experiment = run.experiment
    try:
        pair = _train_assessors(
            images,
            experiment.assessor,
            cache=cache_folder(experiment.storage),
            progress=watch.counter("assessor images"),
            elsewhere=_on_gpus(experiment, images, watch, cluster),
        )
    except DataError as fault:
        if "assessor" in (experiment.evaluation.features, experiment.search.metric.partition("_")[0]):
            raise
        watch.say(f"Assessor: none ({fault})")
        return None
    described = {name: describe_assessor(pair, name) for name in ("finder", "measurer")}
    run.note(assessors=described)
    found = ", ".join(f"{label} {entry['value']:.3f}" for label, entry in described["measurer"]["accuracy"].items())
    watch.say(f"Assessor: on held-out images {found} (AUROC, for classes accuracy)")
    if pair.left_out:
        watch.say(f"Assessor: left out {'; '.join(f'{label} ({why})' for label, why in pair.left_out.items())}")
    return pair


def _on_gpus(
    experiment: Experiment, images: PackedStore, watch: Watch, cluster: Cluster | None
) -> Callable[[], list[Assessor]] | None:
    """Trains both as tasks, each on a GPU; None where there are none to use."""
    if cluster is None:
        return None
    resources = task_resources(len(PARTS), cluster, gpus=gpus_of_tasks(experiment, cluster))
    if not resources.gpus:
        return None
    needs = None if cluster.embedded else Needs(Depot.new(), (str(images.path),))

    def train() -> list[Assessor]:
        say_wait(resources, cluster, watch)
        work = [(str(images.path), experiment.assessor, half) for half in range(len(PARTS))]
        done = watch.counter("assessors trained")
        return list(Tasks(resources, needs).map(_train_half, work, name="train assessor", done=done))

    return train


def _train_half(images: str, config: AssessorConfig, half: int) -> Assessor:
    return train_half(open_store(Path(images)), config, half=half, device=task_device())


def describe_assessor(pair: AssessorPair, which: str) -> dict[str, Any]:
    """Digest and held-out accuracies, for run.json and the report."""
    assessor = getattr(pair, which)
    return {"digest": assessor.digest, "accuracy": assessor.accuracy}
