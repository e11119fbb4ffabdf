"""Nodes of the cluster: pinning to this node, and a check that all nodes can use the folder of the results."""

import os
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from framework.errors import ClusterError, StorageError
from framework.orchestration.cluster.environment import storage_keys
from framework.runs import RunFolder
from framework.storage import Folder, open_folder

if TYPE_CHECKING:
    from framework.orchestration.cluster.connect import Cluster

_SECONDS = 60.0


def check_storage_everywhere(run: RunFolder, cluster: "Cluster", say: Callable[[str], None]) -> None:
    """Checks that every node can read what this node writes to the folder of the results, and the other way round.

    Raises:
        ClusterError: Names each node that cannot, with the reason.
    """
    warn_of_missing_keys(storage_keys(run.folder.location), cluster, say)
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


def warn_of_missing_keys(names: Sequence[str], cluster: "Cluster", say: Callable[[str], None]) -> None:
    """Says which of these variables workers lack. They are never sent, because Ray would log them on every node.

    Args:
        names: Variables that this process has.
        cluster: The processes of an embedded one inherit all variables, and are not asked.
        say: Called with the line.
    """
    if cluster.embedded or not names:
        return
    tasks = [_on_node(_lacking, node["NodeID"], "check keys").remote(names) for node in ray.nodes() if node["Alive"]]
    answered, _ = ray.wait(tasks, num_returns=len(tasks), timeout=_SECONDS)
    lacking = [missing for missing in map(_answer_or_none, answered) if missing]
    if lacking:
        say(
            f"{', '.join(name for name in names if any(name in each for each in lacking))}: this job has them, workers "
            f"on {len(lacking)} of {len(tasks)} nodes do not, and they are not sent, because Ray would log them; "
            "give the nodes a role or a profile (docs/cluster.md, Keys)"
        )


def _lacking(names: Sequence[str]) -> list[str]:
    """Runs on a node."""
    return [name for name in names if not os.environ.get(name)]


def _answer_or_none(task: Any) -> list[str] | None:
    try:
        return ray.get(task)
    except RayError:  # a node that was lost; the check of storage.path names it
        return None


def this_node() -> NodeAffinitySchedulingStrategy:
    """Pins an actor to this node, so that it is lost only together with this process's node."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _ask(node: str, location: str, word: str) -> Any:
    return _on_node(_look, node, "check storage.path").remote(node, location, word)


def _on_node(function: Callable[..., Any], node: str, name: str) -> Any:
    pinned = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(function).options(name=name, num_cpus=0, max_retries=0, scheduling_strategy=pinned)


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
