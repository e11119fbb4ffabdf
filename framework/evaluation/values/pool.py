"""Who computes scores, as this layer sees them. It knows no Ray: `framework.orchestration.pool` has those that do."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

Done = Callable[[int, int], None]
"""Called with (finished, all)."""
DeviceOfTask = Callable[[], str]
"""A module-level function that gives, in the process that calls it, the device that a task computes on there."""


class Needs(Protocol):
    """Files that a task reads."""

    def bring(self) -> None:
        """Sees to it that they lie on this node."""
        ...


class Crew(Protocol):
    """Whoever does shards of work: tasks, or actors that keep what they have loaded."""

    @property
    def device_of_task(self) -> DeviceOfTask:
        """For the functions that are handed over, and choose their device where they run."""
        ...

    def map(
        self, function: Callable[..., Any], arguments: Sequence[tuple], *, name: str, done: Done | None = None
    ) -> Iterator[Any]:
        """`function(*arguments[i])` for each i, yielded in order.

        Args:
            function: Module-level; gets its arguments and runs on one torch thread, so that neither the number of
                cores nor that of workers moves a rounding.
            arguments: One tuple a shard.
            name: Shown by Ray's dashboard.
            done: Called with (finished, all) after each.
        """
        ...
