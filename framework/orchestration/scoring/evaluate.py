"""Scores of a run's checkpoints, computed over the cluster."""

from collections.abc import Sequence
from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.evaluation import Request, SourceSpec
from framework.evaluation.cost import plan_run, refuse_oversized
from framework.evaluation.protocols.protocol import is_truncated
from framework.evaluation.requests.per_class import class_scoring_passes, classes_of_run
from framework.evaluation.requests.run_metrics import RunImageSets, RunScoringPass, run_scoring_passes
from framework.orchestration.context import RunContext
from framework.orchestration.scoring.augmentation_leak import augmentation_leaks
from framework.orchestration.scoring.features import run_feature_computer
from framework.orchestration.scoring.nearest_images import write_nearest
from framework.orchestration.scoring.obeyed import obeyed_scores
from framework.orchestration.scoring.score_pass import Reference, Scored, score_pass
from framework.orchestration.scoring.truncation_figure import write_truncation


def evaluate(context: RunContext, targets: Sequence[CheckpointRef]) -> list[dict[str, Any]]:
    """The scores of checkpoints by the run's evaluation settings. They are kept in scores.json and not computed twice.

    Returns:
        The scores of one checkpoint after the other, each in the order of `evaluation.metrics`; then those of each
        class of `evaluation.per_class`, how well the classes are obeyed, and the leaks of checkpoints that were trained
        with augmentation.

    Raises:
        EvaluationError: A metric cannot be computed here.
        ConfigError: The scores need more memory than this machine has, and there is no other.
    """
    wholes = run_scoring_passes(context.run, RunImageSets.of_store(context.images), assessor_folder=context.measurer)
    classes = classes_of_run(context.run, context.images, targets)
    for line in classes.left_out:
        context.progress.say(line)
    class_passes = class_scoring_passes(wholes, classes)
    score_passes = [*wholes, *class_passes]
    if context.cluster.embedded:
        refuse_oversized(plan_run(score_passes, targets))
    groups: dict[Any, list[RunScoringPass]] = {}  # passes with the same network share the processes that hold it
    for run_pass in score_passes:
        groups.setdefault((run_pass.features, run_pass.made.requests[0].engine), []).append(run_pass)
    for run_passes in groups.values():
        _score(context, run_passes, targets)
    scores_of = {target: [score for run_pass in wholes for score in run_pass.known(target)] for target in targets}
    best = context.run.best()
    for target, scores in scores_of.items():
        if best is not None and target.checkpoint == best["checkpoint"]:
            for score in scores:
                if score["protocol"].get("family") == "memorisation" and not is_truncated(score):
                    write_nearest(context, target, score)
        if len(targets) == 1 or (best is not None and target.checkpoint == best["checkpoint"]):
            write_truncation(context, target, scores)
    of_classes = [score for target in targets for run_pass in class_passes for score in run_pass.known(target)]
    obeyed = obeyed_scores(context, classes, targets) if classes.sides else []
    leaks = augmentation_leaks(context, targets)
    return [*(score for scores in scores_of.values() for score in scores), *of_classes, *obeyed, *leaks]


def _score(context: RunContext, run_passes: Sequence[RunScoringPass], targets: Sequence[CheckpointRef]) -> None:
    """Computes and stores the scores that checkpoints lack; they share the actors and the real images' features."""
    work = [(run_pass, todo) for run_pass in run_passes if (todo := run_pass.todo(targets))]
    if not work:
        return
    features = run_passes[0].features
    on_cpus = run_passes[0].made.requests[0].engine == "torchmetrics"
    with run_feature_computer(context, features, on_cpus=on_cpus) as computer:
        for run_pass, todo in work:
            on_device = run_pass.on(computer.device)
            scored = [_scored(on_device, target, requests) for target, requests in todo]
            reference = Reference(*run_pass.sides.sources(context.images))
            for scores in score_pass(features, reference, scored, computer, say=context.progress.say):
                context.run.add_scores(scores)


def _scored(run_pass: RunScoringPass, target: CheckpointRef, requests: list[Request]) -> Scored:
    digest, samples = load_generator(target.location).digest, max(request.samples for request in requests)
    truncation = run_pass.made.truncation
    sides = [
        run_pass.sides.generated(samples=samples, seed=seed, truncation=truncation) for seed in run_pass.made.seeds
    ]
    real = run_pass.sides.training
    name = target.checkpoint if truncation is None else f"{target.checkpoint}, ψ {truncation:g}"
    return Scored(
        name if real.label is None else f"{name}, {real.label} {real.value}",
        {request: run_pass.protocol(request) for request in requests},
        [SourceSpec("generator", target.location, side.model_copy(update={"digest": digest})) for side in sides],
        about={"checkpoint": target.checkpoint, "generator": digest},
    )
