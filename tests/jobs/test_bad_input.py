"""What a user gets for a mistake: one line that names it, exit status 2, no traceback, nothing written."""

import importlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from framework.runs.lease import lease
from framework.storage import open_folder
from jobs.cli.job import run_job
from tests.conftest import missing

ROOT = Path(__file__).parents[2]
DRAWN = "data: {source: drawn_faces, resolution: 32, limit: 100}\n"


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Calls a job in this process; gives exit status, stdout, stderr, and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments):
        job = importlib.import_module(f"jobs.{name}")
        before = files(tmp_path)
        with pytest.raises(SystemExit) as ended:
            run_job(job.JOB, job.body, list(arguments))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err, files(tmp_path) - before

    return call


def files(folder):
    """All files but locks, which are empty and stay."""
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


@pytest.fixture
def config(tmp_path):
    def write(text):
        (tmp_path / "mine.yaml").write_text(text)
        return "mine.yaml"

    return write


def assert_mistake(result, *said):
    code, out, err, written = result
    assert code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: "), err
    assert missing(err, *said) == []
    assert not written


def test_no_config_at_all(called):
    assert_mistake(called("search"), "jobs.search takes CONFIG", "--help")


def test_a_config_that_is_not_there(called):
    assert_mistake(called("search", "nowhere.yaml"), "nowhere.yaml")


def test_no_yaml(called, config):
    assert_mistake(called("train", config("data: [1, 2")), "mine.yaml", "YAML")


def test_all_faults_of_a_config_in_one_go(called, config):
    path = config("data: {resolution: 48}\noptimizer: {generater_lr: 1e-4}\ntraining: {batch_size: 7}\n")
    result = called("train", path)
    assert_mistake(result, "data.resolution", "optimizer.generator_lr", "training.batch_size")
    assert sum(line.startswith("error: ") for line in result[2].splitlines()) == 3


def test_an_override_of_the_wrong_kind(called, config):
    assert_mistake(called("train", config(DRAWN), "training.total_images=many"), "training.total_images", "many")


def test_an_unknown_switch(called, config):
    assert_mistake(called("train", config(DRAWN), "--fast"), "--fast", "--dry-run")


def test_a_space_that_could_fail(called, config):
    path = config(DRAWN + "search: {space: {model.latent_size: {choice: [0, 32]}, optimizer.beta1: {uniform: [1, 0]}}}")
    result = called("search", path, "--dry-run")
    assert_mistake(result, "search.space.model.latent_size.choice", "search.space.optimizer.beta1.uniform")


def test_data_without_a_path(called, config):
    assert_mistake(called("prepare_data", config("data: {source: utkface}")), "data.path", "utkface")


def test_data_that_is_not_there(called, config):
    assert_mistake(called("prepare_data", config("data: {path: gone.tar}")), "gone.tar")


def test_a_damaged_archive(called, config, tmp_path):
    (tmp_path / "faces.tar").write_bytes(b"no archive" * 100)
    assert_mistake(called("prepare_data", config("data: {path: faces.tar}")), "faces.tar")


def test_a_folder_without_images(called, config, tmp_path):
    (tmp_path / "faces").mkdir()
    assert_mistake(called("prepare_data", config("data: {source: folder, path: faces}")), "faces", "no files")


def test_a_line_about_a_path_is_one_line_and_short(called, config):
    code, _, err, _ = called("prepare_data", config('data: {source: folder, path: "two\\nlines"}'))
    assert (code, err) == (2, "error: data.path: two\\nlines does not exist\n")
    for long in ("a/" * 2500, "b" * 5000):
        code, _, err, _ = called("prepare_data", config(f"data: {{source: folder, path: {long}}}"))
        assert code == 2
        assert err.startswith(f"error: data.path: {long[:99]}")
        assert (len(err.splitlines()), "…" in err) == (1, True)
        assert len(err) < 1020


@pytest.mark.parametrize("name", ["prepare_data", "train", "search", "report", "status", "compare"])
def test_a_pipe_in_place_of_a_config_or_run(called, tmp_path, name):
    os.mkfifo(tmp_path / "mine.yaml")
    positionals = ["mine.yaml", "mine.yaml"] if name == "compare" else ["mine.yaml"]
    assert_mistake(called(name, *positionals), "mine.yaml")


def test_labels_for_other_images(called, config, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (40, 40), (number * 40, 9, 9)).save(folder / f"{number}.png")
    (tmp_path / "tags.csv").write_text("file,hat\nother.png,1\n")
    text = "data: {source: folder, path: faces, resolution: 32, labels: tags.csv, held_out: 0.0}"
    assert_mistake(called("prepare_data", config(text)), "data.labels", "tags.csv", 4, "other.png")


@pytest.mark.long
def test_the_table_of_labels_is_told_before_and_after_packing(called, config, tmp_path):
    for number in range(6):
        (tmp_path / "faces" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number * 40, 9, 9)).save(tmp_path / "faces" / "ab"[number % 2] / f"{number}.png")
    (tmp_path / "tags.csv").write_text("file;hat;text\n" + "".join(f"{k}.PNG;{k % 3 - 1};{k}x\n" for k in range(4)))
    text = "data: {source: folder, path: faces, resolution: 32, labels: tags.csv, held_out: 0.0}"
    expected = [{"label": "hat", "kind": "binary", "images": 2, "counts": {"no": 1, "yes": 1}}]
    for more in (["--dry-run"], [], ["--dry-run"], []):
        code, out, err, _ = called("prepare_data", config(text), "--json", *more)
        document = json.loads(out)
        assert (code, document["label_table"][:1]) == (0, expected), err
        report = document["labels_report"]
        assert (report["rows"], report["rows_without_image"], report["images_without_row"]) == (4, 0, 2)
        assert missing(err, "hat", "unknown", "Warning: 2 of 6 images") == []
    document = json.loads(called("prepare_data", config(text), "data.labels=folders", "--json")[1])
    assert document["label_table"] == [{"label": "folder", "kind": "class", "images": 6, "counts": {"a": 3, "b": 3}}]


@pytest.mark.long
def test_labels_too_few_to_learn_are_named(called, config):
    text = "data: {source: drawn_faces, resolution: 32, limit: 180}\nassessor: {images: 256, width: 8}\n"
    code, out, err, _ = called("train_assessor", config(text), "assessor.attributes=[glasses, hat]", "--json")
    assert code == 0, err
    assert [assessor["accuracy"].keys() for assessor in json.loads(out).values()] == [{"glasses"}] * 2
    assert missing(err, "hat", "at least 20") == []  # images with it, and without


def test_a_run_that_is_none(called, tmp_path):
    (tmp_path / "empty").mkdir()
    assert_mistake(called("report", "empty"), "empty", "experiment.yaml")
    assert_mistake(called("status", "empty"), "empty", "experiment.yaml")
    assert_mistake(called("evaluate", "empty"), "empty")
    assert_mistake(called("interpolate", "gone"), "gone")


def test_evaluate_takes_one_or_two(called):
    assert_mistake(called("evaluate", "a", "b", "c"), "CHECKPOINT_OR_RUN | CONFIG | A B")


def test_a_map_takes_one_or_two(called):
    assert_mistake(called("latent_map"), "CHECKPOINT_OR_RUN [CHECKPOINT_OR_RUN]")
    assert_mistake(called("latent_map", "a", "b", "c"), "CHECKPOINT_OR_RUN [CHECKPOINT_OR_RUN]", "not 3")


def test_storage_that_cannot_be_written(called, config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert_mistake(called("train", config(DRAWN), "storage.path=file", "storage.cache_path=file/c"), "file")


@pytest.mark.parametrize("name", ["prepare_data", "train_assessor", "train", "search", "evaluate", "interpolate",
                                  "arithmetic", "report", "export", "status", "pipeline"])  # fmt: skip
def test_help_has_every_key_of_its_sections_and_fits(called, name):
    code, out, err, written = called(name, "--help")
    assert code == 0
    assert not err
    assert not written
    assert f"python -m jobs.{name}" in out
    assert max(map(len, out.splitlines())) <= 110
    sections = importlib.import_module(f"jobs.{name}").JOB.sections
    assert all(f"\n{section}" in out for section in sections)


def test_dry_run_says_the_plan_and_writes_nothing(called, config):
    text = (
        DRAWN + "search: {space: {model.latent_size: {choice: [32, 64]}}, trials: 3}\ntraining: {total_images: 12800}"
    )
    code, out, err, written = called("pipeline", config(text), "--dry-run", "--json")
    assert code == 0
    assert not written
    assert '"trials": 3' in out
    networks = ("Generator:", "Discriminator:", "Memory:", "Work:", "Time of a trial on one card:")
    for said in ("Images: 100", "Plan: 3 trials", "100 of 128 images", *networks):
        assert said in err


def test_the_reference_pair_in_a_dry_run(called, config):
    code, _, err, _ = called("train", config("data: {source: drawn_faces, resolution: 128}"), "--dry-run")
    assert code == 0
    assert "Generator: 1,901,059 parameters" in err
    assert "Discriminator: 602,113 parameters" in err


def test_a_second_job_on_a_run_is_refused_with_the_first_ones_command(called, config, tmp_path):
    path, place = config(DRAWN), tmp_path / "runs" / "mine"
    with lease(open_folder(str(place)), ["python", "-m", "jobs.search", "mine.yaml"], on_lost=pytest.fail):
        code, out, err, written = called("search", path)
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {place}: ")
    assert missing(last, "python -m jobs.search mine.yaml", f"process {os.getpid()}") == []
    assert not [file for file in written if place in file.parents]


@pytest.mark.parametrize("name", ["train", "search", "pipeline"])
def test_a_place_that_would_vanish_with_a_submitted_job(called, config, monkeypatch, name):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    result = called(name, config(DRAWN))
    assert_mistake(result, "storage.path", "./runs")
    assert len(result[2].splitlines()) == 1  # before images are packed


@pytest.mark.long
def test_an_address_where_nothing_listens(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "jobs.evaluate", "a", "b"],
            env={**os.environ, "RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True,
            text=True,
        )  # fmt: skip
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: RAY_ADDRESS={address}: ")
    assert "host:port" in line


def test_a_package_for_a_tracker_that_is_not_here(called, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as Python itself marks what cannot be imported
    assert_mistake(called("search", config(DRAWN), "telemetry.mlflow=sqlite:///x.db"), "pip install -e '.[mlflow]'")


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ("there", "folder"),
        ("there.html", "folder"),
        ("page.txt", ".html"),
        ("nowhere/page.html", "nowhere"),
        ("s3://bucket/page.html", "this machine"),
    ],
)
def test_a_comparison_that_can_be_written_nowhere(called, tmp_path, output, rule):
    for name in ("there", "there.html"):
        (tmp_path / name).mkdir()
    result = called("compare", "runs/a", "runs/b", f"output={output}")
    assert_mistake(result)
    before, _, said = result[2].partition(f"error: output: {output}: ")
    assert (before, missing(said, rule), len(said.splitlines())) == ("", [], 1)


LOGIN = "https://alice:S3cretPw@mlflow.corp.example/"


@pytest.mark.parametrize(
    "name", ["prepare_data", "train_assessor", "train", "search", "pipeline", "status", "evaluate"]
)
@pytest.mark.parametrize(
    "word", [f"telemetry.mlflow={LOGIN}", LOGIN, f"--{LOGIN}", "storage.path=abfss://:S3cretPw@a.b/c"]
)
def test_a_login_on_the_command_line_is_refused_and_not_repeated(called, config, name, word):
    result = called(name, config(DRAWN), word)
    key, equals, _ = word.partition("=")
    assert_mistake(result, key if equals else "argument 2", "login")
    assert "S3cretPw" not in result[2]


def test_a_login_in_a_file_is_refused_and_not_repeated(called, config):
    result = called("train", config(f"{DRAWN}telemetry: {{mlflow: '{LOGIN}'}}\nseed: '{LOGIN}'\n'{LOGIN}': 1"))
    assert_mistake(result, "telemetry.mlflow", "login", "seed")
    assert "S3cretPw" not in result[2]


@pytest.mark.parametrize("name", ["prepare_data", "train_assessor", "train"])
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("storage.cache_path=cache",)])
def test_storage_of_no_known_kind(called, config, name, more):
    result = called(name, config(DRAWN), "storage.path=foo://x", *more)
    assert_mistake(result, "foo://x", "Unrecognized filesystem type")


def test_storage_of_no_known_kind_of_two_collections(called):
    result = called("evaluate", "a", "b", "storage.path=foo://x")
    assert_mistake(result, "foo://x", "Unrecognized filesystem type")


def test_a_login_that_an_old_run_recorded_is_not_shown(called, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.yaml").write_text("name: run\n")
    (run / "run.json").write_text(json.dumps({"command": ["python", f"telemetry.mlflow={LOGIN}"]}))
    for more in ((), ("--json",)):
        code, out, err, _ = called("status", "run", *more)
        assert (code, "S3cretPw" in out + err) == (0, False)
    assert called("report", "run")[0] == 0
    assert "S3cretPw" not in (run / "report.html").read_text()
    (run / "experiment.yaml").write_text(f"telemetry: {{mlflow: '{LOGIN}'}}\n")
    for name in ("status", "report", "evaluate"):
        code, _, err, _ = called(name, "run")
        assert (code, "S3cretPw" in err) == (2, False)
        assert "run/experiment.yaml: telemetry.mlflow: the URI (https) contains a login" in err


def test_names_and_errors_are_shown_not_obeyed(called, config, tmp_path):
    """A terminal would obey escapes that are printed as they are; a newline would forge a line."""
    evil = "a\x1b]0;OWNED\x07\x1b[2J\nerror: forged\u202e\udcff"
    folder = tmp_path / evil.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    folder.mkdir()
    (folder / "experiment.yaml").write_text("name: ok\n")
    for name, *more in (("status",), ("evaluate",), ("compare",), ("report", "--dry-run"), ("train", "--dry-run")):
        code, out, err, _ = called(name, str(folder), *more)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\udcff]", out + err), name
        assert "\nerror: forged" not in out + err
        assert (r"\x1b]0;OWNED\x07\x1b[2J\nerror: forged\u202e\udcff" in out + err) == (name != "train"), (
            code,
            out,
            err,
        )


def test_the_error_of_a_trial_is_shown_not_obeyed(called, tmp_path):
    trial = tmp_path / "run" / "trials" / "a\x1b[2J"
    trial.mkdir(parents=True)
    (tmp_path / "run" / "experiment.yaml").write_text("name: run\n")
    (trial / "state.json").write_text(
        '{"state": "failed\\u009b2J", "error": "\\u001b]0;OWNED\\u0007 https://a:S3cret@b"}'
    )
    (trial / "params.json").write_text('{"model.\\u001b[2J": "\\u001b[2J"}')
    code, out, err, _ = called("status", "run")
    assert code == 0, err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x80-\x9f]|S3cret", out)
    assert r"error: \x1b]0;OWNED\x07 https://…" in out
