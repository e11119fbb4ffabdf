"""The stop flag of a search: raised once by the job, read by every worker before each step.

Each worker waits for one answer of one actor and looks, before a step, whether it has come: that costs some tens of
microseconds and no message. Workers then agree (`WorkerGroup.agreed`), save and report.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from framework.orchestration.cluster.nodes import this_node

if TYPE_CHECKING:
    from framework.orchestration.progress import Watch

SAVE_SECONDS = 8.0
_REPORT_SECONDS = 3.0  # Ray's controller asks its workers for reports every two seconds
_POLL_SECONDS = 0.2
_MOST_WAITING = 100_000  # each waits at no cost


class _Flag:
    def __init__(self) -> None:
        self._raised = asyncio.Event()

    async def wait(self) -> bool:
        """Answers when the flag is raised."""
        await self._raised.wait()
        return True

    async def is_raised(self) -> bool:
        return self._raised.is_set()

    async def up(self) -> None:
        self._raised.set()


@dataclass(frozen=True)
class StopFlag:
    """Travels to every process of a search.

    Args:
        actor: Who keeps it.
    """

    actor: Any

    @classmethod
    def new(cls, title: str) -> "StopFlag":
        """A flag that is down, on this node; it lasts as long as this process refers to it."""
        options = {"num_cpus": 0, "max_concurrency": _MOST_WAITING, "scheduling_strategy": this_node()}
        return cls(ray.remote(_Flag).options(name=title, **options).remote())

    def raise_it(self) -> None:
        """Every worker saves and ends."""
        ray.get(self.actor.up.remote())

    def is_raised(self) -> bool:
        """Asks now; a message there and back."""
        return ray.get(self.actor.is_raised.remote())

    def reader(self) -> Callable[[], bool]:
        """For a worker's loop: whether it was raised, from an answer that is awaited from now on."""
        answer = self.actor.wait.remote()

        def is_raised() -> bool:
            ready, _ = ray.wait([answer], timeout=0)
            try:
                return bool(ready) and ray.get(answer)
            except RayError:  # its keeper is gone with a job that was killed: nobody asked for a stop
                return False

        return is_raised


@contextlib.contextmanager
def stoppable(
    flag: StopFlag,
    watch: "Watch",
    *,
    running: Callable[[], list[str]],
    under_way: Callable[[], list[str]],
) -> Iterator[None]:
    """Within this block a first interrupt raises the flag, and the job ends when no trial runs or 8 s are over.

    A trial that has saved may have reports on their way; within those 8 s the job waits up to 3 s for them.

    Args:
        flag: Of the search.
        watch: Hands over its first interrupt; the next one, also the one sent here at the end, ends the job.
        running: Names of the trials that run now.
        under_way: Names of the trials that have begun and not reported their end; all that run are among them.
    """
    asked: list[int] = []
    event, ended = threading.Event(), threading.Event()

    def interrupted(number: int) -> None:
        asked.append(number)
        event.set()

    def stop() -> None:
        event.wait()
        if ended.is_set():
            return
        count = len(running())
        watch.say(f"stopping: {count} running trial{'s' * (count != 1)} saved first (once more: at once)")
        flag.raise_it()
        reporting = set(under_way())
        end = time.monotonic() + SAVE_SECONDS
        _wait_while(running, until=end, ended=ended)
        end = min(end, time.monotonic() + _REPORT_SECONDS)
        _wait_while(lambda: reporting.intersection(under_way()), until=end, ended=ended)
        if not ended.is_set():
            os.kill(os.getpid(), asked[0] if asked else signal.SIGTERM)

    thread = threading.Thread(target=stop, name="stop", daemon=True)
    thread.start()
    try:
        with watch.first_interrupt(interrupted):
            yield
        if asked:  # all had saved before the signal that ends the job was on its way
            raise KeyboardInterrupt
    finally:
        ended.set()
        event.set()


def _wait_while(true: Callable[[], object], *, until: float, ended: threading.Event) -> None:
    while true() and time.monotonic() < until and not ended.wait(_POLL_SECONDS):
        pass
