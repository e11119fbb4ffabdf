"""What a trial of a search costs before its first step: seconds, processes, their CPU time.

    python -m benchmarks.trial_start [--trials 4]

A search of short trials one after the other, each of 2 workers, on an embedded Ray that is there already; a trial's
start lasts from the last report of the one before to its own first report, made when its networks are built. Beside
it: torchrun with the same two workers, from its command to the same moment.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.ray_overhead import SETTINGS, experiment, job_command, torchrun_command
from framework.data import prepare

SHORT = {"name": "starts", "training.total_images": 1_280, "search.trials": 1, "search.scheduler": "none"}


def under_search(storage: str, trials: int) -> list[tuple[float, int, float]]:
    """(seconds, processes begun, CPU seconds of these) of each trial's start but the first's."""
    settings = {**SETTINGS, **SHORT, "search.space": f"{{seed: {{grid: {list(range(trials))}}}}}"}
    job = subprocess.Popen(job_command("search", storage, settings), stderr=subprocess.PIPE)
    root, found, seen = psutil.Process(job.pid), [], {}
    place = Path(storage) / "starts" / "trials"
    last, before = time.monotonic(), {}
    rows: dict[str, int] = {}
    while job.poll() is None:
        for process in children(root):
            seen[process.pid] = process
        for file in place.glob("*/metrics.jsonl"):
            count = len(file.read_text().splitlines())
            if count == rows.get(file.parent.name, 0):
                continue
            now = time.monotonic()
            if file.parent.name not in rows:
                begun = [process for pid, process in seen.items() if pid not in before]
                found.append((now - last, len(begun), sum(map(cpu_seconds, begun))))
            rows[file.parent.name], last, before = count, now, dict(seen)
        time.sleep(0.05)
    if job.returncode:
        sys.exit(job.stderr.read().decode())
    return found[1:]


def children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def cpu_seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def under_torchrun(storage: str) -> float:
    """Seconds from the command to the first report."""
    first = Path(storage) / "first-report"
    first.unlink(missing_ok=True)
    began = time.monotonic()
    process = subprocess.Popen(torchrun_command(storage), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not first.exists() and process.poll() is None:
        time.sleep(0.05)
    seconds = time.monotonic() - began
    process.terminate()
    process.wait()
    return seconds


def main() -> None:
    """Prints a line a trial and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as storage:
        prepare(experiment(storage).data, cache=Path(storage) / ".cache")
        starts = under_search(storage, arguments.trials)
        for seconds, processes, cpu in starts:
            print(f"a trial's start: {seconds:.1f} s, {processes} processes, {cpu:.1f} s of CPU time")
        plain = [under_torchrun(storage) for _ in range(2)]
    median, peer = statistics.median(seconds for seconds, _, _ in starts), statistics.median(plain)
    print(f"torchrun, 2 workers: {peer:.1f} s; a trial's start takes {median / peer:.2f} times as long")


if __name__ == "__main__":
    main()
