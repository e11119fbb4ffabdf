"""Whether a generator obeys its condition: the share of a class's samples in which the assessor finds that class."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.config.metrics import PER_CLASS
from framework.evaluation import SourceSpec, open_source
from framework.evaluation.requests.per_class import ClassImageSets
from framework.evaluation.requests.run_metrics import RunImageSets
from framework.evaluation.values.pool import Done, Pool
from framework.models.arithmetic.blocks import shards
from framework.orchestration.context import RunContext
from framework.orchestration.pool.process_cache import loaded_assessor
from framework.orchestration.pool.tasks import TaskPool
from framework.training import AssessorPair

FAMILY = "obeyed"
METRIC = f"{FAMILY}{PER_CLASS}"
Unmeasured = tuple[SourceSpec, SourceSpec | None, dict[str, Any]]


def obeyed_scores(
    context: RunContext, classes: ClassImageSets, targets: Sequence[CheckpointRef]
) -> list[dict[str, Any]]:
    """The score of each checkpoint, class and truncation, kept in scores.json and not computed twice.

    Its detail has the same share of the held-out real images of the class, if there are at least two, by which a reader
    sees what the assessor itself can do. It never saw them. All is computed on CPUs, in tasks on all cores.
    """
    line = unasked_line(context.assessors, classes.label)
    if line is not None:
        context.progress.say(line)
        return []
    scores: list[dict[str, Any]] = []
    missing: list[Unmeasured] = []
    for target in targets:
        digest = load_generator(target.location).digest
        for sides in classes.sides:
            for scale in sorted(set(context.experiment.evaluation.truncation)):
                fake = _samples(context, target, sides, digest=digest, truncation=None if scale == 1.0 else scale)
                about = {
                    "metric": METRIC,
                    "checkpoint": target.checkpoint,
                    "generator": digest,
                    "protocol": _protocol(context, sides, fake),
                }
                known = [score for score in context.run.scores() if all(score.get(key) == about[key] for key in about)]
                scores += known
                if not known:
                    missing.append((fake, sides.sources(context.images)[1], about))
    if missing:
        folder = str(context.measurer)
        pool = TaskPool(context.task_resources(on_cpus=True), context.node_files(context.images.path, folder))
        for score in measured(missing, folder, pool, done=context.progress.counter(f"{FAMILY}, by 256 images")):
            context.run.add_scores([score])
            scores.append(score)
    return scores


def unasked_line(assessors: AssessorPair | None, label: str) -> str | None:
    """A line that says why there are no such scores of a label; None if there are."""
    why = "there is no assessor"
    if assessors is not None:
        if any(spec.name == label for spec in assessors.measurer.attributes):
            return None
        reason = assessors.left_out.get(label, "assessor.attributes does not name it")
        why = f"the assessor does not know this label ({reason})"
    return f"evaluation.per_class: nothing says whether {label} is obeyed, because {why}"


def _samples(
    context: RunContext, target: CheckpointRef, sides: RunImageSets, *, digest: str, truncation: float | None
) -> SourceSpec:
    side = sides.generated(
        samples=sides.training.count or 0, seed=context.experiment.evaluation.seed, truncation=truncation
    )
    return SourceSpec("generator", target.location, side.model_copy(update={"digest": digest}))


def _protocol(context: RunContext, sides: RunImageSets, fake: SourceSpec) -> dict[str, Any]:
    assert context.assessors is not None
    protocol: dict[str, Any] = {"family": FAMILY, "assessor": context.assessors.measurer.digest}
    if sides.held_out is not None:
        protocol["real"] = sides.held_out.model_dump(mode="json", exclude_none=True)
    return protocol | {"fake": fake.side.model_dump(mode="json", exclude_none=True, exclude={"digest"})}


def measured(
    missing: Sequence[Unmeasured], folder: str, pool: Pool, *, done: Done | None = None
) -> Iterator[dict[str, Any]]:
    """Yields each score, with its value, as soon as the images of its class have been looked at.

    Args:
        missing: The samples of a class, its real images, and the score without a value.
        folder: The folder of the assessor.
        pool: Computes shards of 256 images of all scores.
        done: Called with (finished, all) after each shard.
    """
    sources = [source for fake, real, _ in missing for source in (fake, real) if source is not None]
    # Checkpoints have the same real images.
    work = [(source, folder, *shard) for source in dict.fromkeys(sources) for shard in shards(source.count)]
    found, unfinished, waiting = Counter(), Counter(source for source, *_ in work), [*missing]
    for (source, *_), count in zip(work, pool.map(_recognised, work, name=FAMILY, done=done), strict=True):
        found[source] += count
        unfinished[source] -= 1
        while waiting and not any(unfinished[each] for each in waiting[0][:2] if each is not None):
            fake, real, score = waiting.pop(0)
            of_real = None if real is None else found[real] / real.count
            yield score | {"value": found[fake] / fake.count, "detail": {"real": of_real}}


def _recognised(source: SourceSpec, folder: str, start: int, stop: int) -> int:
    """In how many of the images start to stop of a class the assessor finds that class."""
    side, images = source.side, np.asarray(open_source(source)(start, stop))
    return int(loaded_assessor(folder).recognises(images, str(side.label), str(side.value)).sum())
