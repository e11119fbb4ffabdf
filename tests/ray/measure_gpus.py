"""What tests/ray/test_gpus.py runs on a cluster of pretended GPUs: `python measure_gpus.py OUT`.

How many trials Ray holds at a time beside how many are planned, which GPUs a trial's workers get, and what tasks take
for their device.
"""

import json
import os
import sys
import time
from pathlib import Path

import ray
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from framework.config import ComputeConfig
from framework.errors import ClusterError
from framework.orchestration.cluster.connect import connect
from framework.orchestration.pool.actors import ActorPool
from framework.orchestration.pool.tasks import TaskResources, has_gpu
from framework.orchestration.trial.resources import plan

CORES = 0.1
SHARES = [(1, 1.0), (2, 1.0), (1, 0.3), (2, 0.6)]  # workers, GPUs each
SECONDS = 60.0  # a busy machine takes its time to place what fits
MORE_SECONDS = 1.0  # after these, one more would have been placed


def held(bundles, planned):
    """How many groups Ray places, where one more is asked for than are planned."""
    groups = {placement_group(bundles, strategy="PACK") for _ in range(planned + 1)}
    names = {group.id.hex() for group in groups}

    def placed():
        table = placement_group_table()
        return sum(table[name]["state"] == "CREATED" for name in names)

    end = time.monotonic() + SECONDS
    while placed() < planned and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(MORE_SECONDS)
    found = placed()
    for group in groups:
        remove_placement_group(group)
    return found


def wait_until_free():
    """Groups that were removed give their GPUs back a moment later; until then a trial may lie on two nodes."""
    end = time.monotonic() + SECONDS
    while ray.available_resources().get("GPU") != ray.cluster_resources()["GPU"] and time.monotonic() < end:
        time.sleep(0.1)


def of_task():
    return {"has_gpu": has_gpu(), "visible": os.environ.get("CUDA_VISIBLE_DEVICES")}


def of_worker():
    context = ray.get_runtime_context()
    return context.get_node_id(), int(context.get_accelerator_ids()["GPU"][0])


def of_trial(workers, share):
    """Node and GPU of each worker of one trial."""
    wait_until_free()
    group = placement_group([{"CPU": CORES, "GPU": share}] * workers, strategy="PACK")
    task = ray.remote(of_worker)
    asked = [
        task.options(
            num_cpus=CORES,
            num_gpus=share,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number),
        ).remote()
        for number in range(workers)
    ]
    found = ray.get(asked)
    remove_placement_group(group)
    return found


def main(out):
    found = {"plans": [], "trials": {}, "tasks": {}}
    with connect("gpus", verbose=False, say=print) as cluster:
        found["nodes"] = cluster.nodes
        for workers, share in SHARES:
            compute = ComputeConfig(workers=workers, gpus_per_worker=share, cpus_per_worker=CORES)
            made = plan(compute, cluster, trials=99, concurrent="auto")
            placed = held([{"CPU": CORES, "GPU": share}] * workers, made.concurrent)
            found["plans"].append({"asked": [workers, share], "planned": made.concurrent, "placed": placed})
        found["trials"] = {"3 whole": of_trial(3, 1.0), "2 halves": of_trial(2, 0.5)}
        (large,) = (node["NodeID"] for node in ray.nodes() if node["Resources"].get("GPU") == 4.0)
        there = NodeAffinitySchedulingStrategy(large, soft=False)
        for name, resources in {
            "no GPU": TaskResources(workers=1, cores=CORES, node=there),
            "one GPU": TaskResources(workers=1, cores=CORES, gpus=1.0, node=there),
            "a quarter": TaskResources(workers=1, cores=CORES, gpus=0.25, node=there),
            "its trial's": TaskResources(workers=1, cores=0.0, node=there, shared_gpus="1,2"),
        }.items():
            found["tasks"][name] = ray.get(ray.remote(of_task).options(**resources.options()).remote())
        with ActorPool(TaskResources(workers=2, cores=CORES, gpus=1.0), kind="Scorer") as pool:
            try:
                pool.device()
            except ClusterError as fault:
                found["actors"] = str(fault)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
