"""Sends the reports of a training to MLflow and Weights & Biases as well.

Both are optional (`pip install -e '.[mlflow]'`, `'.[wandb]'`), and neither may make a training fail: a tracker that
does not respond is reported once and then left out.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from framework.config import Experiment
from framework.errors import ConfigError
from framework.runs import TrialFolder

_WANDB_QUIET = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}


class Tracker(Protocol):
    """Receives the measurements of a trial."""

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """Logs the numbers of one report."""
        ...

    def close(self) -> None:
        """Called when the trial ends or is interrupted."""
        ...


class MlflowTracker:
    """Logs each trial as an MLflow run, in an MLflow experiment with the name of our run; a resumed trial reuses it.

    Args:
        uri: The address of the tracking server, or of a local store.
        experiment: The name of our run.
        trial: The id of the trial.
        parameters: The searched keys with their values.
    """

    def __init__(self, uri: str, *, experiment: str, trial: str, parameters: dict[str, JsonValue]) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        existing = self._client.get_experiment_by_name(experiment)
        id_ = existing.experiment_id if existing else self._client.create_experiment(experiment)
        runs = self._client.search_runs([id_], filter_string=f"tags.`latentscape.trial` = '{trial}'", max_results=1)
        if runs:
            self._run = runs[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        self._run = self._client.create_run(id_, run_name=trial, tags={"latentscape.trial": trial}).info.run_id
        self._client.log_batch(self._run, params=[Param(key, str(value)) for key, value in parameters.items()])

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """Logs the figures as metrics of MLflow, with `images_seen` as their step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, images_seen) for name, value in figures.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def close(self) -> None:
        """Ends the run in MLflow."""
        self._client.set_terminated(self._run)


class WandbTracker:
    """Logs each trial as a run of Weights & Biases, grouped by experiment; offline runs are in `trials/<id>/wandb`.

    Args:
        mode: "offline" (`wandb sync` uploads it later) or "online".
        folder: Local folder for its files.
        experiment: The name of our run, used as project and group.
        trial: The id of the trial.
        parameters: The searched keys with their values.
    """

    def __init__(
        self, mode: str, *, folder: Path, experiment: str, trial: str, parameters: dict[str, JsonValue]
    ) -> None:
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
        # A score arrives after later reports, and W&B's own step counter cannot go back.
        self._run.define_metric("*", step_metric="images_seen")

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """Logs the figures to Weights & Biases, with `images_seen` as their step."""
        self._run.log({**figures, "images_seen": images_seen})

    def close(self) -> None:
        """Ends the run in Weights & Biases."""
        import wandb

        self._run.finish()
        wandb.teardown()  # waits until its service has written everything, and stops it


class Trackers:
    """The trackers of the section `telemetry`; if one fails, the training continues without it.

    Args:
        experiment: The experiment, whose section `telemetry` names the trackers.
        trial: The folder of the trial.
        parameters: The searched keys with their values.
        folder: Local folder for the trackers' files.
        log: Called once for a tracker that fails.
    """

    def __init__(
        self,
        experiment: Experiment,
        trial: TrialFolder,
        *,
        parameters: dict[str, JsonValue],
        folder: Path,
        log: Callable[[str], None],
    ) -> None:
        self._log = log
        self._trackers: dict[str, Tracker] = {}
        telemetry, about = experiment.telemetry, {"experiment": experiment.name, "trial": trial.id}
        if telemetry.mlflow:
            uri = telemetry.mlflow
            self._try("mlflow", lambda: self._add("mlflow", MlflowTracker(uri, parameters=parameters, **about)))
        if telemetry.wandb:
            mode = telemetry.wandb
            self._try(
                "wandb",
                lambda: self._add("wandb", WandbTracker(mode, folder=folder, parameters=parameters, **about)),
            )

    def write(self, figures: dict[str, float], *, images_seen: int) -> None:
        """Sends the numbers of one report to all trackers."""
        for name, tracker in list(self._trackers.items()):
            self._try(name, lambda tracker=tracker: tracker.write(figures, images_seen=images_seen))

    def close(self) -> None:
        """Closes all trackers."""
        for name, tracker in list(self._trackers.items()):
            self._try(name, tracker.close)

    def _add(self, name: str, tracker: Tracker) -> None:
        self._trackers[name] = tracker

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as fault:  # their libraries and servers may raise anything
            self._trackers.pop(name, None)
            self._log(
                f"telemetry.{name}: failed, not used any more ({type(fault).__name__}: {str(fault).strip()[:200]})"
            )


def check_trackers(experiment: Experiment) -> None:
    """Checks that the packages of the trackers are installed, before anything starts.

    Raises:
        ConfigError: A package is not installed; the message has the command to install it.
    """
    from importlib.util import find_spec

    missing = [name for name in ("mlflow", "wandb") if getattr(experiment.telemetry, name) and not find_spec(name)]
    if missing:
        raise ConfigError(
            *(f"telemetry.{name}: its package is not installed; run pip install -e '.[{name}]'" for name in missing)
        )
