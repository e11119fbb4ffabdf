"""A search disturbed in every way there is, beside the same search left alone; on two Ray nodes of this machine.

With another config than the smallest: LATENTSCAPE_DISTURBED="CONFIG key=value …" make test-disturbed
"""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from framework.config import load_experiment, parse_overrides
from framework.runs import RunFolder
from tests.ray.conftest import TINY, Cluster, Jobs, our_processes, wait_until

SHORT = (
    "search.trials=3",
    "training.total_images=3840",
    "training.report_every_images=160",
    "search.grace_images=1920",
)

pytestmark = pytest.mark.slow


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
        wanted = self.reports() + count

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1]
            return self.reports() >= wanted

        wait_until(there, seconds=600, what=f"{count} reports more")

    def reports(self) -> int:
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
        self._kill_one("ray::Trial.")

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

    def _kill_one(self, title: str) -> None:
        found: list[psutil.Process] = []

        def there() -> bool:  # between two trials there is none for a moment
            found[:] = [one for one in map(psutil.Process, our_processes()) if title in _title(one)]
            return bool(found)

        wait_until(there, seconds=120, what=f"a process called {title}")
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
        search.say(f"{name}, after {search.reports()} reports")
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


@pytest.fixture
def two_nodes(empty_cluster):
    """Two nodes of a core each: the two workers of a trial have to spread over them."""
    for _ in range(2):
        empty_cluster.start(cores=1)
    return empty_cluster


def test_disturbed_in_every_way_it_is_the_search_left_alone(two_nodes, storage, run):
    words = os.environ.get("LATENTSCAPE_DISTURBED", "").split()
    config, *overrides = words or [str(TINY), *SHORT]
    place = next((Path(word.partition("=")[2]) for word in overrides if word.startswith("storage.path=")), storage)
    jobs, arguments = Jobs(place, two_nodes.environment), (config, f"storage.path={place}", *overrides)
    experiment = load_experiment(config, parse_overrides(overrides))
    ended = jobs.run("search", *arguments, "name=undisturbed-search", timeout=7200)
    assert ended.code == 0, ended.err
    print(ended.err)
    reports = sum(len(trial.metrics()) for trial in RunFolder.open(place / "undisturbed-search").trials())

    search = Disturbed(two_nodes, jobs, (*arguments, "name=disturbed"), place / "disturbed" / "trials")
    print(disturb(search, reports_between=reports // (len(WAYS) + 2)))
    found = compare(RunFolder.open(place / "disturbed"), RunFolder.open(place / "undisturbed-search"))
    print(json.dumps({name: {key: part[key] for key in part if key != "scores"} for name, part in found.items()}))
    disturbed, undisturbed = found["disturbed"], found["undisturbed"]
    for key in ("settings", "states", "scores", "best"):
        assert disturbed[key] == undisturbed[key], key
    assert search.seconds["interrupt"] < 10
    # Each way but the interrupt costs what came after the last checkpoint.
    between = experiment.checkpoint.every_images or experiment.evaluation.every_images
    assert 0 < disturbed["images_trained_twice"] <= (len(WAYS) - 1) * between
    assert undisturbed["images_trained_twice"] == 0
