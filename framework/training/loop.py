"""The training loop: steps, and between them reports, samples, checkpoints and scores, by the clock of images seen."""

import gc
import time
from collections.abc import Callable

import numpy as np
import torch

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.start import open_start
from framework.config import Experiment
from framework.data import PackedStore
from framework.errors import TrainingError
from framework.images import to_pixels
from framework.models import derive_seed, sample_latents
from framework.training.algorithms import algorithms
from framework.training.feed import Feed
from framework.training.memory import is_out_of_memory, out_of_memory
from framework.training.precision import Precision, settle_precision
from framework.training.reports.checkpoints import Keeper
from framework.training.reports.health import Health, mutual_distance
from framework.training.reports.report import MetricAccumulator, Outcome, Report, Scored, ScoreHandle
from framework.training.reports.scores import PendingScores
from framework.training.state import State, TrainState
from framework.training.steps.families import family_of
from framework.training.workers import WorkerGroup

SAMPLES = 64
_REAL_IMAGES = 256
_CHUNK_IMAGES = 16


def train(
    experiment: Experiment,
    images: PackedStore,
    *,
    store: CheckpointStore,
    workers: WorkerGroup,
    report: Callable[[Report], None],
    score: Callable[[Checkpoint], ScoreHandle] | None = None,
    should_stop: Callable[[], bool] | None = None,
    log: Callable[[str], None],
) -> Outcome:
    """Trains until `training.total_images`, from the store's newest checkpoint where it has one.

    Args:
        experiment: What to train.
        images: On what.
        store: Checkpoints; rank 0 alone writes.
        workers: This worker's place among those who share the training.
        report: Called with the same report on every rank.
        score: Called on rank 0, at `evaluation.every_images` and at the end, to begin a score; the training goes on
            meanwhile, for one interval at most, and a score comes with the next report after it is there.
        should_stop: Asked before each step; True on any rank saves a checkpoint and ends the training on all.
            Given on every rank or on none.
        log: Told in a line what should be known, on rank 0.

    Raises:
        CheckpointError: The store's checkpoints are of another experiment.
        TrainingError: Something is no longer finite; the last checkpoint is untouched.
        OutOfMemoryError: A batch does not fit. Raised where that is so: other ranks may wait for this one for ever.
    """
    deterministic = experiment.compute.deterministic
    try:
        with algorithms(workers.device, deterministic=deterministic):
            training = _Training(experiment, images, store, workers, report, score, should_stop, log)
            try:
                return training.run()
            finally:
                training.close()
                del training
    except (MemoryError, RuntimeError) as fault:
        if not is_out_of_memory(fault):
            raise
        raise out_of_memory(experiment, workers) from fault
    finally:
        # DDP's wrappers refer to themselves in a ring, and to the process group, whose threads must end before Python.
        gc.collect()


class _Training:
    """One life of a training: from a start or a checkpoint to the end or a stop."""

    def __init__(
        self,
        experiment: Experiment,
        images: PackedStore,
        store: CheckpointStore,
        workers: WorkerGroup,
        report: Callable[[Report], None],
        score: Callable[[Checkpoint], ScoreHandle] | None,
        should_stop: Callable[[], bool] | None,
        log: Callable[[str], None],
    ) -> None:
        self._experiment, self._images, self._store, self._workers = experiment, images, store, workers
        self._report, self._stop_asked = report, None if should_stop is None else workers.agreed(should_stop)
        self._scores = None if score is None else PendingScores(score, store)
        self._device = torch.device(workers.device)
        self._log = log if workers.rank == 0 else _say_nothing
        self._family = family_of(experiment)
        self._kept = Keeper(store, workers, log=self._log)
        self._precision = self._choose_precision()
        self._state = self._make_state()
        step = self._family.step
        self._step = step(self._state, experiment=experiment, workers=workers, precision=self._precision)
        self._tally = MetricAccumulator(workers, figures=step.METRIC_NAMES, advice=step.NAN_HINT)
        self._health = Health(total_images=experiment.training.total_images, notes=self._state.notes)
        self._real_distance = mutual_distance(_spread_out(images, _REAL_IMAGES)) if workers.rank == 0 else 0.0
        self._life_began_at = self._reported_at = self._state.images_seen
        self._born = time.perf_counter() - self._state.wall_seconds

    def run(self) -> Outcome:
        state, training = self._state, self._experiment.training
        if state.images_seen == 0:
            self._pause(samples=True)
        owed = self._owed()
        for checkpoint in owed:
            self._begin_score(checkpoint)
        if owed and state.images_seen >= training.total_images:
            self._pause(last=True)
        feed = Feed(self._images, self._experiment, step=self._step, workers=self._workers)
        with feed.batches(step=state.steps, position=state.real_images_seen) as batches:
            self._tally.start_clock()
            while state.images_seen < training.total_images:
                if self._stop_asked is not None and self._stop_asked():
                    self._stop()
                    return self._outcome("stopped")
                before = state.images_seen
                batch, waited = next(batches)
                figures = self._step(batch.pixels, batch.mirrored, numbers=batch.numbers)
                self._tally.add(figures, state=state, images=state.images_seen - before, waited=waited)
                self._after_step(before)
        if self._stop_asked is not None:
            self._stop_asked.close()
        return self._outcome("finished")

    def close(self) -> None:
        """However it ended."""
        self._kept.close()

    @property
    def _newest(self) -> Checkpoint | None:
        return self._kept.newest

    def _after_step(self, before: int) -> None:
        """Whatever the clock says is due, `before` being where it stood before the step."""
        experiment, now = self._experiment, self._state.images_seen
        last = now >= experiment.training.total_images
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
        """Saves, and reports what no report has said yet: another one of the same clock would take its score away."""
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
        """A report, with what else is due: a checkpoint, the beginning of its score, samples; and scores that came."""
        state = self._state
        state.wall_seconds = time.perf_counter() - self._born
        row = self._tally.row(state) | {"life_began_at_images_seen": self._life_began_at}
        warnings = self._health.after_report(row) if "accuracy_real" in row else []
        pictures = None
        if samples:
            pictures, spread = self._workers.from_first(self._samples)
            row["sample_spread"] = spread
            warnings += self._health.after_samples(spread, images_seen=state.images_seen)
        for warning in warnings:
            self._log(f"{state.images_seen:,} images seen: {warning}")
        if saved:
            self._kept.save(state, self._images)
        if last:
            self._kept.wait()
        checkpoint = self._newest.name if self._newest and saved else None
        if scored and self._newest is not None:
            self._begin_score(self._newest)
        scores = self._arrived(leave=0 if last else 1 if scored else None)
        self._reported_at = state.images_seen
        due = self._tally.due or samples or last or stopping or bool(scores or warnings)
        self._report(Report(row, pictures, checkpoint, scores, warnings, due))
        if due:
            self._tally.reported()
        if self._scores is not None and self._workers.rank == 0:
            self._scores.note(scores)

    def _begin_score(self, checkpoint: Checkpoint) -> None:
        scores = self._scores
        if scores is not None:
            self._workers.from_first(lambda: scores.add(checkpoint, self._kept.writing))

    def _arrived(self, *, leave: int | None) -> list[Scored]:
        """On every rank: the scores that have come; waits until at most `leave` are in the making."""
        scores = self._scores
        if scores is None:
            return []
        return self._workers.from_first(lambda: scores.take(images_seen=self._state.images_seen, leave=leave))

    def _outcome(self, state: str) -> Outcome:
        return Outcome(state, self._state.images_seen, self._newest.name if self._newest else None)

    def _choose_precision(self) -> Precision:
        """As configured; where that is auto, as the checkpoint has it, else as rank 0 finds out."""
        images = self._images
        name, lines = self._workers.from_first(
            lambda: settle_precision(
                self._experiment,
                kept=None if self._newest is None else self._newest.info["precision"],
                resolution=images.resolution,
                channels=images.channels,
                device=self._device,
            )
        )
        for line in lines:
            self._log(line)
        return Precision(name, self._device)

    def _make_state(self) -> State:
        state = self._family.state.fresh(
            self._experiment,
            resolution=self._images.resolution,
            channels=self._images.channels,
            precision=self._precision.name,
            device=self._device,
        )
        if self._newest is not None:
            state.load(self._newest)
            self._log(f"goes on from checkpoint {self._newest.name}: {state.images_seen:,} images seen")
        elif self._experiment.training.start_from is not None:
            assert isinstance(state, TrainState), "training.start_from means nothing to the other families"
            self._begin(state, self._experiment.training.start_from)
        return state

    def _begin(self, state: TrainState, location: str) -> None:
        start = open_start(location)
        if start.digest != self._experiment.training.start_digest:
            raise TrainingError(f"training.start_from: {location} has changed since this training was begun")
        state.begin_with(start)
        self._log(f"begins with the networks of {location}")

    def _owed(self) -> list[Checkpoint]:
        """Checkpoints whose scores were due and had not come when the last life ended, oldest first."""
        training = self._experiment.training
        if self._scores is None:
            return []

        def is_due(seen: int) -> bool:
            before = seen - training.batch_size
            return seen >= training.total_images or _crossed(before, seen, self._experiment.evaluation.every_images)

        return self._kept.owed(is_due)

    @torch.no_grad()
    def _samples(self) -> tuple[np.ndarray, float]:
        """Rank 0's: the moving average's pictures of the same latents each time, and their relative spread."""
        self._state.prepare_for_sampling(self._images)
        seed = derive_seed(self._experiment.seed, "samples")
        latents = torch.from_numpy(sample_latents(SAMPLES, self._experiment.model.latent_size, seed=seed))
        latents = latents.to(self._device, self._precision.dtype)
        network = self._state.ema.network
        pictures = np.concatenate([to_pixels(network(chunk)) for chunk in latents.split(_CHUNK_IMAGES)])
        return pictures, mutual_distance(pictures) / max(self._real_distance, 1e-9)


def _spread_out(images: PackedStore, count: int) -> np.ndarray:
    """About `count` training images from all over the store, which may be sorted by what they show."""
    indices = images.training_indices
    return images.images[indices[:: max(1, len(indices) // count)]]


def _crossed(before: int, now: int, every: int) -> bool:
    """Whether the clock has passed a multiple of `every`.

    >>> _crossed(60, 124, 64), _crossed(64, 127, 64)
    (True, False)
    """
    return now // every > before // every


def _say_nothing(_: str) -> None:
    """What other ranks than the first say."""
