"""A training on real processes: `python run_ranks.py spec.json` forks the ranks and runs the jobs one after another.

The spec: {"world": 2, "rendezvous": <path>, "jobs": [{"overrides", "images", "store", "reports", "hang_at", "stop_at",
"score"}]}. A job writes its reports as JSON to `reports`; it hangs (to be killed) in the report at `hang_at` images,
and asks to stop, on the last rank alone, from `stop_at` steps on. With "answers" it agrees on these instead.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it, slowly: once before the fork
import torch.distributed as dist

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.data import open_store
from framework.storage import open_folder
from framework.training import Report, WorkerGroup, train
from framework.training.workers import Agreement


class PixelMean:
    """The score that these runs make: a number of the checkpoint's own generator."""

    def __init__(self, checkpoint):
        self._value = float(checkpoint.tensors("ema")["dense.weight"].abs().mean())

    def done(self):
        return True

    def result(self):
        return {"metric": "mean_weight", "value": self._value, "protocol": {}}


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


def run_job(job, workers):
    if "answers" in job:
        return agree(job, workers)
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

    train(
        experiment,
        open_store(Path(job["images"])),
        store=store,
        workers=workers,
        report=report,
        score=PixelMean if job.get("score") else None,
        should_stop=should_stop if "stop_at" in job else None,
        log=said.append,
    )
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


def main():
    spec = json.loads(Path(sys.argv[1]).read_text())
    # Forked, so that torch is imported once; nothing has started a thread yet.
    children = []
    for rank in range(spec["world"]):
        child = os.fork()
        if child == 0:
            try:
                run_rank(rank, spec)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        children.append(child)
    states = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(int(any(states)))


if __name__ == "__main__":
    main()
