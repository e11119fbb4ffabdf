"""Scores of a run's checkpoints, computed over the cluster."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.evaluation import FeatureSpec, Request, SourceSpec, store_spec
from framework.evaluation.requests.run_metrics import RunRequests, RunSides, run_requests
from framework.evaluation.values.compute import Sides, by_torchmetrics, combined, measure
from framework.orchestration.context import Study
from framework.orchestration.pool.actors import Actors, cpu_tasks
from framework.orchestration.scoring.features import Gatherer, delete_features
from framework.orchestration.scoring.nearest_images import write_nearest
from framework.orchestration.scoring.precision_shift import SHIFT_IMAGES, check_gain, precision_shift, with_shift


def evaluate(study: Study, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The scores of checkpoints by the run's evaluation settings, kept in scores.json; none is computed twice.

    Returns:
        Checkpoint after checkpoint, each one's scores in the order of `evaluation.metrics`.

    Raises:
        EvaluationError: A metric that cannot be made here.
    """
    asked = run_requests(study.run, RunSides.of_store(study.images), assessor_folder=study.measurer)
    for one in asked:
        todo = one.todo(targets)
        if todo:
            RunPass(study, one).make(todo)
    found = {target: [score for one in asked for score in one.known(target)] for target in targets}
    best = study.run.best()
    for target, scores in found.items():
        if best is not None and target.checkpoint == best["checkpoint"]:
            for score in scores:
                if score["protocol"].get("family") == "memorisation":
                    write_nearest(study, target, score)
    return [score for scores in found.values() for score in scores]


@dataclass(frozen=True)
class RunPass:
    """One pass over the images of a run, for any of its checkpoints.

    Args:
        study: The run's.
        wanted: What is asked for.
    """

    study: Study
    wanted: RunRequests

    def make(self, todo: Sequence[tuple[Target, list[Request]]]) -> None:
        """Makes and keeps scores of several checkpoints, which share the actors and the real side."""
        with self._gatherer() as gatherer:
            ours = self.wanted.made.requests[0].engine == "latentscape"
            asked = list(dict.fromkeys(request for _, wanted in todo for request in wanted))
            shifts = self._shifts(asked, todo[0][0], gatherer) if ours else {}
            real = self._real(gatherer, asked)[0] if ours else Sides(real=None)
            for number, (target, wanted) in enumerate(todo, start=1):
                which = f"{target.checkpoint} ({number} of {len(todo)})" if len(todo) > 1 else target.checkpoint
                self._make(target, wanted, real, gatherer, which, shifts)

    def real_side(self, wanted: Sequence[Request]) -> tuple[Sides, Path, str | None]:
        """The real side alone, the file of its moments, and the kind of GPU that it was computed on."""
        with self._gatherer() as gatherer:
            return *self._real(gatherer, wanted), gatherer.device

    @contextlib.contextmanager
    def _gatherer(self) -> Iterator[Gatherer]:
        study, engine = self.study, self.wanted.made.requests[0].engine
        resources = study.task_resources(on_cpus=engine == "torchmetrics")
        needs = study.needs(self.wanted.features.path, study.images.path)
        with Actors(resources, kind="Scorer", needs=needs) as crew:
            if self.wanted.features.precision != "float32":
                gain = check_gain(self.wanted.features, crew)
                study.watch.say(f"bfloat16: {gain:.1f} times float32's speed here")
            yield Gatherer(
                crew,
                study.cache,
                study.experiment.evaluation.feature_batch_blocks,
                study.watch.counter,
                device=crew.device(),
                beside=cpu_tasks(crew.resources, study.cluster.now(), needs),
                needs=study.needs,
            )

    def _real(self, gatherer: Gatherer, wanted: Sequence[Request]) -> tuple[Sides, Path]:
        """The real side, with what these requests want of it, and the file of its moments."""
        plain = dataclasses.replace(self.wanted.features, logits=False)
        training = store_spec(self.study.images, split="training")
        rows = held_out = None
        if any(request.needs_features for request in wanted):
            rows, _ = gatherer.features(training, plain, name="real images measured")
        moments, place = gatherer.kept_moments(training, plain, name="real images measured", rows=rows)
        if any(request.needs_held_out for request in wanted):
            source = store_spec(self.study.images, split="held_out")
            held_out, _ = gatherer.features(source, plain, name="held-out images measured")
        return Sides(real=moments, real_features=rows, held_out_features=held_out), place

    def _shifts(self, asked: list[Request], target: Target, gatherer: Gatherer) -> dict[Request, dict[str, Any]]:
        """What bfloat16 moves each score by, measured on one checkpoint for all; nothing in float32."""
        features, images = self.wanted.features, self.study.images
        if features.precision == "float32":
            return {}
        needs_held_out = any(request.needs_held_out for request in asked)
        found = precision_shift(
            asked,
            features,
            real=store_spec(images, split="training"),
            fake=self._samples(target, samples=SHIFT_IMAGES, seed=asked[0].seed),
            held_out=store_spec(images, split="held_out") if needs_held_out else None,
            gatherer=gatherer,
        )
        return {request: {"checkpoint": target.checkpoint, **shift} for request, shift in found.items()}

    def _samples(self, target: Target, *, samples: int, seed: int) -> SourceSpec:
        side = self.wanted.sides.generated(samples=samples, seed=seed)
        digest = load_generator(target.location).digest
        return SourceSpec("generator", target.location, side.model_copy(update={"digest": digest}))

    def _make(
        self,
        target: Target,
        wanted: list[Request],
        real: Sides,
        gatherer: Gatherer,
        which: str,
        shifts: dict[Request, dict[str, Any]],
    ) -> None:
        study = self.study
        features, values, files = self.wanted.features, [], []
        for seed in self.wanted.made.seeds:
            source = self._samples(target, samples=max(request.samples for request in wanted), seed=seed)
            name = f"score {target.checkpoint}"
            if wanted[0].engine == "torchmetrics":
                training = store_spec(study.images, split="training")
                values.append(by_torchmetrics(wanted, features, training, source, gatherer.sharer(name)))
                continue
            sides = gather_fake(source, features, wanted, gatherer, real, name=f"{which}: samples")
            values.append(measure(wanted, sides, gatherer.sharer(name, sides.files())))
            files += sides.files(of_fake=True)
        about = {"checkpoint": target.checkpoint, "generator": load_generator(target.location).digest}
        made = self.wanted.on(gatherer.device)
        scores = [combined(made.protocol(request), [each[request] for each in values]) for request in wanted]
        study.run.add_scores(
            [with_shift(score, shifts.get(request)) | about for request, score in zip(wanted, scores, strict=True)]
        )
        for file in files:  # of the samples: whoever wants them again makes the same
            delete_features(file)


def gather_fake(
    source: SourceSpec, features: FeatureSpec, wanted: Sequence[Request], gatherer: Gatherer, real: Sides, *, name: str
) -> Sides:
    """The real side, and beside it what these requests want of what is scored."""
    if not (any(request.needs_features for request in wanted) or len({request.samples for request in wanted}) > 1):
        return dataclasses.replace(real, fake=gatherer.moments(source, features, name=name))
    rows, logits = gatherer.features(source, features, name=name)
    return dataclasses.replace(real, fake_features=rows, logits=logits)
