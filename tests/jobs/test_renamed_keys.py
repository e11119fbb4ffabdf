"""A key by its old name: one line on stderr names the new one."""

import importlib
import json

import pytest

from jobs.cli.job import run_job
from tests.conftest import missing


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Calls a job in this process with a config that has old names; gives exit status, stdout and stderr's lines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(
        "data: {source: drawn_faces, resolution: 32, limit: 100}\nlatents: {side: 10}\nevaluation: {batch_size: 2}\n"
    )

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, ["mine.yaml", *arguments, "--dry-run", "--json"])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err.splitlines()

    return call


def test_it_is_told_once_and_the_job_goes_on(called):
    code, out, lines = called("prepare_data", "latents.side=20", "latents.method=sefa")
    assert code == 0
    document = json.loads(out)
    assert (document["images"], set(document)) == (
        100,
        {"folders", "images", "label_table", "labels_report", "left_out"},
    )
    renamed = [
        ("evaluation.batch_size", "evaluation.feature_batch_blocks"),
        ("latents.method", "latents.directions.method"),
        ("latents.side", "latents.directions.per_class"),
    ]
    told = sorted(line for line in lines if line.startswith("Renamed:"))
    assert [missing(line, *names) for line, names in zip(told, renamed, strict=True)] == [[], [], []]


def test_new_names_are_not_told(called, tmp_path):
    (tmp_path / "mine.yaml").write_text("data: {source: drawn_faces, resolution: 32, limit: 100}\n")
    code, _, lines = called("prepare_data", "latents.directions.per_class=20", "latents.seed=1")
    assert code == 0
    assert not [line for line in lines if "Renamed" in line]


def test_two_names_with_different_values_are_one_error_that_names_both(called):
    code, out, lines = called("prepare_data", "latents.side=20", "latents.directions.per_class=30")
    assert (code, out) == (2, "")
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert "latents.side" in error
    assert "latents.directions.per_class" in error
    assert missing(error, 20, 30) == []
