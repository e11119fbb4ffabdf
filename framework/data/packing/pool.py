"""Decodes on all cores in separate small processes, independent of the caller's `__main__` guard, forks and threads.

Pillow releases the interpreter's lock while it decodes, but a third of the time for a small file is spent in Python, so
that threads stop scaling at about three cores. The processes are started by a command line, because fork is unsafe with
the threads of torch and Ray, and multiprocessing's spawn would run the caller's main module again.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from framework.data.packing.worker import Result
from framework.errors import DataError

_CHUNK = 32
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_PACKAGES = str(Path(__file__).parents[3])
# Makes glibc keep freed memory instead of returning it to the system after each picture, and OpenBLAS reserve none.
_SMALL = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
    "OPENBLAS_NUM_THREADS": "1",
}
_Chunk = list[tuple[int, Any, Any]]


def usable_cores() -> int:
    """Number of cores that this process may use; in a container it may be less than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):  # without a quota the file does not exist or contains "max"
        return cores


class Pool:
    """A pool of decoding processes. Use it as a context manager, so that no process is left running.

        with Pool(4) as pool:
            pool.begin(settings)
            for slot, item in enumerate(items):
                pool.put(slot, item)       # decoding starts with the first item
            for results in pool.results():
                ...

    Args:
        processes: Number of processes.
        files: Descriptors of open files that the processes inherit, as /dev/fd/NUMBER.
    """

    def __init__(self, processes: int, *, files: Sequence[int] = ()) -> None:
        self._files = files
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._workers = [self._start() for _ in range(processes)]
        self._chunk: _Chunk = []
        self._chunks: queue.SimpleQueue[_Chunk | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[Result] | Exception] = queue.SimpleQueue()
        self._feeders = [threading.Thread(target=self._feed, args=(worker,), daemon=True) for worker in self._workers]
        self._owed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            self._chunks.put(None)
        for feeder in self._feeders:
            if feeder.is_alive():
                feeder.join()
        for worker in self._workers:
            for pipe in (worker.stdin, worker.stdout):
                _close(pipe)
        self._errors.close()

    def begin(self, settings: dict[str, Any]) -> None:
        """Sends the arguments of `Work` to all processes."""
        for worker, feeder in zip(self._workers, self._feeders, strict=True):
            _send(worker, settings)
            feeder.start()

    def put(self, slot: int, item: Any, *, scale: tuple[float, float] | None = None) -> None:
        """Adds an item, whose picture is written to a slot of the output; `scale` is that of `decode`."""
        self._chunk.append((slot, item, scale))
        if len(self._chunk) >= _CHUNK:
            self._submit()

    def results(self) -> Iterator[list[Result]]:
        """Yields results in batches as they arrive, until every item has one.

        Raises:
            DataError: A process died, which malicious files can cause.
            OSError: The disk of the output is full.
        """
        self._submit()
        while self._owed:
            answer = self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            self._owed -= 1
            yield answer

    def _submit(self) -> None:
        if self._chunk:
            self._chunks.put(self._chunk)
            self._owed += 1
            self._chunk = []

    def _start(self) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([_PACKAGES, *(step or str(Path.cwd()) for step in sys.path)])
        return subprocess.Popen(
            [sys.executable, "-c", "from framework.data.packing.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=self._files,
            env={**_SMALL, **os.environ, "PYTHONPATH": path},
        )

    def _feed(self, worker: "subprocess.Popen[bytes]") -> None:
        """Runs in a thread: keeps one worker busy, with the next chunk already in its pipe."""
        waiting = 0
        try:
            while True:
                if waiting < 2 and not (waiting and self._chunks.empty()):
                    chunk = self._chunks.get()
                    if chunk is None:
                        return
                    _send(worker, chunk)
                    waiting += 1
                    continue
                assert worker.stdout is not None
                line = worker.stdout.readline()
                if not line:
                    raise BrokenPipeError
                answer = json.loads(line)
                if isinstance(answer, dict):
                    answer = OSError(answer["full"], os.strerror(answer["full"]))
                self._answers.put(answer)
                waiting -= 1
        except (OSError, ValueError):
            self._answers.put(DataError(f"data.path: a decoding process died ({self._last_words(worker)})"))

    def _last_words(self, worker: "subprocess.Popen[bytes]") -> str:
        code = worker.wait()
        if self._errors.closed:
            return f"exit code {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"exit code {code}" + (f": {lines[-1]}" if lines else "")


def _send(worker: "subprocess.Popen[bytes]", message: Any) -> None:
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(message).encode() + b"\n")
    worker.stdin.flush()


def _close(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # unwritten data for a process that died
        pipe.close()
