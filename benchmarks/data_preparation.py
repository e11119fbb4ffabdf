"""`prepare` against a one-thread loop of Pillow on UTKFace-5k.tar: images a second, interleaved in one run.

    python -m benchmarks.data_preparation [rounds]

The loop opens, converts, resizes (the same filter) and makes an array of each member, and keeps nothing. `prepare`
also lists, hashes, orders, labels and writes a store that survives a power cut. `all cores` is the machine's own
limit: the same loop in one process a core, each with its share of the files, no start or result counted.
"""

import io
import multiprocessing
import os
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from framework.config import DataConfig
from framework.data import prepare

RESOLUTIONS = (32, 64, 128)
ROUNDS = 5


def utkface() -> Path:
    """The archive of 5,000 faces; it is not part of the project."""
    root = Path(os.environ.get("LATENTSCAPE_TEST_DATA", Path(__file__).parents[2] / "shared"))
    return root / "data" / "UTKFace-5k.tar"


def one_thread(archive: Path, *, resolution: int, part: int = 0, parts: int = 1) -> int:
    """The plainest loop, over every `parts`-th file; returns how many."""
    count = 0
    with tarfile.open(archive) as files:
        for number, member in enumerate(files):
            if number % parts != part or not member.isfile():
                continue
            data = files.extractfile(member)
            assert data is not None
            picture = Image.open(io.BytesIO(data.read())).convert("RGB")
            array = np.asarray(picture.resize((resolution, resolution), Image.Resampling.LANCZOS))
            assert array.shape == (resolution, resolution, 3)
            count += 1
    return count


def ours(archive: Path, *, resolution: int, cache: Path) -> int:
    """`prepare` into an empty cache."""
    config = DataConfig(source="utkface", path=str(archive), resolution=resolution)
    return len(prepare(config, cache=cache))


def _share(archive: Path, resolution: int, part: int, parts: int, start: "multiprocessing.synchronize.Barrier") -> None:
    start.wait()
    one_thread(archive, resolution=resolution, part=part, parts=parts)
    start.wait()


def all_cores(archive: Path, *, resolution: int, cores: int) -> float:
    """Seconds of the loop shared out over all cores, without the start of the processes."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(cores + 1)
    workers = [context.Process(target=_share, args=(archive, resolution, k, cores, barrier)) for k in range(cores)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return seconds


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    count = work()
    return time.perf_counter() - began, count


def main(rounds: int = ROUNDS) -> None:
    """Prints one table."""
    archive, cores = utkface(), len(os.sched_getaffinity(0))
    print(f"Data preparation: {archive.name}, {cores} cores, {rounds} interleaved rounds, medians")
    print(
        f"{'px':>4} {'one thread':>12} {'prepare':>12} {'all cores':>12} {'ratio':>7} {'of cores':>9} {'of limit':>9}"
    )
    archive.read_bytes()  # the same page cache for all
    for resolution in RESOLUTIONS:
        rows = []
        for _ in range(rounds):
            peer, count = timed(partial(one_thread, archive, resolution=resolution))
            with tempfile.TemporaryDirectory() as cache:
                mine, _ = timed(partial(ours, archive, resolution=resolution, cache=Path(cache)))
            rows.append((peer, mine, all_cores(archive, resolution=resolution, cores=cores)))
        peer, mine, limit = (statistics.median(column) for column in zip(*rows, strict=True))
        ratio = statistics.median(row[0] / row[1] for row in rows)
        of_limit = statistics.median(row[2] / row[1] for row in rows)
        speeds = " ".join(f"{count / seconds:>8,.0f}/s  " for seconds in (peer, mine, limit))
        print(f"{resolution:>4} {speeds} {ratio:>6.2f} {ratio / cores:>9.2f} {of_limit:>9.2f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
