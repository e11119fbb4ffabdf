"""What an interrupt does to a block in which trials run."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from framework.orchestration.cluster.stop_flag import stoppable
from framework.orchestration.trial.driver import ray_records
from framework.search.leaderboard import update_results

if TYPE_CHECKING:
    from framework.orchestration.context import Study


@contextlib.contextmanager
def interruptible(study: "Study", under_way: Callable[[], list[str]]) -> Iterator[None]:
    """For the block in which trials run: an interrupt lets them save, and a closing line counts those that did.

    Args:
        study: The run's.
        under_way: Names of the trials that have begun and not reported their end.
    """
    run = study.run

    def running() -> list[str]:
        return [name for name in under_way() if run.trial(name).state.get("state") == "running"]

    try:
        with ray_records(run), stoppable(study.stop, study.watch, running=running, under_way=under_way):
            yield
    except KeyboardInterrupt:
        update_results(run)
        states = [trial.state.get("state") for trial in run.trials()]
        saved, lost = states.count("interrupted"), states.count("running")
        study.watch.say(
            f"interrupted: {trials_of(saved)} saved where {'it' if saved == 1 else 'they'} stood"
            + (f", {trials_of(lost)} will go on from the newest checkpoint" if lost else "")
        )
        raise


def trials_of(count: int) -> str:
    """A number of trials in words.

    >>> trials_of(1), trials_of(3)
    ('1 trial', '3 trials')
    """
    return f"{count} trial{'s' * (count != 1)}"
