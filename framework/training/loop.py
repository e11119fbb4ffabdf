"""The training loop: steps, and between them reports, samples, checkpoints and scores, by the clock of images seen."""

import gc
import time
from collections.abc import Callable

import numpy as np
import torch

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.start import open_start
from framework.config import Experiment
from framework.data import PackedStore, Prefetcher, TrainingStream
from framework.errors import TrainingError
from framework.images import to_pixels
from framework.models import derive_seed, sample_latents
from framework.training.families import family_of
from framework.training.health import Health, mutual_distance
from framework.training.memory import out_of_memory
from framework.training.precision import Precision, choose_precision
from framework.training.reporting import Outcome, Report, Scored, ScoreHandle, Tally
from framework.training.scoring import PendingScores
from framework.training.state import State, TrainState
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
    try:
        return _Training(experiment, images, store, workers, report, score, should_stop, log).run()
    except (torch.OutOfMemoryError, MemoryError) as fault:
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
        self._report, self._should_stop = report, should_stop
        self._scores = None if score is None else PendingScores(score, store)
        self._device = torch.device(workers.device)
        self._log = log if workers.rank == 0 else _say_nothing
        self._family = family_of(experiment)
        self._newest = self._find_newest()
        self._precision = self._choose_precision()
        self._state = self._make_state()
        step = self._family.step
        self._step = step(self._state, experiment=experiment, workers=workers, precision=self._precision)
        self._tally = Tally(workers, figures=step.FIGURES, advice=step.ADVICE)
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
        with self._batches() as batches:
            self._tally.start_clock()
            while state.images_seen < training.total_images:
                if self._should_stop is not None and self._workers.any(self._should_stop()):
                    self._stop()
                    return self._outcome("stopped")
                before = state.images_seen
                pixels, waited = next(batches)
                figures = self._step(torch.from_numpy(pixels).to(self._device))
                self._tally.add(figures, state=state, images=state.images_seen - before, waited=waited)
                self._after_step(before)
        return self._outcome("finished")

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
            self._pause(saved=True)
        elif self._state.steps > 0:
            self._save_newest()

    def _pause(self, *, saved: bool = False, scored: bool = False, samples: bool = False, last: bool = False) -> None:
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
            self._save_newest()
        checkpoint = self._newest.name if self._newest and saved else None
        if scored and self._newest is not None:
            self._begin_score(self._newest)
        scores = self._arrived(leave=0 if last else 1 if scored else None)
        self._reported_at = state.images_seen
        self._report(Report(row, samples=pictures, checkpoint=checkpoint, scores=scores, warnings=warnings))
        if self._scores is not None and self._workers.rank == 0:
            self._scores.note(scores)

    def _begin_score(self, checkpoint: Checkpoint) -> None:
        scores = self._scores
        if scores is not None:
            self._workers.from_first(lambda: scores.add(checkpoint))

    def _arrived(self, *, leave: int | None) -> list[Scored]:
        """On every rank: the scores that have come; waits until at most `leave` are in the making."""
        scores = self._scores
        if scores is None:
            return []
        return self._workers.from_first(lambda: scores.take(images_seen=self._state.images_seen, leave=leave))

    def _outcome(self, state: str) -> Outcome:
        return Outcome(state, self._state.images_seen, self._newest.name if self._newest else None)

    def _batches(self) -> "Prefetcher":
        """This worker's part of each step's real images, from where the state stands."""
        training, workers, position = self._experiment.training, self._workers, self._state.real_images_seen
        stream = TrainingStream(
            self._images, seed=self._experiment.seed, horizontal_flip=self._experiment.data.horizontal_flip
        )
        count = self._family.step.real_images(training.batch_size)
        shard = workers.shard(count)
        return Prefetcher(lambda k: stream.batch(position + k * count + shard.start, shard.count))

    def _find_newest(self) -> Checkpoint | None:
        """The checkpoint to go on from; rank 0 chooses, so that all take the same."""

        def name() -> str | None:
            newest = self._store.newest(warn=self._log)
            return None if newest is None else newest.name

        chosen = self._workers.from_first(name)
        return None if chosen is None else Checkpoint(self._store.folder / chosen)

    def _choose_precision(self) -> Precision:
        """As configured; where that is auto, as the checkpoint has it, else as rank 0 finds out."""
        name, reason = self._experiment.compute.precision, "as configured"
        if name == "auto" and self._newest is not None:
            name, reason = self._newest.info["precision"], "kept from the checkpoint"
        elif name == "auto":
            name, reason = self._workers.from_first(
                lambda: choose_precision(
                    self._experiment,
                    resolution=self._images.resolution,
                    channels=self._images.channels,
                    device=self._device,
                )
            )
        self._log(f"precision: {name} ({reason})")
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

    def _save_newest(self) -> None:
        """A checkpoint of this clock, unless there is one."""
        if self._newest is None or self._newest.images_seen != self._state.images_seen:
            self._newest = self._workers.from_first(self._save)

    def _save(self) -> Checkpoint:
        self._state.settle(self._images)
        return self._state.save(self._store)

    def _owed(self) -> list[Checkpoint]:
        """Checkpoints whose scores were due and had not come when the last life ended, oldest first."""
        newest, training = self._newest, self._experiment.training
        if self._scores is None or newest is None:
            return []

        def is_due(seen: int) -> bool:
            before = seen - training.batch_size
            return seen >= training.total_images or _crossed(before, seen, self._experiment.evaluation.every_images)

        def names() -> list[str]:
            due = [
                one for one in self._store.all() if one.images_seen <= newest.images_seen and is_due(one.images_seen)
            ]
            return [one.name for one in due if not self._store.has_score(one) and one.fault() is None]

        return [Checkpoint(self._store.folder / name) for name in self._workers.from_first(names)]

    @torch.no_grad()
    def _samples(self) -> tuple[np.ndarray, float]:
        """Rank 0's: the moving average's pictures of the same latents each time, and their relative spread."""
        self._state.settle(self._images)
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
