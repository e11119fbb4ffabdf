"""The Ray cluster that a job runs on: a running one, or else an embedded one that ends with the job."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.errors import ClusterError, ClusterLostError
from framework.orchestration.cluster.access_token import agree_on_token, make_private_token
from framework.orchestration.cluster.environment import NEEDED, QUIET, embedded_environment, worker_environment
from framework.orchestration.cluster.gpus import local_gpus, node_gpus
from framework.orchestration.cluster.ray_internals import (
    CLUSTERS_ON_DESKTOPS,
    GCS_PORT,
    OF_CONNECTING,
    address_started_here,
    call_before_processes_end,
    dashboard_url,
    keep_on_loopback,
    lacking,
)
from framework.orchestration.cluster.signals import signals_held

_WATCH_SECONDS = 5.0
_EMBEDDED_OBJECT_STORE_BYTES = 512 * 2**20  # moments and latents are small; pixels are never sent


@dataclass(frozen=True)
class Cluster:
    """The cluster that a job runs on.

    Attributes:
        embedded: Whether this job started it and shuts it down at the end.
        address: host:port of its head node.
        dashboard_url: URL of Ray's dashboard, if known.
        nodes: (cores, GPUs) of each node; GPUs that PyTorch cannot use do not count.
        grows: Whether an autoscaler may add nodes.
        unused: A line about the GPUs that do not count; empty if there are no such GPUs.
    """

    embedded: bool
    address: str
    dashboard_url: str | None
    nodes: tuple[tuple[float, float], ...]
    grows: bool = False
    unused: str = ""

    @property
    def cores(self) -> float:
        """Cores of all nodes together."""
        return sum(cores for cores, _ in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes together."""
        return sum(gpus for _, gpus in self.nodes)

    def gpu_shares(self, share: float) -> int:
        """How many workers with this share of a GPU fit on all nodes."""
        return sum(gpu_shares(gpus, share) for _, gpus in self.nodes)

    def now(self) -> "Cluster":
        """The cluster as it is now, which may have grown since the job started."""
        return _describe(embedded=False) if self.grows else self


def gpu_shares(gpus: float, share: float) -> int:
    """How many shares of a GPU fit on so many GPUs. A share never spans two cards.

    >>> gpu_shares(8, 1.0), gpu_shares(8, 0.3), gpu_shares(2, 0.6)
    (8, 24, 2)
    """
    return int(gpus) * int(1 / share + 1e-9)


@contextlib.contextmanager
def connect(title: str, *, verbose: bool, say: Callable[[str], None], code: Sequence[Path] = ()) -> Iterator[Cluster]:
    """Connects to the cluster of RAY_ADDRESS or of this machine; without one, starts an embedded Ray for this block.

    Args:
        title: What Ray's dashboard calls this job, e.g. "search utkface".
        verbose: Whether Ray's own log lines are shown.
        say: Called with the line that says which cluster is used, and with warnings.
        code: The user's modules, files or folders, that tasks import. Processes of an embedded Ray need no copy: Ray
            starts them in this process's current directory.

    Raises:
        ClusterError: RAY_ADDRESS is set and cannot be reached, or Ray cannot start here.
        ClusterLostError: The cluster was lost during the block.
    """
    os.environ.update(NEEDED if verbose else {**QUIET, **NEEDED})
    import ray
    from ray.exceptions import AuthenticationError, LocalRayletDiedError, NodeDiedError, RpcError

    if not verbose:
        for name in ("ray", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a trial that fails is told in a line of ours
    try:
        with signals_held():
            embedded = _start(title, verbose=verbose, say=say, code=code)
        for line in lacking(OF_CONNECTING):
            say(line)
        cluster = _describe(embedded=embedded)
        say(_line(cluster))
        if cluster.unused:
            say(cluster.unused)
        with contextlib.nullcontext() if embedded else _watched(cluster.address, say):
            yield cluster
    except (LocalRayletDiedError, AuthenticationError, RpcError, NodeDiedError, ConnectionError) as fault:
        reason = str(fault).strip().splitlines()[0][:200]
        raise ClusterLostError(f"lost the Ray cluster ({reason}); everything saved so far is kept") from fault
    finally:
        with signals_held() as hold_again:
            call_before_processes_end(hold_again)
            ray.shutdown()


@contextlib.contextmanager
def _watched(address: str, say: Callable[[str], None]) -> Iterator[None]:
    """Says when the cluster no longer answers. Ray itself waits for a minute, then aborts the process."""
    ended = threading.Event()

    def progress() -> None:
        silent = 0
        while not ended.wait(_WATCH_SECONDS):
            silent = 0 if _listens(address) else silent + 1
            if silent == 2:
                say(f"Ray: lost connection to the cluster at {address}; the job stops if it does not return")

    threading.Thread(target=progress, name="cluster", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def planned_cluster() -> Cluster:
    """The cores and GPUs that an embedded cluster on this machine would have; starts nothing."""
    gpus = local_gpus()
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return Cluster(True, "this machine", None, ((cores, float(gpus.usable)),), unused=gpus.line)


def is_cluster_elsewhere() -> bool:
    """Whether `connect` would attach to a cluster that runs already, which may have other machines."""
    return bool(os.environ.get("RAY_ADDRESS") or _living(address_started_here()))


def _start(title: str, *, verbose: bool, say: Callable[[str], None], code: Sequence[Path]) -> bool:
    """Connects to a cluster or starts one; returns whether it is embedded."""
    import ray
    from ray.exceptions import AuthenticationError
    from ray.job_config import JobConfig

    quiet = {
        "log_to_driver": verbose,
        "logging_level": "INFO" if verbose else "ERROR",
        "job_config": JobConfig(metadata={"job_name": title}),
    }
    named = os.environ.get("RAY_ADDRESS")
    if named and not _listens(named):
        raise ClusterError(f"RAY_ADDRESS={named}: nothing listens there; it must be host:port of a running Ray cluster")
    address = named or _living(address_started_here())
    if address:
        agree_on_token(address, say)
        try:
            ray.init(address=address, runtime_env=_with_code(worker_environment(address), code), **quiet)
        except (AuthenticationError, ConnectionError, RuntimeError, ValueError, OSError) as fault:
            reason = " ".join(str(fault).split())[:200]
            where = f"RAY_ADDRESS={named}" if named else f"the cluster at {address}, started here by `ray start`"
            raise ClusterError(f"{where}: no Ray cluster answers there ({reason})") from None
        return False
    own = _choose_own_address()
    make_private_token()
    try:
        ray.init(
            address="local",
            num_gpus=local_gpus().usable,
            object_store_memory=_EMBEDDED_OBJECT_STORE_BYTES,
            include_dashboard=True,  # without it Train's cleaner repeats errors
            dashboard_host="127.0.0.1",
            runtime_env={"env_vars": embedded_environment(own)},
            **quiet,
        )
    except Exception as fault:  # of no class of its own where a busy machine does not start its processes in time
        raise ClusterError(f"Ray could not start on this machine: {' '.join(str(fault).split())[:300]}") from None
    finally:
        os.environ.pop(GCS_PORT, None)
    return True


def _choose_own_address() -> str | None:
    """Chooses a loopback address for the embedded cluster before it starts; None if Ray chooses the address itself.

    Its processes are given this address in RAY_ADDRESS. Without it they would look for any Ray on this machine. If a
    second one runs there, Train's cleanup process fails, the cores of a trial that was stopped early are never
    released, and the next trial waits forever.
    """
    if not keep_on_loopback():
        return None
    os.environ[CLUSTERS_ON_DESKTOPS] = "0"
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
    os.environ[GCS_PORT] = str(port)
    return f"127.0.0.1:{port}"


def _living(address: str | None) -> str | None:
    """The address, if anything answers there."""
    return address if address and _listens(address) else None


def _listens(address: str) -> bool:
    """Whether anything accepts connections there. Ray itself would try for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except (OSError, ValueError):
        return False
    return True


def _with_code(variables: dict[str, str], code: Sequence[Path]) -> dict[str, Any]:
    """The runtime environment that sends our code and the user's to the nodes; a submitted job sends both itself."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return {"env_vars": variables}
    return {"env_vars": variables, "py_modules": [str(place) for place in (Path(__file__).parents[2], *code)]}


def _describe(*, embedded: bool) -> Cluster:
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    context = ray.get_runtime_context()
    here = context.get_node_id()
    counted = [node_gpus(node, here=local_gpus() if node["NodeID"] == here else None) for node in alive]
    unused = "; ".join(filter(None, (line for _, line in counted)))
    return Cluster(
        embedded=embedded,
        address=context.gcs_address,
        dashboard_url=dashboard_url(),
        nodes=tuple((node["Resources"].get("CPU", 0.0), gpus) for node, (gpus, _) in zip(alive, counted, strict=True)),
        grows=not embedded and _grows(),
        unused=local_gpus().line if embedded else unused and f"GPUs: {unused}",
    )


def _grows() -> bool:
    """Whether the cluster may have an autoscaler, recognised as Ray does: by a file or variable of its launchers."""
    return Path("~/ray_bootstrap_config.yaml").expanduser().exists() or "RAY_USAGE_STATS_KUBERAY_IN_USE" in os.environ


def _line(cluster: Cluster) -> str:
    size = f"{cluster.cores:g} cores, {cluster.gpus:g} GPUs"
    if cluster.embedded:
        return f"Ray: started a local Ray on {socket.gethostname()} ({size}); it is shut down when the job ends"
    nodes = f"{len(cluster.nodes)} node{'s' if len(cluster.nodes) != 1 else ''}"
    dashboard = f", dashboard {cluster.dashboard_url}" if cluster.dashboard_url else ""
    return f"Ray: the cluster at {cluster.address} ({nodes}, {size}{dashboard})"
