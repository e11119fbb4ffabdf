"""A job that is killed and interrupted at random moments, and the same command run again until it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.ray.conftest import MARK, ROOT, Cluster, our_processes

BEFORE = "Interrupted before the job began."
STARTS = 3  # of a job that ended before its moment came
WAIT_SECONDS = 1200.0
# Ray's own processes and ours that only serve others; what is left computes.
_IDLE = ("ray::IDLE", "Agent", "PlacementGroupCleaner", "QueueActor", "StatsActor", "_Flag", "_FileServer")
_TRAINS = ("RayTrainWorker", "ray::Trial.")

JOB_KILLED, JOB_INTERRUPTED, JOB_TERMINATED = "SIGKILL of the job", "SIGINT of the job", "SIGTERM of the job"
DRIVER_KILLED, WORKER_KILLED = "SIGKILL of a trial's driver", "SIGKILL of a DDP worker"
TASK_KILLED, NODE_KILLED = "SIGKILL of a task", "a node killed"
OF_THE_JOB = {JOB_KILLED: signal.SIGKILL, JOB_INTERRUPTED: signal.SIGINT, JOB_TERMINATED: signal.SIGTERM}


class EndedFirst(Exception):  # noqa: N818 - not an error
    """The job ended before the moment came."""


@dataclass
class Place:
    """Where jobs run: their storage, their temporary folder, and the cluster that they attach to, if any."""

    storage: Path
    temporary: Path
    cluster: Cluster | None = None

    @property
    def environment(self) -> dict[str, str]:
        unwanted = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "LATENTSCAPE_CACHE")
        own = {name: value for name, value in os.environ.items() if name not in unwanted}
        given = own if self.cluster is None else self.cluster.environment
        # Ray's sockets lie in its folder, and their paths may have 107 letters.
        self.temporary.mkdir(exist_ok=True)
        return {**given, MARK: "1", "TMPDIR": str(self.temporary), "RAY_TMPDIR": str(self.temporary / "ray")}


@dataclass
class Job:
    """One command that is disturbed.

    Args:
        place: Where it runs.
        name: Of the job.
        arguments: Of the command.
        progress: A number that grows while it works: reports of a training, or seconds for jobs that have none.
        undo: Deletes what it made, to start anew when it ended before its moment.
    """

    place: Place
    name: str
    arguments: Sequence[str]
    rng: np.random.Generator
    undo: Callable[[], None]
    progress: Callable[[], float] | None = None
    seconds: float = 60.0
    kills: list[str] = field(default_factory=list)
    _busy: int = 0

    def start(self) -> None:
        self.place.storage.mkdir(exist_ok=True)
        self._log = self.place.storage / f"{self.name}-{len(self.kills)}.stderr"
        command = [sys.executable, "-m", f"jobs.{self.name}", *self.arguments]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.place.environment, stdout=subprocess.DEVNULL, stderr=log
            )
        self._started = time.monotonic()

    @property
    def said(self) -> str:
        return self._log.read_text()

    def disturb(self, ways: Sequence[str], *, between: float) -> None:
        """Starts it, does what `ways` say in a random order at random moments, and waits for its end.

        Args:
            between: How much of the progress, or of the seconds that it takes, lies between two of them at most.
        """
        self.start()
        for way in self.rng.permutation(list(ways)):
            for attempt in range(STARTS):
                try:
                    self._do(str(way), self.rng.uniform(0.1, 1.0) * between / (attempt + 1))
                    break
                except EndedFirst:
                    assert attempt + 1 < STARTS, f"{self.name}: ended before {way}, {STARTS} times"
                    self.undo()
                    self.start()
        self.finish()

    def finish(self) -> None:
        """To its end, which has to be a good one."""
        code = self._code()
        if self._is_too_busy():
            self.finish()
            return
        assert code == 0, (self.kills, code, self.said)

    def _do(self, way: str, moment: float) -> None:
        self._wait(moment)
        if way in OF_THE_JOB:
            self._end_by(OF_THE_JOB[way])
        elif way == NODE_KILLED:
            assert self.place.cluster is not None
            self.place.cluster.kill(self.place.cluster.nodes[-1])
            self.place.cluster.start(cores=1)
        else:
            title = self._kill_one(way)
            way = f"{way} ({title})"
        self.kills.append(f"{self.name}: {way}, {moment:.1f} on")
        print(self.kills[-1], flush=True)
        if self.process.poll() is not None:
            self.start()

    def _wait(self, moment: float) -> None:
        """Until the job has come so far."""
        began = 0.0 if self.progress is None else self.progress()

        def come() -> float:
            return time.monotonic() - self._started if self.progress is None else self.progress() - began

        self._until(lambda: come() >= moment)
        if self.progress is not None:
            time.sleep(self.rng.uniform(0.0, 0.5))

    def _until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while not true():
            if self.process.poll() is not None:
                if self._is_too_busy():
                    continue
                assert self.process.returncode == 0, (self.kills, self.process.returncode, self.said)
                raise EndedFirst
            if time.monotonic() > end:
                self.process.kill()
            assert time.monotonic() < end, f"{self.name}: hangs; {self.kills}; {self.said}"
            time.sleep(0.02)

    def _code(self) -> int:
        """Waits for its end."""
        try:
            return self.process.wait(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name}: hangs; {self.kills}; {self.said}") from None

    def _is_too_busy(self) -> bool:
        """Whether the machine was too busy for Ray to start in its own time; then the job was started again."""
        busy = self.process.returncode == 2 and "error: Ray could not start on this machine" in self.said
        if busy:
            self._busy += 1
            assert self._busy <= STARTS, self.said
            self.start()
        return busy

    def _end_by(self, number: int) -> None:
        if self.process.poll() is not None:
            raise EndedFirst
        self.process.send_signal(number)
        code = self._code()
        if code == 0:
            raise EndedFirst
        said = self.said
        if number == signal.SIGKILL:
            assert code == -number, (code, said)
        else:
            assert code == 130, (code, said)
            # Tune logs a traceback of its own when a driver is killed, so only the end is ours.
            assert said.splitlines()[-1].startswith(
                (f"Interrupted. Resume with: python -m jobs.{self.name} ", BEFORE)
            ), said
            assert "Traceback" not in "".join(said.splitlines()[-5:]), said

    def _kill_one(self, way: str) -> str:
        found: list[psutil.Process] = []

        def there() -> bool:
            processes = map(_of, our_processes())
            found[:] = [one for one in processes if one is not None and _is_meant(_title(one), way)]
            return bool(found)

        self._until(there)
        one = found[int(self.rng.integers(len(found)))]
        title = _title(one)
        one.kill()
        return title


def _is_meant(title: str, way: str) -> bool:
    if way == DRIVER_KILLED:
        return "ray::Trial." in title
    if way == WORKER_KILLED:
        return "RayTrainWorker" in title
    return title.startswith("ray::") and not any(word in title for word in (*_IDLE, *_TRAINS))


def _of(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def timed(place: Place, name: str, *arguments: str) -> float:
    """Runs a job undisturbed; gives the seconds it took."""
    job = Job(place, name, arguments, np.random.default_rng(0), undo=lambda: None)
    began = time.monotonic()
    job.start()
    job.finish()
    return time.monotonic() - began


def deletes(run: Path, *names: str) -> Callable[[], None]:
    """A function that deletes files and folders of a run."""

    def delete() -> None:
        for name in names:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return delete


def alive() -> dict[int, Any]:
    """What our jobs left running: process id -> command line."""
    return {pid: _title(psutil.Process(pid)) for pid in our_processes() if psutil.pid_exists(pid)}
