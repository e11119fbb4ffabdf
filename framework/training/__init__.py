"""Training: the loop for the pair of networks, and the assessors. Knows no Ray; runs under torchrun as well."""

from typing import TYPE_CHECKING, Any

from framework.training.loop import Trainer
from framework.training.reports.report import Outcome, Report, Scored, ScoreHandle
from framework.training.workers import WorkerGroup

if TYPE_CHECKING:
    from framework.training.assessor.train import AssessorPair, find_assessors, train_assessors

__all__ = [
    "AssessorPair",
    "Outcome",
    "Report",
    "ScoreHandle",
    "Scored",
    "Trainer",
    "WorkerGroup",
    "find_assessors",
    "train_assessors",
]


def __getattr__(name: str) -> Any:
    if name in (
        "AssessorPair",
        "find_assessors",
        "train_assessors",
    ):  # lazily: it takes torchmetrics, which a worker can do without
        from framework.training.assessor import train

        return getattr(train, name)
    raise AttributeError(name)
