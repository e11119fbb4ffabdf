"""Prepares how trials are scored while they train, before the first one starts."""

import dataclasses

from framework.config.metrics import METRICS
from framework.errors import EvaluationError
from framework.evaluation import FeatureSpec, passes, requested
from framework.evaluation.requests.run_metrics import RunImageSets, RunScoringPass, run_scoring_passes
from framework.orchestration.context import RunContext
from framework.orchestration.scoring.features import run_feature_computer
from framework.orchestration.scoring.score_pass import Reference, reference_features
from framework.orchestration.trial.resources import ResourcePlan
from framework.orchestration.trial.spec import TrialScoringSpec


def trial_scoring(context: RunContext, plan: ResourcePlan) -> TrialScoringSpec:
    """How the trials of a run are scored. Real images are measured here, once for all trials and final scores."""
    settings = context.experiment.evaluation
    features = context.trial_features()
    trial_settings = settings.model_copy(
        update={
            "metrics": [context.trial_metric()],
            "samples": settings.trial_samples,
            "seeds": 1,
            "engine": "latentscape",
            "truncation": [1.0],
        }
    )
    (request,) = requested(trial_settings, features=features, has_held_out=len(context.images.held_out_indices) > 1)
    (trial_pass,) = passes([request])
    features = trial_pass.features(settings, assessor_folder=context.measurer)
    sides = RunImageSets.of_store(context.images)
    run_pass = RunScoringPass(context.run, sides, trial_pass, features)
    with run_feature_computer(context, features) as computer:
        real, moments = reference_features(
            [request],
            features,
            Reference(*sides.sources(context.images)),
            computer,
            say=context.progress.say,
            keep_rows=_final_scores_need_rows(context, sides, features),
        )
        device = computer.device
    tasks = (
        max(1, round(plan.fewest_workers * plan.cores_per_worker)) if settings.workers == "auto" else settings.workers
    )
    return TrialScoringSpec(
        request=request,
        features=features,
        protocol=run_pass.on(device).protocol(request),
        moments=None if moments is None else str(moments),
        real=dataclasses.replace(real, real=None),
        blocks=settings.feature_batch_blocks,
        tasks=tasks,
        node_files=context.node_files(*features.files, *([] if moments is None else [moments]), *real.files()),
    )


def _final_scores_need_rows(context: RunContext, sides: RunImageSets, features: FeatureSpec) -> bool:
    """Whether the run's final scores need the features of each real image, by the extractor that scores trials."""
    try:
        final_passes = run_scoring_passes(context.run, sides, assessor_folder=context.measurer)
    except EvaluationError:  # reported when the final scores are computed
        return False
    plain = dataclasses.replace(features, logits=False)
    return any(
        request.engine == "latentscape" and request.needs_features and METRICS[request.metric].has_real
        for run_pass in final_passes
        if dataclasses.replace(run_pass.features, logits=False) == plain
        for request in run_pass.made.requests
    )
