"""Scores of a run's checkpoints, computed over the cluster."""

from collections.abc import Sequence
from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import Target
from framework.evaluation import Request, SourceSpec, store_spec
from framework.evaluation.requests.run_metrics import RunRequests, RunSides, run_requests
from framework.orchestration.context import Study
from framework.orchestration.scoring.features import run_feature_computer
from framework.orchestration.scoring.nearest_images import write_nearest
from framework.orchestration.scoring.score_pass import Reference, Scored, score_pass


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
            _score(study, one, todo)
    found = {target: [score for one in asked for score in one.known(target)] for target in targets}
    best = study.run.best()
    for target, scores in found.items():
        if best is not None and target.checkpoint == best["checkpoint"]:
            for score in scores:
                if score["protocol"].get("family") == "memorisation":
                    write_nearest(study, target, score)
    return [score for scores in found.values() for score in scores]


def run_reference(study: Study) -> Reference:
    """A run's real images: those of training, and the held-out ones if there are at least two."""
    held_out = len(study.images.held_out_indices) > 1
    return Reference(
        store_spec(study.images, split="training"),
        store_spec(study.images, split="held_out") if held_out else None,
    )


def _score(study: Study, wanted: RunRequests, todo: Sequence[tuple[Target, list[Request]]]) -> None:
    """Computes and keeps the scores that checkpoints lack; they share the actors and the real images' features."""
    features, made = wanted.features, wanted.made
    on_cpus = made.requests[0].engine == "torchmetrics"
    with run_feature_computer(study, features, on_cpus=on_cpus) as computer:
        here = wanted.on(computer.device)
        scored = [_scored(here, target, requests) for target, requests in todo]
        for scores in score_pass(features, run_reference(study), scored, computer, say=study.watch.say):
            study.run.add_scores(scores)


def _scored(wanted: RunRequests, target: Target, requests: list[Request]) -> Scored:
    digest, samples = load_generator(target.location).digest, max(request.samples for request in requests)
    sides = [wanted.sides.generated(samples=samples, seed=seed) for seed in wanted.made.seeds]
    return Scored(
        target.checkpoint,
        {request: wanted.protocol(request) for request in requests},
        [SourceSpec("generator", target.location, side.model_copy(update={"digest": digest})) for side in sides],
        about={"checkpoint": target.checkpoint, "generator": digest},
    )
