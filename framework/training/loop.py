"""The training loop: steps, and reports, samples, checkpoints and scores at given numbers of images seen."""

import dataclasses
import gc
import time
from collections.abc import Callable

import torch

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.saved import name_at
from framework.config import Experiment
from framework.data import PackedStore
from framework.training.algorithms import algorithms
from framework.training.beginning import begin_training
from framework.training.budget import ComputeMeter
from framework.training.conditions import row_labels
from framework.training.feed import Feed
from framework.training.memory import is_out_of_memory, out_of_memory
from framework.training.precision import Precision, settle_precision
from framework.training.reports.checkpoints import Keeper
from framework.training.reports.collapse import CollapseResponse
from framework.training.reports.health import Health
from framework.training.reports.report import MetricAccumulator, Outcome, Report, Scored, ScoreHandle
from framework.training.reports.samples import Sampler
from framework.training.reports.scores import PendingScores
from framework.training.state import TrainState
from framework.training.steps.families import family_of
from framework.training.steps.objectives import build_objective
from framework.training.steps.penalties import gamma_lines
from framework.training.workers import WorkerGroup


class Trainer:
    """Trains one experiment to its end, from the store's newest checkpoint if it has one.

    The end is at `training.total_images`, or where `training.budget_minutes` is used up.

    Args:
        experiment: The configuration of the training.
        images: The packed training images.
        store: Checkpoints; rank 0 alone writes.
        workers: This worker's place among those that share the training.
        report: Called with the same report on every rank.
        record: Called on rank 0 before a checkpoint is written, with the report of this number of images seen, which
            still lacks scores. What this records is not lost if the process is killed before `report` is called.
        log: Called with one-line messages for the user; rank 0 only.
        score: Called on rank 0, at `evaluation.every_images` and at the end, to start a score. The training continues
            for one interval at most; the score is part of the next report after it is ready.
        should_stop: Asked before each step; True on any rank saves a checkpoint and ends the training on all ranks.
            Given on every rank or on none.
        clock: Seconds of compute that this worker has used, from any start, which the budget counts; None for CPU time,
            or wall time on a GPU.

    Raises:
        CheckpointError: The store holds checkpoints of another experiment.
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        images: PackedStore,
        store: CheckpointStore,
        workers: WorkerGroup,
        report: Callable[[Report], None],
        log: Callable[[str], None],
        record: Callable[[Report], None] | None = None,
        score: Callable[[Checkpoint], ScoreHandle] | None = None,
        should_stop: Callable[[], bool] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._experiment, self._images, self._workers = experiment, images, workers
        self._report = report
        self._record = record if workers.rank == 0 else None
        self._log = log if workers.rank == 0 else _say_nothing
        self._device = torch.device(workers.device)
        self._family = family_of(experiment)
        self._kept = Keeper(store, workers, log=self._log)
        self._scores = None if score is None else PendingScores(score, store)
        self._stop_asked = None if should_stop is None else workers.agreed(should_stop)
        self._clock = clock

    def run(self) -> Outcome:
        """Trains. A trainer runs once.

        Raises:
            TrainingError: A loss or a weight is no longer finite; the last checkpoint is kept.
            OutOfMemoryError: A batch does not fit into memory. Raised only on the rank that ran out of memory; the
                other ranks may wait for it forever.
        """
        experiment, workers = self._experiment, self._workers
        try:
            with algorithms(workers.device, deterministic=experiment.compute.deterministic):
                self._prepare()
                return self._train()
        except (MemoryError, RuntimeError) as fault:
            if not is_out_of_memory(fault):
                raise
            raise out_of_memory(experiment, workers) from fault
        finally:
            self._kept.close()
            # DDP modules form reference cycles that keep the process group alive. They are collected here, so that its
            # threads stop before the interpreter exits.
            self.__dict__.clear()
            gc.collect()

    def _prepare(self) -> None:
        """Makes the networks, from the newest checkpoint if there is one."""
        images, workers = self._images, self._workers
        self._precision = self._choose_precision()
        self._state = begin_training(
            self._experiment,
            images=images,
            newest=self._newest,
            precision=self._precision.name,
            device=self._device,
            log=self._log,
        )
        self._meter = ComputeMeter(self._experiment, notes=self._state.notes, workers=workers, clock=self._clock)
        self._ended = self._state.images_seen >= self._experiment.training.total_images or self._meter.was_spent()
        step = self._family.step
        self._step = step(self._state, experiment=self._experiment, workers=workers, precision=self._precision)
        self._tally = MetricAccumulator(workers, figures=self._step.metric_names, advice=step.NAN_HINT)
        objective = build_objective(self._experiment.objective) if isinstance(self._state, TrainState) else None
        length = self._experiment.training.total_images
        self._health = Health(total_images=length, notes=self._state.notes, objective=objective)
        self._sample_rows = row_labels(self._state.condition)
        if self._newest is not None:
            self._health.recall(self._kept.scores(self._state.images_seen))
        for line in gamma_lines(self._experiment):
            self._log(line)
        training = self._experiment.training
        self._collapse = CollapseResponse(training, state=self._state, health=self._health, kept=self._kept)
        self._ended = self._ended or self._collapse.ended is not None
        self._sampler = Sampler(self._state, images, precision=self._precision, device=self._device)
        self._life_began_at = self._reported_at = self._state.images_seen
        self._born = time.perf_counter() - self._state.wall_seconds

    def _train(self) -> Outcome:
        state = self._state
        if state.images_seen == 0:
            self._pause(samples=True)
        owed = self._owed()
        for checkpoint in owed:
            self._begin_score(checkpoint)
        if owed and self._ended:
            self._pause(last=True)
        feed = Feed(self._images, self._experiment, step=self._step, workers=self._workers, condition=state.condition)
        with feed.batches(step=state.steps, position=state.real_images_seen) as batches:
            self._tally.start_clock()
            while not self._ended:
                if self._stop_asked is not None and self._stop_asked():
                    self._stop()
                    self._meter.close()
                    return self._outcome("stopped")
                before = state.images_seen
                batch, waited = next(batches)
                figures = self._step(batch.pixels, batch.mirrored, numbers=batch.numbers)
                self._tally.add(figures, state=state, images=state.images_seen - before, waited=waited)
                self._after_step(before)
        if self._stop_asked is not None:
            self._stop_asked.close()
        self._meter.close()
        return self._outcome("finished" if self._collapse.ended is None else "collapsed")

    @property
    def _newest(self) -> Checkpoint | None:
        return self._kept.newest

    def _after_step(self, before: int) -> None:
        """Saves, scores, samples and reports what is due; `before` is the number of images seen before the step."""
        experiment, now = self._experiment, self._state.images_seen
        last = self._ended = self._meter.is_spent() or now >= experiment.training.total_images
        scored = self._scores is not None and (last or _crossed(before, now, experiment.evaluation.every_images))
        saved = (
            scored
            or last
            or _crossed(before, now, experiment.checkpoint.every_images or experiment.evaluation.every_images)
        )
        samples = last or _crossed(before, now, experiment.training.samples_every_images)
        if saved or samples or _crossed(before, now, experiment.training.report_every_images):
            self._pause(saved=saved, scored=scored, samples=samples, last=last)
            self._tally.start_clock()

    def _stop(self) -> None:
        """Saves a checkpoint and reports it, unless this step was already reported.

        A second report for the same number of images seen would overwrite the score of the first.
        """
        if self._reported_at < self._state.images_seen:
            self._pause(saved=True, stopping=True)
        elif self._state.steps > 0:
            self._kept.save(self._state, self._images)
        self._kept.wait()

    def _pause(
        self,
        *,
        saved: bool = False,
        scored: bool = False,
        samples: bool = False,
        last: bool = False,
        stopping: bool = False,
    ) -> None:
        """Reports, after saving, starting a score and drawing samples as asked; includes scores that are ready."""
        state = self._state
        state.wall_seconds = time.perf_counter() - self._born
        row = self._tally.row(state, self._meter) | {"life_began_at_images_seen": self._life_began_at}
        warnings = self._health.after_report(row) if "accuracy_real" in row else []
        pictures = spread = None
        if samples:
            pictures, spread = self._workers.from_first(self._sampler.draw)
            row["sample_spread"] = spread
            warnings += self._health.after_samples(spread, images_seen=state.images_seen)
        early = []
        if self._collapse.acts and not (last or stopping):
            reason = None if spread is None else self._health.collapsed_samples(spread, images_seen=state.images_seen)
            if scored or reason:
                # All scores of earlier checkpoints, so that what is done depends on no clock.
                early = self._arrived(leave=0)
                reason = reason or self._health.collapsed_scores()
            if reason is not None:
                warnings.append(self._collapse.respond(reason, row))
                if self._collapse.ended is not None:
                    self._ended = saved = last = True
                    scored = False
        for warning in warnings:
            self._log(f"{state.images_seen:,} images seen: {warning}")
        if saved:
            if self._record is not None:
                name = name_at(state.images_seen)
                self._record(Report(row, pictures, name, warnings=warnings, sample_rows=self._sample_rows))
            self._kept.save(state, self._images)
        if last:
            self._kept.wait()
        checkpoint = self._newest.name if self._newest and saved else None
        if scored and self._newest is not None:
            self._begin_score(self._newest)
        scores = [*early, *self._arrived(leave=0 if last else 1 if scored else None)]
        self._reported_at = state.images_seen
        due = self._tally.due or samples or last or stopping or bool(scores or warnings)
        self._report(Report(row, pictures, checkpoint, scores, warnings, due, self._sample_rows))
        if due:
            self._tally.reported()
        if self._scores is not None and self._workers.rank == 0:
            self._scores.note(scores)

    def _begin_score(self, checkpoint: Checkpoint) -> None:
        scores = self._scores
        if scores is not None:
            self._workers.from_first(lambda: scores.add(checkpoint, self._kept.writing))

    def _arrived(self, *, leave: int | None) -> list[Scored]:
        """The scores that are ready, on every rank. Waits until at most `leave` scores are pending, if it is given."""
        scores = self._scores
        if scores is None:
            return []
        arrived = self._workers.from_first(lambda: scores.take(images_seen=self._state.images_seen, leave=leave))
        judged = [dataclasses.replace(scored, alarm=self._health.after_score(scored)) for scored in arrived]
        for scored in judged:
            if scored.alarm is not None:
                self._log(f"{self._state.images_seen:,} images seen: {scored.alarm}")
        return judged

    def _outcome(self, state: str) -> Outcome:
        seen, training = self._state.images_seen, self._experiment.training
        by_budget = state == "finished" and seen < training.total_images
        reason = f"training.budget_minutes={training.budget_minutes:g} is used up" if by_budget else None
        newest = self._newest.name if self._newest else None
        return Outcome(state, seen, newest, self._collapse.ended or reason)

    def _choose_precision(self) -> Precision:
        """The configured precision; auto uses that of the checkpoint, or else the one that rank 0 chooses."""
        images = self._images
        name, lines = self._workers.from_first(
            lambda: settle_precision(
                self._experiment,
                kept=None if self._newest is None else self._newest.training_info["precision"],
                resolution=images.resolution,
                channels=images.channels,
                device=self._device,
            )
        )
        for line in lines:
            self._log(line)
        return Precision(name, self._device)

    def _owed(self) -> list[Checkpoint]:
        """Checkpoints whose scores were due but not ready when the training was interrupted, oldest first."""
        training = self._experiment.training
        if self._scores is None or self._collapse.ended is not None:
            return []

        def is_due(seen: int) -> bool:
            before = seen - training.batch_size
            is_end = seen >= training.total_images or (self._ended and seen == self._state.images_seen)
            return is_end or _crossed(before, seen, self._experiment.evaluation.every_images)

        return self._kept.owed(is_due)


def _crossed(before: int, now: int, every: int) -> bool:
    """Whether the number of images seen has reached or passed a multiple of `every`.

    >>> _crossed(60, 124, 64), _crossed(64, 127, 64)
    (True, False)
    """
    return now // every > before // every


def _say_nothing(_: str) -> None:
    """The log of all ranks except rank 0, which shows nothing."""
