"""Where a crew holds GPUs: who makes moments, who makes the rest, and what a side is called."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from framework.evaluation import FeatureSpec, ImageSetSpec, SourceSpec, merge_in_order
from framework.evaluation.sources.shards import spans
from framework.evaluation.values.compute import prefix_moments
from framework.evaluation.values.moments import source_moments
from framework.evaluation.values.parts import PartsPool, subsets_part
from framework.metrics import Moments
from framework.orchestration.cluster.connect import Cluster
from framework.orchestration.pool.actors import cpu_tasks
from framework.orchestration.pool.tasks import TaskResources, run_shard, task_device
from framework.orchestration.scoring.features import FeatureComputer

KIND = "NVIDIA L4"
SIDE = ImageSetSpec(count=5000, split="all", height=8, width=8, channels=3, digest="b" * 64)
SOURCE = SourceSpec("files", "faces", SIDE)


class Here:
    """A crew of one, in this process, that keeps what each part was called."""

    def __init__(self):
        self.names = []

    device_of_task = staticmethod(task_device)

    def map(self, function, arguments, *, name, done=None, node_files=None):
        for number, given in enumerate(arguments, start=1):
            self.names.append(name)
            yield run_shard((node_files,), function, given)
            if done is not None:
                done(number, len(arguments))


def cluster(cores, gpus):
    return Cluster(True, "here", None, ((float(cores), float(gpus)),))


def computer(pool, **more):
    return FeatureComputer(pool, Path("cache"), 1, lambda _: lambda *_: None, **more)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(5000, 12)).astype(np.float32)


def test_moments_are_made_where_the_features_were_and_the_rest_on_cpus(rows):
    gpus, beside = Here(), Here()
    pool = computer(gpus, device=KIND, cpu_pool=beside).parts_pool("score")
    prefix_moments(rows, [5000], pool)
    settings = {"subset_size": 100, "subset_seed": 0}
    list(pool.map(subsets_part, [(rows, rows, 5000, settings, 0, 1)], "kid"))
    assert gpus.names == ["score: moments"] * 5
    assert beside.names == ["score: kid"]


def test_on_cpus_one_crew_does_it_all(rows):
    pool = Here()
    prefix_moments(rows, [5000], computer(pool).parts_pool("score"))
    assert pool.names == ["score: moments"] * 20  # a shard each, as ever


@pytest.mark.parametrize("device", [None, KIND])
def test_moments_of_fewer_are_those_of_a_pass_over_these_alone(rows, device):
    counts = [300, 1024, 4096, 4500, 5000]
    found = prefix_moments(rows, counts, PartsPool(Here(), "test", gpus=Here() if device else None, device=device))
    for count in counts:
        alone = merge_in_order(
            Moments.summed(rows[at : min(at + 256, stop)] for at in range(start, stop, 256))
            for start, stop in spans(count, device=device)
        )
        assert found[count].count == count
        assert np.array_equal(found[count].mean, alone.mean)
        assert np.array_equal(found[count].scatter, alone.scatter)
        np.testing.assert_allclose(found[count].covariance, np.cov(rows[:count].astype(np.float64).T), rtol=1e-9)


def test_a_side_is_named_by_its_crew_s_gpus_and_statistics_never():
    assert computer(Here(), device=KIND).on_device(SOURCE).side.device == KIND
    assert computer(Here()).on_device(SOURCE) == SOURCE
    statistics = dataclasses.replace(SOURCE, kind="statistics")
    assert computer(Here(), device=KIND).on_device(statistics) == statistics


def test_a_process_of_another_kind_computes_nothing_for_a_crew():
    features = FeatureSpec("inception", "weights.pth", "a" * 64, 64)
    source = dataclasses.replace(SOURCE, side=SIDE.model_copy(update={"device": KIND}))
    with pytest.raises(Exception, match="a process has no GPU, but its pool has NVIDIA L4"):
        source_moments(source, features, blocks=1, pool=Here(), name="test")


def test_what_wants_no_gpu_has_the_cluster_s_width_and_leaves_nobody_waiting():
    on_gpus = TaskResources(workers=8, gpus=1.0)
    beside = cpu_tasks(on_gpus, cluster(64, 8), None)
    assert beside is not None
    assert (beside.resources.workers, beside.resources.cores, beside.resources.gpus) == (64, 1.0, 0.0)
    assert cpu_tasks(on_gpus, cluster(8, 8), None) is None  # the crew holds every core
    assert cpu_tasks(TaskResources(workers=64), cluster(64, 0), None) is None
