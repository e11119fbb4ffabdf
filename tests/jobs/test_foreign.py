"""Jobs on a generator of the user's own: who takes it, who does not, and that no run starts code by its own word."""

import importlib
import json
import sys

import pytest

from framework.checkpoint import CheckpointStore
from framework.checkpoint.reference import CheckpointRef, find_target
from framework.config import Experiment, with_overrides
from framework.report import write_report
from framework.runs import RunFolder
from jobs.cli.job import run_job
from tests.conftest import missing

MINE = """
from torch import nn

class Net(nn.Module):
    latent_size = 4

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 3, 32)

    def forward(self, latents):
        return self.up(latents[:, :, None, None]).tanh()
"""
DRAWN = "data: {source: drawn_faces, resolution: 32, limit: 100}\n"
ENTRY = "mine_for_jobs:Net"
OWN = ("foreign.yaml", f"model.entry={ENTRY}")


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Calls a job in a folder with a module and two configs; gives exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine_for_jobs.py").write_text(MINE)
    (tmp_path / "plain.yaml").write_text(DRAWN)
    (tmp_path / "foreign.yaml").write_text(f"{DRAWN}model: {{entry: {ENTRY}}}\n")

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        before = set(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, list(arguments))
        said = capsys.readouterr()
        assert set(tmp_path.rglob("*")) == before
        return ended.value.code, said.out, said.err

    return call


@pytest.fixture
def run(tmp_path):
    """A run of a foreign generator, begun."""
    keys = {"name": "begun", "storage.path": str(tmp_path / "runs"), "model.entry": ENTRY, "data.resolution": 32}
    return RunFolder.create(with_overrides(Experiment(), {**keys, "data.source": "drawn_faces"}), ["python"])


def assert_mistake(result, *facts):
    code, out, err = result
    assert (code, out) == (2, ""), err
    assert err.splitlines()[-1].startswith("error: ")
    assert missing(err.splitlines()[-1], *facts) == []


@pytest.mark.parametrize("name", ["train", "search", "pipeline"])
@pytest.mark.parametrize("switch", [(), ("--dry-run",)])
def test_it_cannot_be_trained(called, name, switch):
    result = called(name, "foreign.yaml", *switch)
    assert_mistake(result, f"model.entry: {ENTRY}", f"jobs.{name}")


@pytest.mark.parametrize("name", ["discover", "steer", "interpolate", "arithmetic", "evaluate"])
def test_help_says_that_code_is_run(called, name):
    code, out, _ = called(name, "--help")
    assert code == 0
    assert "CHECKPOINT_OR_RUN | CONFIG" in out
    assert "docs/foreign.md" in out
    assert "\nmodel.entry=null" in out
    assert "\nmodel.width" not in out


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("plain.yaml",), ("plain.yaml", "jobs.discover", "model.entry=package.module:function")),
        (("plain.yaml", "model.entry=mine"), ("model.entry", "package.module:function", "mine")),
        (("plain.yaml", "model.entry=nowhere:f"), ("model.entry: nowhere:f", "module nowhere")),
        (("plain.yaml", "model.entry=mine_for_jobs:f"), ("mine_for_jobs", "function f")),
        ((*OWN, "data.resolution=64"), ("32x32", "3 channels", "data.resolution", 64)),
        ((*OWN, "data.channels=1"), ("data.resolution", 32, "data.channels", 1)),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(called, arguments, facts):
    assert_mistake(called("discover", *arguments), *facts)


def test_a_run_does_not_start_code_by_its_own_word(called, run, tmp_path):
    (tmp_path / "mine_for_jobs.py").write_text("raise AssertionError('was run')")
    place = run.folder.location
    result = called("discover", place)
    assert_mistake(result, f"model.entry={ENTRY}")
    assert find_target(place) == CheckpointRef(place, f"entry:{ENTRY}")
    assert find_target(place).location == f"entry:{ENTRY}"
    assert_mistake(called("export", place, "out"), place, ENTRY)


def test_a_run_of_trainings_stays_one(called, tmp_path):
    keys = {"name": "trained", "storage.path": str(tmp_path / "runs"), "data.source": "drawn_faces"}
    trained = RunFolder.create(with_overrides(Experiment(), keys), ["python"])
    store = CheckpointStore(trained.trial("a").checkpoints, digest="d", learned={}, keep=1)
    store.save({}, info={}, images_seen=1, generator=({}, {}))
    place = trained.folder.location
    assert_mistake(called("discover", place, f"model.entry={ENTRY}"), place, "model.entry")


def test_evaluate_tells_its_plan(called):
    code, out, err = called("evaluate", *OWN, "--dry-run", "--json")
    assert code == 0, err
    assert json.loads(out) == {"checkpoints": 1, "passes": []}
    assert missing(err, ENTRY, 4, "32x32") == []


def test_its_report_is_made_of_what_there_is(run):
    run.add_scores([{"metric": "fid", "value": 12.5, "protocol": {}, "checkpoint": f"entry:{ENTRY}"}])
    page = run.folder.read_text("report.html") if write_report(run) else ""
    assert "12.5" in page
    assert ENTRY in page
