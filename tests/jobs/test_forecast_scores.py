"""What `jobs.evaluate --dry-run` says of passes, images and memory, and that it leaves no file."""

import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from framework import load_generator
from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.evaluation.cost import memory_bytes
from framework.models import build_generator
from framework.runs import RunFolder
from jobs import evaluate
from jobs.cli.job import run_job
from tests.conftest import missing

pytestmark = pytest.mark.long

SHAPE = {"resolution": 32, "channels": 3}
DATA = {"source": "drawn faces", "images": 100, "training": 80, "held_out": 20, "digest": "c1" * 32, **SHAPE}


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data / "weights" / "inception-2015-12-05-to-mixed6e.pth"


@pytest.fixture
def run(tmp_path):
    """A run with two kept checkpoints of one trial; its images are nowhere."""
    settings = {"data.source": "drawn_faces", "data.resolution": 32, "model.width": 4, "name": "faces"}
    experiment = with_overrides(Experiment(), {**settings, "storage.path": str(tmp_path / "runs")})
    run = RunFolder.create(experiment, ["python"], data=DATA)
    store = CheckpointStore(run.trial("000-ab12").checkpoints, digest="d", learned={}, keep=9)
    network = build_generator(experiment.model, resolution=32, channels=3, seed=0)
    config = {**experiment.model.model_dump(), **SHAPE}
    for images_seen in (100, 200):
        store.save({}, info={}, images_seen=images_seen, generator=(network.state_dict(), config))
    run.write_best({"trial": "000-ab12", "checkpoint": "trials/000-ab12/checkpoints/000000000200", "images_seen": 200})
    return run


@pytest.fixture
def called(capsys, tmp_path):
    def call(*arguments):
        before = set(tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            run_job(evaluate.JOB, evaluate.body, [*map(str, arguments), "--dry-run", "--json"])
        said = capsys.readouterr()
        assert set(tmp_path.rglob("*")) == before
        return ended.value.code, said.out, said.err

    return call


def test_a_run_s_passes_are_told(run, called, weights):
    code, out, err = called(
        run.folder.location, f"evaluation.weights={weights}", "evaluation.checkpoints=all", "evaluation.samples=400",
        "evaluation.metrics=[fid, kid, memorisation, fid1k_64]", "evaluation.seeds=3", "evaluation.workers=2",
    )  # fmt: skip
    assert code == 2  # 80 training images are too few for a protocol of 1k
    assert missing(err, "fid1k_64", "1,000", 80) == []
    code, out, err = called(
        run.folder.location, f"evaluation.weights={weights}", "evaluation.checkpoints=all", "evaluation.samples=400",
        "evaluation.metrics=[fid, kid, memorisation]", "evaluation.seeds=3", "evaluation.workers=2",
    )  # fmt: skip
    assert code == 0
    document = json.loads(out)
    (plan,) = document["passes"]
    assert plan["metrics"] == ["fid400_768", "kid400_768", "memorisation400_768"]
    assert plan["images"] == 80 + 20 + 2 * 3 * 400
    assert plan["disk_bytes"] == 4 * 768 * (80 + 20 + 400)
    assert document["workers"] == 2
    assert missing(err, "2,500", "80 real", "20 held out", "packed") == []  # they are not


def test_what_is_scored_is_not_counted(run, called, weights):
    from framework.evaluation.requests.run_metrics import RunImageSets, run_scoring_passes

    keys = {"evaluation.weights": str(weights), "evaluation.metrics": ["fid"], "evaluation.samples": 400}
    settled = RunFolder(run.folder, with_overrides(run.experiment, keys))
    (asked,) = run_scoring_passes(settled, RunImageSets.of_run(run), assessor_folder=None)
    checkpoint = "trials/000-ab12/checkpoints/000000000100"
    digest = load_generator(f"{run.folder.location}/{checkpoint}").digest
    protocol = asked.protocol(asked.made.requests[0]).document()
    run.add_scores([{"metric": "fid400_768", "value": 1.0, "protocol": protocol, "checkpoint": checkpoint,
                     "generator": digest}])  # fmt: skip
    overrides = [f"evaluation.weights={weights}", "evaluation.metrics=[fid]", "evaluation.samples=400"]
    code, out, err = called(run.folder.location, *overrides, "evaluation.checkpoints=all")
    assert code == 0
    (plan,) = json.loads(out)["passes"]
    assert (plan["done"], plan["todo"], plan["images"], plan["disk_bytes"]) == (1, 1, 480, 0)
    assert "1 cached" in err
    code, out, _ = called(f"{run.folder.location}/{checkpoint}", *overrides)
    assert code == 0
    (plan,) = json.loads(out)["passes"]
    assert (plan["done"], plan["todo"]) == (1, 0)


def test_without_weights_an_assessor_comes_first(run, called, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    code, out, err = called(run.folder.location, "evaluation.features=assessor")
    assert code == 0
    assert json.loads(out) == {"checkpoints": 1, "passes": []}
    assert "assessor" in err


def test_without_weights_the_scores_are_efficientnets(run, called, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    code, out, _ = called(run.folder.location, "evaluation.samples=400", "evaluation.metrics=[fid, memorisation]")
    assert code == 0
    (plan,) = json.loads(out)["passes"]
    assert plan["metrics"] == ["efficientnet_frechet_distance", "efficientnet_memorisation"]
    assert (plan["features"]["name"], plan["features"]["tap"]) == ("efficientnet-lite2", 1280)
    assert plan["images"] == 80 + 20 + 400


def test_a_run_that_began_with_the_assessor_keeps_it(run, called, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    protocol = {"features": {"name": "assessor", "sha256": "0" * 64}}
    run.add_scores([{"metric": "assessor_frechet_distance", "value": 1.0, "protocol": protocol}])
    code, out, err = called(run.folder.location)
    assert (code, json.loads(out)) == (0, {"checkpoints": 1, "passes": []})
    assert "assessor" in err


def test_two_folders(called, tmp_path, weights):
    for name, count in (("a", 4), ("b", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.fromarray(np.full((16, 16, 3), number * 40, np.uint8)).save(tmp_path / name / f"{number}.png")
    places = tmp_path / "a", tmp_path / "b"
    code, out, _ = called(*places, f"evaluation.weights={weights}", "evaluation.metrics=[fid, diversity]")
    assert code == 0
    (plan,) = json.loads(out)["passes"]
    assert (plan["real"], plan["samples"], plan["images"], plan["disk_bytes"]) == (4, 3, 7, 0)
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "b").mkdir()
    code, _, err = called(*places, f"evaluation.weights={weights}")
    assert code == 2
    assert "Traceback" not in err


def test_the_samples_of_every_truncation_are_counted_and_the_real_images_once(run, called):
    keys = ("evaluation.features=efficientnet", "evaluation.metrics=[precision, memorisation]")
    more = ("evaluation.samples=400", "evaluation.truncation=[1.0, 0.5, 0.7]")
    code, out, err = called(run.folder.location, *keys, *more)
    assert code == 0, err
    plans = json.loads(out)["passes"]
    assert [plan["images"] for plan in plans] == [80 + 20 + 400, 400, 400]
    assert [plan["metrics"][0] for plan in plans] == [
        f"efficientnet_precision{scaled}" for scaled in ("_psi0_5", "_psi0_7", "")
    ]
    code, out, _ = called(run.folder.location, *keys, "evaluation.samples=400")
    (plan,) = json.loads(out)["passes"]
    assert (code, plan["images"]) == (0, 500)
    code, out, err = called(run.folder.location, *keys, "evaluation.truncation=[0.5, 9]")
    assert (code, out) == (2, "")
    assert missing(err.splitlines()[-1], "evaluation.truncation[1]", 0, 4, 9) == []


def test_weights_that_the_job_would_fetch_are_told_and_not_fetched(run, called, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/weights.pth"
        monkeypatch.setenv("LATENTSCAPE_WEIGHTS_URL", url)
        code, out, err = called(run.folder.location, "evaluation.metrics=[fid]")
        assert missing(err, "95,628,359", url) == []
        assert (code, json.loads(out)["passes"][0]["metrics"]) == (0, ["efficientnet_frechet_distance"])
        assert url not in called(run.folder.location, "evaluation.metrics=[fid]", "evaluation.weights=none")[2]
        with pytest.raises(BlockingIOError):
            server.accept()  # nobody has asked


MEASURE = """
import resource, sys
import numpy as np
import torch
torch.set_num_threads(1)
from framework.metrics import Moments, KnnRadii, cover, frechet_distance, subset_distance

what, real, fake, size = sys.argv[1], *map(int, sys.argv[2:5])
rows = np.lib.format.open_memmap(sys.argv[5], "w+", np.float32, (max(real, fake), size))
rng = np.random.default_rng(0)
for start in range(0, len(rows), 1000):
    rows[start : start + 1000] = rng.normal(size=rows[start : start + 1000].shape)
small = rows[:300].copy()
work = {
    "fid": lambda x, y: frechet_distance(Moments.of(x[:600]), Moments.of(y[:600])),
    "kid": lambda x, y: subset_distance(x[:1000], y[:1000]),
    "recall": lambda x, y: cover(x, y, KnnRadii(np.ones(len(x)), np.ones(len(x)), np.ones(len(y))), rows=(0, 256)),
}[what]
work(small[:, :8], small[:, :8])
def resident():
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in open("/proc/self/status") if "kB" in line}
before = resident()["RssAnon"]
import threading, time
highest, over = 0, False
def watch():
    global highest
    while not over:
        highest = max(highest, resident()["RssAnon"])
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
work(rows[:real], rows[:fake])
over = True
thread.join()
print(highest - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
@pytest.mark.parametrize(
    ("family", "real", "fake", "size"), [("fid", 600, 600, 768), ("kid", 1000, 1000, 768), ("recall", 9000, 12000, 192)]
)
def test_the_memory_that_is_told_is_enough_and_not_far_more(family, real, fake, size, tmp_path):
    command = [sys.executable, "-c", MEASURE, family, *map(str, (real, fake, size)), str(tmp_path / "rows.npy")]
    told = memory_bytes([family], real=real, fake=fake, size=size)
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.3 * told < taken < 1.1 * told


def test_what_a_gpu_has_scored_is_not_scored_again(run, weights):
    from framework.checkpoint.reference import find_target
    from framework.evaluation.requests.run_metrics import RunImageSets, run_scoring_passes

    keys = {"evaluation.weights": str(weights), "evaluation.metrics": ["fid", "kid"], "evaluation.samples": 400}
    settled = RunFolder(run.folder, with_overrides(run.experiment, keys))
    (asked,) = run_scoring_passes(settled, RunImageSets.of_run(run), assessor_folder=None)
    fid, kid = asked.made.requests
    target = find_target(run.folder.location)
    on_gpu = asked.on("NVIDIA L4").protocol(fid).document()
    assert on_gpu["real"]["device"] == on_gpu["fake"]["device"] == "NVIDIA L4"
    digest = load_generator(target.location).digest
    score = {"metric": "fid400_768", "value": 1.0, "protocol": on_gpu, "checkpoint": target.checkpoint}
    run.add_scores([score | {"generator": digest}])
    assert asked.missing(target) == [kid]
    assert [known["protocol"] for known in asked.known(target)] == [on_gpu]
