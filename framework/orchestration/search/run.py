"""The search: Ray Tune decides which trials go on, each trial is a Ray Train run of its own.

The truth is in RUN: each trial's settings, state, scores and checkpoints lie in its folder, and what is decided, is
decided from them. So a second call goes on where the first ended, however that was; Tune's own records (RUN/ray) are
never read back, and go when it ends.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ray import tune

from framework.config import Experiment, with_overrides
from framework.errors import TrainingError
from framework.orchestration.cluster.ray_internals import OF_TRAINING, lacking
from framework.orchestration.cluster.stop_flag import stoppable
from framework.orchestration.search.trial_progress import Shower
from framework.orchestration.search.trial_scoring import trial_scoring
from framework.orchestration.search.tune_scheduler import EarlyEnd
from framework.orchestration.search.tune_searcher import Feed
from framework.orchestration.trial.driver import TrialDriver, fit_trial, last_line, ray_records, ray_storage
from framework.orchestration.trial.resources import Plan, plan, search_plan
from framework.orchestration.trial.spec import TrialWork
from framework.runs import RunFolder
from framework.runs.trial import ENDED
from framework.search.early_stopping import Rule, rule_of
from framework.search.leaderboard import update_results
from framework.search.pbt import compared_until, exploit, generation_ends
from framework.search.registry import Entry, Ledger
from framework.search.repeats import repeats_due
from framework.search.sampling import sampler_of
from framework.search.space import MUTABLE, Setting, check_space, identity, number_of_settings

if TYPE_CHECKING:
    from framework.orchestration.context import Study

SINGLE_TRIAL = "single"


def search(study: "Study") -> list[dict[str, Any]]:
    """Runs every trial of the run that has not ended yet, and ranks them all.

    Returns:
        The leaderboard, best first.

    Raises:
        ConfigError: The space could yield a setting that the schema refuses.
        ClusterError: The plan can never run on this cluster.
        TrainingError: No trial has a score to go on with.
        KeyboardInterrupt: It was interrupted; running trials have saved where they stood, as far as 8 s allow.
    """
    run, experiment = study.run, study.experiment
    check_space(experiment)
    _say_what_ray_lacks(study)
    ledger = Ledger.of(run)
    open_ones = [entry for entry in ledger.settings() if not entry.ended]
    new = max(0, number_of_settings(experiment) - len(ledger.settings()))
    ended = len(ledger.settings()) - len(open_ones)
    sampler = sampler_of(experiment)

    def propose() -> Entry:
        number = len(ledger.settings())
        parameters = sampler.propose(number, ledger)
        return _begin(run, ledger, Entry(identity(number, parameters), parameters))

    if open_ones or new:
        made = search_plan(experiment, study.cluster, trials=ended + len(open_ones) + new)
        study.watch.say(made.line(study.cluster) + (f"; {ended} ended before" if ended else ""))
        if experiment.search.scheduler == "pbt":
            for _ in range(new):
                propose()
            _run_population(study, made)
        else:
            feed = Feed(open_ones, new=new, propose=propose)
            _run_trials(study, ledger, feed, _template(study, made), rule_of(experiment))
    due = repeats_due(experiment, ledger)
    if due:
        made = search_plan(experiment, study.cluster, trials=len(due))
        study.watch.say(f"Repeats with other seeds: {', '.join(entry.trial for entry in due)}")
        waiting = [_begin(run, ledger, entry) for entry in due]
        _run_trials(study, ledger, Feed(waiting), _template(study, made), None)
    return _ranked(run)


def fit_one(study: "Study") -> list[dict[str, Any]]:
    """Trains the experiment itself, without Tune: a run of one trial. Returns its leaderboard of one row."""
    run = study.run
    _say_what_ray_lacks(study)
    made = plan(study.experiment.compute, study.cluster)
    study.watch.say(made.line(study.cluster))
    work = _template(study, made).of(SINGLE_TRIAL, {})
    show = Shower(study.watch, run, trials=1, ended=0)

    def on_report(figures: dict[str, Any]) -> None:
        if figures.get("scores"):
            update_results(run)
        show(SINGLE_TRIAL, figures)

    with _interruptible(study, lambda: [SINGLE_TRIAL]):
        state = fit_trial(work, on_report=on_report)
    if state == "failed":
        update_results(run)
        raise TrainingError(f"{run.folder.name}: {run.trial(SINGLE_TRIAL).state['error']}")
    return _ranked(run)


def trial_experiment(experiment: Experiment, setting: Setting) -> Experiment:
    """The experiment that one trial trains."""
    return with_overrides(experiment, setting.parameters)


def _say_what_ray_lacks(study: "Study") -> None:
    for line in lacking(OF_TRAINING):
        study.watch.say(line)


def _begin(run: RunFolder, ledger: Ledger, entry: Entry) -> Entry:
    """Its folder, so that a search that is lost from here on knows of it."""
    trial = run.trial(entry.trial)
    trial.write_params(entry.parameters)
    if not trial.state:
        trial.write_state(state="pending")
    ledger.add(entry)
    return entry


def _run_population(study: "Study", made: Plan) -> None:
    """Trains the population from generation to generation, from where it stands.

    Each generation is a search of its own, so a population of any size trains on a cluster of any size: a trial that
    waits for the others holds no cores.
    """
    run, template = study.run, dataclasses.replace(_template(study, made), mutable=MUTABLE)
    ends = generation_ends(study.experiment)
    for end in ends:
        ledger, last = Ledger.of(run), end == ends[-1]
        behind = [
            dataclasses.replace(entry, total_images=end)
            for entry in ledger.open_ones()
            if entry.images_seen < end or entry.state != "waiting"
        ]
        if behind:
            study.watch.say(f"Generation to {end:,} images: {_trials(len(behind))} to train")
            work = dataclasses.replace(template, state_at_end="finished" if last else "waiting")
            _run_trials(study, ledger, Feed(behind), work, None)
        if not last and compared_until(run) < end:
            for one in exploit(run, Ledger.of(run), end=end):
                changes = ", ".join(f"{key} {old:.4g} -> {new:.4g}" for key, (old, new) in one.changed.items())
                study.watch.say(f"trial {one.trial} goes on from trial {one.donor} ({changes})")


def _template(study: "Study", made: Plan) -> TrialWork:
    """What all trials have in common."""
    scoring = trial_scoring(study, made)
    return TrialWork(
        run=study.run.folder.location,
        trial="",
        parameters={},
        experiment=study.experiment,
        images=str(study.images.path),
        plan=made,
        scoring=scoring,
        stop=study.stop,
        needs=study.needs(study.images.path, scoring.moments, scoring.features.path),
    )


def _run_trials(study: "Study", ledger: Ledger, feed: Feed, work: TrialWork, rule: Rule | None) -> None:
    """Hands the feed's trials to Tune, and comes back when all have ended or come to their length."""
    run, experiment = study.run, study.experiment
    under_way: set[str] = set()
    trials = feed.left
    show = Shower(study.watch, run, trials=trials, ended=0)
    tuner = tune.Tuner(
        TrialDriver.of(work),
        tune_config=tune.TuneConfig(
            search_alg=feed,
            num_samples=trials,
            scheduler=EarlyEnd(ledger, rule),
            max_concurrent_trials=work.plan.concurrent,
            trial_dirname_creator=lambda trial: str(trial.config["trial"]),
            trial_name_creator=lambda trial: str(trial.config["trial"]),
        ),
        run_config=tune.RunConfig(
            name="search",
            verbose=0,
            callbacks=[_Results(run, ledger, show, under_way)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the trial's folder has its own
            failure_config=tune.FailureConfig(max_failures=experiment.compute.max_failures),
            **ray_storage(run),
        ),
    )
    with _interruptible(study, lambda: list(under_way)):
        tuner.fit()


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


@contextlib.contextmanager
def _interruptible(study: "Study", under_way: Callable[[], list[str]]) -> Iterator[None]:
    """For the block in which trials run: an interrupt lets them save, and a closing line counts those that did."""
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
            f"interrupted: {_trials(saved)} saved where {'it' if saved == 1 else 'they'} stood"
            + (f", {_trials(lost)} will go on from the newest checkpoint" if lost else "")
        )
        raise


def _ranked(run: RunFolder) -> list[dict[str, Any]]:
    rows = update_results(run)
    if not any(row["score"] is not None for row in rows):
        errors = "; ".join(f"{row['trial']}: {row['error']}" for row in rows if row["error"])
        raise TrainingError(f"no trial of {run.folder.name} ended with a score ({errors or 'none was scored'})")
    return rows


def _trials(count: int) -> str:
    return f"{count} trial{'s' * (count != 1)}"
