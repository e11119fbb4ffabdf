"""How the trials of a search are scored while they train: settled before the first one starts."""

import dataclasses

from framework.evaluation import passes, requested
from framework.evaluation.requests.run_metrics import RunRequests, RunSides
from framework.orchestration.context import Study
from framework.orchestration.scoring.evaluate import RunPass
from framework.orchestration.trial.resources import Plan
from framework.orchestration.trial.spec import TrialScoring


def trial_scoring(study: Study, plan: Plan) -> TrialScoring:
    """How the trials of a run are scored; the real side is made here, once for all of them."""
    settings = study.experiment.evaluation
    features = study.trial_features()
    one = {"metrics": [study.trial_family()], "samples": settings.trial_samples, "seeds": 1, "engine": "latentscape"}
    (request,) = requested(
        settings.model_copy(update=one), features=features, has_held_out=len(study.images.held_out_indices) > 1
    )
    (made,) = passes([request])
    features = made.features(settings, assessor_folder=study.measurer)
    wanted = RunRequests(study.run, RunSides.of_store(study.images), made, features)
    real, moments, device = RunPass(study, wanted).real_side([request])
    tasks = (
        max(1, round(plan.fewest_workers * plan.cores_per_worker)) if settings.workers == "auto" else settings.workers
    )
    return TrialScoring(
        request=request,
        features=features,
        protocol=wanted.on(device).protocol(request),
        moments=str(moments),
        real=dataclasses.replace(real, real=None),
        blocks=settings.feature_batch_blocks,
        tasks=tasks,
        needs=study.needs(features.path, moments, *real.files()),
    )
