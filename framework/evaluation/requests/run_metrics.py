"""The scores that `evaluation.metrics` requests for the checkpoints of a run, and which of them exist already."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.data import PackedStore
from framework.errors import CheckpointError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.protocols.protocol import ImageSetSpec, Protocol, same_but_device
from framework.evaluation.requests.begun import final_settings, judged_in_training
from framework.evaluation.requests.passes import Request, ScoringPass, passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.sources.source import SourceSpec, store_spec
from framework.runs import RunFolder


@dataclass(frozen=True)
class RunImageSets:
    """The images of a run as sides of its scores.

    Attributes:
        training: The images that training sees; those of one class, if it has a label.
        held_out: The images that training never sees, likewise; None if there are fewer than 2.
        device: The type of GPU that features of samples are computed on; None for CPUs.
    """

    training: ImageSetSpec
    held_out: ImageSetSpec | None
    device: str | None = None

    @classmethod
    def of_store(cls, images: PackedStore) -> Self:
        """The sides, from the packed images."""
        held_out = store_spec(images, split="held_out").side if len(images.held_out_indices) > 1 else None
        return cls(store_spec(images, split="training").side, held_out)

    @classmethod
    def of_run(cls, run: RunFolder) -> Self:
        """The sides, from run.json; the images themselves are not needed.

        Raises:
            CheckpointError: run.json lacks a value, or the run has fewer than 2 training images.
        """
        about = run.about.get("data") or {}
        missing = [key for key in ("resolution", "channels", "digest", "training", "held_out") if key not in about]
        if missing:
            raise CheckpointError(f"{run.folder.location}/run.json: lacks {', '.join(missing)} of the images")
        shape = {"height": about["resolution"], "width": about["resolution"], "channels": about["channels"]}
        try:
            training, held_out = (
                ImageSetSpec(count=about[split], split=split, digest=about["digest"], **shape)
                if about[split] > 1
                else None
                for split in ("training", "held_out")
            )
        except ValidationError as fault:
            key = ".".join(map(str, fault.errors()[0]["loc"]))
            raise CheckpointError(f"{run.folder.location}/run.json: data.{key}: is not one of packed images") from None
        if training is None:
            raise CheckpointError(f"{run.folder.location}: a score needs 2 training images, not {about['training']}")
        return cls(training, held_out)

    def on(self, device: str | None) -> Self:
        """The same sides with features computed on this type of GPU; None for CPUs."""
        training, held_out = (
            None if side is None else side.model_copy(update={"device": device})
            for side in (self.training, self.held_out)
        )
        assert training is not None
        return dataclasses.replace(self, training=training, held_out=held_out, device=device)

    def generated(self, *, samples: int, seed: int, truncation: float | None = None) -> ImageSetSpec:
        """The side of generated images, of the same class; `truncation` is None for 1."""
        real = self.training
        shared = real.model_dump(include={"height", "width", "channels", "label", "value"})
        return ImageSetSpec(
            count=samples, split="generated", seed=seed, truncation=truncation, device=self.device, **shared
        )

    def sources(self, images: PackedStore) -> tuple[SourceSpec, SourceSpec | None]:
        """The training images and the held-out ones as sources."""
        place = str(images.path)
        held_out = None if self.held_out is None else SourceSpec("store", place, self.held_out)
        return SourceSpec("store", place, self.training), held_out


@dataclass(frozen=True)
class RunScoringPass:
    """One pass over checkpoints of a run.

    Args:
        features: The features of the pass.
    """

    run: RunFolder
    sides: RunImageSets
    made: ScoringPass
    features: FeatureSpec

    def protocol(self, request: Request) -> Protocol:
        """The protocol of the score of a request."""
        sides = self.sides
        fake = sides.generated(samples=request.samples, seed=request.seed, truncation=request.truncation)
        protocol = request.protocol(self.features, fake=fake, real=sides.training, held_out=sides.held_out)
        if not judged_in_training(self.run, self.features.name):
            return protocol
        source = protocol.features.model_copy(update={"in_discriminator": True})
        return protocol.model_copy(update={"features": source})

    def check(self) -> None:
        """Raises EvaluationError if a score has too few images."""
        for request in self.made.requests:
            self.protocol(request)

    def on(self, device: str | None) -> Self:
        """The same pass with features computed on this type of GPU; None for CPUs."""
        return dataclasses.replace(self, sides=self.sides.on(device))

    def known(self, target: CheckpointRef) -> list[dict[str, Any]]:
        """The scores of this pass that scores.json has for a checkpoint, computed on any device."""
        digest = load_generator(target.location).digest
        scores = [
            score
            for score in self.run.scores()
            if (score.get("checkpoint"), score.get("generator")) == (target.checkpoint, digest)
        ]
        documents = [self.protocol(request).document() for request in self.made.requests]
        return [score for document in documents for score in scores if same_but_device(score["protocol"], document)]

    def missing(self, target: CheckpointRef) -> list[Request]:
        """The requests for which a checkpoint has no score yet."""
        known = [score["protocol"] for score in self.known(target)]
        documents = {request: self.protocol(request).document() for request in self.made.requests}
        return [
            request
            for request, document in documents.items()
            if not any(same_but_device(protocol, document) for protocol in known)
        ]

    def todo(self, targets: Sequence[CheckpointRef]) -> list[tuple[CheckpointRef, list[Request]]]:
        """The checkpoints that lack scores, each with the requests to compute."""
        return [(target, requests) for target in targets if (requests := self.missing(target))]


def run_scoring_passes(run: RunFolder, sides: RunImageSets, *, assessor_folder: Path | None) -> list[RunScoringPass]:
    """The passes that the evaluation settings of a run request.

    Args:
        assessor_folder: The folder of the measurer; None without one.

    Raises:
        EvaluationError: A metric cannot be computed here.
    """
    settings = final_settings(run)
    features = resolve_features(settings, assessor_folder=assessor_folder)
    requests = requested(settings, features=features, has_held_out=sides.held_out is not None)
    run_passes = [
        RunScoringPass(run, sides, one_pass, one_pass.features(settings, assessor_folder=assessor_folder))
        for one_pass in passes(requests)
    ]
    for run_pass in run_passes:
        run_pass.check()
    return run_passes
