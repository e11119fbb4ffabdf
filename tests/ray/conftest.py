"""Jobs as a user runs them: their own processes, a Ray of their own, a storage path that vanishes after the test."""

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from framework.runs import RunFolder

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "ray" / "tiny.yaml"
MARK = f"LATENTSCAPE_TESTS_{os.getpid()}"


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

    def run(self, name: str, *arguments: str, timeout: float = 400) -> Ended:
        process = self.start(name, *arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ended(process.returncode, out, err)

    def run_tiny(self, name: str, *arguments: str, timeout: float = 400) -> Ended:
        return self.run(name, str(TINY), f"storage.path={self.storage}", *arguments, timeout=timeout)


@pytest.fixture(scope="session")
def storage(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def jobs(storage) -> Jobs:
    """Jobs that find no cluster, and so embed one; their images and assessors are shared by all tests here."""
    unwanted = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    return Jobs(storage, {key: value for key, value in os.environ.items() if key not in unwanted} | {MARK: "1"})


@pytest.fixture(scope="session")
def piped(jobs) -> Ended:
    """The whole pipeline, run once."""
    return jobs.run_tiny("pipeline", "--json")


@pytest.fixture(scope="session")
def run(piped, storage) -> RunFolder:
    """What the pipeline left."""
    assert piped.code == 0, piped.err
    return RunFolder.open(storage / "tiny")


def wait_until(true, *, seconds: float, what: str) -> None:
    """Polls; fails with `what` when it stays false."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.2)


def our_processes() -> set[int]:
    """Every living process that a job of these tests started, or one of these in turn: they inherit its mark."""
    found = set()
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(psutil.Error):  # gone meanwhile
            if process.info["status"] != psutil.STATUS_ZOMBIE and MARK in process.environ():
                found.add(process.pid)
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
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port, dashboard = free_port(), free_port()
        self._dashboard = dashboard
        self.nodes: list[subprocess.Popen] = []
        self.folders: list[Path] = []
        self.environment = {**os.environ, MARK: "1", "RAY_AUTH_MODE": "token"}
        self.environment["RAY_ADDRESS"] = f"127.0.0.1:{self._port}"
        self.environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
        self.environment["PATH"] = f"{Path(RAY).parent}:{self.environment['PATH']}"  # as in an activated .venv
        subprocess.run([RAY, "get-auth-token", "--generate"], check=True, capture_output=True, env=self.environment)

    def start(self, *, cores: float, gpus: int | None = None, hidden: Path | None = None) -> subprocess.Popen:
        """One more node; the first one is the head.

        Args:
            cores: Of it.
            gpus: Of it, there or not; None for those that Ray finds.
            hidden: A folder of which it sees an empty one of its own, as a machine that does not mount it would.
        """
        # Ray's sockets lie in its folder, and their paths may have 107 letters: pytest's own folders are too deep.
        folder = Path(f"/tmp/latentscape-ray-{os.getpid()}-{self._port}-{len(self.folders)}")
        self.folders.append(folder)
        place = (
            ("--head", f"--port={self._port}", f"--dashboard-port={self._dashboard}")
            if not self.nodes
            else (f"--address=127.0.0.1:{self._port}",)
        )
        common = (
            *("--block", f"--num-cpus={cores:g}", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
            *("--object-store-memory=200000000", f"--temp-dir={folder}"),
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
        alive = sum(node.poll() is None for node in self.nodes)
        wait_until(lambda: self.alive() == alive, seconds=120, what=f"{alive} nodes")
        return process

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

    def listed(self, what: str, *arguments: str) -> list[dict]:
        """`ray list`."""
        command = [RAY, "list", what, "--format=json", *arguments]
        listed = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return json.loads(listed.stdout) if listed.returncode == 0 and listed.stdout.startswith("[") else []

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
