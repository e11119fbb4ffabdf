"""The search: Ray Tune decides which trials go on, each trial is a Ray Train run of its own.

The truth is in RUN: which settings there are follows from the config, each trial's state, scores and checkpoints lie
in its folder. So a second call hands Tune only the trials that have not ended, and these go on from their newest
checkpoints; Tune's own records (RUN/ray) are never read back, and go when it ends.
"""

from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from framework.checkpoint import RunFolder
from framework.checkpoint.trial import ENDED
from framework.config import Experiment, with_overrides
from framework.errors import TrainingError
from framework.orchestration.fit import drive_trial, fit_trial, ray_records, ray_storage
from framework.orchestration.leaderboard import update_results
from framework.orchestration.resources import DRIVER_CORES, Plan, plan
from framework.orchestration.space import Setting, settings
from framework.orchestration.work import TrialWork

if TYPE_CHECKING:
    from framework.orchestration.study import Study, Watch

SINGLE_TRIAL = "single"


def search(study: "Study") -> list[dict[str, Any]]:
    """Runs every trial of the run that has not ended yet, and ranks them all.

    Returns:
        The leaderboard, best first.

    Raises:
        ConfigError: The space could yield a setting that the schema refuses.
        ClusterError: The plan can never run on this cluster.
        TrainingError: No trial has a score to go on with.
    """
    run, experiment = study.run, study.experiment
    every = settings(experiment)
    made = plan(experiment.compute, study.cluster, trials=len(every), concurrent=experiment.search.concurrent)
    open_ones = [setting for setting in every if run.trial(setting.trial).state.get("state") not in ENDED]
    for setting in open_ones:
        trial = run.trial(setting.trial)
        trial.write_params(setting.parameters)
        if not trial.state:
            trial.write_state(state="pending")
    ended = len(every) - len(open_ones)
    if open_ones:
        study.watch.say(made.line(study.cluster) + (f"; {ended} ended before" if ended else ""))
        works = _works(study, made, open_ones)
        with ray_records(run):
            _run_trials(study, works, concurrent=made.concurrent, ended=ended)
    return _ranked(run)


def fit_one(study: "Study") -> list[dict[str, Any]]:
    """Trains the experiment itself, without Tune: a run of one trial. Returns its leaderboard of one row."""
    run = study.run
    made = plan(study.experiment.compute, study.cluster)
    study.watch.say(made.line(study.cluster))
    setting = Setting(SINGLE_TRIAL, {})
    work = _works(study, made, [setting])[SINGLE_TRIAL]
    show = Shower(study.watch, run, trials=1, ended=0)

    def on_report(figures: dict[str, Any]) -> None:
        if "score" in figures:
            update_results(run)
        show(SINGLE_TRIAL, figures)

    with ray_records(run):
        state = fit_trial(work, on_report=on_report)
    if state == "failed":
        update_results(run)
        raise TrainingError(f"{run.folder.name}: {run.trial(SINGLE_TRIAL).state['error']}")
    return _ranked(run)


def _ranked(run: RunFolder) -> list[dict[str, Any]]:
    rows = update_results(run)
    if not any(row["score"] is not None for row in rows):
        errors = "; ".join(f"{row['trial']}: {row['error']}" for row in rows if row["error"])
        raise TrainingError(f"no trial of {run.folder.name} ended with a score ({errors or 'none was scored'})")
    return rows


def _works(study: "Study", made: Plan, chosen: list[Setting]) -> dict[str, TrialWork]:
    from framework.orchestration.scoring import trial_scoring

    scoring = trial_scoring(study, made)
    return {
        setting.trial: TrialWork(
            run=study.run.folder.location,
            trial=setting.trial,
            parameters=setting.parameters,
            experiment=trial_experiment(study.experiment, setting),
            images=str(study.images.path),
            plan=made,
            scoring=scoring,
        )
        for setting in chosen
    }


def trial_experiment(experiment: Experiment, setting: Setting) -> Experiment:
    """The experiment that one trial trains."""
    return with_overrides(experiment, setting.parameters)


def _run_trials(study: "Study", works: dict[str, TrialWork], *, concurrent: int, ended: int) -> None:
    run, experiment = study.run, study.experiment
    show = Shower(study.watch, run, trials=ended + len(works), ended=ended)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(drive_trial, works=works), {"cpu": DRIVER_CORES}),
        param_space={"trial": tune.grid_search(list(works))},
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(experiment),
            metric="best_score",
            mode="min",
            max_concurrent_trials=concurrent,
            trial_dirname_creator=lambda trial: str(trial.config["trial"]),
            trial_name_creator=lambda trial: str(trial.config["trial"]),
        ),
        run_config=tune.RunConfig(
            name="search",
            verbose=0,
            callbacks=[_Results(run, show)],
            failure_config=tune.FailureConfig(max_failures=experiment.compute.max_failures),
            **ray_storage(run),
        ),
    )
    tuner.fit()


def _scheduler(experiment: Experiment) -> TrialScheduler:
    """ASHA by images seen (Li et al. 2020); the first rung is one evaluation."""
    settings_of, total = experiment.search, experiment.training.total_images
    grace = settings_of.grace_images or experiment.evaluation.every_images
    if settings_of.scheduler == "none" or grace >= total:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="images_seen",
        max_t=total + 1,  # a trial that gets there ends by itself
        grace_period=grace,
        reduction_factor=settings_of.reduction_factor,
    )


class _Results(tune.Callback):
    """Keeps leaderboard.csv and best.json true while trials run, and feeds the progress line."""

    def __init__(self, run: RunFolder, show: "Shower") -> None:
        self._run = run
        self._show = show

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:  # noqa: ARG002
        if "score" in result:
            update_results(self._run)
        self._show(trial.config["trial"], result)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._close(trial.config["trial"], "stopped")

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        folder = self._run.trial(trial.config["trial"])
        if folder.state.get("state") not in ENDED:
            folder.write_state(state="failed", error=f"its driver was lost: {_last_line(trial)}")
        self._close(trial.config["trial"], "failed")

    def _close(self, name: str, state: str) -> None:
        """A trial that Tune ended before it wrote its own end was stopped by the scheduler."""
        self._show.ended += 1
        folder = self._run.trial(name)
        if folder.state.get("state") not in ENDED:
            folder.write_state(state=state)
        update_results(self._run)


class Shower:
    """Tells the watch of each report, in a line that says where all trials are."""

    def __init__(self, watch: "Watch", run: RunFolder, *, trials: int, ended: int) -> None:
        self.ended = ended
        self._watch = watch
        self._total = run.experiment.training.total_images
        self._trials = trials
        self._scores: dict[str, float] = {}

    def __call__(self, trial: str, figures: dict[str, Any]) -> None:
        """One report of one trial."""
        for text in figures.get("log", ()):
            self._watch.say(f"trial {trial}: {text}")
        if "score" in figures:
            self._scores[trial] = min(figures["score"], self._scores.get(trial, float("inf")))
            self._watch.say(
                f"trial {trial}: {figures['metric']} {figures['score']:.4g} at {figures['images_seen']:,} images"
            )
        best = f", best score {min(self._scores.values()):.4g}" if self._scores else ""
        rate = figures.get("images_per_second")
        left = f", {_minutes((self._total - figures['images_seen']) / rate)} left" if rate else ""
        self._watch.progress(
            f"{self.ended} of {self._trials} trials ended; "
            f"{trial}: {figures['images_seen']:,} of {self._total:,} images"
            + (f", {rate:,.0f} images/s{left}" if rate else "")
            + best
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _last_line(trial: Any) -> str:
    error = trial.get_error()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown cause"
