"""A real process, killed in the middle of its saves: whatever is there afterwards loads."""

import os
import subprocess
import sys
import time

import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.storage import open_folder

pytestmark = pytest.mark.long

TRAINER = """
import sys, torch
from framework.checkpoint import CheckpointStore
from framework.storage import open_folder
store = CheckpointStore(open_folder(sys.argv[1]), digest="d", learned={}, keep=2)
newest = store.newest(warn=lambda text: sys.exit(f"damaged: {text}"))
step = newest.images_seen if newest else 0
print("saving", flush=True)
while True:
    step += 1
    weights = {str(part): torch.full((50_000,), float(step)) for part in range(6)}
    parts = {"a": weights, "b": weights}
    checkpoint = store.save(parts, info={"step": step}, images_seen=step, generator=(weights, {}))
    store.record_score(checkpoint, {"metric": "fid", "value": 1 / step, "protocol": {}}, 1 / step)
"""


def test_what_a_killed_process_leaves_loads(tmp_path):
    folder = open_folder(tmp_path / "checkpoints")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    reached = 0
    for life in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINER, folder.location], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout.readline() == "saving\n"
        while not any(name.isdigit() and int(name) >= reached + 3 for name in folder.list()):
            time.sleep(0.005)
        time.sleep(0.017 * life)
        process.kill()
        process.communicate()

        store = CheckpointStore(folder, digest="d", learned={}, keep=2)
        newest = store.newest(warn=pytest.fail)
        assert newest is not None
        assert newest.images_seen >= reached + 2
        reached = newest.images_seen
        assert newest.info == {"step": reached}
        for part in ("a", "b"):
            for tensor in newest.tensors(part).values():
                assert torch.equal(tensor, torch.full((50_000,), float(reached)))
        best = store.best()
        assert best is not None
        assert best[1]["value"] in (1 / reached, 1 / (reached - 1))  # killed before its score, at the latest
    weights = {"w": torch.zeros(1)}
    store.save({"a": weights}, info={}, images_seen=reached + 1, generator=(weights, {}))
    left = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert not any(name.startswith(".") for name in left)
    assert len(left) <= 2 + 1 + 1  # two newest, the best, best.json
