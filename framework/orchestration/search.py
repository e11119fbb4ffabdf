"""The search: Ray Tune decides which trials go on, each trial is a Ray Train run of its own.

The truth is in RUN: which settings there are follows from the config, each trial's state, scores and checkpoints lie
in its folder. So a second call hands Tune only the trials that have not ended, and these go on from their newest
checkpoints; Tune's own records (RUN/ray) are never read back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from framework.checkpoint import RunFolder
from framework.config import Experiment, with_overrides
from framework.errors import TrainingError
from framework.orchestration.fit import TrialWork, fit_trial, ray_storage
from framework.orchestration.leaderboard import update_results
from framework.orchestration.resources import DRIVER_CORES, Plan
from framework.orchestration.scoring import TrialScoring
from framework.orchestration.space import Setting, settings

ENDED = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class Progress:
    """One report of one trial, for a progress line."""

    trial: str
    images_seen: int
    total_images: int
    images_per_second: float | None
    score: float | None
    metric: str | None
    ended_trials: int
    trials: int
    log: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def search(
    run: RunFolder,
    *,
    images: str,
    plan: Plan,
    scoring: TrialScoring | None,
    on_progress: Callable[[Progress], None],
) -> list[dict[str, Any]]:
    """Runs every trial that has not ended yet, and ranks them all.

    Args:
        run: Where the trials lie; its experiment says what is searched.
        images: The packed store, a path that every node can read.
        plan: What each trial gets.
        scoring: How trials are scored while they train.
        on_progress: Called with each report of each trial.

    Returns:
        The leaderboard, best first.

    Raises:
        TrainingError: No trial has a score to go on with.
    """
    experiment = run.experiment
    every = settings(experiment)
    open_ones = [setting for setting in every if run.trial(setting.trial).state.get("state") not in ENDED]
    for setting in open_ones:
        trial = run.trial(setting.trial)
        trial.write_params(setting.parameters)
        if not trial.state:
            trial.write_state(state="pending")
    if open_ones:
        _run_trials(run, open_ones, len(every), images=images, plan=plan, scoring=scoring, on_progress=on_progress)
    rows = update_results(run)
    if not any(row["score"] is not None for row in rows):
        errors = "; ".join(f"{row['trial']}: {row['error']}" for row in rows if row["error"])
        raise TrainingError(f"no trial of {run.folder.name} ended with a score ({errors or 'none was scored'})")
    return rows


def trial_experiment(experiment: Experiment, setting: Setting) -> Experiment:
    """The experiment that one trial trains."""
    return with_overrides(experiment, setting.parameters)


def _run_trials(
    run: RunFolder,
    open_ones: list[Setting],
    trials: int,
    *,
    images: str,
    plan: Plan,
    scoring: TrialScoring | None,
    on_progress: Callable[[Progress], None],
) -> None:
    experiment = run.experiment
    works = {
        setting.trial: TrialWork(
            run=run.folder.location,
            trial=setting.trial,
            parameters=setting.parameters,
            experiment=trial_experiment(experiment, setting),
            images=images,
            plan=plan,
            scoring=scoring,
        )
        for setting in open_ones
    }
    storage = ray_storage(run)
    callback = _Results(run, trials=trials, ended=trials - len(open_ones), on_progress=on_progress)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_drive, works=works), {"cpu": DRIVER_CORES}),
        param_space={"trial": tune.grid_search(list(works))},
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(experiment),
            metric="best_score",
            mode="min",
            max_concurrent_trials=plan.concurrent,
            trial_dirname_creator=lambda trial: str(trial.config["trial"]),
            trial_name_creator=lambda trial: str(trial.config["trial"]),
        ),
        run_config=tune.RunConfig(
            name="search",
            verbose=0,
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=experiment.compute.max_failures),
            **storage,
        ),
    )
    tuner.fit()


def _drive(config: dict[str, Any], works: dict[str, TrialWork]) -> None:
    """A trial's driver: starts its Ray Train run and tells Tune what it reports. ASHA ends it inside tune.report."""
    work = works[config["trial"]]
    best: dict[str, float] = {}

    def on_report(figures: dict[str, Any]) -> None:
        if "score" in figures:  # a trial is judged by its best evaluation
            best["best_score"] = min(figures["score"], best.get("best_score", float("inf")))
        tune.report({**figures, "best_score": best.get("best_score", float("inf"))})

    fit_trial(work, on_report=on_report)


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

    def __init__(
        self, run: RunFolder, *, trials: int, ended: int, on_progress: Callable[[Progress], None]
    ) -> None:
        self._run = run
        self._trials = trials
        self._ended = ended
        self._on_progress = on_progress

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:  # noqa: ARG002
        if "score" in result:
            update_results(self._run)
        self._on_progress(
            Progress(
                trial=result["config"]["trial"],
                images_seen=int(result["images_seen"]),
                total_images=self._run.experiment.training.total_images,
                images_per_second=result.get("images_per_second"),
                score=result.get("score"),
                metric=result.get("metric"),
                ended_trials=self._ended,
                trials=self._trials,
                log=tuple(result.get("log", ())),
                warnings=tuple(result.get("warnings", ())),
            )
        )

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._close(trial.config["trial"], "stopped")

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:  # noqa: ARG002
        folder = self._run.trial(trial.config["trial"])
        if folder.state.get("state") not in ENDED:
            folder.write_state(state="failed", error=f"its driver was lost: {_last_line(trial)}")
        self._close(trial.config["trial"], "failed")

    def _close(self, name: str, state: str) -> None:
        """A trial that Tune ended before it wrote its own end was stopped by the scheduler."""
        self._ended += 1
        folder = self._run.trial(name)
        if folder.state.get("state") not in ENDED:
            folder.write_state(state=state)
        update_results(self._run)


def _last_line(trial: Any) -> str:
    error = trial.get_error()
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown cause"
