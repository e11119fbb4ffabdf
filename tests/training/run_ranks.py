"""Trainings on real processes: `python run_ranks.py` imports torch once, and then reads paths of specs, a line each.

For each it forks a process that leads a session of its own, says its number in a line, and when it has ended its exit
code in another; that process forks the ranks, which run the jobs one after another, and writes to the spec's `.log`.

The spec: {"world": 2, "rendezvous": <path>, "jobs": [{"overrides", "images", "store", "reports", "hang_at", "stop_at",
"score", "scores", "seconds_per_step"}]}. A job writes its reports as JSON to `reports`; it hangs (to be killed) in the
report at `hang_at` images, and asks to stop, on the last rank alone, from `stop_at` steps on. A step of each rank costs
its `seconds_per_step` of a budget; `scores` are those of checkpoints by images seen. With "answers" it agrees on these
instead, with "side" it takes steps on random images of that side.
"""

import functools
import json
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # optimizers import it, slowly: once before the fork
import torch.distributed as dist

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.data import open_store
from framework.storage import open_folder
from framework.training import Report, Trainer, WorkerGroup
from framework.training.precision import Precision
from framework.training.steps.families import family_of
from framework.training.workers import Agreement


class PixelMean:
    """The score that these runs make: a number of the checkpoint's own generator."""

    def __init__(self, checkpoint):
        self._value = float(checkpoint.tensors("ema")["dense.weight"].abs().mean())

    def done(self):
        return True

    def result(self):
        return {"metric": "mean_weight", "value": self._value, "protocol": {}}


class Given:
    """A score from a table: images seen -> value."""

    def __init__(self, checkpoint, values):
        self._value = values[str(checkpoint.images_seen)]

    def done(self):
        return True

    def result(self):
        return {"metric": "made_up", "value": self._value, "protocol": {}}


def agree(job, workers):
    """Asks as often as there are answers, or until one is yes; notes what was agreed on."""
    answers = iter(job["answers"][workers.rank])
    asks = Agreement(lambda: next(answers), workers, ahead=job["ahead"])
    agreed = []
    for _ in range(job["steps"]):
        agreed.append(asks())
        if agreed[-1]:
            break
    asks.close()
    Path(job["agreed"].format(rank=workers.rank)).write_text(json.dumps([agreed, len(list(answers))]))


def take_steps(job, workers):
    """Steps on random images, without a store; rank 0 keeps the networks' weights."""
    experiment = with_overrides(Experiment(), job["overrides"])
    family, side, batch = family_of(experiment), job["side"], experiment.training.batch_size
    shape = {"resolution": side, "channels": 3, "precision": "float64", "device": "cpu"}
    state = family.state.fresh(experiment, **shape)
    precision = Precision("float64", torch.device("cpu"))
    step = family.step(state, experiment=experiment, workers=workers, precision=precision)
    shard = workers.shard(family.step.real_images(batch))
    for number in range(job["steps"]):
        pixels = np.random.default_rng(number).integers(0, 256, (shard.total, side, side, 3), np.uint8)
        step(torch.from_numpy(pixels[shard.start : shard.start + shard.count]))
    if workers.rank == 0:
        networks = state.networks().items()
        weights = {f"{name}.{key}": value for name, each in networks for key, value in each.state_dict().items()}
        torch.save(weights, job["weights"])


def run_job(job, workers):
    if "answers" in job:
        return agree(job, workers)
    if "side" in job:
        return take_steps(job, workers)
    experiment = with_overrides(Experiment(), job["overrides"])
    store = CheckpointStore(open_folder(job["store"]), digest=experiment.digest("images"), learned={}, keep="all")
    rows, said, asked = [], [], []

    def report(given: Report):
        scores = [[one.images_seen, one.document["value"]] for one in given.scores]
        rows.append(given.metrics | {"scores": scores, "checkpoint": given.checkpoint, "warnings": given.warnings})
        if workers.rank == 0:
            Path(job["reports"]).write_text(json.dumps({"rows": rows, "log": said}))
        if given.metrics["images_seen"] == job.get("hang_at"):
            if workers.rank == 0:
                Path(job["reports"]).with_suffix(".hanging").touch()
            time.sleep(120)

    def should_stop():
        asked.append(1)
        return workers.rank == workers.world_size - 1 and len(asked) > job["stop_at"]

    def clock():
        return job["seconds_per_step"][workers.rank] * min(len(asked), job["stop_at"])

    score = PixelMean if job.get("score") else None
    if "scores" in job:
        score = functools.partial(Given, values=job["scores"])
    Trainer(
        experiment=experiment,
        images=open_store(Path(job["images"])),
        store=store,
        workers=workers,
        report=report,
        score=score,
        should_stop=should_stop if "stop_at" in job else None,
        clock=clock if "seconds_per_step" in job else None,
        log=said.append,
    ).run()
    if workers.rank == 0:
        Path(job["reports"]).write_text(json.dumps({"rows": rows, "log": said}))
    return None


def run_rank(rank, spec):
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    if spec["world"] > 1:
        rendezvous = f"file://{spec['rendezvous']}"
        dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=spec["world"])
    for job in spec["jobs"]:
        run_job(job, WorkerGroup(rank=rank, world_size=spec["world"], device=torch.device("cpu")))
    if spec["world"] > 1:
        dist.destroy_process_group()


def run_spec(path):
    """Forks the ranks and waits for them; gives the exit code."""
    spec = json.loads(Path(path).read_text())
    # Forked, so that torch is imported once; nothing has started a thread yet.
    children = [forked(run_rank, rank, spec) for rank in range(spec["world"])]
    states = [os.waitpid(child, 0)[1] for child in children]
    return int(any(states))


def forked(work, *arguments):
    """The number of a new process that does some work and ends with what that returns as its exit code, or with 1."""
    child = os.fork()
    if child:
        return child
    try:
        code = work(*arguments) or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stderr.flush()
    os._exit(code)


def apart(path):
    """What a spec's process does."""
    os.setsid()
    log = os.open(Path(path).with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return run_spec(path)


def main():
    for line in sys.stdin:
        child = forked(apart, line.strip())
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
