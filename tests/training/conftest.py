"""Tiny images in a real store, and trainings on real processes that are gone when the test is."""

import json
import os
import select
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """200 discs of random place, size and colour, 32x32, in a packed store."""
    folder, cache = tmp_path_factory.mktemp("discs"), tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:32, 0:32]
    for number in range(200):
        (top, left), radius = rng.uniform(10, 22, 2), rng.uniform(5, 10)
        inside = ((rows - top) ** 2 + (columns - left) ** 2 < radius**2)[..., None]
        picture = np.where(inside, rng.integers(130, 255, 3), rng.integers(0, 120, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"1_0_{number:03d}.png")
    archive = folder / "discs.tar"
    with tarfile.open(archive, "w") as tar:
        for file in sorted(folder.glob("*.png")):
            tar.add(file, arcname=f"discs/{file.name}")
    return prepare(DataConfig(source="folder", path=str(archive), resolution=32, held_out=0.0), cache=cache)


class Ranks:
    """Runs trainings on real processes, one at a time, each in a folder of its own; see run_ranks.py."""

    def __init__(self, folder, images):
        self._folder, self._images, self._count, self._running = folder, images, 0, None
        self._starter = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("run_ranks.py"))],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # so that `select` sees each line
        )

    def _start(self, *jobs, world):
        """A process group of `world` ranks that runs the jobs in turn: its number, and the file it writes to."""
        self._kill()  # what a test before this one may have left
        self._count += 1
        spec = self._folder / f"spec-{self._count}.json"
        for job in jobs:
            job["images"] = str(self._images.path)
        rendezvous = str(self._folder / f"rendezvous-{self._count}")
        spec.write_text(json.dumps({"world": world, "rendezvous": rendezvous, "jobs": list(jobs)}))
        self._starter.stdin.write(f"{spec}\n".encode())
        self._running = int(self._starter.stdout.readline())
        return spec.with_suffix(".log")

    def _code(self):
        """The exit code, when it has ended."""
        code = int(self._starter.stdout.readline())
        self._running = None
        return code

    def _kill(self):
        if self._running is not None:
            os.killpg(self._running, signal.SIGKILL)
            self._code()

    def run(self, *jobs, world=1):
        """Runs them to their end."""
        log = self._start(*jobs, world=world)
        assert self._code() == 0, log.read_text()

    def kill_hanging(self, job, *, world=1):
        """Starts a job, waits until rank 0 hangs in the report it was told to, and kills every process of it."""
        log = self._start(job, world=world)
        mark = Path(job["reports"]).with_suffix(".hanging")
        while not mark.exists():
            ended = select.select([self._starter.stdout], [], [], 0.02)[0]
            assert not ended, log.read_text()
        os.killpg(self._running, signal.SIGKILL)
        assert self._code() == -signal.SIGKILL

    def job(self, name, *, store=None, **rest):
        """A job's paths; `name` is the folder of its checkpoints unless `store` is given."""
        place = self._folder / (store or name)
        return {"store": str(place), "reports": str(self._folder / f"{name}.json"), **rest}

    def close(self):
        """Nothing survives."""
        self._kill()
        self._starter.stdin.close()
        self._starter.wait()
        self._starter.stdout.close()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, images):
    """See `Ranks`; names of jobs are for the whole module."""
    group = Ranks(tmp_path_factory.mktemp("ranks"), images)
    yield group
    group.close()
