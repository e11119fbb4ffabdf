"""What `evaluation.metrics` asks for of a run's checkpoints, and what of it is there already."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.data import PackedStore
from framework.errors import CheckpointError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.protocols.protocol import ImageSide, Protocol, same_but_device
from framework.evaluation.requests.passes import Pass, Request, passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.sources.source import store_spec
from framework.runs import RunFolder


@dataclass(frozen=True)
class RunSides:
    """A run's images as the sides of its scores.

    Attributes:
        training: What training sees.
        held_out: What it never sees; None where there are less than 2.
        device: The kind of GPU that features of samples are computed on; None for CPUs.
    """

    training: ImageSide
    held_out: ImageSide | None
    device: str | None = None

    @classmethod
    def of_store(cls, images: PackedStore) -> Self:
        """Those of the packed images."""
        held_out = store_spec(images, split="held_out").side if len(images.held_out_indices) > 1 else None
        return cls(store_spec(images, split="training").side, held_out)

    @classmethod
    def of_run(cls, run: RunFolder) -> Self:
        """Those that run.json tells of; the images themselves need not be here.

        Raises:
            CheckpointError: It does not tell.
        """
        about = run.about.get("data") or {}
        lacking = [key for key in ("resolution", "channels", "digest", "training", "held_out") if key not in about]
        if lacking:
            raise CheckpointError(f"{run.folder.location}/run.json: does not say {', '.join(lacking)} of its images")
        shape = {"height": about["resolution"], "width": about["resolution"], "channels": about["channels"]}
        training, held_out = (
            ImageSide(count=about[split], split=split, digest=about["digest"], **shape) if about[split] > 1 else None
            for split in ("training", "held_out")
        )
        if training is None:
            raise CheckpointError(f"{run.folder.location}: a score wants 2 training images, not {about['training']}")
        return cls(training, held_out)

    def on(self, device: str | None) -> Self:
        """The same, their features computed on a kind of GPU, or on CPUs."""
        training, held_out = (
            None if side is None else side.model_copy(update={"device": device})
            for side in (self.training, self.held_out)
        )
        assert training is not None
        return dataclasses.replace(self, training=training, held_out=held_out, device=device)

    def generated(self, *, samples: int, seed: int) -> ImageSide:
        """So many samples of a run's generators."""
        real = self.training
        shape = {"height": real.height, "width": real.width, "channels": real.channels}
        return ImageSide(count=samples, split="generated", seed=seed, device=self.device, **shape)


@dataclass(frozen=True)
class RunRequests:
    """The requests of one pass, for any checkpoint of a run.

    Args:
        run: The run.
        sides: Its images.
        made: What is asked for.
        features: Its extractor.
    """

    run: RunFolder
    sides: RunSides
    made: Pass
    features: FeatureSpec

    def protocol(self, request: Request) -> Protocol:
        """Of a request's score."""
        sides = self.sides
        fake = sides.generated(samples=request.samples, seed=request.seed)
        return request.protocol(self.features, fake=fake, real=sides.training, held_out=sides.held_out)

    def on(self, device: str | None) -> Self:
        """The same, its features computed on a kind of GPU, or on CPUs."""
        return dataclasses.replace(self, sides=self.sides.on(device))

    def known(self, target: Target) -> list[dict[str, Any]]:
        """What scores.json has of a checkpoint by this pass, on whatever device it was made; each score tells which."""
        digest = load_generator(target.location).digest
        mine = [
            score
            for score in self.run.scores()
            if (score.get("checkpoint"), score.get("generator")) == (target.checkpoint, digest)
        ]
        documents = [self.protocol(request).document() for request in self.made.requests]
        return [score for document in documents for score in mine if same_but_device(score["protocol"], document)]

    def missing(self, target: Target) -> list[Request]:
        """The requests that no score of a checkpoint answers."""
        known = [score["protocol"] for score in self.known(target)]
        documents = {request: self.protocol(request).document() for request in self.made.requests}
        return [
            request
            for request, document in documents.items()
            if not any(same_but_device(protocol, document) for protocol in known)
        ]

    def todo(self, targets: Sequence[Target]) -> list[tuple[Target, list[Request]]]:
        """The checkpoints that lack scores, with what they lack."""
        return [(target, wanted) for target in targets if (wanted := self.missing(target))]


def run_requests(run: RunFolder, sides: RunSides, *, assessor_folder: Path | None) -> list[RunRequests]:
    """What a run's evaluation settings ask for, pass by pass.

    Args:
        run: The run.
        sides: Its images.
        assessor_folder: Of the assessor that measures, where there is one.

    Raises:
        EvaluationError: A metric that cannot be made here.
    """
    settings = run.experiment.evaluation
    features = resolve_features(settings, assessor_folder=assessor_folder)
    asked = requested(settings, features=features, has_held_out=sides.held_out is not None)
    found = [
        RunRequests(run, sides, made, made.features(settings, assessor_folder=assessor_folder))
        for made in passes(asked)
    ]
    for one in found:
        for request in one.made.requests:
            one.protocol(request)  # a protocol that these images do not fill is refused before anything is computed
    return found
