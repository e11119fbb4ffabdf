"""MLflow and Weights & Biases, for those who keep their trainings there: what each report says, too.

Both are optional (`pip install -e '.[mlflow]'`, `'.[wandb]'`), and neither may cost a training: one that does not
answer is said once and left out.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from framework.config import Experiment
from framework.errors import ConfigError
from framework.runs import TrialFolder

_WANDB_QUIET = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}


class Tracker(Protocol):
    """Takes a trial's figures."""

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """The numbers of one report."""
        ...

    def close(self) -> None:
        """The trial has ended, or this life of it."""
        ...


class MlflowTracker:
    """A run of MLflow a trial, in the MLflow experiment that bears our experiment's name; a restart goes on in it.

    Args:
        uri: Of the tracking server, or of a local store.
        experiment: The run's name.
        trial: The trial's.
        parameters: The searched keys with their values.
    """

    def __init__(self, uri: str, *, experiment: str, trial: str, parameters: dict[str, Any]) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        where = found.experiment_id if found else self._client.create_experiment(experiment)
        known = self._client.search_runs([where], filter_string=f"tags.`latentscape.trial` = '{trial}'", max_results=1)
        if known:
            self._run = known[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        made = self._client.create_run(where, run_name=trial, tags={"latentscape.trial": trial})
        self._run = made.info.run_id
        self._client.log_batch(self._run, params=[Param(key, str(value)) for key, value in parameters.items()])

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """See Tracker."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, images_seen) for name, value in figures.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        """See Tracker."""
        self._client.set_terminated(self._run)


class WandbTracker:
    """A run of Weights & Biases a trial, grouped by experiment; offline it lies in `trials/<id>/wandb`.

    Args:
        mode: "offline" (`wandb sync` sends it later) or "online".
        folder: Local folder for its files.
        experiment: The run's name, W&B's project and group.
        trial: The trial's.
        parameters: The searched keys with their values.
    """

    def __init__(self, mode: str, *, folder: Path, experiment: str, trial: str, parameters: dict[str, Any]) -> None:
        os.environ.update(_WANDB_QUIET)
        import wandb

        self._run = wandb.init(
            mode=mode,  # pyright: ignore[reportArgumentType]  the schema's literals
            dir=str(folder),
            project=experiment,
            group=experiment,
            name=trial,
            id=f"{experiment}-{trial}",
            resume="allow",
            config=parameters,
        )
        # A score belongs to a clock that has passed when it comes, and W&B's own steps may not go back.
        self._run.define_metric("*", step_metric="images_seen")

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """See Tracker."""
        self._run.log({**figures, "images_seen": images_seen})

    def close(self) -> None:
        """See Tracker."""
        import wandb

        self._run.finish()
        wandb.teardown()  # waits until its service has written all, and ends it


class Trackers:
    """Those that `telemetry` asks for, none of which may cost a training.

    Args:
        experiment: Whose `telemetry` names them.
        trial: The trial.
        parameters: The searched keys with their values.
        folder: Local folder for files of theirs.
        log: Told once of one that does not answer.
    """

    def __init__(
        self,
        experiment: Experiment,
        trial: TrialFolder,
        *,
        parameters: dict[str, Any],
        folder: Path,
        log: Callable[[str], None],
    ) -> None:
        self._log = log
        self._trackers: dict[str, Tracker] = {}
        wanted, about = experiment.telemetry, {"experiment": experiment.name, "trial": trial.id}
        if wanted.mlflow:
            uri = wanted.mlflow
            self._try("mlflow", lambda: self._add("mlflow", MlflowTracker(uri, parameters=parameters, **about)))
        if wanted.wandb:
            mode = wanted.wandb
            self._try(
                "wandb",
                lambda: self._add("wandb", WandbTracker(mode, folder=folder, parameters=parameters, **about)),
            )

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """The numbers of one report."""
        for name, tracker in list(self._trackers.items()):
            self._try(name, lambda tracker=tracker: tracker.write(figures, images_seen=images_seen))

    def close(self) -> None:
        """Ends them."""
        for name, tracker in list(self._trackers.items()):
            self._try(name, tracker.close)

    def _add(self, name: str, tracker: Tracker) -> None:
        self._trackers[name] = tracker

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as fault:  # whatever another's library or server raises
            self._trackers.pop(name, None)
            self._log(f"telemetry.{name}: left out from here on ({type(fault).__name__}: {str(fault).strip()[:200]})")


def check_trackers(experiment: Experiment) -> None:
    """Refuses a tracker whose package is not there, before anything starts.

    Raises:
        ConfigError: It is not installed; says how to.
    """
    from importlib.util import find_spec

    missing = [name for name in ("mlflow", "wandb") if getattr(experiment.telemetry, name) and not find_spec(name)]
    if missing:
        raise ConfigError(
            *(f"telemetry.{name}: wants a package that is not here: pip install -e '.[{name}]'" for name in missing)
        )
