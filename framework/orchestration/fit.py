"""One trial: a DDP training under Ray Train, with what it reports streaming back while it runs."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import ray.train
import ray.train.torch
from pyarrow import fs
from ray import tune
from ray.util.queue import Empty, Queue

from framework.checkpoint import RunFolder, TrialFolder
from framework.orchestration.names import trial_title
from framework.orchestration.nodes import this_node
from framework.orchestration.work import TrialWork


def fit_trial(work: TrialWork, *, on_report: Callable[[dict[str, Any]], None]) -> str:
    """Trains until the trial's total_images, from its newest checkpoint where it has one.

    Args:
        work: The trial.
        on_report: Called with each report's figures, in order, on the calling thread.

    Returns:
        The trial's state at its end: "finished", "failed" (then state.json says why), or "interrupted" where the
        stop flag was raised.
    """
    trial = RunFolder.open(work.run).trial(work.trial)
    trial.write_params(work.parameters)
    if work.stop is not None and work.stop.is_raised():
        return "interrupted"
    trial.write_state(state="running")
    queue = _queue(trial_title(work.trial, work.parameters))
    trainer = _trainer(work, queue)
    fault: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as raised:
            fault.append(raised)

    thread = threading.Thread(target=fit, name=f"fit {work.trial}", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            _drain(queue, on_report, wait_seconds=0.5)
        _drain(queue, on_report, wait_seconds=0.0)
    finally:
        queue.shutdown(force=True)
    return _closed(trial, fault, at_end=work.state_at_end)


def drive_trial(config: dict[str, Any], template: TrialWork) -> None:
    """A trial's driver under Tune: starts its Ray Train run and tells Tune what it reports.

    The scheduler ends a trial inside `tune.report`, by SystemExit; Ray then takes the trial's processes down.
    """
    work = template.of(config["trial"], config["parameters"], total_images=config["total_images"])
    fit_trial(work, on_report=tune.report)


def _closed(trial: TrialFolder, fault: list[BaseException], *, at_end: str) -> str:
    state = trial.state
    if fault:
        state = {"state": "failed", "error": _reason(fault[0])}
    elif state.get("error"):
        state = {"state": "failed", "error": state["error"]}
    elif state.get("state") != "interrupted":
        state = {"state": at_end}
    trial.write_state(**state)
    return state["state"]


def _queue(title: str) -> Queue:
    """Where the trial's reports come in; of its processes the one that Ray's dashboard can show by a name.

    On the driver's node: a node that is lost takes no more trials with it than those that were on it.
    """
    name = f"{title} · {uuid.uuid4().hex[:4]}"
    return Queue(actor_options={"num_cpus": 0, "name": name, "scheduling_strategy": this_node()})


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
        except Empty:
            return
        on_report(metrics)


class _Forward(ray.train.UserCallback):
    """Hands rank 0's figures to whoever waits; the queue has no bound, so the controller never waits."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        self._queue.put(metrics[0])


@contextlib.contextmanager
def ray_records(run: RunFolder) -> Iterator[None]:
    """RUN/ray for this block: nothing of it is ever read back, and it holds pickles and paths of this machine."""
    records = run.folder / "ray"
    records.delete()
    try:
        yield
    finally:
        records.delete()


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
            num_workers=plan.workers if plan.fewest_workers == plan.workers else (plan.fewest_workers, plan.workers),
            elastic_resize_monitor_interval_s=work.experiment.compute.resize_every_seconds,
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
    """What each DDP worker runs; its imports are slow, and drivers and controllers do without them."""
    from framework.orchestration.worker import train_worker

    train_worker(config["work"])
