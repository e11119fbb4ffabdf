"""The interface of pools of workers, which `framework.orchestration.pool` implements with Ray."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

Done = Callable[[int, int], None]
"""Called with (finished, all)."""
DeviceOfTask = Callable[[], str]
"""A module-level function that gives the device on which the calling process computes."""


class Files(Protocol):
    """Files that a task reads."""

    def ensure_local(self) -> None:
        """Copies the files that this node lacks."""
        ...


class Pool(Protocol):
    """Computes shards of work, with Ray tasks or with actors, which keep loaded models."""

    @property
    def device_of_task(self) -> DeviceOfTask:
        """The function by which the pool's functions choose their device where they run."""
        ...

    def map(
        self,
        function: Callable[..., Any],
        arguments: Sequence[tuple],
        *,
        name: str,
        done: Done | None = None,
        node_files: Files | None = None,
    ) -> Iterator[Any]:
        """Yields `function(*arguments[i])` for each i, in order.

        Args:
            function: A module-level function. It runs on one torch thread, so rounding does not depend on the number of
                cores or workers.
            arguments: One tuple per shard.
            name: Shown in Ray's dashboard.
            done: Called with (finished, all) after each shard.
            node_files: Files that these shards read, in addition to those of the pool.
        """
        ...
