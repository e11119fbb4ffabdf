"""What a training says of itself: figures summed up between two reports, and the reports."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from framework.errors import TrainingError
from framework.training.state import State
from framework.training.workers import WorkerGroup

DUE_SECONDS = 1.0


@dataclass(frozen=True)
class Report:
    """One report, the same on every rank.

    Attributes:
        metrics: A row of metrics.jsonl. `memory_bytes` is the sum over the workers of each one's highest so far.
        samples: [n, h, w, c] uint8 from the same latents each time, where they are due.
        checkpoint: Name of the checkpoint made at this clock.
        scores: Those that have come since the last report, each of the checkpoint it is of.
        warnings: What has gone wrong since the last report, each said once in a training.
        due: Whether whoever collects the reports of all workers wants this one: a score, a warning, samples, the
            beginning or the end, or a second after the last of these. What holds the training up is for these alone.
    """

    metrics: dict[str, Any]
    samples: np.ndarray | None = None
    checkpoint: str | None = None
    scores: list["Scored"] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    due: bool = True


@dataclass(frozen=True)
class Scored:
    """A score that has come.

    Attributes:
        checkpoint: Name of the checkpoint it is of.
        images_seen: Its clock.
        document: The score: metric, value, protocol.
        seconds: From its beginning until it was there.
        waited_seconds: How much of that the training waited for it.
        arrived_at_images_seen: Where the training was by then.
    """

    checkpoint: str
    images_seen: int
    document: dict[str, Any]
    seconds: float
    waited_seconds: float
    arrived_at_images_seen: int


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        state: "finished" at `training.total_images`, or "stopped" where it was asked to.
        images_seen: The clock.
        checkpoint: Name of the newest checkpoint; None where it was stopped before its first step.
    """

    state: str
    images_seen: int
    checkpoint: str | None


class ScoreHandle(Protocol):
    """A score in the making, while the training goes on."""

    def done(self) -> bool:
        """Whether `result` would not wait."""
        ...

    def result(self) -> dict[str, Any]:
        """The score document, when it is there."""
        ...


class MetricAccumulator:
    """Sums up steps between two reports.

    Args:
        workers: Whose figures are added.
        figures: What a step gives, by name; the norms of two gradients last.
        advice: What may help where something is no longer finite.

    Attributes:
        due: Whether by the clock of rank 0 a second had passed at the last row since the last report that was due: the
            same on every rank.
    """

    def __init__(self, workers: WorkerGroup, *, figures: Sequence[str], advice: str) -> None:
        self._workers, self._names, self._advice = workers, figures, advice
        self._device = torch.device(workers.device)
        # On a CPU a look at the figures costs nothing; a GPU would have to wait for itself.
        self._looks_each_step = self._device.type == "cpu"
        self._steps: list[Tensor] = []
        self._largest_norm = 0.0
        self._waited = 0.0
        self._images = 0
        self._started = time.perf_counter()
        self._reported_at = float("-inf")
        self.due = True

    def start_clock(self) -> None:
        """Time counts from now: what came before was no training."""
        self._started = time.perf_counter()

    def add(self, figures: Tensor, *, state: State, images: int, waited: float) -> None:
        """Takes a step's figures in.

        Args:
            figures: This worker's part of them.
            state: After the step.
            images: By which the clock grew.
            waited: Seconds for the data.

        Raises:
            TrainingError: They are not finite (on a GPU this is said at the next report).
        """
        self._steps.append(figures)
        self._images += images
        self._waited += waited
        if self._looks_each_step:
            self._check(self._steps[-1:], state=state)

    def row(self, state: State) -> dict[str, Any]:
        """The figures since the last row, over all workers; begins anew."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._started
        if not self._looks_each_step and self._steps:  # the first report comes before any step
            self._check(self._steps, state=state)
        steps = len(self._steps)
        figures = torch.stack(self._steps).mean(0).double().cpu() if steps else torch.zeros(len(self._names)).double()
        world = self._workers.world_size
        due = self._workers.rank == 0 and time.perf_counter() - self._reported_at >= DUE_SECONDS
        others = [seconds / world, self._waited / world, float(_memory_bytes(self._device)), float(due)]
        summed = self._workers.sum(torch.cat([figures, torch.tensor(others, dtype=torch.float64)]))
        *means, seconds, waited, memory, due = summed.tolist()
        row: dict[str, Any] = {
            "images_seen": state.images_seen,
            "real_images_seen": state.real_images_seen,
            "step": state.steps,
            "workers": world,
        }
        if steps:
            row |= dict(zip(self._names, means, strict=True))
            row |= {"images_per_second": self._images / seconds, "data_wait_share": waited / seconds}
        row |= {f"{name}_lr": optimizer.param_groups[0]["lr"] for name, optimizer in state.optimizers().items()}
        row |= {"memory_bytes": int(memory), "wall_seconds": round(state.wall_seconds, 3)}
        self._steps, self._waited, self._images, self._largest_norm = [], 0.0, 0, 0.0
        self.due = due > 0
        return row

    def reported(self) -> None:
        """A report that was due has been given: the next second begins."""
        self._reported_at = time.perf_counter()

    def _check(self, steps: Sequence[Tensor], *, state: State) -> None:
        rows = torch.stack(list(steps)).cpu()
        norms = rows[:, -2:] * self._workers.world_size
        # Only gradients are the same on every worker: all of them must stop at the same step. A loss that is not
        # finite makes its gradient so.
        bad = (~torch.isfinite(norms)).any(dim=1).nonzero()
        good = norms[: int(bad[0])] if len(bad) else norms
        self._largest_norm = max(self._largest_norm, *good.flatten().tolist(), 0.0)
        if len(bad):
            back = len(rows) - 1 - int(bad[0])
            raise TrainingError(self._cause(rows[int(bad[0])], state=state, back=back))

    def _cause(self, figures: Tensor, *, state: State, back: int) -> str:
        step = state.steps - back
        batch = state.images_seen // max(state.steps, 1)
        named = [
            f"{name.replace('_', ' ')} is {value}"
            for name, value in zip(self._names, figures.tolist(), strict=True)
            if not np.isfinite(value)
        ]
        return (
            f"step {step}, {state.images_seen - back * batch:,} images seen: {', '.join(named)}; the largest gradient "
            f"norm since the last report was {self._largest_norm:.3g}; {self._advice}"
        )


def _memory_bytes(device: torch.device) -> int:
    """The most that this process has held so far: on the GPU it computes on, else in all."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
