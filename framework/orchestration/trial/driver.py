"""One trial: a DDP training under Ray Train that streams its reports back while it runs."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

import ray.train
import ray.train.torch
from pyarrow import fs
from ray import tune
from ray.util.queue import Queue as RayQueue

from framework.errors import LatentscapeError, StorageError
from framework.orchestration.cluster.ray_internals import OF_TRAINING, lacking, trainer_class
from framework.orchestration.trial.gpu_check import refuse_unusable_gpus
from framework.orchestration.trial.spec import TrialSpec
from framework.orchestration.trial.title import trial_title
from framework.runs import RunFolder, TrialFolder

_Reports = queue.SimpleQueue[dict[str, Any] | None] | RayQueue
"""The figures of each report, then None."""


class TrialDriver(tune.Trainable):
    """A trial under Tune: its Ray Train run, where each step passes on one report.

    Tune stops a trial by ending its process, which also ends everything that the process started.
    """

    template: TrialSpec

    @classmethod
    def of(cls, template: TrialSpec) -> type["TrialDriver"]:
        """The driver class of trials with this template; Ray's dashboard shows its name."""
        return type("Trial", (cls,), {"template": template})

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:  # noqa: ARG003
        """Called by Tune."""
        # A driver only waits for reports, and Tune does not accept a trial without resources: one byte of memory.
        return tune.PlacementGroupFactory([{"memory": 1}])

    def setup(self, config: dict[str, Any]) -> None:
        """Called by Tune."""
        work = self.template.for_trial(config["trial"], config["parameters"], total_images=config["total_images"])
        self._title = trial_title(work.trial, work.parameters)
        self._training = training(work)

    def step(self) -> dict[str, Any]:
        """Called by Tune: waits for the next report."""
        return next(self._training, {"done": True})

    def __repr__(self) -> str:
        """The trial's name in Ray's dashboard."""
        return self._title


def training(work: TrialSpec) -> Iterator[dict[str, Any]]:
    """Trains to the trial's end, from its newest checkpoint if it has one; yields the figures of reports.

    The trial's state is "running" meanwhile, and at the end "finished" (or `state_at_end`), "stopped" if it collapsed,
    "failed" (state.json then has the error), or "interrupted" if the stop flag was raised. state.json says why a
    training ended before its total_images.
    """
    trial = RunFolder.open(work.run).trial(work.trial)
    trial.write_params(work.parameters)
    if work.stop is not None and work.stop.is_raised():
        trial.write_state(state="interrupted")
        return
    trial.write_state(state="running")
    # Ray's own trainer runs its controller in another process, so the queue must be shared between processes.
    reports: _Reports = RayQueue(actor_options={"num_cpus": 0}) if lacking(OF_TRAINING) else queue.SimpleQueue()
    trainer = trainer_of(work, reports)
    fault: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as raised:
            fault.append(raised)
        reports.put(None)

    threading.Thread(target=fit, name=f"fit {work.trial}", daemon=True).start()
    while (report := reports.get()) is not None:
        yield report
    _closed(trial, fault, at_end=work.state_at_end)


def _closed(trial: TrialFolder, fault: list[BaseException], *, at_end: str) -> None:
    state = trial.state
    if fault:
        state = {"state": "failed", "error": _reason(fault[0])}
    elif state.get("error"):
        state = {"state": "failed", "error": state["error"]}
    elif state.get("state") not in ("interrupted", "stopped"):
        state = {"state": at_end} | ({"reason": state["reason"]} if state.get("reason") else {})
    trial.write_state(**state)


def _reason(fault: BaseException) -> str:
    """The innermost cause, in one line; if an error of this project is among the causes, its message."""
    failures = getattr(fault, "worker_failures", None) or {0: getattr(fault, "controller_failure", fault)}
    ours = next((failure for failure in failures.values() if isinstance(failure, LatentscapeError)), None)
    if ours is not None:
        return " ".join(str(ours).split())
    fault = next(iter(failures.values()))
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return f"{type(fault).__name__}: {last_line(fault)}"[:500]


def last_line(fault: object) -> str:
    r"""The last line of one of Ray's long error messages, which names the cause.

    >>> last_line("Traceback …\n  File …\nValueError: no such thing\n==========\n")
    'ValueError: no such thing'
    """
    lines = [line.strip() for line in str(fault).splitlines() if line.strip(" =")]
    return lines[-1] if lines else "unknown cause"


class _Forward(ray.train.UserCallback):
    """Passes on the figures of rank 0 in the controller's process. The copies that Ray sends to workers do nothing."""

    def __init__(self, reports: _Reports) -> None:
        self._reports = reports

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self._reports, queue.SimpleQueue):  # this queue cannot be sent to another process
            return ray.train.UserCallback, ()
        return _Forward, (self._reports,)

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        self._reports.put(metrics[0])


@contextlib.contextmanager
def ray_records(run: RunFolder) -> Iterator[None]:
    """RUN/ray for this block, deleted afterwards: it is never read back, and it holds pickles and local paths."""
    records = run.folder / "ray"
    records.delete()
    try:
        yield
    except BaseException:
        with contextlib.suppress(StorageError):  # what failed first is told
            records.delete()
        raise
    records.delete()


def ray_storage(run: RunFolder) -> dict[str, Any]:
    """The arguments of Ray's RunConfig that place its own records into RUN/ray."""
    location = (run.folder / "ray").location
    if run.folder.is_local:
        return {"storage_path": location}
    filesystem, path = fs.FileSystem.from_uri(location)
    return {"storage_path": path, "storage_filesystem": filesystem}


def trainer_of(work: TrialSpec, reports: _Reports) -> ray.train.torch.TorchTrainer:
    """The Ray trainer of a trial; puts the figures of rank 0 into `reports`."""
    plan = work.plan
    return trainer_class(refuse_unusable_gpus)(
        _train_worker,
        train_loop_config={"work": work},
        # Ray chooses NCCL for GPUs, but NCCL refuses two ranks on one card; gloo also takes tensors on GPUs.
        torch_config=ray.train.torch.TorchConfig(backend="gloo" if plan.shares_cards else None),
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
            callbacks=[_Forward(reports)],
            worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": str(plan.threads_per_worker)}},
            **ray_storage(RunFolder.open(work.run)),
        ),
    )


def _train_worker(config: dict[str, TrialSpec]) -> None:
    """Runs in each DDP worker. Its imports are slow, so drivers and controllers do not import it."""
    from framework.orchestration.trial.worker import train_worker

    train_worker(config["work"])
