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
        self._best: dict[str, Any] | None = None
        for row in trial.metrics():  # of the lives before this one
            if "score" in row:
                best = self._best = min(self._best or row["score"], row["score"], key=cost)
                self._gauges.set({**row, "best_score": best["value"]})
        self._parameters = {key: _plain(value) for key, value in parameters.items()}
        # TensorBoard's writer wants a local folder; where the trial is behind a URI its files follow each report.
        self._events = Path(trial.folder.location if trial.folder.is_local else tempfile.mkdtemp(prefix="latentscape-"))
        self._writer = None
        self._trackers = Trackers(experiment, trial, parameters=self._parameters, folder=self._events, log=log)

    def write(self, report: Report) -> None:
        """Appends the report; a sample grid, where it has one, becomes samples/<images_seen>.png."""
        row = dict(report.metrics)
        if report.score is not None:
            self._best = min(self._best or report.score, report.score, key=cost)
            row |= {"score": report.score, "best_score": self._best["value"], "checkpoint": report.checkpoint}
        elif report.checkpoint is not None:
            row["checkpoint"] = report.checkpoint
        if report.warnings:
            row["warnings"] = report.warnings
        images_seen = int(report.metrics["images_seen"])
        row["images_trained_twice"] = self._trained_twice(int(row["life_began_at_images_seen"]))
        self._trial.append_metrics(row)
        self._gauges.set(row)
        self._trackers.write(row)
        picture = None
        if report.samples is not None:
            picture = grid(report.samples, columns=_SAMPLE_COLUMNS)
            self._trial.write_sample(images_seen, png_bytes(picture))
        self._write_events(row, picture, images_seen)

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

    def _write_events(self, row: dict[str, Any], picture: Any, images_seen: int) -> None:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(logdir=str(self._events), purge_step=images_seen, flush_secs=10)
        for name, value in row.items():
            if isinstance(value, (int, float)) and math.isfinite(value) and name != "images_seen":
                self._writer.add_scalar(name, value, images_seen)
        if "score" in row:
            score = row["score"]
            self._writer.add_scalar(f"score/{score['metric']}", score["value"], images_seen)
            judged = {"score": score["value"], "best_score": row["best_score"]}
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


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
