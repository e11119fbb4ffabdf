"""What tests/ray/test_failing.py runs: `python measure_failing.py FOLDER OUT`. Trainings that cannot go on.

Each takes more than half of the cores, so that none begins before the one before it has given them back.
"""

import contextlib
import json
import sys
from pathlib import Path

import psutil
import ray
import ray.train
import torch
import torch.distributed as dist
from ray import tune
from ray.util.state import list_actors

from framework.config import Experiment, with_overrides
from framework.data import prepare
from framework.errors import OutOfMemoryError
from framework.orchestration.cluster.connect import connect
from framework.orchestration.cluster.ray_internals import trainer_class
from framework.orchestration.trial.driver import TrialDriver
from framework.orchestration.trial.gpu_check import refuse_unusable_gpus
from framework.orchestration.trial.resources import plan
from framework.orchestration.trial.spec import TrialSpec
from framework.runs import RunFolder

WORKERS = 2
PIXEL_BYTES = 128 * 128 * 3


def train_until_rank_1_has_no_memory(config):
    if ray.train.get_context().get_world_rank() == 1:
        raise OutOfMemoryError("out of memory: rank 1 alone")
    dist.all_reduce(torch.zeros(1))  # rank 1 never comes


def train_nothing(config):
    dist.all_reduce(torch.zeros(1))


class Driver:
    """Train's controller lives in an actor."""

    def fit(self, loop, folder, cores, variables):
        trainer = trainer_class(refuse_unusable_gpus)(
            loop,
            train_loop_config={},
            scaling_config=ray.train.ScalingConfig(num_workers=WORKERS, resources_per_worker={"CPU": cores}),
            run_config=ray.train.RunConfig(
                name="alone",
                storage_path=folder,
                failure_config=ray.train.FailureConfig(max_failures=2),
                worker_runtime_env={"env_vars": variables},
            ),
        )
        try:
            trainer.fit()
        except ray.train.TrainingFailedError as fault:
            return type(fault).__name__, str(fault)
        return "", ""


@contextlib.contextmanager
def counted(found, name):
    """How many workers Ray started within the block."""

    def workers():
        return len(list_actors(filters=[("class_name", "=", "RayTrainWorker")], limit=1000))

    before = workers()
    yield
    found[name]["workers_started"] = workers() - before


def too_large(folder, cores, cluster):
    """A real trial whose batch no machine holds: (its state, state.json)."""
    there = psutil.virtual_memory().total + psutil.swap_memory().total
    experiment = with_overrides(
        Experiment(),
        {
            "name": "too-large",
            "storage.path": folder,
            "compute.workers": WORKERS,
            "compute.cpus_per_worker": cores,
            "compute.precision": "float32",
            "data.source": "drawn_faces",
            "data.limit": 64,
            "data.resolution": 128,
            "model.width": 4,
            # The notebook's schedule takes half of a batch of real images, and each worker half of these.
            "training.batch_size": 4 * (2 * there // PIXEL_BYTES),
        },
    )
    images = prepare(experiment.data, cache=Path(folder) / "cache", progress=lambda done, total: None)
    run = RunFolder.create(experiment, ["python"])
    work = TrialSpec(
        run=run.folder.location,
        trial="single",
        parameters={},
        experiment=experiment,
        images=str(images.path),
        plan=plan(experiment.compute, cluster),
        scoring=None,
    )
    tune.Tuner(
        TrialDriver.of(work),
        param_space={"trial": "single", "parameters": {}, "total_images": None},
        run_config=tune.RunConfig(name="too-large", verbose=0, storage_path=folder),
    ).fit()
    state = run.trial("single").state
    return state["state"], state


def main(folder, out):
    found = {name: {} for name in ("rank 1", "no group", "too large")}
    with connect("failing", verbose=False, say=print) as cluster:
        cores = int(cluster.cores * 8) / 20  # two of these are four fifths of all
        driver = ray.remote(Driver).options(num_cpus=0).remote()

        def fit(name, loop, **variables):
            with counted(found, name):
                kind, text = ray.get(driver.fit.remote(loop, folder, cores, variables))
                found[name].update(kind=kind, text=text)

        fit("rank 1", train_until_rank_1_has_no_memory)
        fit("no group", train_nothing, GLOO_SOCKET_IFNAME="no-such-interface")
        with counted(found, "too large"):
            state, document = too_large(folder, cores, cluster)
            found["too large"].update(state=state, document=document)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
