"""Nodes of the cluster: this one, and whether every one sees the results' folder, asked before any trial starts."""

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
    """Each node of the cluster reads a word that was written here, and writes one that is read here.

    Raises:
        ClusterError: A node that cannot, by its address, and why.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return
    place, word = run.folder / "nodes", uuid.uuid4().hex
    try:
        place.write_text("word", word)
        asked = {node["NodeID"]: _ask(node["NodeID"], place.location, word) for node in nodes}
        faults = [_answer(node, asked[node["NodeID"]], place) for node in nodes]
    finally:
        place.delete()
    found = [fault for fault in faults if fault]
    if found:
        raise ClusterError("\n".join(found))


def this_node() -> NodeAffinitySchedulingStrategy:
    """For an actor that this process cannot do without: it is lost with this node, and with no other."""
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
    """What is wrong with the folder as seen from this node."""
    try:
        folder = open_folder(location)
        if not folder.exists("word") or folder.read_text("word") != word:
            return "is another folder there"
        folder.write_text(node, word)
    except StorageError as fault:
        return str(fault)
    return None


def _answer(node: dict[str, Any], asked: Any, place: Folder) -> str | None:
    try:
        fault = ray.get(asked, timeout=_SECONDS)
    except GetTimeoutError:
        fault = f"no answer within {_SECONDS:.0f} s"
    except RayError as lost:
        fault = str(lost).splitlines()[0]
    if fault is None and not place.exists(node["NodeID"]):
        fault = "is another folder there: what it writes is not seen here"
    if fault is None:
        return None
    return (
        f"storage.path: {place.parent.location}: node {node['NodeManagerAddress']}: {fault}; "
        "name a folder that all nodes mount, or a URI"
    )
