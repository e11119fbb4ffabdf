"""The stop flag of a search: raised once by the job, read by every worker before each step.

Each worker makes one call to one actor, which answers when the flag is raised. Before each step it checks whether the
answer has arrived, which takes some tens of microseconds and sends no message. The workers of a trial then agree on
the same step (`WorkerGroup.agreed`), save a checkpoint and report.
"""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError

from framework.orchestration.cluster.nodes import this_node

if TYPE_CHECKING:
    from ray.actor import ActorProxy

    from framework.orchestration.progress import Progress

SAVE_SECONDS = 8.0
_REPORT_SECONDS = 3.0  # Ray's controller asks its workers for reports every two seconds
_POLL_SECONDS = 0.2
_MOST_WAITING = 100_000  # a waiting call costs nothing


class _Flag:
    def __init__(self) -> None:
        self._raised = asyncio.Event()

    @ray.method
    async def wait(self) -> bool:
        """Returns when the flag is raised."""
        await self._raised.wait()
        return True

    @ray.method
    async def is_raised(self) -> bool:
        return self._raised.is_set()

    @ray.method
    async def up(self) -> None:
        self._raised.set()


@dataclass(frozen=True)
class StopFlag:
    """The stop flag; sent to every process of a search.

    Args:
        actor: The actor that holds the state of the flag.
    """

    actor: "ActorProxy[_Flag]"

    @classmethod
    def new(cls, title: str) -> "StopFlag":
        """A new flag on this node, not raised. It lives as long as this process keeps a reference to it."""
        options = {"num_cpus": 0, "max_concurrency": _MOST_WAITING, "scheduling_strategy": this_node()}
        return cls(ray.remote(_Flag).options(name=title, **options).remote())

    def raise_it(self) -> None:
        """Makes every worker save a checkpoint and end."""
        ray.get(self.actor.up.remote())

    def is_raised(self) -> bool:
        """Whether the flag is raised; sends a message and waits for the answer."""
        return ray.get(self.actor.is_raised.remote())

    def reader(self) -> Callable[[], bool]:
        """A function for a training loop that tells whether the flag is raised, without sending a message per call."""
        answer = self.actor.wait.remote()

        def is_raised() -> bool:
            ready, _ = ray.wait([answer], timeout=0)
            try:
                return bool(ready) and ray.get(answer)
            except RayError:  # the actor ended with a job that was killed, so nobody asked for a stop
                return False

        return is_raised


@contextlib.contextmanager
def stoppable(
    flag: StopFlag,
    progress: "Progress",
    *,
    running: Callable[[], list[str]],
    under_way: Callable[[], list[str]],
) -> Iterator[None]:
    """Within this block a first interrupt raises the flag; the job ends when no trial runs, after 8 s at the latest.

    A trial that has saved may still have reports to deliver; within those 8 s the job waits up to 3 s for them.

    Args:
        flag: The flag of the search.
        progress: Its first interrupt is handled here; the second one, or the one raised here at the end, stops the job.
        running: Names of the trials that run now.
        under_way: Names of the trials that have started and not reported their end, including all that run.
    """
    signals: list[int] = []
    event, ended = threading.Event(), threading.Event()

    def interrupted(number: int) -> None:
        signals.append(number)
        event.set()

    def stop() -> None:
        event.wait()
        if ended.is_set():
            return
        count = len(running())
        trials = f"{count} running trial{'s' * (count != 1)}"
        progress.say(f"Stopping: saving {trials} first. Press Ctrl-C again to stop immediately.")
        flag.raise_it()
        reporting = set(under_way())
        end = time.monotonic() + SAVE_SECONDS
        _wait_while(running, until=end, ended=ended)
        end = min(end, time.monotonic() + _REPORT_SECONDS)
        _wait_while(lambda: reporting.intersection(under_way()), until=end, ended=ended)
        if not ended.is_set():
            os.kill(os.getpid(), signals[0] if signals else signal.SIGTERM)

    thread = threading.Thread(target=stop, name="stop", daemon=True)
    thread.start()
    try:
        with progress.first_interrupt(interrupted):
            yield
        if signals:  # all trials had saved before the signal that ends the job was sent
            raise KeyboardInterrupt
    finally:
        ended.set()
        event.set()


def _wait_while(true: Callable[[], object], *, until: float, ended: threading.Event) -> None:
    while true() and time.monotonic() < until and not ended.wait(_POLL_SECONDS):
        pass
