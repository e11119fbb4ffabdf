"""Ray Train's trainer: with two processes a trial less it starts sooner, and what it cannot set up it gives back."""

import asyncio
import socket
from typing import Any

import ray.train.torch
import torch
from ray.exceptions import RayTaskError
from ray.train.v2._internal.callbacks.backend_setup import BackendSetupCallback
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2._internal.execution.worker_group import ExecutionGroup, WorkerGroup
from ray.train.v2.api.exceptions import TrainingFailedError

from framework.errors import LatentscapeError, TrainingError
from framework.orchestration.cluster.gpus import is_usable, local_gpus


class LeanTrainer(ray.train.torch.TorchTrainer):
    """For a process that is an actor: the controller runs in it, and no Ray Data set is served.

    It takes hold of what Ray keeps to itself (2.60): without these two methods it is Ray's trainer again, whose
    controller and data set manager each import what the trial's driver has imported before.
    """

    def _create_default_callbacks(self) -> list[Any]:
        found = [each for each in super()._create_default_callbacks() if not isinstance(each, DatasetsCallback)]
        ours = _GroupSetup(self.backend_config, on_gpus=bool(self.scaling_config.use_gpu))
        return [ours if isinstance(each, BackendSetupCallback) else each for each in found]

    def _initialize_and_run_controller(self, **arguments: Any) -> ray.train.Result:
        policy = _FailurePolicy(self.run_config.failure_config or ray.train.FailureConfig())
        controller = TrainController(**{**arguments, "failure_policy": policy})
        asyncio.run(controller.run())
        return controller.get_result()


class _GroupSetup(BackendSetupCallback):
    """Sets up the workers' process group; where that fails, their cores and GPUs are given back.

    Ray does so only where a worker was lost: after any other fault it keeps them, and the next trial waits for ever.

    Args:
        backend_config: Of torch.distributed.
        on_gpus: Whether workers have GPUs. Then each is asked first whether PyTorch can use its own: NCCL's words for
            that are of no help.
    """

    def __init__(self, backend_config: Any, *, on_gpus: bool) -> None:
        super().__init__(backend_config)
        self._on_gpus = on_gpus

    def after_execution_group_start(self, execution_group: ExecutionGroup) -> None:
        """Train's hook."""
        try:
            if self._on_gpus:
                _refuse_unusable(execution_group)
            super().after_execution_group_start(execution_group)
        except (RayTaskError, TrainingError) as fault:
            assert isinstance(execution_group, WorkerGroup)
            execution_group.shutdown()
            if isinstance(fault, TrainingError):
                raise
            cause = next(filter(str.strip, str(fault.cause).splitlines()), type(fault.cause).__name__)
            raise TrainingError(f"its workers cannot set up their process group: {cause}") from None


class _FailurePolicy(DefaultFailurePolicy):
    """Ray's, but that no trial is begun again for what a restart does not mend."""

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        """Train's hook."""
        failures = getattr(training_failed_error, "worker_failures", {})
        if any(isinstance(fault, LatentscapeError) for fault in failures.values()):
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


def _refuse_unusable(group: ExecutionGroup) -> None:
    faults = [fault for fault in group.execute(_gpu_fault) if fault]
    if faults:
        raise TrainingError(f"a worker on {faults[0]}; compute.gpus_per_worker=0 trains on CPUs")


def _gpu_fault() -> str | None:
    """In a worker: where it is, and why PyTorch cannot use the GPU that Ray gave it."""
    gpus = local_gpus()  # first, for a driver that is too old says so but once
    # Ray shows a worker the GPUs of all that are on its node; it computes on its own.
    if torch.cuda.is_available() and is_usable(ray.train.torch.get_device()):
        return None
    return f"{socket.gethostname()} has a GPU that PyTorch cannot use ({gpus.reason})"
