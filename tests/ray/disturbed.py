"""A search disturbed in every way there is, beside the same search left alone; on two Ray nodes of this machine.

    python -m tests.ray.disturbed CONFIG storage.path=FOLDER [key=value …]

prints what was tried, what came out and what was trained twice. The tests do the same with their smallest config.
"""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from framework.checkpoint import RunFolder
from tests.ray.conftest import Cluster, Jobs, our_processes, wait_until


@dataclass
class Disturbed:
    """A search under way, and what is done to it.

    Args:
        cluster: Of two nodes.
        jobs: Started on it.
        arguments: Of jobs.search.
        trials: RUN/trials.
        say: Told what was done.
    """

    cluster: Cluster
    jobs: Jobs
    arguments: tuple[str, ...]
    trials: Path
    say: Callable[[str], None] = print
    seconds: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        self.process = self.jobs.start("search", *self.arguments)

    def after_reports(self, count: int) -> None:
        """Waits for so many reports more than there are now."""
        wanted = self._reports() + count

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1]
            return self._reports() >= wanted

        wait_until(there, seconds=600, what=f"{count} reports more")

    def _reports(self) -> int:
        return sum(len(file.read_text().splitlines()) for file in self.trials.glob("*/metrics.jsonl"))

    def kill_the_job(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)
        self.start()

    def interrupt_the_job(self) -> None:
        self.process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, err = self.process.communicate(timeout=60)
        self.seconds["interrupt"] = time.monotonic() - sent
        assert self.process.returncode == 130, err
        self.say(f"  ended after {self.seconds['interrupt']:.1f} s: {' / '.join(err.splitlines()[-2:])}")
        self.start()

    def kill_a_driver(self) -> None:
        self._kill_one("ImplicitFunc", "drive_trial")

    def kill_a_worker(self) -> None:
        self._kill_one("RayTrainWorker")

    def kill_a_node(self) -> None:
        self.cluster.kill(self.cluster.nodes[-1])
        self.cluster.start(cores=1)

    def kill_the_cluster(self) -> None:
        killed = time.monotonic()
        self.cluster.start_again(cores=1)
        _, err = self.process.communicate(timeout=180)
        self.seconds["cluster"] = time.monotonic() - killed
        self.say(f"  the job ended after {self.seconds['cluster']:.0f} s, {self.process.returncode}: {err[-500:]}")
        self.start()

    def _kill_one(self, *titles: str) -> None:
        found = [one for one in map(psutil.Process, our_processes()) if any(title in _title(one) for title in titles)]
        assert found, [_title(psutil.Process(pid)) for pid in our_processes()]
        self.say(f"  {_title(found[0])}")
        found[0].kill()


WAYS = {
    "SIGKILL of the job": Disturbed.kill_the_job,
    "SIGKILL of a trial's driver": Disturbed.kill_a_driver,
    "SIGINT of the job": Disturbed.interrupt_the_job,
    "SIGKILL of a worker": Disturbed.kill_a_worker,
    "a node killed": Disturbed.kill_a_node,
    "the whole cluster killed": Disturbed.kill_the_cluster,
}


def disturb(search: Disturbed, *, reports_between: int) -> str:
    """Starts the search, does all of WAYS to it, and waits for its end; gives what the last job said."""
    search.start()
    for name, way in WAYS.items():
        search.after_reports(reports_between)
        search.say(f"{name}, after {search._reports()} reports")
        way(search)
    _, err = search.process.communicate(timeout=3600)
    assert search.process.returncode == 0, err
    return err


def compare(disturbed: RunFolder, undisturbed: RunFolder) -> dict:
    """What came out of both."""
    found = {}
    for name, run in (("disturbed", disturbed), ("undisturbed", undisturbed)):
        trials, best = run.trials(), run.best()
        found[name] = {
            "settings": {trial.id: trial.params for trial in trials},
            "states": {trial.id: trial.state["state"] for trial in trials},
            "best": {"trial": best["trial"], "images_seen": best["images_seen"], "value": best["score"]["value"]},
            "scores": {
                trial.id: [(row["images_seen"], row["score"]["value"]) for row in trial.metrics() if row.get("score")]
                for trial in trials
            },
            "images_trained": sum(trial.metrics()[-1]["images_seen"] for trial in trials if trial.metrics()),
            "images_trained_twice": sum(
                trial.metrics()[-1]["images_trained_twice"] for trial in trials if trial.metrics()
            ),
        }
    return found


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def main(config: str, *overrides: str) -> None:
    """Both searches on nodes of their own, one after the other."""
    storage = next(Path(word.partition("=")[2]) for word in overrides if word.startswith("storage.path="))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("undisturbed", "disturbed"):
            cluster = Cluster(Path(folder) / f"{name}.log")
            try:
                for _ in range(2):
                    cluster.start(cores=1)
                jobs, arguments = Jobs(storage, cluster.environment), (config, *overrides, f"name={name}")
                began = time.monotonic()
                if name == "undisturbed":
                    ended = jobs.run("search", *arguments, timeout=7200)
                    err = ended.err
                    assert ended.code == 0, err
                else:
                    search = Disturbed(cluster, jobs, arguments, storage / name / "trials")
                    err = disturb(search, reports_between=12)
                print(f"{name}: {time.monotonic() - began:.0f} s\n{err}", flush=True)
            finally:
                cluster.end()
    found = compare(RunFolder.open(storage / "disturbed"), RunFolder.open(storage / "undisturbed"))
    one, other = found["disturbed"], found["undisturbed"]
    print(json.dumps({name: {key: part[key] for key in part if key != "scores"} for name, part in found.items()}))
    for key in ("settings", "states", "scores", "best"):
        print(f"{key}: {'the same' if one[key] == other[key] else 'differ'}")
    print(f"left running: {len(our_processes())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
