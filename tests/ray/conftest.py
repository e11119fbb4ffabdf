"""Jobs as a user runs them: processes of their own, on a storage path that vanishes after the tests.

A cluster costs half a minute of a core, and so does each Ray that a job embeds. So there is one cluster that most
tests share; those of jobs without one, of killed jobs and of whole pipelines embed. Both kinds run side by side
(`pytest -n 2 --dist loadgroup`): GROUPS says which file is of which kind.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from xdist.scheduler import LoadScopeScheduling

from framework.data.store import open_store
from framework.runs import RunFolder, TrialFolder
from framework.storage import open_folder
from tests.conftest import numbers

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "ray" / "tiny.yaml"
MARK = f"LATENTSCAPE_TESTS_{os.getpid()}"
# Variables with a login, which a job and its Ray inherit, and which nothing may write anywhere.
SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "PGPASSWORD",
)
RAY_SESSIONS = Path("/tmp/ray")  # where an embedded Ray leaves its logs
SECONDS = 800.0  # for a job or a wait; a machine with other things to do takes its time

# Each group is one process of pytest's, in this order: what wants no run comes first, for the run is made meanwhile.
# Nodes with GPUs change what jobs ask for, so they come last.
GROUPS = {
    "embedded": ("test_killed.py", "test_directions.py", "test_crews.py", "test_pipeline.py"),
    "cluster": (
        "test_failing.py",
        "test_cluster.py",
        "test_foreign.py",
        "test_conditional.py",
        "test_goes_on.py",
        "test_classes.py",
        "test_ray_internals.py",
        "test_gpus.py",
    ),
}
# Ray's agents take a minute to notice that a job was killed under them.
LAST = "test_nothing_is_left_running"


class Groups(LoadScopeScheduling):
    """Hands each process of pytest's one group."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(nodeid.partition("::")[0]).name)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """For `--dist loadgroup`; pytest-xdist's own (3.8) finds no groups under pytest 9.2."""
    return Groups(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order within groups, and a limit against hanging for ever."""
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in ours:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(3 * SECONDS))
    ordered = iter(sorted(ours, key=_place))
    items[:] = [next(ordered) if item in ours else item for item in items]


def group_of(file: str) -> str:
    """Of a file of tests."""
    return next((name for name, files in GROUPS.items() if file in files), "others")


def _place(item: pytest.Item) -> tuple[str, bool, int]:
    file = item.path.name
    group = group_of(file)
    return group, item.name == LAST, GROUPS[group].index(file) if group in GROUPS else 0


@dataclass
class Ended:
    """What a job left: exit status, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict:
        return json.loads(self.out)


class Jobs:
    """Starts jobs with one storage path."""

    def __init__(self, storage: Path, environment: dict[str, str]) -> None:
        self.storage = storage
        self.environment = environment

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"jobs.{name}", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, name: str, *arguments: str, timeout: float = SECONDS) -> Ended:
        process = self.start(name, *arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ended(process.returncode, out, err)

    def run_tiny(self, name: str, *arguments: str, timeout: float = SECONDS) -> Ended:
        return self.run(name, str(TINY), f"storage.path={self.storage}", *arguments, timeout=timeout)


@pytest.fixture(scope="session")
def storage(tmp_path_factory) -> Path:
    """Of all tests here, also of those that another process of pytest's runs."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return tmp_path_factory.mktemp("storage")
    shared = tmp_path_factory.getbasetemp().parent / "storage"
    shared.mkdir(exist_ok=True)
    return shared


@pytest.fixture(scope="session")
def jobs(storage) -> Jobs:
    """Jobs that find no cluster, and so embed one; their images and assessors are shared by all tests here."""
    unwanted = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    planted = {MARK: "1", **dict.fromkeys(SECRETS, secret_of(storage))}
    return Jobs(storage, {key: value for key, value in os.environ.items() if key not in unwanted} | planted)


def secret_of(storage: Path) -> str:
    """The planted value, which nothing else on this machine contains."""
    return f"planted{hashlib.sha256(str(storage).encode()).hexdigest()[:24]}"


@pytest.fixture(scope="session")
def once(storage):
    """Calls a function that gives a document, the first time: what another process of pytest's has, it waits for."""

    def call(name: str, make: Callable[[], Any]) -> Any:
        left = storage / f"{name}.json"
        with (storage / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not left.exists():
                left.write_text(json.dumps(make()))
        return json.loads(left.read_text())

    return call


@pytest.fixture(scope="session")
def piped(jobs, once) -> Ended:
    """The whole pipeline, run once."""
    return Ended(**once("piped", lambda: dataclasses.asdict(jobs.run_tiny("pipeline", "--json"))))


@pytest.fixture(scope="session")
def run(piped, storage) -> RunFolder:
    """What the pipeline left."""
    assert piped.code == 0, piped.err
    return RunFolder.open(storage / "tiny")


@pytest.fixture(scope="session")
def same_trial(run, storage) -> list[str]:
    """The first trial of the pipeline once more, as a training that is disturbed and goes on."""
    parameters = [f"{key}={value}" for key, value in run.trials()[0].params.items()]
    return [str(TINY), f"storage.path={storage}", "name=disturbed", "checkpoint.keep=all", *parameters]


@pytest.fixture(scope="session")
def disturbed(jobs, once, same_trial) -> dict[str, Any]:
    """That training after it lost a worker, was interrupted, went on and was killed; what was seen meanwhile."""
    return once("disturbed", lambda: _disturb(jobs, same_trial))


def _disturb(jobs: Jobs, arguments: list[str]) -> dict[str, Any]:
    trial = TrialFolder(open_folder(jobs.storage) / "disturbed" / "trials" / "single")
    endless = "training.total_images=12800000"  # however slow this process is, what it disturbs has not ended

    def wait_for(true, what):
        def is_there():
            assert process.poll() is None, process.communicate()[1]
            return true()

        wait_until(is_there, what=what)

    def wait_for_a_report():
        before = trial.last_report()
        wait_for(lambda: trial.last_report() != before, "a report")

    process = jobs.start("train", *arguments, endless)
    for line in process.stderr:
        if line.startswith("Plan:"):  # Ray has started
            break
    wait_for(lambda: saved(trial), "a checkpoint")
    first = our_workers()
    assert len(first) == 2
    family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))}
    open_ports = [one for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.pid in family]
    listening = {
        "workers": [one.laddr.ip for one in open_ports if one.pid in first],
        "others": [one.laddr.ip for one in open_ports if one.pid not in first],
    }
    psutil.Process(min(first)).kill()
    wait_for(lambda: len(our_workers() - first) == 2, "two other workers")
    wait_for_a_report()
    interrupt(process, trial, signal.SIGINT)
    interrupted_at = saved(trial)[-1]
    lives = [row["life_began_at_images_seen"] for row in trial.metrics()]

    process = jobs.start("train", *arguments, endless)
    wait_for_a_report()
    process.kill()
    process.communicate()
    began_again_at = trial.last_report()["life_began_at_images_seen"]
    return {
        "listening": listening,
        "lives": sorted(set(lives)),
        "interrupted_at": interrupted_at,
        "began_again_at": began_again_at,
    }


@pytest.fixture(scope="session")
def measured(run, jobs, storage, tmp_path_factory) -> dict[str, Any]:
    """What measure.py finds, on an embedded Ray; its copy of the run lies beside the first one's cache."""
    folder, copy = tmp_path_factory.mktemp("measured"), storage / "studied"
    shutil.copytree(run.folder.location, copy, ignore=shutil.ignore_patterns("directions", "projections"))
    store = open_store(next((storage / ".cache").glob("**/manifest.json")).parent)
    Image.fromarray(np.array(store.images[store.held_out_indices[0]])).save(folder / "somebody.png")
    script, photo, out = Path(__file__).with_name("measure.py"), folder / "somebody.png", folder / "found.json"
    command = [sys.executable, str(script), run.folder.location, str(copy), str(photo), str(out)]
    environment = {**jobs.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * SECONDS)
    assert ended.returncode == 0, ended.stderr
    return json.loads(out.read_text())


def wait_until(true, *, what: str, seconds: float = SECONDS) -> None:
    """Polls; fails with `what` when it stays false."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.1)


def interrupt(process: subprocess.Popen, trial: TrialFolder, number: int) -> None:
    """Sends a signal to a job whose one trial trains: it has to save where it stands, then to end."""
    before = saved(trial)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, err
    assert numbers(err, "Stopping:") == numbers(err, "Interrupted:") == [1]  # trials
    assert err.splitlines()[-1].endswith(f" {shlex.join(['python', *process.args[1:]])}")  # resumes it
    assert "Traceback" not in err
    assert trial.state == {"state": "interrupted"}
    newest = saved(trial)[-1]
    assert newest not in before  # it was written after the signal
    assert trial.metrics()[-1]["images_seen"] == newest  # and reported, and nothing after it


def saved(trial: TrialFolder) -> list[int]:
    """At how many images seen each checkpoint of it was saved."""
    return sorted(int(name) for name in trial.checkpoints.list() if name.isdigit())


def our_processes() -> set[int]:
    """Every living process that a job of these tests started, or one of these in turn: they inherit its mark."""
    found = set()
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(psutil.Error):  # gone meanwhile
            if process.info["status"] != psutil.STATUS_ZOMBIE and MARK in process.environ():
                found.add(process.pid)
    return found


def our_workers() -> set[int]:
    """The training workers among them."""
    found = set()
    for pid in our_processes():
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(psutil.Process(pid).cmdline()):
                found.add(pid)
    return found


RAY = str(Path(sys.executable).with_name("ray"))


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


class Cluster:
    """Raylets started one by one as a user starts them, of a Ray with ports and folders of its own.

    Each node has its own folder, as on machines of their own: in a common one the second node to unpack a submitted
    job's code does so anew, under the first one's feet.

    Args:
        log: Of all nodes; beside it is the token, which all nodes and jobs have.
        token: Else nobody has one, as when a machine that is new to Ray calls `ray start --head` and no more.
    """

    def __init__(self, log: Path, *, token: bool = True) -> None:
        self._log = log
        self._port, self._dashboard = free_port(), free_port()
        self.nodes: list[subprocess.Popen] = []
        self.folders: list[Path] = []
        self.home, self._token = log.with_name("home"), secrets.token_hex(32) if token else None
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH_")}
        self.environment[MARK] = "1"
        if self._token is None:
            self.home.mkdir()
            self.environment["HOME"] = str(self.home)
        else:
            place = log.with_name("token")
            place.write_text(self._token)
            self.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(place)}
        self.environment["RAY_ADDRESS"] = f"127.0.0.1:{self._port}"
        self.environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{self._dashboard}"
        self.environment["PATH"] = f"{Path(RAY).parent}:{self.environment['PATH']}"  # as in an activated .venv

    def start(
        self, *, cores: float, gpus: int | None = None, hidden: Path | None = None, wait: bool = True
    ) -> subprocess.Popen:
        """One more node; the first one is the head.

        Args:
            cores: Of it.
            gpus: Of it, there or not; None for those that Ray finds.
            hidden: A folder of which it sees an empty one of its own, as a machine that does not mount it would.
            wait: Until Ray knows all nodes; else only until the next one can be started.
        """
        # Ray's sockets lie in its folder, and their paths may have 107 letters: pytest's own folders are too deep.
        folder = Path(f"/tmp/latentscape-ray-{os.getpid()}-{self._port}-{len(self.folders)}")
        self.folders.append(folder)
        place = (
            (
                *("--head", f"--port={self._port}", f"--dashboard-port={self._dashboard}"),
                f"--ray-client-server-port={free_port()}",
            )
            if not self.nodes
            else (f"--address=127.0.0.1:{self._port}",)
        )
        common = (
            *("--block", f"--num-cpus={cores:g}", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
            *("--object-store-memory=200000000", f"--temp-dir={folder}"),
            f"--dashboard-agent-listen-port={free_port()}",
            *(() if gpus is None else (f"--num-gpus={gpus}",)),
        )
        unset = {key: value for key, value in self.environment.items() if key != "RAY_ADDRESS"}
        with self._log.open("a") as output:
            command = [RAY, "start", *place, *common]
            if hidden is not None:
                mount = f"mount -t tmpfs none {shlex.quote(str(hidden))} && exec {shlex.join(command)}"
                command = ["unshare", "--mount", "sh", "-c", mount]
            process = subprocess.Popen(command, env=unset, stdout=output, stderr=output)
        self.nodes.append(process)
        if wait:
            self.wait()
        else:
            wait_until(self._listens, what="a head that listens")
        return process

    def wait(self) -> None:
        """Until Ray knows of each node whether it is there."""
        alive = sum(node.poll() is None for node in self.nodes)
        wait_until(lambda: self.alive() == alive, what=f"{alive} nodes")

    def _listens(self) -> bool:
        with socket.socket() as opened:
            return not opened.connect_ex(("127.0.0.1", self._port))

    def start_again(self, *, cores: float) -> None:
        """As many nodes as live, at the same addresses, after all of them were killed."""
        living = [node for node in self.nodes if node.poll() is None]
        for node in reversed(living):
            self.kill(node)
        self.nodes = []
        for _ in living:
            self.start(cores=cores)

    def alive(self) -> int:
        """How many nodes Ray knows to be alive."""
        return sum(node["state"] == "ALIVE" for node in self.listed("nodes"))

    def listed(self, what: str, **having: str) -> list[dict]:
        """`ray list WHAT --detail --filter KEY=VALUE`, whose own process takes seconds to start; none before Ray is."""
        filters = [
            pair
            for key, value in having.items()
            for pair in (("filter_keys", key), ("filter_predicates", "="), ("filter_values", value))
        ]
        question = f"/api/v0/{what}?{urllib.parse.urlencode([('detail', '1'), ('limit', '500'), *filters])}"
        try:
            return self.asked(question)["data"]["result"]["result"]
        except OSError:  # urllib's are among them
            return []

    def asked(self, path: str) -> dict:
        """What the dashboard answers."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(self.environment["RAY_API_SERVER_ADDRESS"] + path, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    @staticmethod
    def kill(node: subprocess.Popen) -> None:
        """A node with all that came of it, at once; `ray start` itself would take 30 s to end them in turn."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in (*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        node.wait(timeout=60)

    def end(self) -> None:
        """All nodes, and their folders."""
        for node in self.nodes:
            self.kill(node)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """Two nodes of one core each, for all tests that need no cluster of their own; a test that adds nodes ends them."""
    made = Cluster(tmp_path_factory.mktemp("cluster") / "log")
    del made.environment[MARK]  # it outlives jobs that were killed
    try:
        made.start(cores=1, gpus=0, wait=False)
        made.start(cores=1, gpus=0)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def attached(storage, cluster) -> Jobs:
    """Jobs on it."""
    return Jobs(storage, cluster.environment)


@pytest.fixture
def empty_cluster(tmp_path) -> Iterator[Cluster]:
    """A cluster whose nodes the test starts."""
    made = Cluster(tmp_path / "log")
    yield made
    made.end()


@pytest.fixture
def may_mount():
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        # The node gets a mount of its own, which Linux lets only root make (or who may use user namespaces).
        pytest.skip("a node that sees another folder wants the right to mount one (root)")
