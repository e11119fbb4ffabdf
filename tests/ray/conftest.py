"""Jobs as a user runs them: their own processes, a Ray of their own, a storage path that vanishes after the test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from framework.checkpoint import RunFolder

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
    # A shell starts what ends in `&` with SIGINT ignored, and this passes on to every process: here it is sent.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
