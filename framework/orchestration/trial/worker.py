"""One DDP worker under Ray Train."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.data import open_store
from framework.errors import LatentscapeError, OutOfMemoryError, TrainingError
from framework.orchestration.trial.background_score import BackgroundScore
from framework.orchestration.trial.ray_metrics import RayGauges
from framework.orchestration.trial.spec import TrialSpec
from framework.runs import RunFolder, TrialFolder
from framework.telemetry.writer import Telemetry
from framework.training import Report, Trainer, WorkerGroup


def train_worker(work: TrialSpec) -> None:
    """Trains this worker's share. An error that a restart would not fix ends the trial; state.json has the reason."""
    context = ray.train.get_context()
    torch.set_num_threads(work.plan.threads_per_worker)
    workers = WorkerGroup.here(
        rank=context.get_world_rank(), world_size=context.get_world_size(), device=ray.train.torch.get_device()
    )
    trial = RunFolder.open(work.run).trial(work.trial)
    messages: list[str] = []
    telemetry = None
    if workers.rank == 0:
        gauges = RayGauges(experiment=work.experiment.name, trial=trial.id, parameters=work.parameters)
        telemetry = Telemetry(
            trial, experiment=work.experiment, parameters=work.parameters, gauges=gauges, log=messages.append
        )

    def report(report: Report) -> None:
        if telemetry is not None:
            telemetry.write(report)
        if report.due:  # Ray's controller takes two reports per second; more would delay the training
            ray.train.report(_figures(report) | {"log": list(messages)})
            messages.clear()

    try:
        record = None if telemetry is None else telemetry.record
        outcome = _trainer_of(work, trial, workers, report, record, messages.append).run()
        if workers.rank == 0 and outcome.state == "stopped":
            trial.write_state(state="interrupted")
        elif workers.rank == 0 and outcome.reason is not None:
            # The driver turns "running" into the state at the end.
            trial.write_state(state="stopped" if outcome.state == "collapsed" else "running", reason=outcome.reason)
    except LatentscapeError as fault:
        # Rank 0 records an error that all ranks have. These two kinds may be raised on another rank alone.
        if workers.rank == 0 or isinstance(fault, OutOfMemoryError) or not isinstance(fault, TrainingError):
            trial.write_state(state="failed", error=str(fault))
        if workers.world_size > 1 or isinstance(fault, OutOfMemoryError):
            raise  # other ranks may wait for this one, so Train has to end them
    finally:
        if telemetry is not None:
            telemetry.close()


def _trainer_of(
    work: TrialSpec,
    trial: TrialFolder,
    workers: WorkerGroup,
    report: Callable[[Report], None],
    record: Callable[[Report], None] | None,
    log: Callable[[str], None],
) -> Trainer:
    """The trainer of this worker's share, with the images and checkpoints opened."""
    experiment = work.experiment
    if work.node_files is not None:
        work.node_files.ensure_local()
    images = open_store(Path(work.images))
    store = CheckpointStore(
        trial.checkpoints,
        digest=work.identity.digest(images.digest),
        learned={"data": images.digest, **work.identity.learned()},
        keep=experiment.checkpoint.keep,
    )

    def score(checkpoint: Checkpoint) -> BackgroundScore:
        assert work.scoring is not None
        return BackgroundScore(work.scoring, checkpoint, device=torch.device(workers.device))

    return Trainer(
        experiment=experiment,
        images=images,
        store=store,
        workers=workers,
        report=report,
        record=record,
        score=None if work.scoring is None else score,
        should_stop=None if work.stop is None else work.stop.reader(),
        log=log,
    )


def _figures(report: Report) -> dict[str, Any]:
    """The parts of a report that are sent through Ray: its numbers, warnings, and scores with their checkpoints."""
    figures: dict[str, Any] = {key: value for key, value in report.metrics.items() if isinstance(value, (int, float))}
    figures["warnings"] = list(report.warnings)
    if report.scores:
        figures["scores"] = [
            {"images_seen": scored.images_seen, "checkpoint": scored.checkpoint, **_value(scored.document)}
            for scored in report.scores
        ]
    return figures


def _value(score: dict[str, Any]) -> dict[str, Any]:
    return {"metric": score["metric"], "value": score["value"]}
