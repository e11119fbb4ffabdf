"""Where a training's reports go: its trial's folder (metrics.jsonl, sample grids, TensorBoard) and Ray's metrics."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.checkpoint import TrialFolder
from framework.config import Experiment
from framework.images import grid, png_bytes
from framework.metrics import cost
from framework.orchestration.gauges import Gauges
from framework.orchestration.trackers import Trackers
from framework.training import Report

_SAMPLE_COLUMNS = 8
_JUDGED = ("score", "best_score")  # TensorBoard's HParams compare trials by these, and write them as scalars too


class Telemetry:
    """Writes what rank 0 reports into a trial's folder.

    Args:
        trial: The trial.
        experiment: What is trained; its name, and its `telemetry`.
        parameters: The searched keys: TensorBoard's HParams, and tags of Ray's metrics.
        log: Told in a line what should be known.
    """

    def __init__(
        self, trial: TrialFolder, *, experiment: Experiment, parameters: dict[str, Any], log: Callable[[str], None]
    ) -> None:
        self._trial = trial
        self._before = trial.last_report()
        self._gauges = Gauges(experiment=experiment.name, trial=trial.id, parameters=parameters)
        self._best: float | None = None
        for row in trial.metrics():  # of the lives before this one
            if "score" in row:
                self._gauges.set(numbers({**row, "best_score": self._better(row["score"])}))
        self._parameters = {key: _plain(value) for key, value in parameters.items()}
        # TensorBoard's writer wants a local folder; where the trial is behind a URI its files follow each report.
        self._events = Path(trial.folder.location if trial.folder.is_local else tempfile.mkdtemp(prefix="latentscape-"))
        self._writer = None
        self._trackers = Trackers(experiment, trial, parameters=self._parameters, folder=self._events, log=log)

    def write(self, report: Report) -> None:
        """Appends the report; a sample grid, where it has one, becomes samples/<images_seen>.png."""
        row = dict(report.metrics)
        if report.score is not None:
            row |= {"score": report.score, "best_score": self._better(report.score), "checkpoint": report.checkpoint}
        elif report.checkpoint is not None:
            row["checkpoint"] = report.checkpoint
        if report.warnings:
            row["warnings"] = report.warnings
        images_seen = int(report.metrics["images_seen"])
        row["images_trained_twice"] = self._trained_twice(int(row["life_began_at_images_seen"]))
        self._trial.append_metrics(row)
        figures = numbers(row)
        self._gauges.set(figures)
        self._trackers.write(figures, images_seen=images_seen)
        picture = None
        if report.samples is not None:
            picture = grid(report.samples, columns=_SAMPLE_COLUMNS)
            self._trial.write_sample(images_seen, png_bytes(picture))
        self._write_events(figures, picture, images_seen)

    def close(self) -> None:
        """Flushes what TensorBoard's writer and the trackers still hold."""
        self._trackers.close()
        if self._writer is not None:
            self._writer.close()
            self._upload_events()

    def _trained_twice(self, began_at: int) -> int:
        """What lives that were lost had reported past the checkpoint that the next one began at, all together."""
        before = self._before
        lost = max(0, int(before.get("images_seen", 0)) - began_at)
        return int(before.get("images_trained_twice", 0)) + lost

    def _better(self, score: dict[str, Any]) -> float:
        """The best value so far, this one with it."""
        metric, value = score["metric"], float(score["value"])
        self._best = value if self._best is None else min(self._best, value, key=lambda each: cost(metric, each))
        return self._best

    def _write_events(self, figures: dict[str, float], picture: Any, images_seen: int) -> None:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(logdir=str(self._events), purge_step=images_seen, flush_secs=10)
        judged = {name: figures[name] for name in _JUDGED if name in figures}
        for name, value in figures.items():
            if name not in judged and name != "images_seen":
                self._writer.add_scalar(name, value, images_seen)
        if judged:
            self._writer.add_hparams(self._parameters, judged, name=".", global_step=images_seen)
        if picture is not None:
            self._writer.add_image("samples", picture, images_seen, dataformats="HWC")
        self._writer.flush()
        self._upload_events()

    def _upload_events(self) -> None:
        if self._trial.folder.is_local:
            return
        for file in self._events.glob("events.out.tfevents*"):
            self._trial.folder.write_bytes(file.name, file.read_bytes())


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of a row of metrics.jsonl, its score as `score` and under its metric's name.

    >>> numbers({"step": 2, "generator_loss": None, "score": {"metric": "fid1k_768", "value": 3.0}, "warnings": []})
    {'step': 2, 'score': 3.0, 'fid1k_768': 3.0}
    """
    score = row.get("score") or {}
    every = {**row, "score": score.get("value"), score.get("metric", "score"): score.get("value")}
    return {name: value for name, value in every.items() if isinstance(value, (int, float)) and math.isfinite(value)}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
