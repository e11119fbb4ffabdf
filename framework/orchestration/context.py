"""The context of a job: run folder, images, assessors, cluster and progress output."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from framework.config import AssessorConfig, Experiment
from framework.data import PackedStore, open_store, prepare
from framework.data.packing.heif import HEIC, INSTALL
from framework.data.packing.prepare import offered
from framework.data.packing.summary import summary_lines
from framework.data.sources.labels import LabelReport, described_labels, label_lines, note_lines, offer_lines
from framework.errors import DataError
from framework.evaluation import FeatureSpec, resolve_features
from framework.evaluation.requests.begun import trial_settings
from framework.models.assessor.assessor import Assessor
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.cluster.node_files import FileServer, NodeFiles
from framework.orchestration.cluster.stop_flag import StopFlag
from framework.orchestration.pool.tasks import TaskPool, TaskResources, gpus_of_tasks, task_device, task_resources
from framework.orchestration.progress import Progress
from framework.runs import RunFolder, cache_folder
from framework.runs.documents import read_object
from framework.runs.folder import now, run_place
from framework.runs.lease import lease
from framework.training import AssessorPair
from framework.training import train_assessors as _train_assessors
from framework.training.assessor.train import PARTS, train_half


@dataclass(frozen=True)
class RunContext:
    """What the steps of a job share.

    Args:
        run: The folder that results are written to.
        images: The packed images, training part and held-out part.
        assessors: Two, trained on disjoint halves of the labelled images; None if the images have no labels.
        cluster: The cluster that computes.
        progress: Shows messages and progress.
    """

    run: RunFolder
    images: PackedStore
    assessors: AssessorPair | None
    cluster: Cluster
    progress: Progress

    @property
    def experiment(self) -> Experiment:
        """The configuration of the run."""
        return self.run.experiment

    def made(self, name: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """A JSON artifact of the run, if it exists and holds every key of `about` with the same value; else None."""
        artifacts = self.run.artifacts
        document = read_object(artifacts, name) if artifacts.exists(name) else {}
        return document if document and all(document.get(key) == value for key, value in about.items()) else None

    @property
    def cache(self) -> Path:
        """The cache folder, which all runs share."""
        return cache_folder(self.experiment.storage)

    @cached_property
    def _file_server(self) -> FileServer:
        return FileServer.new()

    @cached_property
    def stop(self) -> StopFlag:
        """The flag that is raised when the job is interrupted; all its trials read it."""
        return StopFlag.new(f"stop {self.run.folder.name}")

    def node_files(self, *places: Path | str) -> NodeFiles | None:
        """Paths of this node that a piece of work reads and other nodes may lack; None on an embedded cluster."""
        if self.cluster.embedded:
            return None
        return NodeFiles(self._file_server, tuple(str(place) for place in places))

    def task_resources(self, *, on_cpus: bool = False) -> TaskResources:
        """Resources of tasks that may use the whole cluster: a GPU each if it has any, else a core each.

        Args:
            on_cpus: Whether the work computes on CPUs even if there are GPUs.
        """
        cluster = self.cluster.now()
        gpus = 0.0 if on_cpus else gpus_of_tasks(self.experiment, cluster)
        resources = task_resources(self.experiment.evaluation.workers, cluster, gpus=gpus)
        say_wait(resources, cluster, self.progress)
        return resources

    def trial_metric(self) -> str:
        """The metric that ranks trials, from `search.metric`."""
        metric = self.experiment.search.metric
        return "fid" if metric == "auto" or metric.endswith("_frechet_distance") else metric

    def trial_features(self) -> FeatureSpec:
        """The features that trials are scored with."""
        return resolve_features(trial_settings(self.run), assessor_folder=self.measurer)

    @property
    def measurer(self) -> Path | None:
        """The folder of the measurer; None if there are no assessors."""
        return self.assessors.folder / "measurer" if self.assessors is not None else None


def say_wait(resources: TaskResources, cluster: Cluster, progress: Progress) -> None:
    """Says that the work waits for a GPU if the cluster has none yet; nothing else is shown until a node joins."""
    if resources.gpus and not cluster.gpus:
        progress.say("Waiting for a node with a GPU; evaluation.gpus_per_worker=0 computes on CPUs instead.")


def prepare_images(experiment: Experiment, progress: Progress, *, every_label: bool = False) -> PackedStore:
    """The packed images of an experiment: packed on the first call, opened from the cache later.

    Prints how many there are and which labels they have.

    Args:
        every_label: Print the table of labels also if the images were packed before.

    Raises:
        ConfigError: storage.path would vanish with this submitted job.
        StorageError: storage.path cannot be opened. It is asked first, because packing may take long.
    """
    run_place(experiment)
    cache = cache_folder(experiment.storage)
    packed = False

    def begins(report: LabelReport | None) -> None:
        nonlocal packed
        packed = True
        for line in note_lines(report) if report is not None else ():
            progress.say(line)

    images = prepare(experiment.data, cache=cache, progress=progress.counter("images prepared"), begins=begins)
    rejected = f", {len(images.rejected)} rejected" if images.rejected else ""
    progress.say(
        f"Images: {len(images.names):,} of {images.resolution}x{images.resolution} ({images.source}), "
        f"{len(images.training_indices):,} for training, {len(images.held_out_indices):,} held out{rejected}"
    )
    for line in summary_lines(images, experiment.data) if every_label or packed else ():
        progress.say(line)
    photographs = sum(reason.startswith(HEIC) for _, reason in images.rejected)
    if photographs:
        progress.say(
            f"{photographs:,} HEIC photographs need {INSTALL}; then remove {images.path}, and they are packed as well"
        )
    labels, report = described_labels(images)
    for line in label_lines(labels, report, every_label=every_label or packed):
        progress.say(line)
    for line in note_lines(report) if not (packed and experiment.data.labels) and (every_label or packed) else ():
        progress.say(line)
    if (every_label or packed) and not labels.values and not experiment.data.labels:
        for line in offer_lines(offered(name for name, _ in images.rejected), images.names):
            progress.say(line)
    return images


@contextlib.contextmanager
def begin_run(
    experiment: Experiment, images: PackedStore, command: list[str], progress: Progress
) -> Iterator[RunFolder]:
    """Starts or resumes RUN and locks it against other jobs for this block.

    Raises:
        CheckpointError: Its checkpoints were trained on other images or with other settings.
        LeaseError: Another job is writing to it.
    """
    with lease(run_place(experiment), command, on_lost=progress.end):
        yield RunFolder.create(experiment, command, data=about_images(images))


def end_run(run: RunFolder) -> None:
    """Records the end of the run and the warnings of its trials in run.json."""
    warned = [f"trial {row['trial']}: {row['warnings']}" for row in run.leaderboard() if row.get("warnings")]
    run.note(ended=now(), warnings=warned)


def about_images(images: PackedStore) -> dict[str, Any]:
    """The description of the images in run.json; it contains no path."""
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
    run: RunFolder, images: PackedStore, progress: Progress, cluster: Cluster | None = None
) -> AssessorPair | None:
    """Both assessors, trained or from the cache; None, after a line that says why, if there are no labels.

    They train on GPUs of the cluster if it has any, else in this process.
    """
    experiment = run.experiment
    try:
        pair = _train_assessors(
            images,
            experiment.assessor,
            cache=cache_folder(experiment.storage),
            progress=progress.counter("assessor images"),
            elsewhere=_on_gpus(experiment, images, progress, cluster),
        )
    except DataError as fault:
        if needs_assessors(experiment):
            raise
        progress.say(f"Assessor: none ({fault})")
        return None
    described = {name: describe_assessor(pair, name) for name in ("finder", "measurer")}
    run.note(assessors=described)
    accuracies = described["measurer"]["accuracy"].items()
    shown = ", ".join(f"{label} {entry['value']:.3f}" for label, entry in accuracies)
    progress.say(f"Assessor: on held-out images {shown} (AUROC; accuracy for labels with several classes)")
    if pair.left_out:
        progress.say(f"Assessor: left out {'; '.join(f'{label} ({why})' for label, why in pair.left_out.items())}")
    return pair


def needs_assessors(experiment: Experiment) -> bool:
    """Whether a job cannot go on if the images have no labels to learn from."""
    return "assessor" in (experiment.evaluation.features, experiment.search.metric.partition("_")[0])


def _on_gpus(
    experiment: Experiment, images: PackedStore, progress: Progress, cluster: Cluster | None
) -> Callable[[], list[Assessor]] | None:
    """A function that trains both assessors as tasks, each on a GPU; None without GPUs."""
    if cluster is None:
        return None
    resources = task_resources(len(PARTS), cluster, gpus=gpus_of_tasks(experiment, cluster))
    if not resources.gpus:
        return None
    node_files = None if cluster.embedded else NodeFiles(FileServer.new(), (str(images.path),))

    def train() -> list[Assessor]:
        say_wait(resources, cluster, progress)
        work = [(str(images.path), experiment.assessor, half) for half in range(len(PARTS))]
        done = progress.counter("assessors trained")
        return list(TaskPool(resources, node_files).map(_train_half, work, name="train assessor", done=done))

    return train


def _train_half(images: str, config: AssessorConfig, half: int) -> Assessor:
    return train_half(open_store(Path(images)), config, half=half, device=task_device())


def describe_assessor(pair: AssessorPair, which: str) -> dict[str, Any]:
    """Digest and held-out accuracies of an assessor, for run.json and the report."""
    assessor = getattr(pair, which)
    return {"digest": assessor.digest, "accuracy": assessor.accuracy}
