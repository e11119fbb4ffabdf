"""Runs trials under Ray Tune; used by every strategy of a search."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from framework.errors import LatentscapeError
from framework.orchestration.cluster.ray_internals import keep_keys_from_trials, keep_trackers_unimported
from framework.orchestration.search.interruption import interruptible
from framework.orchestration.search.trial_progress import TrialProgress
from framework.orchestration.search.trial_scoring import trial_scoring
from framework.orchestration.search.tune_scheduler import RuleScheduler
from framework.orchestration.search.tune_searcher import QueueSearcher
from framework.orchestration.trial.driver import TrialDriver, last_line, ray_storage
from framework.orchestration.trial.resources import ResourcePlan, search_plan
from framework.orchestration.trial.spec import TrialSpec
from framework.runs import RunFolder
from framework.runs.trial import ENDED, PARAMS
from framework.search.early_stopping import Rule
from framework.search.leaderboard import update_results
from framework.search.registry import TrialRecord, TrialRegistry
from framework.search.sampling import sampler_of
from framework.search.space import identity, number_of_settings

if TYPE_CHECKING:
    from framework.orchestration.context import RunContext


class SearchRun:
    """A search in progress.

    Args:
        context: The context of the run.
        registry: The registry of its trials.
    """

    def __init__(self, context: "RunContext", registry: TrialRegistry) -> None:
        self.context = context
        self.registry = registry
        self._sampler = sampler_of(context.experiment)

    def unfinished(self) -> list[TrialRecord]:
        """Settings whose trials have started but not ended."""
        return [record for record in self.registry.settings() if not record.ended]

    def new_settings(self) -> int:
        """How many settings the search still has to propose."""
        return max(0, number_of_settings(self.context.experiment) - len(self.registry.settings()))

    def propose(self) -> TrialRecord:
        """Creates a trial with the sampler's next setting."""
        number = len(self.registry.settings())
        parameters = self._sampler.propose(number, self.registry)
        return self.begin(TrialRecord(identity(number, parameters), parameters))

    def begin(self, record: TrialRecord) -> TrialRecord:
        """Creates the folder of a trial, so that a search that is killed after this knows the trial."""
        trial = self.context.run.trial(record.trial)
        is_new = not trial.folder.exists(PARAMS)  # a state without settings is what a deleted trial wrote last
        trial.write_params(record.parameters)
        if is_new or not trial.state:
            trial.write_state(state="pending")
        self.registry.add(record)
        return record

    def plan(self, *, trials: int) -> ResourcePlan:
        """Workers, cores and GPUs for so many trials."""
        return search_plan(self.context.experiment, self.context.cluster, trials=trials)

    def plan_of_settings(self) -> ResourcePlan:
        """The plan for all settings of the search, which is shown to the user."""
        settings = self.registry.settings()
        ended = len(settings) - len(self.unfinished())
        plan = self.plan(trials=len(settings) + self.new_settings())
        line = plan.line(self.context.cluster)
        self.context.progress.say(line + (f"; {ended} already ended" if ended else ""))
        return plan

    def train(self, feed: QueueSearcher, work: TrialSpec, *, rule: Rule | None = None) -> None:
        """Trains the trials of a queue under Tune; returns when all have ended or reached their length.

        Args:
            feed: The queue of trials.
            work: What the trials have in common.
            rule: Stops bad trials early; None trains every trial to its end.
        """
        context, run = self.context, self.context.run
        under_way: set[str] = set()
        trials = feed.left
        show = TrialProgress(context.progress, run, trials=trials, ended=0)
        tuner = tune.Tuner(
            TrialDriver.of(work),
            tune_config=tune.TuneConfig(
                search_alg=feed,
                num_samples=trials,
                scheduler=RuleScheduler(self.registry, rule),
                max_concurrent_trials=work.plan.concurrent,
                trial_dirname_creator=lambda trial: str(trial.config["trial"]),
                trial_name_creator=lambda trial: str(trial.config["trial"]),
            ),
            run_config=tune.RunConfig(
                name="search",
                verbose=0,
                callbacks=[_Results(run, self.registry, show, under_way)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # trials write their own
                failure_config=tune.FailureConfig(max_failures=context.experiment.compute.max_failures),
                **ray_storage(run),
            ),
        )
        keep_keys_from_trials()
        keep_trackers_unimported()
        with interruptible(context, lambda: list(under_way)):
            _fit(tuner)


def template_of(context: "RunContext", plan: ResourcePlan) -> TrialSpec:
    """What all trials of a run have in common. Measures the real images that they are scored against."""
    scoring = trial_scoring(context, plan)
    places = [context.images.path, *scoring.features.files, *([] if scoring.moments is None else [scoring.moments])]
    return TrialSpec(
        run=context.run.folder.location,
        trial="",
        parameters={},
        experiment=context.experiment,
        images=str(context.images.path),
        plan=plan,
        scoring=scoring,
        stop=context.stop,
        node_files=context.node_files(*places),
    )


class _Results(tune.Callback):
    """Keeps leaderboard.csv, best.json and the progress line up to date while trials run."""

    def __init__(self, run: RunFolder, registry: TrialRegistry, show: TrialProgress, under_way: set[str]) -> None:
        self._run = run
        self._registry = registry
        self._show = show
        self._under_way = under_way

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._under_way.add(trial.config["trial"])

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:  # noqa: ARG002
        if result.get("scores"):
            update_results(self._run)
        self._show(trial.config["trial"], result)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        record, folder = self._registry[trial.config["trial"]], self._run.trial(trial.config["trial"])
        if record.state == "stopped" and folder.state.get("state") not in ENDED:
            folder.write_state(state="stopped")
        self._close(record)

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._show.say(trial.config["trial"], f"its driver was lost and starts again: {_reason(trial)}")

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        folder, reason = self._run.trial(trial.config["trial"]), _reason(trial)
        self._show.say(trial.config["trial"], f"its driver was lost: {reason}")
        if folder.state.get("state") not in ENDED:
            folder.write_state(state="failed", error=f"its driver was lost: {reason}")
        self._close(self._registry[trial.config["trial"]])

    def _close(self, record: TrialRecord) -> None:
        record.state = str(self._run.trial(record.trial).state.get("state"))
        self._under_way.discard(record.trial)
        self._show.ended += record.ended
        update_results(self._run)


def _fit(tuner: tune.Tuner) -> None:
    """Runs the trials. Tune makes a TuneError of an error in our callbacks; ours is raised instead."""
    try:
        tuner.fit()
    except tune.TuneError as fault:
        cause: BaseException | None = fault
        while cause is not None:
            if isinstance(cause, LatentscapeError):
                raise cause from None
            cause = cause.__context__
        raise


def _reason(trial: Any) -> str:
    """Why Tune lost the driver of a trial, from Tune's own record, which is on this machine."""
    record = Path(trial.error_file or "")
    return last_line(record.read_text(errors="replace") if record.is_file() else "")
