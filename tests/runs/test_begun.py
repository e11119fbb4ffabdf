"""A run keeps the rules of packing that it began with."""

import hashlib
import json
from pathlib import Path

import pytest

from framework.config import DataConfig, Experiment, load_experiment, with_overrides
from framework.data.packing.prepare import _folder_name
from framework.data.sources.source import fingerprint
from framework.errors import CheckpointError
from framework.runs import RunFolder
from framework.runs.begun import as_begun
from tests.conftest import missing


@pytest.fixture
def old_run(tmp_path):
    """A run as versions before `data.rules` wrote it, and the config that made it."""
    settings = {"name": "old", "storage.path": str(tmp_path / "runs"), "data.source": "folder", "data.limit": 64}
    run = RunFolder.create(with_overrides(Experiment(), settings), ["python"], data={"digest": "a" * 64})
    experiment = Path(run.folder.location) / "experiment.yaml"
    lines = [
        line for line in experiment.read_text().splitlines() if line.split(":")[0].strip() not in {"rules", "copies"}
    ]
    experiment.write_text("\n".join(lines) + "\n")
    config = tmp_path / "old.yaml"
    config.write_text(f"storage: {{path: {tmp_path / 'runs'}}}\ndata: {{source: folder, limit: 64}}\n")
    return run, config


def test_a_run_without_the_key_has_the_first_rules_and_a_new_one_the_newest(old_run, tmp_path):
    run, _ = old_run
    assert RunFolder.open(run.folder.location).experiment.data.rules == 1
    new = RunFolder.create(with_overrides(Experiment(), {"name": "new", "storage.path": str(tmp_path)}), ["python"])
    assert RunFolder.open(new.folder.location).experiment.data.rules == 2


def test_the_same_command_goes_on_with_the_rules_of_the_run(old_run):
    _, config = old_run
    said = []
    data = as_begun(load_experiment(config), say=said.append).data
    assert (data.rules, data.copies) == (1, "keep")
    assert len(said) == 1
    assert not missing(said[0], "data.rules=1", "old")
    for explicit in (1, 2):
        overrides = {"data.rules": explicit}
        assert as_begun(load_experiment(config, overrides), say=said.append).data.rules == explicit
    assert as_begun(load_experiment(config, {"name": "another"}), say=said.append).data.rules == 2
    assert len(said) == 1


def test_a_damaged_experiment_is_left_to_whoever_resumes_it(old_run):
    run, config = old_run
    run.folder.write_text("experiment.yaml", "data: [\n")
    assert as_begun(load_experiment(config), say=print).data.rules == 2


def test_other_images_are_told_with_the_keys_that_give_them_back(old_run):
    run, config = old_run
    run.trial("a").checkpoints.write_text("000000000064/info.json", "{}")
    now = with_overrides(load_experiment(config), {"data.rules": 2, "data.limit": 128})
    with pytest.raises(CheckpointError) as caught:
        RunFolder.create(now, ["python"], data={"digest": "b" * 64})
    assert not missing(str(caught.value), "data.rules=1", "data.copies=keep", "data.limit=64")
    same = as_begun(load_experiment(config), say=print)
    with pytest.raises(CheckpointError) as caught:
        RunFolder.create(same, ["python"], data={"digest": "b" * 64})
    assert not missing(str(caught.value), "data.path")
    assert "data.rules" not in str(caught.value)
    RunFolder.create(same, ["python"], data={"digest": "a" * 64})


def test_by_the_first_rules_stores_of_before_are_found(tmp_path):
    """The name that versions before the keys gave, computed here as they did."""
    (tmp_path / "a.png").write_bytes(b"x")
    config = DataConfig(source="folder", path=str(tmp_path), resolution=32, rules=1)
    settings = {"source": "folder", "resolution": 32, "channels": 3, "limit": None, "labels": None}
    settings |= {"held_out": 0.1, "seed": 0}
    about = json.dumps([1, None, settings, fingerprint(config)], sort_keys=True)
    assert _folder_name(config) == f"{tmp_path.name}-32px-{hashlib.sha256(about.encode()).hexdigest()[:16]}"
    assert _folder_name(config) != _folder_name(config.model_copy(update={"rules": 2}))
    drawn = DataConfig(source="drawn_faces")
    assert _folder_name(drawn) == _folder_name(drawn.model_copy(update={"rules": 1}))
