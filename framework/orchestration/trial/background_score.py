"""Computes the score of a trial's checkpoint in the background, while the trial continues to train."""

import dataclasses
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from framework.checkpoint import Checkpoint, load_generator
from framework.errors import EvaluationError
from framework.evaluation import load_moments
from framework.evaluation.requests.passes import needs_rows
from framework.evaluation.sources.source import SourceSpec
from framework.evaluation.values.compute import combined, measure
from framework.evaluation.values.moments import source_features, source_moments
from framework.evaluation.values.parts import PartsPool
from framework.models.arithmetic.exact import kind_of
from framework.orchestration.cluster.nodes import this_node
from framework.orchestration.pool.tasks import TaskPool, TaskResources
from framework.orchestration.trial.spec import TrialScoringSpec


class BackgroundScore:
    """A score that Ray tasks compute; a thread of rank 0 submits the tasks and merges their results.

    The tasks request no cores from Ray: they share those of the trial. If the trial trains on GPUs, they run on its
    node and use the GPU of its rank 0.

    Args:
        scoring: How checkpoints are scored.
        checkpoint: The checkpoint to score.
        device: The device that the trial's rank 0 trains on.
    """

    def __init__(self, scoring: TrialScoringSpec, checkpoint: Checkpoint, *, device: torch.device) -> None:
        self._future: Future[dict[str, Any]] = Future()
        # A daemon thread, so a trial that ends does not wait for the score. It is computed after a restart.
        threading.Thread(
            target=self._run, args=(scoring, checkpoint, device), name=f"score {checkpoint.name}", daemon=True
        ).start()

    def done(self) -> bool:
        """Whether the score is ready, or has failed."""
        return self._future.done()

    def result(self) -> dict[str, Any]:
        """The score document; waits until it is ready."""
        return self._future.result()

    def _run(self, scoring: TrialScoringSpec, checkpoint: Checkpoint, device: torch.device) -> None:
        try:
            self._future.set_result(_score(scoring, checkpoint, device))
        except (torch.OutOfMemoryError, MemoryError):
            place = "on the trial's GPU" if device.type == "cuda" else "on its node"
            self._future.set_exception(
                EvaluationError(
                    f"score {checkpoint.name}: not enough memory next to the training {place}; lower "
                    "compute.images_per_pass or evaluation.feature_batch_blocks"
                )
            )
        except BaseException as fault:  # raised again by `result`
            self._future.set_exception(fault)


def _score(scoring: TrialScoringSpec, checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    location, name = checkpoint.folder.location, f"score {checkpoint.name}"
    kind = kind_of(device)
    on_gpu = kind is not None
    protocol = scoring.protocol.model_copy(update={"fake": scoring.protocol.fake.model_copy(update={"device": kind})})
    side = protocol.fake.model_copy(update={"digest": load_generator(location).digest})
    source = SourceSpec("generator", location, side)
    resources = TaskResources(
        workers=1 if on_gpu else scoring.tasks,
        cores=0.0,
        node=this_node() if on_gpu else None,
        shared_gpus=os.environ.get("CUDA_VISIBLE_DEVICES", "0") if on_gpu else None,
    )
    pool, blocks = TaskPool(resources, scoring.node_files), scoring.blocks
    sides = scoring.real
    if scoring.moments is not None:
        sides = dataclasses.replace(sides, real=load_moments(Path(scoring.moments)))
    if needs_rows([scoring.request]):
        rows, logits = source_features(source, scoring.features, blocks=blocks, pool=pool, name=name)
        sides = dataclasses.replace(sides, fake_features=rows, logits=logits)
    else:
        fake = source_moments(source, scoring.features, blocks=blocks, pool=pool, name=name)
        sides = dataclasses.replace(sides, fake=fake)
    # Metrics run in tasks too, on one thread each, so the trial's number of threads does not change the score.
    pool = PartsPool(
        TaskPool(TaskResources(scoring.tasks, cores=0.0), scoring.node_files),
        name,
        gpus=pool if on_gpu else None,
        device=kind,
    )
    values = measure([scoring.request], sides, pool)
    return combined(protocol, [values[scoring.request]])
