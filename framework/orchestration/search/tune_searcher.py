"""Which trial Tune begins next: those that have not ended go on, then new ones are proposed, one at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.search import Searcher

from framework.search.registry import Entry


class Feed(Searcher):
    """Tune asks it whenever a place is free.

    Args:
        waiting: Trials to go on with, in order.
        new: How many more there will be, where it can propose any.
        propose: Makes the next one, its folder begun.
    """

    def __init__(self, waiting: Sequence[Entry], *, new: int = 0, propose: Callable[[], Entry] | None = None) -> None:
        super().__init__()
        self._waiting = list(waiting)
        self._new = new
        self._propose = propose

    @property
    def left(self) -> int:
        """How many it has still to give."""
        return len(self._waiting) + self._new

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
        """Tune's hook: the trial's name and parameters, or that there are no more."""
        if self._waiting:
            entry = self._waiting.pop(0)
        elif self._new > 0 and self._propose is not None:
            self._new -= 1
            entry = self._propose()
        else:
            return Searcher.FINISHED
        return {"trial": entry.trial, "parameters": entry.parameters, "total_images": entry.total_images}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune's hook; the ledger hears of it otherwise."""
