"""All uses of Ray's private interface, checked with Ray 2.60: what each is for, and what happens without it.

A newer Ray may rename or remove any of these. Then the public interface is used, and `lacking` gives a line about it.
"""

import asyncio
import contextlib
import functools
import importlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from framework.errors import LatentscapeError, TrainingError

Execute = Callable[[Callable[[], Any]], list[Any]]
"""Calls a function in each worker of a group and returns their results."""

# Private environment variables; a Ray that does not know one ignores it.
GCS_PORT = "RAY_GCS_SERVER_PORT"  # the embedded cluster listens on it, so its address is known before it starts
CLUSTERS_ON_DESKTOPS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0" keeps Ray's processes on loopback, on Linux as well


@dataclass(frozen=True)
class Internal:
    """An attribute of Ray that is not part of its public interface.

    Attributes:
        module: The module that has it.
        name: The attribute's name, for a method preceded by its class.
        without: What happens if this version of Ray lacks it.
    """

    module: str
    name: str
    without: str

    def get(self) -> Any:
        """The attribute; None if this version of Ray lacks it."""
        try:
            return functools.reduce(getattr, self.name.split("."), importlib.import_module(self.module))
        except (ImportError, AttributeError):
            return None


ON_LOOPBACK = Internal(
    "ray._private.ray_constants",
    "ENABLE_RAY_CLUSTER",
    "the embedded Ray listens on this machine's network address, not only on loopback",
)
STARTED_HERE = Internal(
    "ray._private.services",
    "find_bootstrap_address",
    "a cluster that `ray start` started on this machine is used only if RAY_ADDRESS names it",
)
USE_TOKEN = Internal(
    "ray._private.authentication.authentication_token_setup",
    "maybe_enable_token_auth_if_token_available",
    "a cluster that asks for a token takes this job only if RAY_AUTH_MODE=token is set",
)
TOKEN_HEADERS = Internal(
    "ray._private.authentication.http_token_authentication",
    "get_auth_headers_if_auth_enabled",
    "a wrong token is reported only after half a minute",
)
ACCELERATORS = Internal(
    "ray._private.accelerators",
    "get_accelerator_manager_for_resource",
    "GPUs are counted as PyTorch counts them",
)
SIGTERM_HANDLER = Internal(
    "ray._private.utils",
    "set_sigterm_handler",
    "SIGTERM while Ray starts ends the job with the exit status of Ray's own handler",
)
WORKER = Internal(
    "ray._private.worker",
    "global_worker",
    "the address of Ray's dashboard is not shown; SIGTERM while Ray shuts down ends the job with another exit status",
)
OF_CONNECTING = (ON_LOOPBACK, STARTED_HERE, USE_TOKEN, TOKEN_HEADERS, ACCELERATORS, SIGTERM_HANDLER, WORKER)

_TRAIN = "ray.train.v2"
_STOCK_TRAINER = (
    "trials use Ray Train's own trainer: it needs two more processes per trial, and if the workers of a trial cannot "
    "start, their cores are not released"
)
_BACKEND_SETUP = Internal(f"{_TRAIN}._internal.callbacks.backend_setup", "BackendSetupCallback", _STOCK_TRAINER)
_DATASETS = Internal(f"{_TRAIN}._internal.callbacks.datasets", "DatasetsCallback", _STOCK_TRAINER)
_CONTROLLER = Internal(f"{_TRAIN}._internal.execution.controller", "TrainController", _STOCK_TRAINER)
_POLICY = Internal(f"{_TRAIN}._internal.execution.failure_handling", "DefaultFailurePolicy", _STOCK_TRAINER)
_DECISION = Internal(f"{_TRAIN}._internal.execution.failure_handling", "FailureDecision", _STOCK_TRAINER)
_SHUTDOWN = Internal(f"{_TRAIN}._internal.execution.worker_group", "WorkerGroup.shutdown", _STOCK_TRAINER)
_CALLBACKS = Internal("ray.train.torch", "TorchTrainer._create_default_callbacks", _STOCK_TRAINER)
_RUN = Internal("ray.train.torch", "TorchTrainer._initialize_and_run_controller", _STOCK_TRAINER)
RENDEZVOUS = Internal(
    "ray.train.torch.config",
    "get_address_and_port",
    "PyTorch's rendezvous of a trial's workers listens on every interface, not only where Ray listens",
)
SENT_BY_TUNE = Internal(
    "ray.tune.execution.class_cache",
    "ENV_VARS_TO_PROPAGATE",
    "Tune sends the AWS keys of this job's environment to its trials, and Ray writes them to its logs",
)
COUNTED_BY_TUNE = Internal(
    "ray.air._internal.usage",
    "tag_callbacks",
    "Tune imports each tracker that is installed, and wandb leaves an empty temporary folder if the job is killed",
)
OF_TUNE = (SENT_BY_TUNE, COUNTED_BY_TUNE)
OF_TRAINING = (_BACKEND_SETUP, _DATASETS, _CONTROLLER, _POLICY, _DECISION, _SHUTDOWN, _CALLBACKS, _RUN)


def lacking(internals: tuple[Internal, ...]) -> list[str]:
    """One line for each consequence of what this version of Ray lacks; empty if it has everything."""
    import ray

    missing = [internal for internal in internals if internal.get() is None]
    return [
        f"Ray {ray.__version__} has no {', '.join(each.name for each in missing if each.without == without)}: {without}"
        for without in dict.fromkeys(internal.without for internal in missing)
    ]


def keep_on_loopback() -> bool:
    """Makes the Ray that this process starts listen only on loopback. Returns whether this was possible."""
    if ON_LOOPBACK.get() is None:
        return False
    setattr(importlib.import_module(ON_LOOPBACK.module), ON_LOOPBACK.name, False)
    return True


@contextlib.contextmanager
def without_sigterm_handler() -> Iterator[None]:
    """In this block Ray does not install its own handler of SIGTERM, which ends the process."""
    install = SIGTERM_HANDLER.get()
    if install is None:
        yield
        return
    module = importlib.import_module(SIGTERM_HANDLER.module)
    setattr(module, SIGTERM_HANDLER.name, lambda _: None)
    try:
        yield
    finally:
        setattr(module, SIGTERM_HANDLER.name, install)


def call_before_processes_end(action: Callable[[], None]) -> None:
    """Has `ray.shutdown` call `action` before it ends Ray's processes, which takes a second or more.

    Just before, Ray's C++ part gives up its signal handlers, and this process's handler of SIGTERM with them.
    """
    node = getattr(WORKER.get(), "node", None)
    end = getattr(node, "kill_all_processes", None)
    if end is None:
        return

    def end_after_action(*values: Any, **named: Any) -> None:
        action()
        end(*values, **named)

    node.kill_all_processes = end_after_action  # pyright: ignore[reportOptionalMemberAccess]


def address_started_here() -> str | None:
    """The address that `ray start` recorded on this machine; its cluster may have ended.

    Ray's own address "auto" would take any Ray on this machine, also the embedded one of another job, which ends with
    that job.
    """
    find = STARTED_HERE.get()
    return find(None) if find is not None else None


def use_token() -> None:
    """Makes Ray send its token from now on, if it finds one and RAY_AUTH_MODE is not set.

    Ray does so itself only for the address "auto", and reads the variable when it is imported.
    """
    from ray.exceptions import AuthenticationError

    use = USE_TOKEN.get()
    if use is not None:
        with contextlib.suppress(AuthenticationError):  # RAY_AUTH_TOKEN_PATH names no token
            use(warn_if_disabled=False)


def token_headers() -> dict[str, str] | None:
    """The headers by which Ray sends its token, {} if it sends no token; None if this version of Ray cannot tell."""
    from ray.exceptions import AuthenticationError

    headers = TOKEN_HEADERS.get()
    try:
        return headers({}) if headers is not None else None
    except AuthenticationError:  # RAY_AUTH_MODE=token, and there is none
        return {}


def dashboard_url() -> str | None:
    """The dashboard of the cluster that this process is connected to; None without one, or if it is unknown."""
    node = getattr(WORKER.get(), "node", None)
    url = getattr(node, "webui_url", None)
    return f"http://{url}" if url else None


def counted_gpus() -> tuple[int, str] | None:
    """How many GPUs Ray would count here, and their type; None if this version of Ray cannot tell."""
    manager_of = ACCELERATORS.get()
    if manager_of is None:
        return None
    manager = manager_of("GPU")
    if manager is None:
        return 0, ""
    count = manager.get_current_node_num_accelerators()
    visible = manager.get_current_process_visible_accelerator_ids()
    count = count if visible is None else min(count, len(visible))
    return count, (manager.get_current_node_accelerator_type() or "") if count else ""


def listen_where_ray_does() -> bool:
    """Makes PyTorch's rendezvous of the trials that this process controls listen only on the address of its node.

    Returns:
        Whether this was possible.
    """
    if RENDEZVOUS.get() is None:
        return False
    setattr(importlib.import_module(RENDEZVOUS.module), RENDEZVOUS.name, open_rendezvous)
    return True


def keep_keys_from_trials() -> None:
    """Makes Tune send no key to its trials, because Ray writes what is sent to logs that everyone can read.

    The set has the names of variables that Tune sends by itself. Nodes have their own access (docs/cluster.md, Keys).
    """
    names: set[str] | None = SENT_BY_TUNE.get()
    if names is not None:
        names.difference_update([name for name in names if name.startswith("AWS_")])


def keep_trackers_unimported() -> None:
    """Makes Tune count no callbacks: to know them by class, it would import wandb, MLflow and Comet, used or not."""
    if COUNTED_BY_TUNE.get() is not None:
        setattr(importlib.import_module(COUNTED_BY_TUNE.module), COUNTED_BY_TUNE.name, lambda _: False)


def open_rendezvous() -> tuple[str, int]:
    """Runs in the worker of rank 0: opens the store by which its group finds itself. Returns its address and port.

    Ray only looks for a free port, and torch.distributed then listens there on every interface: none of its addresses
    is one to listen on. But it can be given a socket that listens already, and all its stores of one process and port
    are clients of the same server (`multi_tenant`). So this one opens first.
    """
    import ray
    import torch.distributed as dist

    address = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as opened:
        port = opened.getsockname()[1]
        store = dist.TCPStore(  # pyright: ignore[reportPrivateImportUsage]
            address,
            port,
            is_master=True,
            wait_for_workers=False,
            multi_tenant=True,
            master_listen_fd=opened.detach(),
        )
    _kept.append(store)
    return address, port


_kept: list[Any] = []  # the server ends with its last store


@functools.cache
def trainer_class(check_gpus: Callable[[Execute], None]) -> type[Any]:
    """Ray Train's trainer for a process that is an actor: the controller runs in it, and Ray Data is not served.

    It starts sooner: the stock trainer runs its controller and its data set manager in two more processes, each of
    which imports again what the trial's driver has imported. It also releases the workers that it cannot set up.

    Args:
        check_gpus: Raises a TrainingError if a worker cannot use its GPU; called when workers with GPUs have started.
    """
    import ray.train
    import ray.train.torch
    from ray.exceptions import RayTaskError

    stock = ray.train.torch.TorchTrainer
    if lacking(OF_TRAINING):
        return stock
    listen_where_ray_does()
    backend_setup, datasets, controller_class = _BACKEND_SETUP.get(), _DATASETS.get(), _CONTROLLER.get()
    default_policy, decision = _POLICY.get(), _DECISION.get()

    class GroupSetup(backend_setup):
        """Sets up the workers' process group; if that fails, their cores and GPUs are released.

        Ray does so only if a worker was lost: after any other fault it keeps them, and the next trial waits forever.
        GPUs are checked first, because NCCL's error for an unusable GPU does not name the cause.
        """

        def __init__(self, backend_config: Any, *, on_gpus: bool) -> None:
            super().__init__(backend_config)
            self._on_gpus = on_gpus

        def after_execution_group_start(self, execution_group: Any) -> None:
            """Called by Ray Train."""
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
        """Ray's policy, except that errors of this project are not retried: a restart would not fix them."""

        def make_decision(self, training_failed_error: Any) -> Any:
            """Called by Ray Train."""
            failures = getattr(training_failed_error, "worker_failures", {})
            if any(isinstance(fault, LatentscapeError) for fault in failures.values()):
                return decision.RAISE
            return super().make_decision(training_failed_error)

    class LeanTrainer(stock):
        """The trainer that `trainer_class` describes."""

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = [each for each in super()._create_default_callbacks() if not isinstance(each, datasets)]
            ours = GroupSetup(self.backend_config, on_gpus=bool(self.scaling_config.use_gpu))
            return [ours if isinstance(each, backend_setup) else each for each in callbacks]

        def _initialize_and_run_controller(self, **arguments: Any) -> Any:
            policy = FailurePolicy(self.run_config.failure_config or ray.train.FailureConfig())
            controller = controller_class(**{**arguments, "failure_policy": policy})
            asyncio.run(controller.run())
            return controller.get_result()

    return LeanTrainer
