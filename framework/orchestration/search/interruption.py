"""Handles an interrupt of a block in which trials run."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from framework.orchestration.cluster.stop_flag import stoppable
from framework.orchestration.trial.driver import ray_records
from framework.search.leaderboard import update_results

if TYPE_CHECKING:
    from framework.orchestration.context import RunContext


@contextlib.contextmanager
def interruptible(context: "RunContext", under_way: Callable[[], list[str]]) -> Iterator[None]:
    """Lets the trials of this block save after an interrupt, and then says how many did.

    Args:
        context: The context of the run.
        under_way: Names of the trials that have started and not reported their end.
    """
    run = context.run

    def running() -> list[str]:
        return [name for name in under_way() if run.trial(name).state.get("state") == "running"]

    try:
        with ray_records(run), stoppable(context.stop, context.progress, running=running, under_way=under_way):
            yield
    except KeyboardInterrupt:
        update_results(run)
        states = [trial.state.get("state") for trial in run.trials()]
        saved, lost = states.count("interrupted"), states.count("running")
        line = f"Interrupted: {trials_of(saved)} saved where {'it' if saved == 1 else 'they'} stood"
        if lost:
            line += f", {trials_of(lost)} will resume from {'its' if lost == 1 else 'their'} newest checkpoint"
        context.progress.say(f"{line}.")
        raise


def trials_of(count: int) -> str:
    """A number of trials in words.

    >>> trials_of(1), trials_of(3)
    ('1 trial', '3 trials')
    """
    return f"{count} trial{'s' * (count != 1)}"
