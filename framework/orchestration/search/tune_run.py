"""Runs trials under Ray Tune; used by every strategy of a search."""

from typing import TYPE_CHECKING, Any

from ray import tune

from framework.orchestration.search.interruption import interruptible
from framework.orchestration.search.trial_progress import Shower
from framework.orchestration.search.trial_scoring import trial_scoring
from framework.orchestration.search.tune_scheduler import EarlyEnd
from framework.orchestration.search.tune_searcher import Feed
from framework.orchestration.trial.driver import TrialDriver, last_line, ray_storage
from framework.orchestration.trial.resources import Plan, search_plan
from framework.orchestration.trial.spec import TrialWork
from framework.runs import RunFolder
from framework.runs.trial import ENDED
from framework.search.early_stopping import Rule
from framework.search.leaderboard import update_results
from framework.search.registry import Entry, Ledger
from framework.search.sampling import sampler_of
from framework.search.space import identity, number_of_settings

if TYPE_CHECKING:
    from framework.orchestration.context import Study


class SearchRun:
    """A search in progress.

    Args:
        study: The context of the run.
        ledger: The registry of its trials.
    """

    def __init__(self, study: "Study", ledger: Ledger) -> None:
        self.study = study
        self.ledger = ledger
        self._sampler = sampler_of(study.experiment)

    def unfinished(self) -> list[Entry]:
        """Settings whose trials have started but not ended."""
        return [entry for entry in self.ledger.settings() if not entry.ended]

    def new_settings(self) -> int:
        """How many settings the search still has to propose."""
        return max(0, number_of_settings(self.study.experiment) - len(self.ledger.settings()))

    def propose(self) -> Entry:
        """Creates a trial with the sampler's next setting."""
        number = len(self.ledger.settings())
        parameters = self._sampler.propose(number, self.ledger)
        return self.begin(Entry(identity(number, parameters), parameters))

    def begin(self, entry: Entry) -> Entry:
        """Creates the folder of a trial, so that a search that is killed after this knows the trial."""
        trial = self.study.run.trial(entry.trial)
        trial.write_params(entry.parameters)
        if not trial.state:
            trial.write_state(state="pending")
        self.ledger.add(entry)
        return entry

    def plan(self, *, trials: int) -> Plan:
        """Workers, cores and GPUs for so many trials."""
        return search_plan(self.study.experiment, self.study.cluster, trials=trials)

    def template(self, plan: Plan | None = None) -> TrialWork:
        """What all trials have in common. Without a plan, makes and shows the plan of the whole search."""
        if plan is None:
            settings = self.ledger.settings()
            ended = len(settings) - len(self.unfinished())
            plan = self.plan(trials=len(settings) + self.new_settings())
            line = plan.line(self.study.cluster)
            self.study.watch.say(line + (f"; {ended} already ended" if ended else ""))
        return template_of(self.study, plan)

    def train(self, feed: Feed, work: TrialWork, *, rule: Rule | None = None) -> None:
        """Trains the trials of a queue under Tune; returns when all have ended or reached their length.

        Args:
            feed: The queue of trials.
            work: What the trials have in common.
            rule: Stops bad trials early; None trains every trial to its end.
        """
        study, run = self.study, self.study.run
        under_way: set[str] = set()
        trials = feed.left
        show = Shower(study.watch, run, trials=trials, ended=0)
        tuner = tune.Tuner(
            TrialDriver.of(work),
            tune_config=tune.TuneConfig(
                search_alg=feed,
                num_samples=trials,
                scheduler=EarlyEnd(self.ledger, rule),
                max_concurrent_trials=work.plan.concurrent,
                trial_dirname_creator=lambda trial: str(trial.config["trial"]),
                trial_name_creator=lambda trial: str(trial.config["trial"]),
            ),
            run_config=tune.RunConfig(
                name="search",
                verbose=0,
                callbacks=[_Results(run, self.ledger, show, under_way)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # trials write their own
                failure_config=tune.FailureConfig(max_failures=study.experiment.compute.max_failures),
                **ray_storage(run),
            ),
        )
        with interruptible(study, lambda: list(under_way)):
            tuner.fit()


def template_of(study: "Study", plan: Plan) -> TrialWork:
    """What all trials of a run have in common. Measures the real images that they are scored against."""
    scoring = trial_scoring(study, plan)
    places = [study.images.path, scoring.features.path, *([] if scoring.moments is None else [scoring.moments])]
    return TrialWork(
        run=study.run.folder.location,
        trial="",
        parameters={},
        experiment=study.experiment,
        images=str(study.images.path),
        plan=plan,
        scoring=scoring,
        stop=study.stop,
        needs=study.needs(*places),
    )


class _Results(tune.Callback):
    """Keeps leaderboard.csv, best.json and the progress line up to date while trials run."""

    def __init__(self, run: RunFolder, ledger: Ledger, show: Shower, under_way: set[str]) -> None:
        self._run = run
        self._ledger = ledger
        self._show = show
        self._under_way = under_way

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._under_way.add(trial.config["trial"])

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:  # noqa: ARG002
        if result.get("scores"):
            update_results(self._run)
        self._show(trial.config["trial"], result)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        entry, folder = self._ledger[trial.config["trial"]], self._run.trial(trial.config["trial"])
        if entry.state == "stopped" and folder.state.get("state") not in ENDED:
            folder.write_state(state="stopped")
        self._close(entry)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        folder = self._run.trial(trial.config["trial"])
        if folder.state.get("state") not in ENDED:
            folder.write_state(state="failed", error=f"its driver was lost: {last_line(trial.get_error())}")
        self._close(self._ledger[trial.config["trial"]])

    def _close(self, entry: Entry) -> None:
        entry.state = str(self._run.trial(entry.trial).state.get("state"))
        self._under_way.discard(entry.trial)
        self._show.ended += entry.ended
        update_results(self._run)
