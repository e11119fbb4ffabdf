"""Who computes what, how much at a time, and whether one is killed meanwhile, moves no bit of a score."""

import json
import subprocess
import sys
from pathlib import Path

from tests.ray.conftest import ROOT


def test_moments_are_the_same_bits_for_any_crew(run, jobs, tmp_path):
    script, out = Path(__file__).with_name("measure_crews.py"), tmp_path / "found.json"
    command = [sys.executable, str(script), run.folder.location, str(out)]
    environment = {**jobs.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(out.read_text())
    assert len(document["found"]) == 4
    assert len({digest for digest, _ in document["found"].values()}) == 1, document["found"]
    assert {count for _, count in document["found"].values()} == {1100}
    assert len(document["killed"]) == 1
