"""A generator given away: what lies in the folder, that its card speaks true, and that nothing tells where it was."""

import errno
import io
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework import load_generator
from framework.checkpoint import CheckpointStore
from framework.config import Experiment, load_experiment, with_overrides
from framework.config.faults import leaves
from framework.config.words import allowed
from framework.config.yaml import parse_yaml
from framework.models import build_generator
from framework.report.export.portable import PORTABLE
from framework.runs import RunFolder
from framework.storage import open_folder
from jobs import export
from jobs.cli.job import run_job
from tests.conftest import missing

FILES = ["README.md", "config.json", "experiment.yaml", "model.safetensors", "samples.png", "scores.json"]
PARAMS = {"model.latent_size": 6, "optimizer.generator_lr": 0.00043}
BEST = "trials/007-ab12/checkpoints/000000000200"
WARNING = "the discriminator has won"
SIDE = {"height": 32, "width": 32, "channels": 3}


def score(value, generated):
    protocol = {
        "name": f"fid{generated // 1000}k_768", "features": {"name": "inception-2015-12-05", "sha256": "a7" * 32},
        "tap": 768, "resize": "299x299", "real": {"count": 4476, "split": "training", "digest": "c1" * 32, **SIDE},
        "fake": {"count": generated, "split": "generated", "seed": 0, **SIDE}, "pixels": "uint8",
    }  # fmt: skip
    return {"metric": protocol["name"], "value": value, "protocol": protocol}


def save(run, trial, images_seen):
    experiment = with_overrides(run.experiment, PARAMS)
    store = CheckpointStore(run.trial(trial).checkpoints, digest="d", learned={}, keep=9)
    network = build_generator(experiment.model, resolution=32, channels=3, seed=images_seen)
    config = {**experiment.model.model_dump(), "resolution": 32, "channels": 3, "images_seen": images_seen}
    return store, store.save({}, info={}, images_seen=images_seen, generator=(network.state_dict(), config))


def make_run(location, **overrides):
    """A run of two trials; the second's checkpoint at 200 is the best, with its trial's score and a final one."""
    elsewhere = {
        "data.path": "/home/someone/faces/UTKFace.tar", "data.labels": "/home/someone/tags.csv",
        "evaluation.weights": "/mnt/weights/inception.pth", "storage.cache_path": "/home/someone/cache",
    }  # fmt: skip
    settings = {"data.resolution": 32, "model.width": 4, "name": "faces", "storage.path": location}
    experiment = with_overrides(Experiment(), {**settings, **elsewhere, **overrides})
    data = {
        "source": "UTKFace.tar",
        "images": 5000,
        "training": 4476,
        "digest": "c1" * 32,
        "labels": ["a|b", "smiling"],
    }
    run = RunFolder.create(experiment, ["python", "-m", "jobs.search", "data.path=/home/someone/faces"], data=data)
    save(run, "003-cd34", 100)
    trial = run.trial("007-ab12")
    trial.write_params(PARAMS)
    trial.append_metrics({"images_seen": 200, "warnings": [WARNING]})
    save(run, trial.id, 100)
    store, best = save(run, trial.id, 200)
    store.record_score(best, score(21.5, 1000), 21.5)
    run.write_best({"trial": trial.id, "checkpoint": BEST, "images_seen": 200, "score": score(21.5, 1000)})
    digest = load_generator(best.folder.location).digest
    run.add_scores([
        {**score(20.25, 5000), "checkpoint": BEST, "generator": digest},
        {**score(1.0, 2000), "checkpoint": BEST, "generator": "0" * 64},  # of a generator that is gone
        {**score(2.0, 5000), "checkpoint": BEST.replace("200", "100"), "generator": digest},
    ])  # fmt: skip
    return run


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return make_run(str(tmp_path / "runs"))


@pytest.fixture
def called(capsys):
    """Calls the job in this process; exit status, stdout, stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            run_job(export.JOB, export.body, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def header_of(card):
    return parse_yaml(card.split("---\n")[1], source="README.md")


def test_the_folder_loads_and_is_the_best_generator(run, called, tmp_path):
    code, out, err = called(run.folder.location, tmp_path / "given", "--json")
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "given").iterdir()) == FILES
    document = json.loads(out)
    assert (document["checkpoint"], sorted(document["files"])) == (BEST, FILES)
    original, given = load_generator((run.folder / BEST).location), load_generator(tmp_path / "given")
    assert (given.digest, given.images_seen) == (original.digest, 200)
    latents = given.sample_latents(40, seed=3)
    assert np.array_equal(given.images(latents), original.images(latents))


@pytest.mark.long
def test_the_cards_own_lines_make_its_picture(run, called, tmp_path):
    assert called(run.folder.location, tmp_path / "given")[0] == 0
    program = re.search(r"```python\n(.*?)```", (tmp_path / "given" / "README.md").read_text(), re.DOTALL)
    assert program
    code = f"{program[1]}import numpy\nnumpy.save('../faces.npy', faces)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "given", check=True)
    faces = np.load(tmp_path / "faces.npy")
    assert faces.shape == (32, 32, 32, 3)
    picture = np.asarray(Image.open(tmp_path / "given" / "samples.png"))
    for index, face in enumerate(faces):  # 8 a row, each 3 times as large, 2 pixels of white between
        top, left = 2 + index // 8 * 98, 2 + index % 8 * 98
        assert np.array_equal(picture[top : top + 96 : 3, left : left + 96 : 3], face)


def test_the_card_says_data_settings_scores_and_warnings(run, called, tmp_path):
    called(run.folder.location, tmp_path / "given")
    card = (tmp_path / "given" / "README.md").read_text()
    for said in (
        "| images | 5,000 |", "| training images | 4,476 |", "c1" * 32, "UTKFace (UTKFace.tar)", r"a\|b, smiling",
        "| `optimizer.generator_lr` | 0.00043 | 0.0002 |", "| `model.latent_size` | 6 | 100 |",
        "2 trials", "5,000 generated", "4,476 real", "`fid1k_768` was the best", WARNING, "non-commercial",
    ):  # fmt: skip
        assert said in card
    rows = re.findall(r"^\| `(fid\w+)` \| ([\d.]+) \|", card, re.MULTILINE)
    assert rows == [("fid5k_768", "20.25"), ("fid1k_768", "21.50")]
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_the_header_is_what_the_hub_reads(run, called, tmp_path):
    called(run.folder.location, tmp_path / "given")
    header = header_of((tmp_path / "given" / "README.md").read_text())
    index = header.pop("model-index")
    assert header == {
        "license": "other",
        "license_name": "utkface-non-commercial-research",
        "license_link": "https://susanqq.github.io/UTKFace/",
        "library_name": "latentscape",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["gan", "dcgan", "faces"],
    }
    (result,) = index[0]["results"]
    assert result["task"] == {"type": "unconditional-image-generation"}
    assert result["dataset"] == {"type": "utkface", "name": "UTKFace"}
    # Never the type "fid", which on the Hub is the distance on 2,048 features.
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [
        ("fid5k_768", 20.25),
        ("fid1k_768", 21.5),
    ]


@pytest.mark.parametrize(("source", "licence"), [("folder", "unknown"), ("drawn_faces", "apache-2.0")])
def test_the_licence_follows_the_data(called, tmp_path, source, licence):
    run = make_run(str(tmp_path / "runs"), **{"data.source": source})
    called(run.folder.location, tmp_path / "given")
    card = (tmp_path / "given" / "README.md").read_text()
    assert header_of(card)["license"] == licence
    assert "non-commercial" not in card
    assert ("photographs" in card) == (source == "folder")


def test_no_file_tells_where_it_was_made(run, called, tmp_path):
    called(run.folder.location, tmp_path / "given")
    for path in (tmp_path / "given").iterdir():
        data = path.read_bytes()
        for place in (str(tmp_path), "/home", "someone", "/mnt", str(Path.home())):
            assert place.encode() not in data, path.name
    experiment = load_experiment(tmp_path / "given" / "experiment.yaml")
    assert (experiment.data.path, experiment.data.labels) == ("UTKFace.tar", "tags.csv")
    assert (experiment.evaluation.weights, experiment.storage) == ("inception.pth", Experiment().storage)
    assert (experiment.model.latent_size, experiment.optimizer.generator_lr) == (6, 0.00043)


PRIVATE = "/home/someone/private"


def test_only_what_is_listed_is_published(called, tmp_path):
    """A path, a login or code in any other setting or text of the run stays there."""
    secrets = {
        "telemetry.mlflow": f"sqlite://{PRIVATE}/mlflow.db",
        "training.start_from": f"{PRIVATE}/runs/first",
        "training.start_digest": f"{PRIVATE}/x",
        "latents.directions.score": "someone_private.scores:f",
        "evaluation.features": "someone_private.nets:f",
        "latents.directions.sorted_samples": f"{PRIVATE}/piles.csv",
        "latents.start": [f"{PRIVATE}/me"],
        "latents.steering.directions": [f"{PRIVATE}/d.safetensors"],
        "latents.groups": {"someone": [1]},
        "assessor.attributes": ["smiling", f"{PRIVATE}/label"],
        "search.space": {
            "training.start_from": {"choice": [f"{PRIVATE}/a"]},
            "optimizer.beta1": {"choice": [0.5, 0.0]},
            "model.entry": {"choice": ["someone_private:f"]},
        },
    }
    run = make_run(str(tmp_path / "runs"), **secrets)
    data = run.about["data"]
    run.note(
        data={**data, "labels": ["smiling", f"{PRIVATE}/labels.csv"], "path": f"{PRIVATE}/faces"},
        versions={"torch": "2.9.0", "latentscape": f"0.1 {PRIVATE}"},
        warnings=[f"trial 7: {PRIVATE}"],
    )
    trial = run.trial("007-ab12")
    trial.write_params({**PARAMS, "data.path": f"{PRIVATE}/faces", "latents.start": [f"{PRIVATE}/me"]})
    trial.append_metrics({"images_seen": 200, "warnings": [f"cannot reach {PRIVATE}/x", "the discriminator has won"]})
    protocol = score(1.0, 3000)["protocol"]
    features = {**(protocol["features"] if isinstance(protocol["features"], dict) else {}), "name": "someone_private:f"}
    about = {
        "protocol": {**protocol, "features": features, "resize": f"{PRIVATE}/r"},
        "path": PRIVATE,
        "detail": {"x": PRIVATE},
    }
    digest = load_generator((run.folder / BEST).location).digest
    run.add_scores([{**score(1.0, 3000), **about, "checkpoint": BEST, "generator": digest}])
    place = run.folder / BEST / "generator"
    place.write_json("config.json", {**place.read_json("config.json"), "entry": "someone_private:f", "made": PRIVATE})
    assert called(run.folder.location, tmp_path / "given")[0] == 0
    for path in (tmp_path / "given").iterdir():
        assert not re.search(rb"/home|private|someone", path.read_bytes()), path.name
    card = (tmp_path / "given" / "README.md").read_text()
    for said in (
        "1 more, which only the run itself has",
        "| smiling |",
        "`optimizer.generator_lr` 0.00043",
        "torch 2.9.0",
    ):
        assert said in card
    experiment = load_experiment(tmp_path / "given" / "experiment.yaml")
    assert experiment.search.space == {"optimizer.beta1": {"choice": [0.5, 0.0]}}
    assert (experiment.assessor.attributes, experiment.training.start_from) == (["smiling"], "first")
    assert experiment.latents == Experiment().latents
    assert load_generator(tmp_path / "given").images_seen == 200


def test_every_setting_that_is_published_holds_no_free_text():
    """A new key is not published until somebody lists it; one that holds text is not listed by mistake."""
    texts = {"name", "training.start_digest", "evaluation.metrics", "assessor.attributes", "search.space"}
    texts |= {"model.layers", "model.discriminator_layers"}
    texts |= {"model.condition", "evaluation.per_class"}  # an export whose labels may be paths is refused
    texts |= {"evaluation.features"}  # of which only the words for networks are published
    known = {key: allowed(field.annotation) for key, field in leaves()}
    assert set(PORTABLE) <= known.keys()
    free = {key for key in PORTABLE if re.search(r"text|mapping", known[key])}
    assert free - {"compute.workers"} == texts


def test_the_card_is_no_place_for_markup(called, tmp_path):
    run = make_run(str(tmp_path / "runs"))
    bad = "<script>alert(1)<script> [a](javascript:b) `x` ## Licence **MIT** https:// |"
    run.note(data={**run.about["data"], "labels": [bad.replace("/", "")], "source": bad.replace("/", "")})
    trial = run.trial("007-ab12")
    trial.append_metrics(
        {"images_seen": 200, "warnings": [f"the discriminator has won: {bad.replace('/', '')}\n## Licence\nMIT"]}
    )
    digest = load_generator((run.folder / BEST).location).digest
    run.add_scores([{**score(1.0, 2000), "metric": bad, "checkpoint": BEST, "generator": digest}])
    run.write_best(
        {"trial": trial.id, "checkpoint": BEST, "images_seen": 200, "score": {**score(1.0, 9000), "metric": bad}}
    )
    assert called(run.folder.location, tmp_path / "given")[0] == 0
    card = (tmp_path / "given" / "README.md").read_text()
    assert not re.search(r"<\w|(?<!\\)\]\(javascript|(?<!\\)\*\*", card)
    assert r"&lt;script&gt;alert(1)&lt;script&gt; \[a\](javascript:b) \`x\` ## Licence \*\*MIT\*\*" in card
    assert card.count("\n## Licence\n") == 1
    assert "was the best of all" not in card  # its metric has no name


def test_the_scores_are_this_generators_with_their_protocol(run, called, tmp_path):
    called(run.folder.location, tmp_path / "given")
    scores = json.loads((tmp_path / "given" / "scores.json").read_text())["scores"]
    assert [(entry["metric"], entry["value"]) for entry in scores] == [("fid5k_768", 20.25), ("fid1k_768", 21.5)]
    assert scores[1] == {**score(21.5, 1000), "checkpoint": BEST}


def test_a_checkpoint_without_a_score(run, called, tmp_path):
    named = run.folder / "trials/003-cd34/checkpoints/000000000100"
    assert called(named.location, tmp_path / "given")[0] == 0
    card = (tmp_path / "given" / "README.md").read_text()
    assert "model-index" not in card
    assert "fid" not in card.partition("## ")[2]
    assert load_generator(tmp_path / "given").images_seen == 100


def test_the_same_again_is_the_same_bytes(run, called, tmp_path):
    called(run.folder.location, tmp_path / "one")
    called(run.folder.location, tmp_path / "two")
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in FILES)


def test_a_dry_run_writes_nothing(run, called, tmp_path):
    code, _, err = called(run.folder.location, tmp_path / "given", "--dry-run")
    assert code == 0
    assert missing(err, *FILES) == []
    assert not (tmp_path / "given").exists()


def test_what_is_there_stays(run, called, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name, reason in (("full", "not empty"), ("file", "a file")):
        for more in ([], ["--dry-run"]):
            code, out, err = called(run.folder.location, tmp_path / name, *more)
            assert (code, out, len(err.splitlines())) == (2, "", 1)
            before, _, said = err.partition(f"error: {tmp_path / name}: ")
            assert (before, missing(said, reason)) == ("", [])
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"
    assert called(run.folder.location, tmp_path / "empty")[0] == 0


def test_a_run_without_a_score_is_one_line(called, tmp_path):
    run = RunFolder.create(with_overrides(Experiment(), {"storage.path": str(tmp_path), "name": "new"}), ["x"])
    code, _, err = called(run.folder.location, tmp_path / "given")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert err.startswith(f"error: {run.folder.location}: ")


@pytest.mark.long
def test_a_disk_that_fills_leaves_nothing(run, tmp_path):
    limit = (run.folder / BEST / "generator").read_bytes("weights.safetensors")

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(limit) // 2, len(limit) // 2))

    command = [sys.executable, "-m", "jobs.export", run.folder.location, str(tmp_path / "given")]
    before = sorted(tmp_path.iterdir())
    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=full)
    assert ended.returncode == 2, ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert line.startswith(f"error: {tmp_path / 'given'}: ")
    assert os.strerror(errno.EFBIG) in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.long
def test_from_a_uri_and_to_a_uri(called, tmp_path, s3_location):
    run = make_run(s3_location.format(f"{tmp_path.name}/runs"))
    target = s3_location.format(f"{tmp_path.name}/given")
    assert called(run.folder.location, tmp_path / "given")[0] == 0
    assert called(run.folder.location, target)[0] == 0
    there = open_folder(target)
    assert there.files() == FILES
    assert all(there.read_bytes(name) == (tmp_path / "given" / name).read_bytes() for name in FILES)
    assert Image.open(io.BytesIO(there.read_bytes("samples.png"))).size == (786, 394)
    assert load_generator(target).images_seen == 200
    code, _, err = called(run.folder.location, target)
    assert code == 2
    assert missing(err, "given", "not empty") == []
