"""A job's --help lists the keys that the job reads, and no others; the shell offers the same."""

import importlib

import pytest

from framework.config import RENAMED, known_keys
from framework.config.describe import describe_keys
from jobs.cli.job_files import job_names

TASKS = {"evaluation.workers", "evaluation.gpus_per_worker", "compute.gpus_per_worker"}
STUDY = {"data.path", "model.entry", "latents.seed", "latents.truncation", "latents.condition", *TASKS}
FEATURES = {
    f"evaluation.{name}"
    for name in ("features", "weights", "tap", "resize", "precision", "feature_batch_blocks", "seed")
}
SCORES = {f"evaluation.{name}" for name in ("metrics", "engine", "seeds", "samples", "truncation", "per_class")}
SCORES |= FEATURES | TASKS
TRAINING = (
    {"name", "seed", "recipe", "recipes", "search.metric", "evaluation.trial_samples", "evaluation.every_images"}
    | FEATURES
    | TASKS
)
TRAINED = ("data", "model", "objective", "optimizer", "training", "assessor", "checkpoint", "storage", "telemetry")
# Single keys of each job, then sections of which it reads every key.
READ = {
    "train": (TRAINING, (*TRAINED, "compute")),
    "search": (TRAINING, (*TRAINED, "compute", "search")),
    "pipeline": (
        {*TRAINING, *SCORES, *(f"latents.{key}" for key in ("groups", "seed", "truncation", "condition", "start"))},
        (*TRAINED, "compute", "search", "latents.walks", "latents.arithmetic"),
    ),
    "prepare_data": (set(), ("data", "storage")),
    "train_assessor": ({"name"} | TASKS - {"evaluation.workers"}, ("data", "assessor", "storage")),
    "evaluate": ({"data.path", "model.entry", "evaluation.checkpoints"} | SCORES, ("assessor", "storage")),
    "interpolate": ({"latents.start"} | STUDY, ("latents.walks", "assessor", "storage")),
    "arithmetic": ({"latents.start", "latents.groups"} | STUDY, ("latents.arithmetic", "assessor", "storage")),
    "discover": (
        {"latents.groups", "latents.arithmetic.expression", "latents.arithmetic.sheet_samples"} | STUDY,
        ("latents.directions", "assessor", "storage"),
    ),
    "steer": ({"latents.start"} | STUDY, ("latents.steering", "assessor", "storage")),
    "project": (
        {"latents.arithmetic.candidates", "evaluation.weights"} | STUDY,
        ("latents.projection", "assessor", "storage"),
    ),
    "latent_map": (
        STUDY - {"model.entry", "latents.truncation", "latents.condition"},
        ("latents.maps", "assessor", "storage"),
    ),
    "likelihood": ({"data.path", "evaluation.importance_samples", "evaluation.seed"} | TASKS, ("storage",)),
    "import_keras": (set(), ("data", "evaluation", "assessor", "latents")),
    "generate": ({"model.entry", "latents.seed", "latents.truncation", "latents.condition"} | TASKS, ()),
    **dict.fromkeys(("compare", "export", "report", "status"), (set(), ())),
}


def test_every_job_is_here():
    assert READ.keys() == set(job_names())


@pytest.mark.parametrize("name", READ)
def test_help_lists_what_the_job_reads(name):
    job = importlib.import_module(f"jobs.{name}").JOB
    single, sections = READ[name]
    expected = {key for key in known_keys() if key in single or key.startswith(tuple(f"{s}." for s in sections))}
    listed = [key.key for key in describe_keys(list(job.sections))]
    assert set(listed) == expected
    assert len(listed) == len(expected)
    assert not RENAMED.keys() & set(listed)
