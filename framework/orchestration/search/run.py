"""The search: Ray Tune decides which trials run, and each trial is a Ray Train run.

All state is in RUN: the folder of each trial holds its settings, state, scores and checkpoints, and all decisions are
made from them. So a second call resumes where the first one ended, even if that was killed. Tune's own records
(RUN/ray) are never read back and are deleted at the end.
"""

from typing import TYPE_CHECKING, Any

from framework.errors import TrainingError
from framework.orchestration.cluster.environment import tracker_keys
from framework.orchestration.cluster.nodes import warn_of_missing_keys
from framework.orchestration.cluster.ray_internals import OF_TRAINING, OF_TUNE, RENDEZVOUS, lacking
from framework.orchestration.search.strategies import Independent, Population, Repeats, Strategy
from framework.orchestration.search.tune_run import SearchRun, template_of
from framework.orchestration.search.tune_searcher import QueueSearcher
from framework.orchestration.trial.resources import plan
from framework.runs import RunFolder
from framework.search.leaderboard import update_results
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.space import check_space

if TYPE_CHECKING:
    from framework.orchestration.context import RunContext

SINGLE_TRIAL = "single"


def search(context: "RunContext") -> list[dict[str, Any]]:
    """Runs every trial of the run that has not ended yet, and ranks them all.

    Returns:
        The leaderboard, best first.

    Raises:
        ConfigError: The space could yield an invalid setting.
        ClusterError: The plan can never run on this cluster.
        TrainingError: No trial has a score.
        KeyboardInterrupt: The search was interrupted. Running trials have saved, if 8 s were enough.
    """
    run, experiment = context.run, context.experiment
    check_space(experiment)
    _say_what_is_lacking(context)
    strategies: list[Strategy] = [Population() if experiment.search.scheduler == "pbt" else Independent(), Repeats()]
    for strategy in strategies:
        strategy.run(SearchRun(context, TrialRegistry.of(run)))
    return _ranked(run)


def train_single(context: "RunContext") -> list[dict[str, Any]]:
    """Trains the experiment itself, as a run of one trial. Returns its leaderboard, which has one row."""
    run = context.run
    _say_what_is_lacking(context)
    resources = plan(context.experiment.compute, context.cluster)
    context.progress.say(resources.line(context.cluster))
    training = SearchRun(context, TrialRegistry.of(run))
    trial = training.begin(TrialRecord(SINGLE_TRIAL, {}))
    training.train(QueueSearcher([trial]), template_of(context, resources))
    state = run.trial(SINGLE_TRIAL).state
    if state["state"] == "failed":
        raise TrainingError(f"{run.folder.name}: {state['error']}")
    return _ranked(run)


def _say_what_is_lacking(context: "RunContext") -> None:
    for line in lacking((*OF_TRAINING, RENDEZVOUS, *OF_TUNE)):
        context.progress.say(line)
    warn_of_missing_keys(tracker_keys(context.experiment.telemetry), context.cluster, context.progress.say)


def _ranked(run: RunFolder) -> list[dict[str, Any]]:
    rows = update_results(run)
    if not any(row["score"] is not None for row in rows):
        errors = "; ".join(f"{row['trial']}: {why}" for row in rows if (why := row["error"] or row.get("reason")))
        raise TrainingError(f"no trial of {run.folder.name} ended with a score ({errors or 'none was scored'})")
    return rows
