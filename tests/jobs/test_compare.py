"""The job that lays runs side by side: a table as ever, and beside it a page where one is asked for."""

import importlib.util
import json
from pathlib import Path

import pytest

from jobs import compare
from jobs.cli.job import run_job

MAKER = Path(__file__).parents[1] / "report" / "make_families.py"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Names, in the current directory, of a GAN's, an autoencoder's and a VAE's run."""
    spec = importlib.util.spec_from_file_location("make_families", MAKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return [run.name for run in module.make_families(tmp_path).values()]


@pytest.fixture
def called(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            run_job(compare.JOB, compare.body, list(arguments))
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        return said.out, said.err

    return call


def test_the_page_stands_beside_the_same_table(called, runs, tmp_path):
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    table, _ = called(*runs)
    assert table.splitlines()[1].split() == ["gan", "600,000", "9", "*", "0.4"]
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    again, said = called(*runs, "output=families.html")
    assert again == table
    assert len(said.splitlines()) == 1
    assert "families.html" in said
    assert {path for path in tmp_path.rglob("*") if path.is_file()} - before == {tmp_path / "families.html"}
    assert "<title>gan, autoencoder, vae" in (tmp_path / "families.html").read_text(encoding="utf-8")


def test_dry_run_writes_nothing_and_json_names_the_page(called, runs, tmp_path):
    _, said = called(*runs, "output=families.html", "--dry-run")
    assert len(said.splitlines()) == 1
    assert "families.html" in said
    assert not (tmp_path / "families.html").exists()
    out, _ = called(*runs, "output=families.html", "--json")
    assert json.loads(out)["page"] == str(tmp_path / "families.html")


def test_runs_without_scores_and_of_one_name(called, runs, tmp_path):
    (tmp_path / "gan" / "scores.json").unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "gan").rename(tmp_path / "other" / "vae")
    called("other/vae", "output=alone.html")
    assert "python -m jobs.evaluate other/vae" in (tmp_path / "alone.html").read_text(encoding="utf-8")
    called("vae", "other/vae", "output=two.html")
    assert "vae, other/vae." in (tmp_path / "two.html").read_text(encoding="utf-8")
