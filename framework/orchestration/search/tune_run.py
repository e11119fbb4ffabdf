"""Trials under Ray Tune: what every strategy of a search shares."""

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
    """A search that is under way.

    Args:
        study: The run's.
        ledger: Its trials so far.
    """

    def __init__(self, study: "Study", ledger: Ledger) -> None:
        self.study = study
        self.ledger = ledger
        self._sampler = sampler_of(study.experiment)

    def unfinished(self) -> list[Entry]:
        """Settings whose trials have begun and not ended."""
        return [entry for entry in self.ledger.settings() if not entry.ended]

    def new_settings(self) -> int:
        """How many more settings the search is to try."""
        return max(0, number_of_settings(self.study.experiment) - len(self.ledger.settings()))

    def propose(self) -> Entry:
        """Begins a trial with the sampler's next setting."""
        number = len(self.ledger.settings())
        parameters = self._sampler.propose(number, self.ledger)
        return self.begin(Entry(identity(number, parameters), parameters))

    def begin(self, entry: Entry) -> Entry:
        """Makes the folder of a trial, so that a search that is killed from here on knows of it."""
        trial = self.study.run.trial(entry.trial)
        trial.write_params(entry.parameters)
        if not trial.state:
            trial.write_state(state="pending")
        self.ledger.add(entry)
        return entry

    def plan(self, *, trials: int) -> Plan:
        """Workers, cores and GPUs for so many trials."""
        return search_plan(self.study.experiment, self.study.cluster, trials=trials)

    def template(self, made: Plan | None = None) -> TrialWork:
        """What all trials have in common, by a plan; by default the plan of the whole search, which is also said."""
        if made is None:
            settings = self.ledger.settings()
            ended = len(settings) - len(self.unfinished())
            made = self.plan(trials=len(settings) + self.new_settings())
            line = made.line(self.study.cluster)
            self.study.watch.say(line + (f"; {ended} ended before" if ended else ""))
        return template_of(self.study, made)

    def train(self, feed: Feed, work: TrialWork, *, rule: Rule | None = None) -> None:
        """Hands the feed's trials to Tune, and comes back when all have ended or reached their length.

        Args:
            feed: The trials.
            work: What they have in common.
            rule: Ends bad trials early; None lets every trial go to its end.
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
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trial's folder has its own
                failure_config=tune.FailureConfig(max_failures=study.experiment.compute.max_failures),
                **ray_storage(run),
            ),
        )
        with interruptible(study, lambda: list(under_way)):
            tuner.fit()


def template_of(study: "Study", made: Plan) -> TrialWork:
    """What all trials of a run have in common; measures the real images that they are scored against."""
    scoring = trial_scoring(study, made)
    places = [study.images.path, scoring.features.path, *([] if scoring.moments is None else [scoring.moments])]
    return TrialWork(
        run=study.run.folder.location,
        trial="",
        parameters={},
        experiment=study.experiment,
        images=str(study.images.path),
        plan=made,
        scoring=scoring,
        stop=study.stop,
        needs=study.needs(*places),
    )


class _Results(tune.Callback):
    """Keeps leaderboard.csv and best.json true while trials run, and feeds the progress line."""

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
