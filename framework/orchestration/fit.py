"""One trial: a DDP training under Ray Train, with what it reports streaming back while it runs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty as _LocalEmpty
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from pyarrow import fs
from ray.util.queue import Empty, Queue

from framework.checkpoint import CheckpointStore, RunFolder
from framework.config import Experiment
from framework.data import open_store
from framework.errors import LatentscapeError, TrainingError
from framework.orchestration.resources import Plan
from framework.orchestration.scoring import TrialScoring, score_in_trial
from framework.orchestration.telemetry import Telemetry
from framework.training import Report, WorkerGroup, train


@dataclass(frozen=True)
class TrialWork:
    """All that a worker on any node needs to train one trial; small, and pickled as plain values."""

    run: str
    trial: str
    parameters: dict[str, Any]
    experiment: Experiment
    images: str
    plan: Plan
    scoring: TrialScoring | None


def fit_trial(work: TrialWork, *, on_report: Callable[[dict[str, Any]], None]) -> str:
    """Trains until the trial's total_images, from its newest checkpoint where it has one.

    Args:
        on_report: Called with each report's figures, in order, on the calling thread.

    Returns:
        The trial's state at its end: "finished" or "failed" (then state.json says why).
    """
    trial = RunFolder.open(work.run).trial(work.trial)
    trial.write_params(work.parameters)
    trial.write_state(state="running")
    queue = Queue(actor_options={"num_cpus": 0})
    trainer = _trainer(work, queue)
    fault: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as raised:  # noqa: BLE001 - it crosses to the calling thread
            fault.append(raised)

    thread = threading.Thread(target=fit, name=f"fit {work.trial}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            _drain(queue, on_report, wait_seconds=0.5)
        _drain(queue, on_report, wait_seconds=0.0)
    finally:
        queue.shutdown(force=True)
    return _closed(trial, fault)


def _closed(trial: Any, fault: list[BaseException]) -> str:
    state = trial.state
    if fault:
        state = {"state": "failed", "error": _reason(fault[0])}
    elif not state.get("error"):
        state = {"state": "finished"}
    else:
        state = {"state": "failed", "error": state["error"]}
    trial.write_state(**state)
    return state["state"]


def _reason(fault: BaseException) -> str:
    """The innermost cause, in one line."""
    inner = getattr(fault, "worker_failures", None)
    if inner:
        fault = next(iter(inner.values()))
    while fault.__cause__ is not None:
        fault = fault.__cause__
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return f"{type(fault).__name__}: {lines[-1] if lines else ''}"[:500]


def _drain(queue: Queue, on_report: Callable[[dict[str, Any]], None], *, wait_seconds: float) -> None:
    while True:
        try:
            metrics = queue.get(timeout=wait_seconds) if wait_seconds else queue.get(block=False)
        except (Empty, _LocalEmpty):
            return
        on_report(metrics)


class _Forward(ray.train.UserCallback):
    """Hands rank 0's figures to whoever waits; the queue has no bound, so the controller never waits."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        self._queue.put(metrics[0])


def ray_storage(run: RunFolder) -> dict[str, Any]:
    """Where Ray keeps its own records of a run, as its RunConfigs want it: RUN/ray."""
    location = (run.folder / "ray").location
    if run.folder.is_local:
        return {"storage_path": location}
    filesystem, path = fs.FileSystem.from_uri(location)
    return {"storage_path": path, "storage_filesystem": filesystem}


def _trainer(work: TrialWork, queue: Queue) -> ray.train.torch.TorchTrainer:
    plan = work.plan
    return ray.train.torch.TorchTrainer(
        _train_worker,
        train_loop_config={"work": work},
        scaling_config=ray.train.ScalingConfig(
            num_workers=plan.workers,
            use_gpu=plan.gpus_per_worker > 0,
            resources_per_worker={"CPU": plan.cores_per_worker}
            | ({"GPU": plan.gpus_per_worker} if plan.gpus_per_worker else {}),
        ),
        run_config=ray.train.RunConfig(
            name=f"trial-{work.trial}",
            failure_config=ray.train.FailureConfig(max_failures=work.experiment.compute.max_failures),
            callbacks=[_Forward(queue)],
            worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": str(plan.threads_per_worker)}},
            **ray_storage(RunFolder.open(work.run)),
        ),
    )


def _train_worker(config: dict[str, TrialWork]) -> None:
    """What each DDP worker runs. A user's fault is written into the trial's state: a restart would not mend it."""
    work = config["work"]
    context = ray.train.get_context()
    torch.set_num_threads(work.plan.threads_per_worker)
    workers = WorkerGroup(
        rank=context.get_world_rank(), world_size=context.get_world_size(), device=ray.train.torch.get_device()
    )
    trial = RunFolder.open(work.run).trial(work.trial)
    telemetry = Telemetry(trial, learning_parameters=work.parameters) if workers.rank == 0 else None

    def report(report: Report) -> None:
        if telemetry is not None:
            telemetry.write(report)
        ray.train.report(_figures(report))

    try:
        _train(work, workers, report)
    except LatentscapeError as fault:
        if workers.rank == 0 or not isinstance(fault, TrainingError):
            trial.write_state(state="failed", error=str(fault))
    finally:
        if telemetry is not None:
            telemetry.close()


def _train(work: TrialWork, workers: WorkerGroup, report: Callable[[Report], None]) -> None:
    experiment = work.experiment
    images = open_store(Path(work.images))
    trial = RunFolder.open(work.run).trial(work.trial)
    store = CheckpointStore(
        trial.checkpoints,
        digest=experiment.digest(images.digest),
        learned={"data": images.digest, **experiment.learned()},
        keep=experiment.checkpoint.keep,
    )
    scoring = work.scoring
    score = None
    if scoring is not None and workers.rank == 0:
        scoring = replace(scoring, device=str(workers.device))
        score = lambda checkpoint: score_in_trial(scoring, checkpoint)  # noqa: E731
    messages: list[str] = []
    train(experiment, images, store=store, workers=workers, report=report, score=score, log=messages.append)


def _figures(report: Report) -> dict[str, Any]:
    """What Ray sees of a report: its numbers, the score and where the checkpoint lies."""
    figures = {key: value for key, value in report.metrics.items() if isinstance(value, (int, float))}
    figures["warnings"] = list(report.warnings)
    if report.score is not None:
        figures |= {"score": report.score["value"], "metric": report.score["metric"], "checkpoint": report.checkpoint}
    return figures
