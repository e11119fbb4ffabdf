"""Reports of a training, and the accumulation of metrics between two reports."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from framework.config.schedule import scheduled, value_at
from framework.errors import TrainingError
from framework.training.budget import ComputeMeter
from framework.training.state import State
from framework.training.workers import WorkerGroup

DUE_SECONDS = 1.0


@dataclass(frozen=True)
class Report:
    """One report, the same on every rank.

    Attributes:
        metrics: A row of metrics.jsonl. `memory_bytes` is the sum over workers of their peak memory so far.
        samples: [n, h, w, c] uint8, always from the same latents; None if no samples are due.
        checkpoint: Name of the checkpoint at this number of images; None if there is none.
        scores: The scores that were completed since the last report.
        warnings: New warnings since the last report; each warning is given once per training.
        due: Whether the collector of reports needs this one: it has a score, a warning or samples, is the first or the
            last, or a second has passed since the last due report. Only due reports may delay the training.
        sample_rows: With a condition, the caption of each eight samples; None if they have none in common.
    """

    metrics: dict[str, Any]
    samples: np.ndarray | None = None
    checkpoint: str | None = None
    scores: list["Scored"] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    due: bool = True
    sample_rows: list[str] | None = None


@dataclass(frozen=True)
class Scored:
    """A completed score.

    Attributes:
        checkpoint: Name of the scored checkpoint.
        images_seen: Images seen at that checkpoint.
        document: The score with metric, value and protocol.
        seconds: Time from the start of scoring to the result.
        waited_seconds: Part of that time during which the training waited.
        arrived_at_images_seen: Images seen by the training when the score was completed.
        alarm: What is alarming about it; None for most.
    """

    checkpoint: str
    images_seen: int
    document: dict[str, Any]
    seconds: float
    waited_seconds: float
    arrived_at_images_seen: int
    alarm: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        state: "finished" at `training.total_images` or at the end of its budget, "stopped" on request, or
            "collapsed" by `training.on_collapse`.
        images_seen: Images seen at the end.
        checkpoint: Name of the newest checkpoint; None if it was stopped before the first one.
        reason: Why it ended before `training.total_images`; None if it did not, or was stopped on request.
    """

    state: str
    images_seen: int
    checkpoint: str | None
    reason: str | None = None


class ScoreHandle(Protocol):
    """Handle of a score that is computed in the background."""

    def done(self) -> bool:
        """Whether `result` returns without waiting."""
        ...

    def result(self) -> dict[str, Any]:
        """Waits for the score and returns its document."""
        ...


class MetricAccumulator:
    """Accumulates the metrics of the steps between two reports.

    Args:
        workers: The group over whose workers metrics are summed.
        figures: Names of the metrics of a step; the last two are norms of gradients.
        advice: Hint for the error message if a metric is not finite.

    Attributes:
        due: Whether at the last row, by the clock of rank 0, a second had passed since the last due report; the same on
            all ranks.
    """

    def __init__(self, workers: WorkerGroup, *, figures: Sequence[str], advice: str) -> None:
        self._workers, self._names, self._advice = workers, figures, advice
        self._device = torch.device(workers.device)
        # On a CPU the metrics can be checked after each step at no cost; on a GPU the check would wait for the step.
        self._looks_each_step = self._device.type == "cpu"
        self._steps: list[Tensor] = []
        self._largest_norm = 0.0
        self._waited = 0.0
        self._images = 0
        self._started = time.perf_counter()
        self._reported_at = float("-inf")
        self.due = True

    def start_clock(self) -> None:
        """Starts measuring time, to exclude what happened before the training."""
        self._started = time.perf_counter()

    def add(self, figures: Tensor, *, state: State, images: int, waited: float) -> None:
        """Adds the metrics of a step.

        Args:
            figures: This worker's part of the metrics.
            state: The state after the step.
            images: Images of the step.
            waited: Seconds spent waiting for data.

        Raises:
            TrainingError: A norm is not finite; on a GPU this is raised by the next `row`.
        """
        self._steps.append(figures)
        self._images += images
        self._waited += waited
        if self._looks_each_step:
            self._check(self._steps[-1:], state=state)

    def row(self, state: State, meter: ComputeMeter) -> dict[str, Any]:
        """The metrics since the last row, over all workers, and the compute used; resets the accumulation."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._started
        if not self._looks_each_step and self._steps:  # the first report is made before any step
            self._check(self._steps, state=state)
        steps = len(self._steps)
        figures = torch.stack(self._steps).mean(0).double().cpu() if steps else torch.zeros(len(self._names)).double()
        world = self._workers.world_size
        due = self._workers.rank == 0 and time.perf_counter() - self._reported_at >= DUE_SECONDS
        others = [
            seconds / world,
            self._waited / world,
            float(_memory_bytes(self._device)),
            float(due),
            meter.seconds(),
        ]
        summed = self._workers.sum(torch.cat([figures, torch.tensor(others, dtype=torch.float64)]))
        *means, seconds, waited, memory, due, used = summed.tolist()
        row: dict[str, Any] = {
            "images_seen": state.images_seen,
            "real_images_seen": state.real_images_seen,
            "step": state.steps,
            "workers": world,
        }
        if steps:
            row |= dict(zip(self._names, means, strict=True))
            row |= {"images_per_second": self._images / seconds, "data_wait_share": waited / seconds}
        row |= {
            key.rpartition(".")[2]: value_at(schedule, state.images_seen)
            for key, schedule in scheduled(state.experiment).items()
        }
        # After the schedules, because a rewind lowers the rates that they give.
        row |= {f"{name}_lr": optimizer.param_groups[0]["lr"] for name, optimizer in state.optimizers().items()}
        row |= state.more_metrics()
        row |= {"memory_bytes": int(memory), "wall_seconds": round(state.wall_seconds, 3), **meter.note(used)}
        self._steps, self._waited, self._images, self._largest_norm = [], 0.0, 0, 0.0
        self.due = due > 0
        return row

    def reported(self) -> None:
        """Notes that a due report was made; the next one is due in a second."""
        self._reported_at = time.perf_counter()

    def _check(self, steps: Sequence[Tensor], *, state: State) -> None:
        rows = torch.stack(list(steps)).cpu()
        norms = rows[:, -2:] * self._workers.world_size
        # Only the norms of gradients are equal on all workers, which must all stop at the same step. They are not
        # finite if a loss is not.
        bad = (~torch.isfinite(norms)).any(dim=1).nonzero()
        good = norms[: int(bad[0])] if len(bad) else norms
        self._largest_norm = max(self._largest_norm, *good.flatten().tolist(), 0.0)
        if len(bad):
            steps_ago = len(rows) - 1 - int(bad[0])
            raise TrainingError(self._cause(rows[int(bad[0])], state=state, steps_ago=steps_ago))

    def _cause(self, figures: Tensor, *, state: State, steps_ago: int) -> str:
        step = state.steps - steps_ago
        batch = state.images_seen // max(state.steps, 1)
        named = [
            f"{name.replace('_', ' ')} is {value}"
            for name, value in zip(self._names, figures.tolist(), strict=True)
            if not np.isfinite(value)
        ]
        images_seen = state.images_seen - steps_ago * batch
        return (
            f"step {step}, {images_seen:,} images seen: {', '.join(named)}; the largest gradient norm since the last "
            f"report was {self._largest_norm:.3g}; {self._advice}"
        )


def _memory_bytes(device: torch.device) -> int:
    """Peak memory of this process so far: on its GPU if it has one, else in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
