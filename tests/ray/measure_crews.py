"""Crews of every kind, stop flags, and signals: what measure.py measures for tests/ray/test_crews.py.

The moments of one generator's samples by crews of 1, 2 and 3 workers, 1, 2 and 5 blocks at a time, and with one of
three actors killed halfway; each as the bytes of its arrays' sha256.
"""

import contextlib
import hashlib
import os
import signal
import time
from pathlib import Path

import ray

from framework.checkpoint import load_generator
from framework.checkpoint.reference import best_target
from framework.evaluation import resolve_features
from framework.evaluation.sources.source import find_source
from framework.evaluation.values.moments import source_moments
from framework.orchestration.cluster.stop_flag import StopFlag
from framework.orchestration.pool.actors import ActorPool
from framework.orchestration.pool.tasks import TaskPool, TaskResources

SAMPLES = 1100  # four shards and a part of one


def process_of():
    return os.getpid()


def digest(moments):
    return hashlib.sha256(moments.mean.tobytes() + moments.scatter.tobytes()).hexdigest()


def read_flags():
    """What readers see of a flag that was raised, and of one whose keeper is gone: before that, and after it."""
    raised, orphaned = StopFlag.new("raised"), StopFlag.new("orphaned")
    readers = [raised.reader(), orphaned.reader()]
    seen = [[raised.is_raised(), orphaned.is_raised()], [read() for read in readers]]
    raised.raise_it()
    ray.kill(orphaned.actor)
    with contextlib.suppress(ray.exceptions.RayActorError):
        orphaned.is_raised()
    end = time.monotonic() + 60
    while not readers[0]() and time.monotonic() < end:
        time.sleep(0.1)
    return [*seen, [read() for read in readers]]


def measure(run):
    """All of it, within a connection to Ray."""
    folder = next((Path(run.folder.location).parent / ".cache" / "assessors").glob("*/measurer"))
    features = resolve_features(run.experiment.evaluation, assessor_folder=folder)
    source = find_source(best_target(run).location, samples=SAMPLES, seed=0)
    assert load_generator(best_target(run).location).digest == source.side.digest
    found, killed = {}, []

    def moments(name, pool, *, blocks, done=None):
        made = source_moments(source, features, blocks=blocks, pool=pool, name=name, done=done)
        found[name] = [digest(made), made.count]

    moments("1 task, 1 block", TaskPool(TaskResources(workers=1, cores=0.2)), blocks=1)
    moments("2 tasks, 5 blocks", TaskPool(TaskResources(workers=2, cores=0.2)), blocks=5)
    with ActorPool(TaskResources(workers=3, cores=0.2), kind="Scorer") as pool:
        moments("3 actors, 2 blocks", pool, blocks=2)

        def kill(done, total):
            if done == total // 2:
                (victim,) = pool.map(process_of, [()], name="who")
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        moments("an actor killed", pool, blocks=1, done=kill)
    return {"found": found, "killed": killed, "flags": read_flags()}
