"""Trainings on real processes that are to be killed: `python loop_lives.py` imports torch once, then reads specs.

Each line on stdin is the path of a spec; a process is forked for it, and says on stdout `pid N`, then what it is about
to do, a line each (`step`, `saving`, `scoring`, `reporting`). When it is gone, `ended CODE` follows.

The spec: {"overrides", "images", "trial"}. The trial's folder is written as by a DDP worker of rank 0.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it, slowly: once before the fork

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.data import open_store
from framework.runs import TrialFolder
from framework.storage import open_folder
from framework.telemetry.writer import Telemetry
from framework.training import Report, Trainer, WorkerGroup

SCORE_SECONDS = 0.02


def say(text):
    os.write(1, f"{text}\n".encode())


class Store(CheckpointStore):
    """Says when it begins to save."""

    def save(self, *arguments, **rest):
        say("saving")
        return super().save(*arguments, **rest)


class MeanWeight:
    """A score: a number of the checkpoint's own generator, which takes a moment."""

    def __init__(self, checkpoint):
        weights = checkpoint.tensors("ema")
        self._value = float(sum(weights[name].double().abs().mean() for name in sorted(weights)))

    def done(self):
        return False

    def result(self):
        say("scoring")
        time.sleep(SCORE_SECONDS)
        return {"metric": "mean_weight", "value": self._value, "protocol": {}}


class NoGauges:
    def set(self, figures):
        """Nobody looks."""


def train(spec):
    experiment = with_overrides(Experiment(), spec["overrides"])
    images, trial = open_store(Path(spec["images"])), TrialFolder(open_folder(spec["trial"]))
    learned = {"data": images.digest, **experiment.learned()}
    store = Store(
        trial.checkpoints, digest=experiment.digest(images.digest), learned=learned, keep=experiment.checkpoint.keep
    )
    telemetry = Telemetry(trial, experiment=experiment, parameters={}, gauges=NoGauges(), log=say)

    def report(given: Report):
        say("reporting")
        telemetry.write(given)

    def never():
        say("step")
        return False

    trial.write_state(state="running")
    trainer = Trainer(
        experiment=experiment,
        images=images,
        store=store,
        workers=WorkerGroup(),
        report=report,
        record=telemetry.record,
        log=lambda _: None,
        score=MeanWeight,
        should_stop=never,
    )
    outcome = trainer.run()
    telemetry.close()
    trial.write_state(state=outcome.state)


def live(path):
    """The forked process; it never returns."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    code = 1
    try:
        train(json.loads(Path(path).read_text()))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(code)


def main():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(line.strip())
        say(f"pid {child}")
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


if __name__ == "__main__":
    main()
