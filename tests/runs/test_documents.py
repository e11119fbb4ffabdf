"""Whatever is damaged in a run, its reader names the file, the key and what it must be."""

import json

import numpy as np
import pytest
import safetensors.numpy

from framework.checkpoint.reference import find_target
from framework.checkpoint.saved import Checkpoint
from framework.config import Experiment, with_overrides
from framework.errors import ConfigError, LatentscapeError, LatentsError, StorageError
from framework.latents.directions.direction import Direction, load_direction, save_direction
from framework.runs import RunFolder
from framework.runs.documents import read_lines, reading
from framework.search.leaderboard import update_results
from framework.search.pbt import compared_until
from framework.storage import open_folder
from framework.storage.json_text import parse_json

CHECKPOINT = "trials/a/checkpoints/000000000100"
SCORE = {"metric": "fid", "value": 3.0, "protocol": {}}
SOUND = {
    "best.json": {"trial": "a", "checkpoint": CHECKPOINT, "images_seen": 100, "score": SCORE},
    "run.json": {"command": ["python"], "data": {"digest": "d", "labels": ["x"]}, "started": None, "warnings": []},
    "scores.json": {"scores": [SCORE]},
    "population.json": {"images_seen": 64},
    "trials/a/params.json": {"optimizer.beta1": 0.5},
    "trials/a/state.json": {"state": "failed", "error": "x"},
    "trials/a/metrics.jsonl": {"images_seen": 100, "loss": 1.0, "score": SCORE, "warnings": ["w"]},
    "trials/a/scores.jsonl": {"images_seen": 100, "score": SCORE},
    "trials/a/lineage.jsonl": {"images_seen": 1, "from_trial": "b", "from_images_seen": 1, "changed": {"k": [1, 2]}},
    "trials/a/checkpoints/best.json": {"checkpoint": None, "scores": {}},
    f"{CHECKPOINT}/manifest.json": {"format": 1, "digest": "d", "learned": {}, "files": {}},
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / CHECKPOINT).mkdir(parents=True)
    (tmp_path / "experiment.yaml").write_text("name: x\n")
    (tmp_path / "leaderboard.csv").write_text("rank,trial,score,state\n1,a,3.0,failed\n")
    for name, document in SOUND.items():
        (tmp_path / name).write_text(json.dumps(document) + "\n")
    return RunFolder.open(tmp_path)


def read_all(run):
    """What every document of the run holds."""
    trial = run.trial("a")
    return [
        *(run.best(), run.about, run.scores(), run.leaderboard(), compared_until(run), trial.params, trial.state),
        *(trial.metrics(), trial.scores(), trial.lineage(), find_target(f"{run.folder.location}/{CHECKPOINT}")),
        *(run.trained_by(CHECKPOINT), update_results(run), Checkpoint(run.folder / CHECKPOINT).manifest),
    ]


def test_a_sound_run_is_read_as_it_is_in_its_files(run):
    best, about, scores, *_ = read_all(run)
    assert (best, about, scores) == (SOUND["best.json"], SOUND["run.json"], [SCORE])


@pytest.mark.parametrize(
    ("name", "document", "why"),
    [
        ("run.json", None, "must be a JSON object, not null"),
        ("run.json", {"command": "x"}, "command: must be a valid list, not 'x'"),
        ("run.json", {"data": {"labels": 3}}, "data.labels: must be a valid list, not 3"),
        ("best.json", {"checkpoint": CHECKPOINT, "images_seen": 1}, "trial is missing"),
        ("best.json", {"trial": "a", "images_seen": 1}, "checkpoint is missing"),
        ("best.json", {**SOUND["best.json"], "trial": 3}, "trial: must be a valid string, not 3"),
        ("best.json", {**SOUND["best.json"], "checkpoint": "../x"}, "checkpoint: must be trials"),
        ("scores.json", {}, "scores is missing"),
        ("scores.json", {"scores": [{"metric": "m", "value": 1.0}]}, "scores.0.protocol is missing"),
        ("scores.json", {"scores": [{**SCORE, "value": "3"}]}, "scores.0.value: must be a valid number, not '3'"),
        ("population.json", {"images_seen": -1}, "images_seen: must be greater than or equal to 0, not -1"),
        ("trials/a/params.json", [], "must be a JSON object, not []"),
        ("trials/a/params.json", {"training.total_images": "x"}, "training.total_images: must be a valid integer"),
        ("trials/a/params.json", {"optimizer.beta1": 7}, "optimizer.beta1: must be a number of at least 0"),
        ("trials/a/state.json", {"state": 3}, "state: must be a valid string, not 3"),
        ("trials/a/metrics.jsonl", {"images_seen": "x"}, "images_seen: must be a valid integer, not 'x'"),
        ("trials/a/metrics.jsonl", {"images_seen": 10**19}, "images_seen: must be less than 1000000000000000"),
        ("trials/a/metrics.jsonl", {"images_seen": 1, "warnings": 3}, "warnings: must be a valid list, not 3"),
        ("trials/a/metrics.jsonl", 3, "must be a JSON object, not 3"),
        ("trials/a/scores.jsonl", {"images_seen": 1, "score": 3.0}, "score: must be a valid dictionary"),
        ("trials/a/lineage.jsonl", {"images_seen": 1}, "from_trial is missing"),
        ("trials/a/checkpoints/best.json", {"checkpoint": "000000000100"}, "must have images_seen and score"),
        (f"{CHECKPOINT}/manifest.json", {**SOUND[f"{CHECKPOINT}/manifest.json"], "files": 3}, "files: must be a valid"),
    ],
)
def test_a_document_of_another_shape_is_named_with_its_key(run, name, document, why):
    (open_folder(run.folder.location)).write_text(name, json.dumps(document) + "\n")
    with pytest.raises(LatentscapeError) as raised:
        read_all(run)
    line = str(raised.value)
    assert line.startswith(f"{run.folder.location}/{name}")
    assert why in line
    assert "\n" not in line


@pytest.mark.parametrize("name", [name for name in SOUND if name.endswith(".json")])
@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, '{"a":' * 70 + "1" + "}" * 70, "\ufeff{}", '{"x": NaN}', '{"x": 1e999}', r'{"x": "\ud800"}'],
)
def test_what_json_cannot_be_is_named_with_its_file(run, name, text):
    run.folder.write_text(name, text)
    with pytest.raises(LatentscapeError) as raised:
        read_all(run)
    assert f"{run.folder.location}/{name}" in str(raised.value)


def test_a_link_loop_and_a_folder_are_not_read_as_documents(run, tmp_path):
    (tmp_path / "best.json").unlink()
    (tmp_path / "best.json").symlink_to("best.json")
    assert run.best() is None
    (tmp_path / "run.json").unlink()
    (tmp_path / "run.json").mkdir()
    with pytest.raises(StorageError, match=r"run\.json: cannot be read"):
        _ = run.about


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a table with a heading"),
        ("rank,trial\n1,a,3\n", "row 2: has 3 cells, but the heading has 2"),
        ("rank,trial\n1\n", "row 2: has 1 cells, but the heading has 2"),
        ("rank,trial\nfirst,a\n", "row 2: must have a trial, and a whole number or nothing as its rank"),
        ("rank,score\n1,2.0\n", "row 2: must have a trial"),
        (f"rank,trial\n1,{'x' * 200_000}\n", "field larger than field limit"),
    ],
)
def test_a_leaderboard_of_another_shape_is_named_with_its_row(run, text, why):
    run.folder.write_text("leaderboard.csv", text)
    with pytest.raises(StorageError, match=r"leaderboard\.csv") as raised:
        run.leaderboard()
    assert why in str(raised.value)


def test_the_line_of_a_killed_writer_is_skipped_and_a_row_with_nan_is_named(run):
    rows = ['{"images_seen": 1}', '{"images_seen": 2, "lo', '{"images_seen": 3, "text": "a\u2028b"}']
    run.folder.write_text("trials/a/metrics.jsonl", "\n".join(rows))
    run.folder.delete("trials/a/scores.jsonl")
    assert [row["images_seen"] for row in run.trial("a").metrics()] == [1, 3]
    run.folder.write_text("trials/a/metrics.jsonl", "\n".join([*rows, '{"images_seen": 4, "loss": NaN}']))
    with pytest.raises(StorageError, match=r"metrics\.jsonl, line 4: is not JSON \(NaN is not a number in JSON\)"):
        run.trial("a").metrics()


def test_a_trial_whose_name_is_not_unicode_is_one_line(run, tmp_path):
    (tmp_path / "trials" / b"\xff".decode(errors="surrogateescape")).mkdir()
    with pytest.raises(StorageError, match="has a name that is not Unicode"):
        run.trials()


def test_json_is_read_as_it_was_written():
    value = {"a": [1, 2.5, None, True, "ä\u2028😀"], "b": {"c": 2**64}}
    assert parse_json(json.dumps(value), place="x") == value == parse_json(json.dumps(value).encode(), place="x")
    with pytest.raises(StorageError, match="x: has a whole number that is too large"):
        parse_json(str(2**64 + 1), place="x")
    with pytest.raises(StorageError, match=r"x: is not JSON \(Exceeds the limit"):
        parse_json("9" * 5_000, place="x")
    with pytest.raises(StorageError, match=r"x: is not JSON \('utf-8' codec"):
        parse_json(b'"\xff"', place="x")


def test_rows_of_a_file_that_is_not_there_are_none(tmp_path):
    assert read_lines(open_folder(tmp_path), "x.jsonl", RunFolder) == []


def test_what_a_shape_leaves_open_is_still_one_line():
    with pytest.raises(StorageError, match=r"^RUN: cannot be shown, .* \(KeyError: 'x'\)$"), reading("RUN"):
        _ = {}["x"]
    with pytest.raises(OSError, match="disk"), reading("RUN"):
        raise OSError("disk")


@pytest.mark.parametrize("step", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_direction_has_a_natural_step_above_zero(tmp_path, step):
    folder = open_folder(tmp_path)
    vector = np.array([1.0, 0.0], np.float32)
    save_direction(Direction("up", "sefa", vector, step, "g"), folder)
    with pytest.raises(LatentsError, match=r"up\.safetensors: .*(natural_step must be|NaN is not|Infinity is not)"):
        load_direction(folder, "up.safetensors")


def test_a_direction_with_a_deep_header_is_one_line(tmp_path):
    vector = {"vector": np.array([1.0, 0.0], np.float32)}
    data = safetensors.numpy.save(vector, {"direction": "[" * 100_000})
    (tmp_path / "up.safetensors").write_bytes(data)
    with pytest.raises(LatentsError, match=r"cannot be read as a direction \(is nested more than 64 levels deep\)"):
        load_direction(open_folder(tmp_path), "up.safetensors")


def test_a_fault_of_a_runs_settings_names_their_file(tmp_path):
    """Also one that a newer version has written: the key alone could have been one of the command."""
    RunFolder.create(with_overrides(Experiment(), {"storage.path": str(tmp_path), "name": "a"}), ["python"], data={})
    file = tmp_path / "a" / "experiment.yaml"
    file.write_text(file.read_text().replace("  width:", "  wide: 3\n  width: -1 #"))
    with pytest.raises(ConfigError) as refused:
        RunFolder.open(tmp_path / "a")
    faults = refused.value.faults
    assert all(fault.startswith(f"{file}: ") for fault in faults)
    assert len([fault for fault in faults if ": model.wi" in fault]) == 2
