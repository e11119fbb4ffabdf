"""The scores of each class of a label (`evaluation.per_class`): their images, and their passes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config.metrics import LEAST_OF_CLASS, METRICS
from framework.data import PackedStore
from framework.errors import EvaluationError
from framework.evaluation.requests.passes import ScoringPass
from framework.evaluation.requests.run_metrics import RunImageSets, RunScoringPass
from framework.evaluation.sources.packed import class_side
from framework.models.condition_label import Label
from framework.runs import RunFolder

KEY = "evaluation.per_class"


@dataclass(frozen=True)
class ClassImageSets:
    """The images of each class of a label that is scored by itself.

    Attributes:
        sides: One for each class; all have the same number of training images, which is that of the samples too.
        left_out: A line for each class that has too few images.
    """

    label: str
    sides: tuple[RunImageSets, ...] = ()
    left_out: tuple[str, ...] = ()


def dividing_label(name: str, targets: Sequence[CheckpointRef]) -> Label:
    """The label that `evaluation.per_class` names, as the generators of these checkpoints know it.

    Raises:
        EvaluationError: A generator has no condition, or none on this label, or the label is a number.
    """
    labels = []
    for target in targets:
        condition = load_generator(target.location).condition
        if condition is None:
            raise EvaluationError(f"{KEY}: {name}, but the generator of {target.checkpoint} has no model.condition")
        try:
            labels.append(condition.dividing(name))
        except ValueError as fault:
            raise EvaluationError(f"{KEY}: {fault}") from None
    return labels[0]


def class_image_sets(images: PackedStore, label: Label, *, samples: int) -> ClassImageSets:
    """The images of each class, as many as the smallest one has that is not left out, and at most `samples`.

    Raises:
        EvaluationError: No class has enough images.
    """
    wholes = {value: class_side(images, "training", label.name, value) for value in label.divisions}
    counts = {value: 0 if side is None else side.count or 0 for value, side in wholes.items()}
    least = [count for count in counts.values() if count >= LEAST_OF_CLASS]
    if not least:
        most = max(counts.values(), default=0)
        raise EvaluationError(
            f"{KEY}: {label.name} has no class with {LEAST_OF_CLASS} training images; the largest has {most}"
        )
    count = min(samples, *least)
    sides = []
    for value, whole in counts.items():
        training = class_side(images, "training", label.name, value, count=count)
        if whole >= LEAST_OF_CLASS and training is not None:
            sides.append(RunImageSets(training, class_side(images, "held_out", label.name, value)))
    left_out = [
        f"{KEY}: {label.name} {value} is left out; it has {whole} training images, but {LEAST_OF_CLASS} are needed"
        for value, whole in counts.items()
        if whole < LEAST_OF_CLASS
    ]
    return ClassImageSets(label.name, tuple(sides), tuple(left_out))


def classes_of_run(run: RunFolder, images: PackedStore, targets: Sequence[CheckpointRef]) -> ClassImageSets:
    """The images of each class of `evaluation.per_class`; of no class if it is not set.

    Raises:
        EvaluationError: A generator is not conditional on this label, it is a number, or its classes are too small.
    """
    settings = run.experiment.evaluation
    if settings.per_class is None:
        return ClassImageSets("")
    return class_image_sets(images, dividing_label(settings.per_class, targets), samples=settings.samples)


def class_scoring_passes(wholes: Sequence[RunScoringPass], classes: ClassImageSets) -> list[RunScoringPass]:
    """The passes of each class: the metrics of the passes over all images, with as many samples as real images.

    A named protocol has its own number of samples, so its metric is computed with its features, under another name.

    Raises:
        EvaluationError: A metric needs more images.
    """
    run_passes = []
    for sides in classes.sides:
        count = sides.training.count or 0
        for whole in wholes:
            requests = dict.fromkeys(
                dataclasses.replace(request, named=None, samples=count)
                for request in whole.made.requests
                if METRICS[request.metric].per_class
            )
            if requests:
                run_passes.append(dataclasses.replace(whole, sides=sides, made=ScoringPass(tuple(requests))))
    for run_pass in run_passes:
        run_pass.check()
    return run_passes
