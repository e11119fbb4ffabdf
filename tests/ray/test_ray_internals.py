"""A Ray that lacks what we use of its inside: the job says so, and does its work in the public way."""

import re
from pathlib import Path

import pytest

from framework.orchestration.cluster.ray_internals import OF_CONNECTING, OF_TRAINING

HIDING = Path(__file__).with_name("hiding")
HIDDEN = {"BackendSetupCallback", "TrainController"}  # of the trainer's parts: any one of them is enough


@pytest.mark.slow  # tests/orchestration/test_ray_internals.py hides each name in turn, without a Ray
def test_a_search_works_without_ray_s_private_interface(jobs, storage, tmp_path):
    other = type(jobs)(storage, {**jobs.environment, "PYTHONPATH": str(HIDING)})
    ended = other.run_tiny("search", "name=public", "search.trials=1", "training.total_images=1280", "--json")
    assert ended.code == 0, ended.err
    for internal in OF_CONNECTING:
        assert f"{internal.name}: {internal.without}" in ended.err
    assert f" BackendSetupCallback, TrainController: {OF_TRAINING[0].without}" in ended.err
    (row,) = ended.document["leaderboard"]
    assert row["state"] == "finished"
    # Each report has come, from the process of Ray's own controller.
    assert f"trial {row['trial']}: assessor_frechet_distance {row['score']:.4g} at" in ended.err
    told = re.findall(r"^trial \S+: assessor_frechet_distance \S+ at (\S+) images$", ended.err, re.MULTILINE)
    assert told == ["640", "1,280"]
