"""No run folder runs code by its own word, whatever of it names the code and whichever job opens it."""

import importlib
import json
import os
import shutil
import sys

import pytest
from PIL import Image

from framework.checkpoint import load_generator
from framework.config import with_overrides
from framework.config.code import ALLOWED, allow, gate_shut
from framework.config.yaml import to_yaml
from framework.errors import ConfigError
from framework.runs import RunFolder
from jobs.cli.job import run_job
from tests.jobs.test_export import BEST, make_run

EVIL = "open('PWNED', 'w').close()\n\n\ndef go():\n    pass\n"
STUDIES = ("arithmetic", "discover", "interpolate", "latent_map", "likelihood", "project", "steer")
TRAININGS = ("pipeline", "search", "train")
READERS = ("compare", "export", "report", "status")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    keys = {"data.source": "drawn_faces", "data.path": None, "data.labels": None, "evaluation.weights": None}
    return make_run(str(tmp_path_factory.mktemp("runs")), **keys, **{"data.limit": 100, "storage.cache_path": None})


@pytest.fixture
def run(original, tmp_path, monkeypatch):
    """A run with checkpoints in the folder where somebody has put evil.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "evil.py").write_text(EVIL)
    shutil.copytree(original.folder.location, "runs/faces")
    return RunFolder.open("runs/faces")


@pytest.fixture
def called(tmp_path, capsys):
    """Calls a job and gives its exit status and last line; evil.py has not run."""

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, list(arguments))
        err = capsys.readouterr().err
        assert not (tmp_path / "PWNED").exists(), err
        assert "evil" not in sys.modules
        return ended.value.code, (err.splitlines() or [""])[-1]

    return call


def carry(run, key, value):
    """Writes the key into experiment.yaml, as an editor does: nothing checks it."""
    section, name = key.rsplit(".", 1)
    text = run.folder.read_text("experiment.yaml")
    before = "\n  features: auto\n" if key == "evaluation.features" else f" {name}: null\n"
    assert text.count(before) == 1, section
    run.folder.write_text("experiment.yaml", text.replace(before, f"{before.rpartition(':')[0]}: {value}\n"))


def job_arguments(name, place):
    return {"export": [place, "given"], "compare": [place, place]}.get(name, [place])


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("name", [*STUDIES, *TRAININGS, *READERS, "evaluate", "prepare_data", "train_assessor"])
def test_code_as_a_start(run, called, name, more):
    carry(run, "training.start_from", "entry:evil:go")
    code, last = called(name, *job_arguments(name, "runs/faces"), *more)
    assert code == 2
    assert "experiment.yaml: training.start_from: 'entry:evil:go' is Python code, which has no weights" in last


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("name", [*STUDIES, "evaluate"])
@pytest.mark.parametrize("key", ["model.entry", "latents.directions.score"])
def test_code_as_generator_or_score(run, called, key, name, more):
    run.folder.delete("best.json")
    carry(run, key, "evil:go")
    if key != "model.entry":
        run.write_best({"trial": "007-ab12", "checkpoint": BEST, "images_seen": 200})
    for place in ("runs/faces", "runs/faces/experiment.yaml", f"runs/faces/{BEST}"):
        code, last = called(name, place, *more)
        assert code == 2
        if place != "runs/faces/experiment.yaml" or key == "model.entry":  # else: it is a config without a generator
            assert last.endswith(f"{key}: evil:go is Python code that the command does not name; "
                                 f"to allow running it, add {key}=evil:go")  # fmt: skip


@pytest.mark.parametrize("name", [*TRAININGS, *READERS])
@pytest.mark.parametrize("key", ["model.entry", "latents.directions.score"])
def test_jobs_that_do_not_run_such_code(run, called, key, name):
    carry(run, key, "evil:go")
    more = ["--dry-run", "evaluation.features=assessor"] if name in TRAININGS else []  # it was scored by Inception
    code, _ = called(name, *job_arguments(name, "runs/faces"), *more)
    assert code == (2 if key == "model.entry" and name in TRAININGS else 0)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("name", [*TRAININGS, "evaluate"])
def test_code_as_features(run, called, name, more):
    carry(run, "evaluation.features", "evil:go")
    code, last = called(name, "runs/faces", *more)
    assert code == 2
    assert last.endswith("add evaluation.features=evil:go")


@pytest.mark.parametrize("name", [*STUDIES, *READERS, "generate", "prepare_data", "train_assessor"])
def test_jobs_without_scores_do_not_run_features(run, called, name):
    carry(run, "evaluation.features", "evil:go")
    more = [] if name in READERS else ["--dry-run"]
    code, last = called(name, *job_arguments(name, "runs/faces"), *more)
    assert "Python code" not in last
    assert code == 0 or name in STUDIES or name == "generate", last  # those may lack an argument or a label


def test_features_that_the_command_names_are_computed_after_a_line(run, tmp_path, capsys):
    source = "def colours(images):\n    return images.mean(axis=(1, 2))\n"
    (tmp_path / "mine_colours.py").write_text(source)
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for number in range(4):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / side / f"{number}.png")
    evaluate = importlib.import_module("jobs.evaluate")
    keys = ["evaluation.features=mine_colours:colours", "evaluation.metrics=[fid]"]
    with pytest.raises(SystemExit) as ended:
        run_job(evaluate.JOB, evaluate.body, ["a", "b", *keys, "--dry-run", "--json"])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert f"Features: runs your code, mine_colours:colours ({tmp_path / 'mine_colours.py'})" in said.err
    (plan,) = json.loads(said.out)["passes"]
    assert (plan["metrics"], plan["images"]) == (["function_colours_frechet_distance"], 8)
    assert plan["features"]["tap"] == 3
    sys.modules.pop("mine_colours")


@pytest.mark.parametrize("name", [*STUDIES, "compare", "export", "evaluate"])
@pytest.mark.parametrize("checkpoint", ["entry:evil:go", "/entry:evil:go", "trials/../x", None, 7, ["a"]])
def test_code_as_the_best_checkpoint(run, called, name, checkpoint):
    run.write_best({"trial": "007-ab12", "checkpoint": checkpoint, "images_seen": 200})
    code, last = called(name, *job_arguments(name, "runs/faces"))
    assert code == 2
    assert "runs/faces/best.json: checkpoint: must be " in last


@pytest.mark.parametrize("params", [{"training.start_from": "entry:evil:go"}, {"model.entry": "evil:go"}])
@pytest.mark.parametrize("name", [*READERS, *TRAININGS])
def test_code_as_a_setting_of_a_trial(run, called, name, params):
    run.trial("007-ab12").write_params({"model.latent_size": 6, **params})
    called(name, *job_arguments(name, "runs/faces"), *(["--dry-run"] if name in TRAININGS else []))


@pytest.mark.parametrize("name", TRAININGS)
def test_code_in_a_search(run, called, name):
    text = run.folder.read_text("experiment.yaml")
    space = "space: {training.start_from: {choice: ['entry:evil:go']}}"
    run.folder.write_text("experiment.yaml", text.replace("space: {}", space))
    code, last = called(name, "runs/faces")
    assert code == 2
    assert "error: search.space.training.start_from.choice: training.start_from: 'entry:evil:go' is" in last


def test_code_that_the_command_names_runs_after_a_line_each_time(run, tmp_path, capsys):
    settings = {"model.entry": "mine_too:Net", "name": "own"}
    (tmp_path / "own.yaml").write_text(to_yaml(with_overrides(run.experiment, settings)))
    (tmp_path / "mine_too.py").write_text("raise OSError('imported')")
    evaluate = importlib.import_module("jobs.evaluate")

    def lines_of(*more):
        with pytest.raises(SystemExit) as ended:
            run_job(evaluate.JOB, evaluate.body, ["own.yaml", "--dry-run", *more])
        assert ended.value.code == 2
        return capsys.readouterr().err.splitlines()

    (refusal,) = lines_of()
    assert refusal.endswith("to allow running it, add model.entry=mine_too:Net")
    for _ in range(2):
        said, error = lines_of("model.entry=mine_too:Net")
        assert said == f"Generator: runs your code, mine_too:Net ({tmp_path / 'mine_too.py'})"
        assert error.startswith("error: model.entry: mine_too:Net: importing mine_too raised OSError: imported")


def test_the_gate_is_open_in_a_script_and_shut_in_a_job(run, tmp_path):
    with gate_shut():
        with pytest.raises(ConfigError, match=r"model\.entry: evil:go is Python code that the command does not name"):
            load_generator("entry:evil:go")
        assert not (tmp_path / "PWNED").exists()
        allow(["evil:other"])
        with pytest.raises(ConfigError):
            load_generator("entry:evil:go")
        assert os.environ[ALLOWED] == "evil:other"
    assert ALLOWED not in os.environ
    with pytest.raises(Exception, match="returned NoneType"):  # a script that says so runs it
        load_generator("entry:evil:go")
    assert (tmp_path / "PWNED").exists()
    sys.modules.pop("evil")


def test_the_settings_of_a_run_are_read_from_the_run(run, tmp_path):
    """A link to another file would show its lines in errors."""
    (tmp_path / "private.yaml").write_text("token: secret\n")
    place = tmp_path / "runs" / "faces" / "experiment.yaml"
    kept = place.read_bytes()
    place.unlink()
    place.symlink_to(tmp_path / "private.yaml")
    with pytest.raises(Exception, match="is a link out of the run"):
        RunFolder.open("runs/faces")
    place.with_name("settings.yaml").write_bytes(kept)
    place.unlink()
    place.symlink_to("settings.yaml")
    assert RunFolder.open("runs/faces").experiment.data.resolution == 32
