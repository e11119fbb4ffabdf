"""Every use of Ray's private interface, checked with Ray 2.60: what each is for, and what happens without it.

A newer Ray may rename or remove any of these. Then the public way is taken, and `lacking` gives a line that says so.
"""

import asyncio
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from framework.errors import LatentscapeError, TrainingError

Execute = Callable[[Callable[[], Any]], list[Any]]
"""Calls a function in each worker of a group; what each gave."""

# Private environment variables; a Ray that does not know one ignores it.
GCS_PORT = "RAY_GCS_SERVER_PORT"  # the embedded cluster listens there, so that its address is known before it starts
CLUSTERS_ON_DESKTOPS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0" keeps Ray's processes on loopback, on Linux as well


@dataclass(frozen=True)
class Internal:
    """Something of Ray's that its public interface does not promise.

    Attributes:
        module: Where it lies.
        name: Of the attribute, with the class before it where it is a method.
        without: What happens with a Ray that lacks it.
    """

    module: str
    name: str
    without: str

    def get(self) -> Any:
        """The attribute; None where this Ray lacks it."""
        try:
            return functools.reduce(getattr, self.name.split("."), importlib.import_module(self.module))
        except (ImportError, AttributeError):
            return None


ON_LOOPBACK = Internal(
    "ray._private.ray_constants",
    "ENABLE_RAY_CLUSTER",
    "the Ray of a job listens at this machine's own address, not on loopback alone",
)
STARTED_HERE = Internal(
    "ray._private.services",
    "find_bootstrap_address",
    "a cluster that `ray start` began on this machine is used only if RAY_ADDRESS names it",
)
TOKEN_HEADERS = Internal(
    "ray._private.authentication.http_token_authentication",
    "get_auth_headers_if_auth_enabled",
    "a wrong token is refused only after half a minute",
)
ACCELERATORS = Internal(
    "ray._private.accelerators",
    "get_accelerator_manager_for_resource",
    "GPUs are counted as PyTorch counts them",
)
WORKER = Internal("ray._private.worker", "global_worker", "the address of Ray's dashboard is not shown")
OF_CONNECTING = (ON_LOOPBACK, STARTED_HERE, TOKEN_HEADERS, ACCELERATORS, WORKER)

_TRAIN = "ray.train.v2"
_STOCK_TRAINER = (
    "trials use Ray Train's own trainer: two more processes each, and one whose workers cannot start keeps its cores"
)
_BACKEND_SETUP = Internal(f"{_TRAIN}._internal.callbacks.backend_setup", "BackendSetupCallback", _STOCK_TRAINER)
_DATASETS = Internal(f"{_TRAIN}._internal.callbacks.datasets", "DatasetsCallback", _STOCK_TRAINER)
_CONTROLLER = Internal(f"{_TRAIN}._internal.execution.controller", "TrainController", _STOCK_TRAINER)
_POLICY = Internal(f"{_TRAIN}._internal.execution.failure_handling", "DefaultFailurePolicy", _STOCK_TRAINER)
_DECISION = Internal(f"{_TRAIN}._internal.execution.failure_handling", "FailureDecision", _STOCK_TRAINER)
_SHUTDOWN = Internal(f"{_TRAIN}._internal.execution.worker_group", "WorkerGroup.shutdown", _STOCK_TRAINER)
_CALLBACKS = Internal("ray.train.torch", "TorchTrainer._create_default_callbacks", _STOCK_TRAINER)
_RUN = Internal("ray.train.torch", "TorchTrainer._initialize_and_run_controller", _STOCK_TRAINER)
OF_TRAINING = (_BACKEND_SETUP, _DATASETS, _CONTROLLER, _POLICY, _DECISION, _SHUTDOWN, _CALLBACKS, _RUN)


def lacking(internals: tuple[Internal, ...]) -> list[str]:
    """A line for each consequence of what this Ray lacks; empty where it has everything."""
    import ray

    missing = [internal for internal in internals if internal.get() is None]
    return [
        f"Ray {ray.__version__} has no {', '.join(each.name for each in missing if each.without == without)}: {without}"
        for without in dict.fromkeys(internal.without for internal in missing)
    ]


def keep_on_loopback() -> bool:
    """Makes the Ray that this process starts listen on loopback alone; whether that could be done."""
    if ON_LOOPBACK.get() is None:
        return False
    setattr(importlib.import_module(ON_LOOPBACK.module), ON_LOOPBACK.name, False)
    return True


def address_started_here() -> str | None:
    """The address of a cluster that `ray start` has left word of on this machine, alive or not.

    Ray's own address "auto" would take any Ray it sees, also the embedded one of another job, which ends with it.
    """
    find = STARTED_HERE.get()
    return find(None) if find is not None else None


def token_headers() -> dict[str, str] | None:
    """What Ray sends to show its token, none where it sends no token; None where that cannot be told."""
    headers = TOKEN_HEADERS.get()
    return headers({}) if headers is not None else None


def dashboard_url() -> str | None:
    """Of the cluster that this process is connected to; None where it has none, or that cannot be told."""
    node = getattr(WORKER.get(), "node", None)
    url = getattr(node, "webui_url", None)
    return f"http://{url}" if url else None


def counted_gpus() -> tuple[int, str] | None:
    """How many GPUs Ray would count here, and their kind; None where that cannot be told."""
    manager_of = ACCELERATORS.get()
    if manager_of is None:
        return None
    manager = manager_of("GPU")
    if manager is None:
        return 0, ""
    count = manager.get_current_node_num_accelerators()
    named = manager.get_current_process_visible_accelerator_ids()
    count = count if named is None else min(count, len(named))
    return count, (manager.get_current_node_accelerator_type() or "") if count else ""


@functools.cache
def trainer_class(check_gpus: Callable[[Execute], None]) -> type[Any]:
    """Ray Train's trainer for a process that is an actor: the controller runs in it, and no Ray Data set is served.

    It starts sooner, for the stock trainer's controller and data set manager are two more processes that each import
    what the trial's driver has imported before. And it gives back what it cannot set up.

    Args:
        check_gpus: Raises a TrainingError where a worker cannot use its GPU; called once workers with GPUs are there.
    """
    import ray.train
    import ray.train.torch
    from ray.exceptions import RayTaskError

    stock = ray.train.torch.TorchTrainer
    if lacking(OF_TRAINING):
        return stock
    backend_setup, datasets, controller_class = _BACKEND_SETUP.get(), _DATASETS.get(), _CONTROLLER.get()
    default_policy, decision = _POLICY.get(), _DECISION.get()

    class GroupSetup(backend_setup):
        """Sets up the workers' process group; where that fails, their cores and GPUs are given back.

        Ray does so only where a worker was lost: after any other fault it keeps them, and the next trial waits for
        ever. GPUs are checked first, for what NCCL says of one that cannot be used is of no help.
        """

        def __init__(self, backend_config: Any, *, on_gpus: bool) -> None:
            super().__init__(backend_config)
            self._on_gpus = on_gpus

        def after_execution_group_start(self, execution_group: Any) -> None:
            """Train's hook."""
            try:
                if self._on_gpus:
                    check_gpus(execution_group.execute)
                super().after_execution_group_start(execution_group)
            except (RayTaskError, TrainingError) as fault:
                execution_group.shutdown()
                if isinstance(fault, TrainingError):
                    raise
                cause = next(filter(str.strip, str(fault.cause).splitlines()), type(fault.cause).__name__)
                raise TrainingError(f"its workers cannot set up their process group: {cause}") from None

    class FailurePolicy(default_policy):
        """Ray's, but that no trial is begun again for what a restart does not mend."""

        def make_decision(self, training_failed_error: Any) -> Any:
            """Train's hook."""
            failures = getattr(training_failed_error, "worker_failures", {})
            if any(isinstance(fault, LatentscapeError) for fault in failures.values()):
                return decision.RAISE
            return super().make_decision(training_failed_error)

    class LeanTrainer(stock):
        """See `trainer_class`."""

        def _create_default_callbacks(self) -> list[Any]:
            found = [each for each in super()._create_default_callbacks() if not isinstance(each, datasets)]
            ours = GroupSetup(self.backend_config, on_gpus=bool(self.scaling_config.use_gpu))
            return [ours if isinstance(each, backend_setup) else each for each in found]

        def _initialize_and_run_controller(self, **arguments: Any) -> Any:
            policy = FailurePolicy(self.run_config.failure_config or ray.train.FailureConfig())
            controller = controller_class(**{**arguments, "failure_policy": policy})
            asyncio.run(controller.run())
            return controller.get_result()

    return LeanTrainer
