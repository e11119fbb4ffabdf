"""What a job writes to is taken away while it works: it ends in one line, and the same command finds a way on."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import left_over
from tests.chaos.small_disk import SmallDisk
from tests.chaos.test_jobs import contents
from tests.ray.conftest import TINY, wait_until

RUN, CACHE = "tiny", ".cache"
SESSIONS = "ray/*/session_2*"
SHORT = ("training.total_images=1920", "training.report_every_images=160", "training.samples_every_images=960")


def config(disk: SmallDisk) -> tuple[str, ...]:
    return str(TINY), f"storage.path={disk.place}", *SHORT


@pytest.fixture(scope="module")
def trained(disk, tmp_path_factory) -> Path:
    """A copy of the disk with a training that nothing disturbed."""
    ended = disk.run("train", *config(disk))
    assert ended.code == 0, ended.err
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(disk.inside, folder, dirs_exist_ok=True)
    return folder


def reports(disk: SmallDisk) -> int:
    return sum(len(path.read_text().splitlines()) for path in disk.inside.glob(f"{RUN}/trials/*/metrics.jsonl"))


def began(disk: SmallDisk, name: str, *arguments: str, come: Callable[[], bool]) -> subprocess.Popen:
    """A job that has come so far."""
    process = disk.start(name, *arguments)
    wait_until(lambda: come() or process.poll() is not None, what=f"{name} at work", seconds=300.0)
    assert process.poll() is None, process.communicate()[1]
    return process


def last_lines(process: subprocess.Popen, *codes: int) -> str:
    """Its last words, when it has ended with its documented status."""
    _, err = process.communicate(timeout=300)
    print(process.returncode, err.splitlines()[-2:], flush=True)
    assert process.returncode in codes, err
    assert "Traceback" not in err, err
    return "\n".join(err.splitlines()[-6:])


def test_a_disk_that_becomes_read_only(disk, trained):
    disk.fill(trained)
    for name in (RUN, CACHE):
        shutil.rmtree(disk.inside / name)
    process = began(disk, "train", *config(disk), come=lambda: reports(disk) >= 3)
    disk.read_only(True)
    assert f"error: {disk.place}/{RUN}/" in (last := last_lines(process, 2))
    assert "Read-only file system" in last
    disk.read_only(False)
    assert disk.run("train", *config(disk)).code == 0
    assert contents(disk.inside / RUN) == contents(trained / RUN)
    assert left_over(disk.inside) == []


# Of a whole run, either the lost lease or the lost rows of the trial are noticed first.
@pytest.mark.parametrize(("lost", "codes"), [("", (130, 1)), ("trials", (1,)), ("lease.json", (130,))])
def test_a_run_that_is_deleted_under_its_job(lost, codes, disk, trained):
    """What is gone is made again; the job does not write into a folder that is no longer its own."""
    disk.fill(trained)
    shutil.rmtree(disk.inside / RUN)
    process = began(disk, "train", *config(disk), come=lambda: reports(disk) >= 3)
    path = disk.inside / RUN / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert f"{disk.place}/{RUN}" in last_lines(process, *codes)
    assert disk.run("train", *config(disk)).code == 0
    assert contents(disk.inside / RUN) == contents(trained / RUN)
    assert left_over(disk.inside) == []


def test_images_that_are_deleted_under_their_job(disk, trained):
    """They are mapped into memory, so the training goes on; without them a next job packs them again."""
    disk.fill(trained)
    shutil.rmtree(disk.inside / RUN)
    process = began(disk, "train", *config(disk), come=lambda: reports(disk) >= 3)
    for path in disk.inside.glob(f"{CACHE}/data/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _, err = process.communicate(timeout=300)
    assert process.returncode in (0, 2), err
    assert "Traceback" not in err, err
    assert disk.run("train", *config(disk)).code == 0
    assert contents(disk.inside / RUN) == contents(trained / RUN)


def test_two_jobs_on_one_run(disk, trained):
    """The second one is refused and changes nothing; the first one is not disturbed."""
    disk.fill(trained)
    shutil.rmtree(disk.inside / RUN)
    process = began(disk, "train", *config(disk), come=lambda: reports(disk) >= 3)
    second = disk.run("train", *config(disk))
    assert second.code in (1, 2), second.err
    assert f"{disk.place}/{RUN}" in second.err.splitlines()[-1]
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert contents(disk.inside / RUN) == contents(trained / RUN)


def test_a_checkpoint_that_is_deleted_under_a_study(disk, temporary, trained):
    disk.fill(trained)
    before = {*temporary.glob("ray/*/session_2*")}
    process = began(
        disk, "evaluate", str(disk.place / RUN), come=lambda: {*temporary.glob("ray/*/session_2*")} > before
    )
    for path in disk.inside.glob(f"{RUN}/trials/*/checkpoints"):
        shutil.rmtree(path)
    assert f"{disk.place}/{RUN}/trials/" in last_lines(process, 2)
    assert left_over(disk.inside) == []
