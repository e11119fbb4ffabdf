"""Writes a training's reports to its trial's folder (metrics.jsonl, sample grids, TensorBoard) and Ray's metrics."""

import dataclasses
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pydantic import JsonValue

from framework.config import Experiment
from framework.images import Row, grid, png_bytes, strips
from framework.metrics import cost
from framework.runs import TrialFolder
from framework.storage.folder import storage_errors
from framework.telemetry.trackers import Trackers
from framework.training import Report, Scored

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

_SAMPLE_COLUMNS = 8
_SMALLEST_TILE = 64
_JUDGED = ("score", "best_score")  # TensorBoard's HParams tab compares trials by these, and logs them as scalars too


class Gauges(Protocol):
    """Shows the newest measurements of a trial while it trains."""

    def set(self, figures: dict[str, float]) -> None:
        """Shows the measurements of one report; unknown names are ignored."""
        ...


class Telemetry:
    """Writes the reports of rank 0 to a trial's folder.

    Args:
        trial: The folder of the trial.
        experiment: The experiment, for its name and its section `telemetry`.
        parameters: The searched keys with their values, for TensorBoard's HParams and for the trackers.
        gauges: Show the newest measurements while the trial runs.
        log: Called with one-line messages for the user.
    """

    def __init__(
        self,
        trial: TrialFolder,
        *,
        experiment: Experiment,
        parameters: dict[str, JsonValue],
        gauges: Gauges,
        log: Callable[[str], None],
    ) -> None:
        self._trial = trial
        self._before = trial.last_report()
        self._gauges = gauges
        self._recorded_at: int | None = None
        self._best: float | None = None
        for row in trial.metrics():  # reports from before this training was resumed
            if "score" in row:
                self._gauges.set(numbers({**row, "best_score": self._better(row["score"])}))
        self._parameters = {key: _plain(value) for key, value in parameters.items()}
        # TensorBoard's writer needs a local folder; for a trial behind a URI, its files are uploaded after each report.
        self._events = Path(trial.folder.location if trial.folder.is_local else tempfile.mkdtemp(prefix="latentscape-"))
        self._writer: SummaryWriter | None = None
        self._trackers = Trackers(experiment, trial, parameters=self._parameters, folder=self._events, log=log)

    def record(self, report: Report) -> None:
        """Appends the report's row; its sample grid, if any, is written to samples/<images_seen>.png.

        `write` does the same unless it was done before. A training that saves a checkpoint calls this first: if it is
        killed after that, it resumes behind the checkpoint and does not report it again.

        Raises:
            StorageError: The folder cannot be written, or somebody has deleted its earlier rows.
        """
        row = self._row(report)
        images_seen, began_at = int(row["images_seen"]), int(row["life_began_at_images_seen"])
        if self._recorded_at is None:
            self._trial.forget_scores_past(began_at)
        else:
            self._trial.check_metrics()
        if images_seen > began_at or self._before.get("images_seen") != images_seen:
            self._trial.append_metrics(row)
        if report.samples is not None:
            self._trial.write_sample(images_seen, png_bytes(_picture(report.samples, report.sample_rows)))
        self._recorded_at = images_seen

    def write(self, report: Report) -> None:
        """Records the report, and writes its scores and TensorBoard's events."""
        row = self._row(report)
        images_seen = int(row["images_seen"])
        if self._recorded_at != images_seen:
            self.record(report)
        figures = numbers(row)
        self._gauges.set(figures)
        self._trackers.write(figures, images_seen=images_seen)
        picture = None if report.samples is None else _picture(report.samples, report.sample_rows)
        with storage_errors(str(self._events), "written"):
            self._write_events(figures, picture, images_seen)
        for scored in report.scores:
            self._write_score(scored)
        self._upload_events()

    def close(self) -> None:
        """Flushes and closes TensorBoard's writer and the trackers."""
        self._trackers.close()
        if self._writer is not None:
            with storage_errors(str(self._events), "written"):
                self._writer.close()
            self._upload_events()

    def _row(self, report: Report) -> dict[str, Any]:
        """A report as a row of metrics.jsonl."""
        row = dict(report.metrics)
        if report.checkpoint is not None:
            row["checkpoint"] = report.checkpoint
        if report.warnings:
            row["warnings"] = report.warnings
        row["images_trained_twice"] = self._trained_twice(int(row["life_began_at_images_seen"]))
        return row

    def _write_score(self, scored: Scored) -> None:
        """Writes a score at the images_seen of its checkpoint, even if the training has continued since."""
        line = dataclasses.asdict(scored)
        line["score"] = line.pop("document")
        if scored.alarm is None:
            del line["alarm"]
        line["best_score"] = self._better(scored.document)
        self._trial.append_score(line)
        figures = numbers({name: line[name] for name in ("images_seen", "score", "best_score")})
        self._gauges.set({name: figures[name] for name in _JUDGED})
        self._trackers.write(figures, images_seen=scored.images_seen)
        judged = {name: figures[name] for name in _JUDGED}
        self._events_writer(scored.images_seen).add_hparams(
            self._parameters, judged, name=".", global_step=scored.images_seen
        )

    def _trained_twice(self, began_at: int) -> int:
        """The images that were trained twice, because an interrupted training resumed from an earlier checkpoint."""
        before = self._before
        lost = max(0, int(before.get("images_seen", 0)) - began_at)
        return int(before.get("images_trained_twice", 0)) + lost

    def _better(self, score: dict[str, Any]) -> float:
        """The best value so far, including this one."""
        metric, value = score["metric"], float(score["value"])
        self._best = value if self._best is None else min(self._best, value, key=lambda each: cost(metric, each))
        return self._best

    def _write_events(self, figures: dict[str, float], picture: Any, images_seen: int) -> None:
        writer = self._events_writer(images_seen)
        for name, value in figures.items():
            if name != "images_seen":
                writer.add_scalar(name, value, images_seen)
        if picture is not None:
            writer.add_image("samples", picture, images_seen, dataformats="HWC")
        writer.flush()

    def _events_writer(self, images_seen: int) -> "SummaryWriter":
        if self._writer is None:
            from tensorboardX import SummaryWriter

            # Its thread dies on a full disk. So its queue has no bound and is not emptied at exit: both would wait for
            # the thread for ever.
            self._writer = SummaryWriter(logdir=str(self._events), purge_step=images_seen, flush_secs=10, max_queue=0)
            self._writer.file_writer.event_writer._event_queue.cancel_join_thread()  # pyright: ignore
        return self._writer

    def _upload_events(self) -> None:
        if self._trial.folder.is_local:
            return
        for file in self._events.glob("events.out.tfevents*"):
            self._trial.folder.write_bytes(file.name, file.read_bytes())


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of a row of metrics.jsonl; its score appears as `score` and under its metric's name.

    >>> numbers({"step": 2, "generator_loss": None, "score": {"metric": "fid1k_768", "value": 3.0}, "warnings": []})
    {'step': 2, 'score': 3.0, 'fid1k_768': 3.0}
    """
    score = row.get("score") or {}
    values = {**row, "score": score.get("value"), score.get("metric", "score"): score.get("value")}
    return {name: value for name, value in values.items() if isinstance(value, (int, float)) and math.isfinite(value)}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _picture(samples: np.ndarray, row_labels: list[str] | None) -> np.ndarray:
    """The grid [H, W, 3] uint8 of samples [n, h, w, c]; rows with captions have them above."""
    if row_labels is None:
        return grid(samples, columns=_SAMPLE_COLUMNS)
    rows = np.split(samples, len(row_labels))
    # The rows of one value stand together below one caption.
    joined = [
        Row(images, label=label if at == 0 or label != row_labels[at - 1] else None)
        for at, (images, label) in enumerate(zip(rows, row_labels, strict=True))
    ]
    return strips(joined, scale=max(1, _SMALLEST_TILE // samples.shape[1]))
