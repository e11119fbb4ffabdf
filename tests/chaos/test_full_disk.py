"""The disk is full at each writer: one line that names the file and the disk, and with room again all is well.

Each job of a small project runs once with room; what it wrote, in its order, says how much room makes a later run of
the same job fail at a certain file.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.conftest import digests, left_over
from tests.chaos.small_disk import PAGE, ROOMY, pages
from tests.chaos.test_jobs import LATENTS, contents
from tests.ray.conftest import TINY

FULL = "No space left on device"
SHORT = ("training.total_images=640", "training.report_every_images=160", "training.samples_every_images=320")
FIRST = "the first file"


@dataclass(frozen=True)
class Stage:
    """A job, and the files at which its disk is to be full: the start of each name, below the disk."""

    job: str
    arguments: tuple[str, ...]
    writers: tuple[str, ...]


def stages(place: Path) -> list[Stage]:
    config = (str(TINY), f"storage.path={place}")
    run = str(place / "tiny")
    return [
        Stage("prepare_data", config, (FIRST, ".cache/data/*/images.npy", ".cache/data/*/manifest.json")),
        Stage("train_assessor", config, (FIRST, ".cache/assessors/*/*/assessor.safetensors")),
        Stage(
            "train",
            (*config, *SHORT),
            (
                FIRST,  # the lease
                "tiny/run.json",
                ".cache/features/*.npy",
                ".cache/statistics/*",
                "tiny/trials/*/metrics.jsonl",
                "tiny/trials/*/samples/*.png",
                "tiny/trials/*/checkpoints/*/state/generator.safetensors",
                "tiny/trials/*/state.json",
            ),
        ),
        Stage("evaluate", (run,), (FIRST, "tiny/scores.json")),
        Stage("discover", (run, *LATENTS), (FIRST, "tiny/directions/*")),
        Stage("steer", (run, *LATENTS), (FIRST, "tiny/artifacts/directions/*.mp4", "tiny/artifacts/effects.json")),
        Stage("arithmetic", (run,), (FIRST, "tiny/artifacts/arithmetic.json")),
        Stage("interpolate", (run, *LATENTS), ("tiny/artifacts/interpolation.png", "tiny/artifacts/loop.mp4")),
        Stage("report", (run,), (FIRST,)),
        Stage("export", (run, str(place / "given")), (FIRST, "given/model.safetensors")),
    ]


@pytest.fixture(scope="module")
def before() -> dict[str, Path]:
    """Job -> a copy of the disk before it; each test leaves the next one's."""
    return {}


@pytest.mark.parametrize("number", range(10), ids=lambda number: stages(Path("/"))[number].job)
def test_a_full_disk_is_one_line_and_with_room_again_all_is_well(number, disk, before, tmp_path_factory):
    stage = stages(disk.place)[number]
    start = before.get(stage.job) or tmp_path_factory.mktemp("empty")
    disk.fill(start)
    known = _sizes(disk.inside)
    ended = disk.run(stage.job, *stage.arguments)
    assert ended.code == 0, ended.err
    expected, after = _result(disk.inside), tmp_path_factory.mktemp(f"after-{stage.job}")
    new = [path for path in _by_time(disk.inside) if known.get(path) != _sizes(disk.inside)[path]]
    sizes = _sizes(disk.inside)
    shutil.copytree(disk.inside, after, dirs_exist_ok=True)
    if number + 1 < len(stages(disk.place)):
        before[stages(disk.place)[number + 1].job] = after

    faults = []
    for writer in stage.writers:
        target = 0 if writer == FIRST else next(at for at, path in enumerate(new) if Path(path).match(writer))
        room = sum(_growth(path, sizes, known) for path in new[:target]) + pages(sizes[new[target]]) // 2 // PAGE * PAGE
        disk.fill(start)
        disk.leave(room if writer != FIRST else 0)
        full = disk.run(stage.job, *stage.arguments)
        last = (full.err.splitlines() or [""])[-1]
        print(f"{stage.job}, {writer}, {room:,} bytes: {full.code}: {last}", flush=True)
        if full.code == 0:  # the order was another one, and there was room for all
            faults.append(f"{writer}: {room:,} bytes were enough")
            continue
        if full.code not in (1, 2) or FULL not in last or str(disk.place) not in last:
            faults.append(f"{writer}: {full.code}: {last}")
        if "Traceback" in full.err:
            faults.append(f"{writer}: {full.err[-3000:]}")
        faults += [f"{writer}: left {path}" for path in left_over(disk.inside) if not path.endswith(".part")]
        faults += [f"{writer}: half of {path}" for path in _half_documents(disk.inside)]
        disk.leave(ROOMY)
        again = disk.run(stage.job, *stage.arguments)
        if again.code != 0:
            faults.append(f"{writer}: with room again {again.code}: {again.err[-2000:]}")
            continue
        if _result(disk.inside) != expected:
            faults.append(f"{writer}: with room again another result: {_differences(_result(disk.inside), expected)}")
        faults += [f"{writer}: left in the end {path}" for path in left_over(disk.inside)]
    assert not faults, "\n".join(faults)


def _growth(path: str, sizes: dict[str, int], known: dict[str, int]) -> int:
    """The room that a new file takes, or a replaced one takes beyond what it took before."""
    return pages(sizes[path]) - (pages(known[path]) if path in known else 0)


def _sizes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _by_time(folder: Path) -> list[str]:
    """Files in the order in which they were written."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]


def _result(folder: Path) -> dict:
    run = folder / "tiny"
    made = contents(run) if (run / "experiment.yaml").exists() else {}
    names = (".cache/data/*/*", ".cache/assessors/*/*/*", ".cache/statistics/*", ".cache/features/*.npy")
    return {**made, "cache": digests(folder, *names), "given": digests(folder, "given/*.safetensors", "given/*.png")}


def _differences(one: dict, other: dict) -> list[str]:
    return [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]


def _half_documents(folder: Path) -> list[Path]:
    """JSON that is none, and lines that are none."""
    half = []
    for path in (*folder.rglob("*.json"), *folder.rglob("*.jsonl")):
        text = path.read_text()
        try:
            [json.loads(each) for each in (text.splitlines() if path.suffix == ".jsonl" else [text])]
        except ValueError:
            half.append(path)
    return half
