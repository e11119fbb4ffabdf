"""The compute that a training uses, and its budget (`training.budget_minutes`)."""

import time
from collections.abc import Callable
from typing import Any

import torch

from framework.config import Experiment
from framework.training.workers import Agreement, WorkerGroup

USED = "used_seconds"
"""The note of a state with the seconds used so far, over all workers and lives: {"cpu": …} or {"gpu": …}, or both."""


class ComputeMeter:
    """Counts the seconds of compute of a training: of CPUs where it trains on CPUs, else of GPUs.

    CPU seconds are those of the processes of its workers, user and system. GPU seconds are the wall seconds during
    which its workers live, times the GPUs of each worker, which may be a share of one. Scores, which other processes
    compute, do not count. Seconds since the newest checkpoint are lost with a process that is killed.

    Args:
        experiment: Has the budget and the GPUs of a worker.
        notes: The notes of the state, which have the seconds of earlier lives and get those of this one.
        workers: The group of workers. Rank 0 adds the earlier lives.
        clock: Seconds that this worker has used, from any start; None for CPU time, or wall time on a GPU.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        notes: dict[str, Any],
        workers: WorkerGroup,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.kind = "cpu" if torch.device(workers.device).type == "cpu" else "gpu"
        self._clock = clock or (time.process_time if self.kind == "cpu" else time.perf_counter)
        per_worker = experiment.compute.gpus_per_worker
        self._weight = float(per_worker) if self.kind == "gpu" and isinstance(per_worker, int | float) else 1.0
        self._notes = notes
        self._before = self._saved if workers.rank == 0 else 0.0
        self._born = self._clock()
        minutes = experiment.training.budget_minutes
        self._budget = None if minutes is None else 60.0 * minutes
        self._agreement: Agreement | None = None
        if self._budget is not None:
            self._agreement = workers.agreed(self.seconds, least=self._budget)

    def seconds(self) -> float:
        """This worker's part of the seconds used; the sum over workers is the whole."""
        return self._before + self._weight * (self._clock() - self._born)

    def note(self, seconds: float) -> dict[str, float]:
        """Notes the sum over workers; returns the columns of a report, `cpu_minutes` or `gpu_minutes` or both."""
        used = self._notes.setdefault(USED, {})
        used[self.kind] = seconds
        return {f"{kind}_minutes": round(value / 60, 4) for kind, value in sorted(used.items())}

    def was_spent(self) -> bool:
        """Whether the budget was used up at the checkpoint that this life began with."""
        return self._budget is not None and self._saved >= self._budget

    def is_spent(self) -> bool:
        """Whether the budget is used up; the same on all ranks, which must call it at the same steps."""
        return self._agreement is not None and self._agreement()

    def close(self) -> None:
        """Ends the agreement of the workers after the last step."""
        if self._agreement is not None:
            self._agreement.close()

    @property
    def _saved(self) -> float:
        return float(self._notes.get(USED, {}).get(self.kind, 0.0))


def budget_line(experiment: Experiment, *, on_gpus: bool) -> str | None:
    """What the budget counts, in one line; None without a budget."""
    minutes = experiment.training.budget_minutes
    if minutes is None:
        return None
    counted = (
        "GPU-minutes of a training: wall time of its workers x their GPUs"
        if on_gpus
        else "CPU-minutes of a training: CPU time of its workers, user and system"
    )
    return (
        f"Budget: {minutes:g} {counted}, without scores; at most training.total_images "
        f"({experiment.training.total_images:,})"
    )
