"""Gives Tune its next trial: unfinished trials are resumed first, then new ones are proposed one at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.search import Searcher

from framework.search.registry import TrialRecord


class QueueSearcher(Searcher):
    """A queue of trials, from which Tune takes the next one when there is room for it.

    Args:
        waiting: Trials to start or resume, in order.
        new: How many further trials `propose` will create.
        propose: Creates the next trial and its folder.
    """

    def __init__(
        self, waiting: Sequence[TrialRecord], *, new: int = 0, propose: Callable[[], TrialRecord] | None = None
    ) -> None:
        super().__init__()
        self._waiting = list(waiting)
        self._new = new
        self._propose = propose

    @property
    def left(self) -> int:
        """How many trials the queue still holds."""
        return len(self._waiting) + self._new

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
        """Called by Tune: the next trial's name and parameters, or FINISHED."""
        if self._waiting:
            record = self._waiting.pop(0)
        elif self._new > 0 and self._propose is not None:
            self._new -= 1
            record = self._propose()
        else:
            return Searcher.FINISHED
        return {"trial": record.trial, "parameters": record.parameters, "total_images": record.total_images}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Called by Tune; does nothing, because callbacks update the trial registry."""
