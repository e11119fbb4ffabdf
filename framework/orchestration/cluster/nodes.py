"""Nodes of the cluster: pinning to this node, and a check that all nodes can use the folder of the results."""

import uuid
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from framework.errors import ClusterError, StorageError
from framework.runs import RunFolder
from framework.storage import Folder, open_folder

_SECONDS = 60.0


def check_storage_everywhere(run: RunFolder) -> None:
    """Checks that every node can read what this node writes to the folder of the results, and the other way round.

    Raises:
        ClusterError: Names each node that cannot, with the reason.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    place, word = run.folder / "nodes", uuid.uuid4().hex
    try:
        place.write_text("word", word)
        checks = {node["NodeID"]: _ask(node["NodeID"], place.location, word) for node in nodes}
        answers = [_answer(node, checks[node["NodeID"]], place) for node in nodes]
    finally:
        place.delete()
    faults = [answer for answer in answers if answer]
    if faults:
        raise ClusterError(*faults)


def this_node() -> NodeAffinitySchedulingStrategy:
    """Pins an actor to this node, so that it is lost only together with this process's node."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _ask(node: str, location: str, word: str) -> Any:
    task = ray.remote(_look).options(
        name="check storage.path",
        num_cpus=0,
        max_retries=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
    )
    return task.remote(node, location, word)


def _look(node: str, location: str, word: str) -> str | None:
    """Runs on a node: why the folder cannot be used there; None if it can."""
    try:
        folder = open_folder(location)
        if not folder.exists("word") or folder.read_text("word") != word:
            return "it is a different folder there"
        folder.write_text(node, word)
    except StorageError as fault:
        return str(fault)
    return None


def _answer(node: dict[str, Any], check: Any, place: Folder) -> str | None:
    try:
        fault = ray.get(check, timeout=_SECONDS)
    except GetTimeoutError:
        fault = f"no answer within {_SECONDS:.0f} s"
    except RayError as lost:
        fault = str(lost).splitlines()[0]
    if fault is None and not place.exists(node["NodeID"]):
        fault = "it is a different folder there: files that this node writes are not visible here"
    if fault is None:
        return None
    return (
        f"storage.path: {place.parent.location}: node {node['NodeManagerAddress']}: {fault}; "
        "use a folder that all nodes mount, or a URI"
    )
