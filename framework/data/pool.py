"""Decoding on all cores: own small processes, so that no `__main__` guard, fork or thread of the caller matters.

Pillow frees the interpreter's lock while it decodes, but a third of a small file's time is Python: threads stop
scaling at about three cores, processes do not. They are started by command line, like a shell would, because fork is
unsafe beside the threads of torch and Ray, and multiprocessing's spawn runs the caller's main module again.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from framework.data.worker import Result, Work
from framework.errors import DataError

_CHUNK = 64
_PACKAGES = str(Path(__file__).parents[2])


def usable_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Some processes that decode; use it as a context, so that none is left behind.

    Args:
        processes: How many; with 1 the work is done in this process.
    """

    def __init__(self, processes: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._workers = [self._start() for _ in range(processes)] if processes > 1 else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                assert pipe is not None
                pipe.close()
        self._errors.close()

    def run(self, items: list[tuple[int, Any]], settings: dict[str, Any]) -> Iterator[list[Result]]:
        """Results of (slot, item) pairs as they come, a few at a time.

        Args:
            items: A free slot of the output and what to read, each.
            settings: `Work`'s.

        Raises:
            DataError: A process died, which decoders do on some malicious files.
        """
        chunk = max(1, min(_CHUNK, len(items) // (8 * max(1, len(self._workers)))))
        chunks = deque(items[start : start + chunk] for start in range(0, len(items), chunk))
        if not self._workers:
            yield from self._run_here(chunks, settings)
            return
        answers: queue.SimpleQueue[list[Result] | DataError | None] = queue.SimpleQueue()
        feeders = [
            threading.Thread(target=self._feed, args=(worker, settings, chunks, answers), daemon=True)
            for worker in self._workers
        ]
        for feeder in feeders:
            feeder.start()
        running = len(feeders)
        while running:
            answer = answers.get()
            if isinstance(answer, DataError):
                raise answer
            if answer is None:
                running -= 1
            else:
                yield answer

    def _run_here(self, chunks: deque[list[tuple[int, Any]]], settings: dict[str, Any]) -> Iterator[list[Result]]:
        work = Work(**settings)
        try:
            for chunk in chunks:
                yield work.run(chunk)
        finally:
            work.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([_PACKAGES, *(step or str(Path.cwd()) for step in sys.path)])
        return subprocess.Popen(
            [sys.executable, "-c", "from framework.data.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
        )

    def _feed(
        self,
        worker: "subprocess.Popen[bytes]",
        settings: dict[str, Any],
        chunks: deque[list[tuple[int, Any]]],
        answers: "queue.SimpleQueue[list[Result] | DataError | None]",
    ) -> None:
        """A thread's: hands one worker a chunk after the other until there are none."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            _send(worker.stdin, settings)
            while True:
                try:
                    chunk = chunks.popleft()
                except IndexError:
                    break
                _send(worker.stdin, chunk)
                line = worker.stdout.readline()
                if not line:
                    raise BrokenPipeError
                answers.put(json.loads(line))
            answers.put(None)
        except (OSError, ValueError):
            answers.put(DataError(f"data.path: a decoding process died ({self._last_words(worker)})"))

    def _last_words(self, worker: "subprocess.Popen[bytes]") -> str:
        code = worker.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"exit code {code}" + (f": {lines[-1]}" if lines else "")


def _send(pipe: Any, message: Any) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()
