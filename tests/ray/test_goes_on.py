"""A training that was disturbed in every way goes on elsewhere, on two nodes: it becomes the undisturbed one."""

from framework.checkpoint import load_generator
from framework.runs import RunFolder
from tests.ray.conftest import SECONDS, saved

LENGTH = 2560  # of the pipeline's trials


def test_what_was_disturbed_and_ends_on_two_nodes_is_the_undisturbed_trial(
    disturbed, same_trial, cluster, attached, storage, run
):
    disturbed_run = RunFolder.open(storage / "disturbed")
    trial = disturbed_run.trial("single")
    assert disturbed_run.about["ended"] is None
    known = {actor["actor_id"] for actor in cluster.listed("actors")}
    newest = saved(trial)[-1]
    total = max(LENGTH, newest + 640)  # the disturbed one may have come past the undisturbed one's end
    ended = attached.run("train", *same_trial, f"training.total_images={total}", timeout=SECONDS)
    assert ended.code == 0, ended.err
    assert disturbed_run.about["ended"] > disturbed_run.about["started"]
    assert any(line.startswith("Ray:") and "2 nodes" in line for line in ended.err.splitlines())
    assert trial.metrics()[-1]["life_began_at_images_seen"] == newest
    workers = [
        actor
        for actor in cluster.listed("actors")
        if actor["actor_id"] not in known and "RayTrainWorker" in actor["class_name"]
    ]
    assert len(workers) == len({worker["node_id"] for worker in workers}) == 2

    pair = [trial, run.trials()[0]]
    assert {one.state["state"] for one in pair} == {"finished"}
    one, other = (load_generator(f"{one.folder.location}/checkpoints/{LENGTH:012d}") for one in pair)
    assert one.digest == other.digest
    seen = [row["images_seen"] for row in trial.metrics()]
    assert seen == sorted(set(seen))
    rows = [[row for row in one.metrics() if row["images_seen"] <= LENGTH] for one in pair]
    assert {row["images_seen"] for row in rows[0]} >= {row["images_seen"] for row in rows[1]}
    scores = [[row["score"] for row in some if "score" in row] for some in rows]
    assert len(scores[0]) == LENGTH // 640
    assert scores[0] == scores[1]
