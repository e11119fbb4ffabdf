"""The plan that `jobs.evaluate --dry-run` prints: each pass with its images, memory and disk space."""

from typing import Any

from framework.checkpoint.reference import every_target
from framework.config import EvaluationConfig, Experiment
from framework.data import find_prepared, survey
from framework.evaluation import resolve_features
from framework.evaluation.cost import PROCESS_BYTES, PassCost, plan_pair, plan_run, refuse_oversized
from framework.evaluation.requests.begun import final_settings
from framework.evaluation.requests.per_class import (
    KEY,
    ClassImageSets,
    class_scoring_passes,
    classes_of_run,
    dividing_label,
)
from framework.evaluation.requests.run_metrics import RunImageSets, run_scoring_passes
from framework.orchestration.cluster.connect import is_cluster_elsewhere, planned_cluster
from framework.orchestration.pool.tasks import gpus_of_scores, task_resources
from framework.orchestration.scoring.augmentation_leak import leak_operations
from framework.orchestration.scoring.evaluate_pair import pair_requests
from framework.orchestration.scoring.obeyed import unasked_line
from framework.runs import cache_folder
from framework.training.leak import SAMPLES
from jobs.cli.context import checked_target
from jobs.cli.forecast_data import forecast_assessors, say_fetch
from jobs.cli.job import Arguments, Console


def forecast_run(arguments: Arguments) -> dict[str, Any]:
    """Prints the plan for a checkpoint, or for all checkpoints of a run."""
    place, console = arguments.positionals[0], arguments.console
    run, target = checked_target(arguments, None)
    settings, cache = final_settings(run), cache_folder(run.experiment.storage)
    say_fetch(run.experiment, console, run=run)
    targets = [target]
    if target.entry is None and settings.checkpoints == "all":
        targets = every_target(place)
    if settings.per_class is not None:
        dividing_label(settings.per_class, targets)  # an error of any checkpoint comes first
    console.say(f"Checkpoints: {len(targets)}")
    images = find_prepared(run.experiment.data, cache=cache)
    if images is None:
        survey(run.experiment.data)
        console.say("Images are not packed yet.")
        if not run.about:  # a run that does not exist yet has no counts of its images either
            return {"checkpoints": len(targets), "passes": []}
    assessors, labelled = forecast_assessors(run.experiment, images, console)
    if not labelled:
        resolve_features(settings, assessor_folder=None)
    measurer = None if assessors is None else assessors.folder / "measurer"
    if measurer is None and settings.features == "assessor":
        console.say("The attribute classifier (assessor) is not trained yet; its features are needed for these scores.")
        return {"checkpoints": len(targets), "passes": []}
    sides = RunImageSets.of_run(run) if images is None else RunImageSets.of_store(images)
    classes = ClassImageSets("") if images is None else classes_of_run(run, images, targets)
    wholes = run_scoring_passes(run, sides, assessor_folder=measurer)
    plans = plan_run([*wholes, *class_scoring_passes(wholes, classes)], targets)
    document = {"checkpoints": len(targets), **_say(plans, run.experiment, console)}
    if settings.per_class is not None:
        unasked = unasked_line(assessors, classes.label) if assessors is not None or not labelled else None
        _say_classes(classes, settings, unasked, console)
    if any(leak_operations(run, target) for target in targets):
        console.say(f"Augmentation leak: a small classifier, trained and asked of {SAMPLES:,} samples on one core")
    return document


def _say_classes(classes: ClassImageSets, settings: EvaluationConfig, unasked: str | None, console: Console) -> None:
    if not classes.sides:
        console.say(f"{KEY}: its scores are planned once the images are packed")
        return
    for line in classes.left_out:
        console.say(line)
    if unasked is not None:
        console.say(unasked)
        return
    samples = len(set(settings.truncation)) * sum(sides.training.count or 0 for sides in classes.sides)
    real = sum(sides.held_out.count or 0 for sides in classes.sides if sides.held_out)
    console.say(
        f"Obeyed: the assessor is asked of {samples:,} samples of each checkpoint, and of {real:,} held-out images, "
        "on CPUs"
    )


def forecast_pair(arguments: Arguments) -> dict[str, Any]:
    """Prints the plan for two image collections."""
    experiment = arguments.settings()
    settings = experiment.evaluation
    say_fetch(experiment, arguments.console)
    requests, (reference, scored) = pair_requests(*arguments.positionals, settings=settings, progress=arguments.console)
    plans = plan_pair(requests, settings=settings, reference=reference, scored=scored)
    return _say(plans, experiment, arguments.console)


def _say(plans: list[PassCost], experiment: Experiment, console: Console) -> dict[str, Any]:
    cluster = planned_cluster()
    if cluster.unused:
        console.say(cluster.unused)
    gpus = gpus_of_scores(experiment, cluster)
    workers = task_resources(experiment.evaluation.workers, cluster, gpus=gpus).workers
    if not is_cluster_elsewhere():
        refuse_oversized(plans)
    for number, plan in enumerate(plans, start=1):
        divided = f", for each of {', '.join(plan.classes)}" if plan.classes else ""
        console.say(f"Pass {number}: {', '.join(plan.metrics)}{divided}")
        features = plan.features
        tap = f"{features.tap} per image"
        console.say(f"  features: {features.name}, {tap}, {features.precision}; {features.resize}")
        if not plan.todo:
            console.say("  nothing to compute (cached)")
            continue
        each = f"{plan.samples:,} samples" + (f" for each of {plan.seeds} seeds" if plan.seeds > 1 else "")
        held_out = f" and {plan.held_out:,} held out" if plan.held_out else ""
        real = f"{plan.real:,} real{held_out} once, " if plan.real else ""
        cached = f"; {plan.done} cached" if plan.done else ""
        console.say(f"  images through the network: at most {plan.images:,} ({real}{each} x {plan.todo}{cached})")
        console.say(
            f"  memory: at most about {_mib(PROCESS_BYTES + plan.memory_bytes)} per process, "
            f"{_mib(plan.memory_bytes)} of it for the metrics; {workers} process{'es' if workers > 1 else ''}"
        )
        if plan.disk_bytes:
            console.say(f"  disk: {_mib(plan.disk_bytes)} of features in the cache")
    return {"workers": workers, "passes": [plan.document() for plan in plans]}


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
