"""The training loop without Ray, killed at random moments: 60 times, in six trainings of different kinds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framework.config import DataConfig
from framework.data import prepare
from framework.runs import TrialFolder
from framework.storage import open_folder
from tests.chaos.conftest import HERE, digests, draws, left_over

ROOT = HERE.parents[1]
KILLS = int(os.environ.get("LATENTSCAPE_CHAOS_LOOP_KILLS", "60"))
BATCH = 8
EVERY_STEPS = 4  # between two checkpoints; each is scored
# How often a life sees these words before it is killed, at most, and the seconds after the last one.
MOMENTS = {"step": (9, 0.05), "saving": (2, 0.04), "scoring": (2, 0.03), "reporting": (4, 0.01)}
MOST_STEPS = 10  # of a life

SETTINGS = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "training.batch_size": BATCH,
    "training.report_every_images": 2 * BATCH,
    "training.samples_every_images": 8 * BATCH,
    "evaluation.every_images": EVERY_STEPS * BATCH,
    "checkpoint.keep": 2,
    "compute.precision": "float32",
}
KINDS = {
    "dcgan": {"training.schedule": "notebook"},
    "dcgan-r1": {"training.schedule": "joint", "objective.r1_gamma": 5.0, "objective.r1_every_steps": 3},
    "dcgan-augmented": {
        "training.schedule": "joint",
        "objective.augmentations": ["color", "translation", "cutout"],
        "objective.loss": "hinge",
    },
    "skip": {"model.architecture": "skip", "model.dropout": 0.2, "objective.r1_gamma": 1.0},
    "vae": {"model.family": "vae", "objective.beta_warmup_images": 40 * BATCH},
    "autoencoder": {"model.family": "autoencoder", "data.horizontal_flip": True},
}
# What depends on the clock, or counts the lives.
NOT_LEARNED = {
    "images_per_second",
    "data_wait_share",
    "memory_bytes",
    "wall_seconds",
    "cpu_minutes",
    "life_began_at_images_seen",
    "images_trained_twice",
    "seconds",
    "waited_seconds",
    "arrived_at_images_seen",
}


class Lives:
    """Starts trainings, one at a time."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self._starter = subprocess.Popen(
            [sys.executable, str(HERE / "loop_lives.py")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, spec: Path, *, word: str = "", count: int = 0, seconds: float = 0.0) -> tuple[int, str]:
        """Trains, to the end or until it has said a word so often and so many seconds have passed; how it ended.

        Returns:
            The exit code, and the last thing it said.
        """
        print(spec, file=self._starter.stdin, flush=True)
        pid = int(self._line().removeprefix("pid "))
        said = ""
        while not (line := self._line()).startswith("ended "):
            said, count = line, count - (line == word)
            if word and line == word and count == 0:
                time.sleep(seconds)
                os.kill(pid, signal.SIGKILL)
        return int(line.removeprefix("ended ")), said

    def _line(self) -> str:
        line = self._starter.stdout.readline()
        assert line, "the process that starts trainings is gone"
        return line.strip()

    def end(self) -> None:
        self._starter.stdin.close()
        self._starter.wait()
        self._starter.stdout.close()


@pytest.fixture(scope="module")
def lives():
    started = Lives()
    yield started
    started.end()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    config = DataConfig(source="drawn_faces", resolution=32, limit=120, held_out=0.1)
    return prepare(config, cache=tmp_path_factory.mktemp("cache"), processes=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_killed_at_any_moment_is_the_one_left_alone(kind, lives, images, tmp_path):
    kills = KILLS // len(KINDS)
    total = BATCH * MOST_STEPS * (kills + 1)
    overrides = {**SETTINGS, **KINDS[kind], "training.total_images": total}

    def spec(name: str) -> Path:
        (tmp_path / name).mkdir()
        written = tmp_path / f"{name}.json"
        about = {"overrides": overrides, "images": str(images.path), "trial": str(tmp_path / name)}
        written.write_text(json.dumps(about))
        return written

    assert lives.live(spec("undisturbed"))[0] == 0
    rng, disturbed, done = draws("loop", kind), spec("disturbed"), []
    for _ in range(kills):
        word = str(rng.choice([*MOMENTS]))
        most, seconds = MOMENTS[word]
        moment = {"word": word, "count": int(rng.integers(1, most + 1)), "seconds": float(rng.uniform(0, seconds))}
        code, said = lives.live(disturbed, **moment)
        done.append(f"{moment} (it said {said} last)")
        assert code == -signal.SIGKILL, done
    assert lives.live(disturbed)[0] == 0, done
    print(f"{kind}: killed {kills} times: {'; '.join(done)}")
    assert _result(tmp_path / "disturbed") == _result(tmp_path / "undisturbed"), done
    assert left_over(tmp_path / "disturbed") == [], done
    shutil.rmtree(tmp_path / "disturbed")


def _result(trial: Path) -> dict:
    """Everything about a training but the clock: weights and states by their sha256, best.json, rows."""
    rows = [
        {key: value for key, value in row.items() if key not in NOT_LEARNED}
        for row in TrialFolder(open_folder(trial)).metrics()
    ]
    return {
        "files": digests(trial, "checkpoints/*/*/*.safetensors", "checkpoints/best.json", "samples/*.png"),
        "rows": rows,
        "state": json.loads((trial / "state.json").read_text()),
    }
