"""Pools of workers as this layer sees them; `framework.orchestration.pool` implements them with Ray."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

Done = Callable[[int, int], None]
"""Called with (finished, all)."""
DeviceOfTask = Callable[[], str]
"""A module-level function that gives, in the process that calls it, the device that a task computes on there."""


class Needs(Protocol):
    """Files that a task reads."""

    def bring(self) -> None:
        """Copies those that this node lacks."""
        ...


class Crew(Protocol):
    """Computes shards of work: Ray tasks, or actors that keep what they have loaded."""

    @property
    def device_of_task(self) -> DeviceOfTask:
        """For the functions that are handed over, and choose their device where they run."""
        ...

    def map(
        self,
        function: Callable[..., Any],
        arguments: Sequence[tuple],
        *,
        name: str,
        done: Done | None = None,
        needs: Needs | None = None,
    ) -> Iterator[Any]:
        """`function(*arguments[i])` for each i, yielded in order.

        Args:
            function: Module-level; gets its arguments and runs on one torch thread, so that neither the number of
                cores nor that of workers moves a rounding.
            arguments: One tuple a shard.
            name: Shown by Ray's dashboard.
            done: Called with (finished, all) after each.
            needs: Files that these shards read, beside those that the pool was made with.
        """
        ...
