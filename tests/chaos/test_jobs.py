"""Real jobs killed and interrupted at random moments: 42 times, several in each disturbed run.

After each kill the job goes on, or ends with its documented exit code and is started again by the same command. At the
end everything that matters equals an undisturbed run, and nothing is left over.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framework.runs import RunFolder
from tests.chaos.conftest import digests, draws, left_over
from tests.chaos.disturbing import (
    DRIVER_KILLED,
    JOB_INTERRUPTED,
    JOB_KILLED,
    JOB_TERMINATED,
    NODE_KILLED,
    TASK_KILLED,
    WORKER_KILLED,
    Job,
    Place,
    alive,
    deletes,
    timed,
)
from tests.chaos.test_loop import NOT_LEARNED
from tests.ray.conftest import TINY, Cluster, wait_until

SHARE = float(os.environ.get("LATENTSCAPE_CHAOS_SHARE", "1"))  # of the kills
REPORT_IMAGES = 160
OF_THE_MOMENT = ("images_seen", "real_images_seen", "step", "checkpoint", "score", "best_score", "sample_spread")
SHORT = (
    "training.total_images=1920",
    f"training.report_every_images={REPORT_IMAGES}",
    "training.samples_every_images=960",
    "compute.max_failures=9",
)
SEARCHES = {
    "asha": ("search.trials=3", "search.grace_images=640"),
    "pbt": (
        "search.scheduler=pbt",
        "search.trials=3",
        "search.generation_images=640",
        "search.space={optimizer.generator_lr: {loguniform: [2e-4, 2e-3]}}",
    ),
}
OF_SEARCHES = [
    *(JOB_KILLED, JOB_KILLED, JOB_INTERRUPTED, JOB_TERMINATED),
    *(DRIVER_KILLED, WORKER_KILLED, WORKER_KILLED, TASK_KILLED, NODE_KILLED),
]
OF_TRAININGS = [JOB_KILLED, JOB_TERMINATED, WORKER_KILLED, DRIVER_KILLED, TASK_KILLED]
OF_PIPELINES = [JOB_KILLED, JOB_KILLED, JOB_KILLED, JOB_INTERRUPTED, JOB_TERMINATED]
# What each job makes in the run, and how it is disturbed.
LATENTS = (
    "latents.walks.pairs=4",
    "latents.steering.effect_samples=1000",
    "latents.directions.samples=512",
    "latents.directions.per_class=128",
)
STUDIES = {
    "evaluate": (("scores.json",), [JOB_KILLED, TASK_KILLED, JOB_INTERRUPTED]),
    "discover": (("directions",), [JOB_KILLED, TASK_KILLED, JOB_TERMINATED]),
    "steer": (("artifacts/effects.json", "artifacts/directions"), [JOB_KILLED, JOB_KILLED, TASK_KILLED]),
    "arithmetic": (("artifacts/arithmetic.json", "artifacts/arithmetic.png"), [JOB_KILLED, TASK_KILLED]),
    "interpolate": (("artifacts/interpolation.json", "artifacts/loop.gif"), [JOB_KILLED, JOB_INTERRUPTED]),
    "report": (("report.html",), [JOB_KILLED]),
}
# What others leave, killed or not: PyTorch's compiler an empty folder for each user, the dashboard of an embedded Ray
# one with the socket of its forkserver.
OF_OTHERS = ("torchinductor_", "pymp-")
COORDINATOR = "_AutoscalingCoordinatorActor"  # of Ray itself; it stays as long as its cluster
# Of a run's JSON documents: what depends on the clock or on the machine.
_CLOCK = NOT_LEARNED | {"created", "cost_seconds", "measured_seconds", "wall_hours", "gpu_seconds", "cpu_seconds"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> Iterator[Cluster]:
    """Two nodes of a core each."""
    made = Cluster(tmp_path_factory.mktemp("cluster") / "log")
    try:
        made.start(cores=1, wait=False)
        made.start(cores=1)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def cache(tmp_path_factory, temporary) -> Path:
    """Packed images and assessors, for the runs that do not make their own."""
    place = Place(tmp_path_factory.mktemp("cache"), temporary)
    timed(place, "train_assessor", str(TINY), f"storage.path={place.storage}")
    return place.storage / ".cache"


@pytest.fixture(scope="module")
def piped(tmp_path_factory, temporary) -> tuple[Place, float]:
    """A pipeline left alone, and its seconds."""
    place = Place(tmp_path_factory.mktemp("undisturbed"), temporary)
    return place, timed(place, "pipeline", *_pipeline(place))


@pytest.mark.parametrize("scheduler", SEARCHES)
def test_a_search_disturbed_in_every_way_is_the_one_left_alone(scheduler, nodes, cache, temporary, tmp_path):
    arguments = (str(TINY), f"storage.path={tmp_path}", f"storage.cache_path={cache}", *SHORT, *SEARCHES[scheduler])
    _compare_trained("search", arguments, OF_SEARCHES, Place(tmp_path, temporary, nodes))


def test_a_training_disturbed_in_every_way_is_the_one_left_alone(nodes, cache, temporary, tmp_path):
    arguments = (str(TINY), f"storage.path={tmp_path}", f"storage.cache_path={cache}", *SHORT)
    _compare_trained("train", arguments, OF_TRAININGS, Place(tmp_path, temporary, nodes))


def _compare_trained(name: str, arguments: tuple[str, ...], ways: list[str], place: Place) -> None:
    ways = _share(ways)
    timed(place, name, *arguments, "name=undisturbed")
    trials = place.storage / "disturbed" / "trials"
    whole = _reports(place.storage / "undisturbed" / "trials")
    job = Job(
        place,
        name,
        (*arguments, "name=disturbed"),
        draws(name, *arguments[3:]),
        undo=deletes(place.storage / "disturbed", "trials"),
        progress=lambda: _reports(trials),
    )
    job.disturb(ways, between=whole / (len(ways) + 1))
    _assert_same(place.storage / "disturbed", place.storage / "undisturbed", job)
    _nothing_left(place, of_the_cluster=True)


def test_a_pipeline_from_nothing_killed_again_and_again_is_the_one_left_alone(piped, temporary, tmp_path):
    """It also packs the images, trains the assessors, scores and draws."""
    undisturbed, seconds = piped
    place = Place(tmp_path, temporary)
    job = Job(
        place, "pipeline", _pipeline(place), draws("pipeline"), undo=deletes(tmp_path, ".cache", "tiny")
    )  # fmt: skip
    ways = _share(OF_PIPELINES)
    job.disturb(ways, between=0.6 * seconds)
    _assert_same(tmp_path / "tiny", undisturbed.storage / "tiny", job)
    names = ("data/*/*", "assessors/*/*/*", "statistics/*", "features/*.npy")
    assert digests(tmp_path / ".cache", *names) == digests(undisturbed.storage / ".cache", *names)
    _nothing_left(place)


def test_scores_and_latent_studies_disturbed_are_those_left_alone(piped, tmp_path):
    undisturbed, _ = piped
    run, copy = undisturbed.storage / "tiny", undisturbed.storage / "copy"
    shutil.copytree(run, copy)
    for made, _ in STUDIES.values():
        deletes(run, *made)()
        deletes(copy, *made)()
    for name, (made, ways) in STUDIES.items():
        more = () if name == "report" else LATENTS if name != "evaluate" else ()
        seconds = timed(undisturbed, name, str(run), *more)
        job = Job(undisturbed, name, (str(copy), *more), draws(name), undo=deletes(copy, *made))
        job.disturb(_share(ways), between=0.8 * seconds)
        assert contents(copy) == contents(run), job.kills
    _nothing_left(undisturbed)


def _pipeline(place: Place) -> tuple[str, ...]:
    return (str(TINY), f"storage.path={place.storage}", *SHORT, "latents.walks.pairs=4")


def _share(ways: list[str]) -> list[str]:
    return ways[: max(1, round(len(ways) * SHARE))]


def _reports(trials: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in trials.glob("*/metrics.jsonl"))


def _assert_same(disturbed: Path, undisturbed: Path, job: Job) -> None:
    """Everything is equal but the report of an interrupted trial, where it saved, and the shorter one after it.

    These are compared without what is a mean over the images since the report before.
    """
    one, other = contents(disturbed), contents(undisturbed)
    for name, trial in one["trials"].items():
        saved = {row["images_seen"] for row in trial["rows"] if row["images_seen"] % REPORT_IMAGES}
        stops = [kill for kill in job.kills if JOB_INTERRUPTED in kill or JOB_TERMINATED in kill]
        assert len(saved) <= len(stops), job.kills
        cut = {-(-images // REPORT_IMAGES) * REPORT_IMAGES for images in saved}
        for each in (trial, other["trials"][name]):
            each["rows"] = [
                {key: value for key, value in row.items() if key in OF_THE_MOMENT} if row["images_seen"] in cut else row
                for row in each["rows"]
                if row["images_seen"] not in saved
            ]
    assert one == other, job.kills


def contents(folder: Path) -> dict[str, Any]:
    """Everything that a run holds but the clock, the machine and the page made of it.

    A trial that its rule stopped may have come further than the decision, so of its checkpoints and rows only those
    count that were scored.
    """
    run = RunFolder.open(folder)
    trials = {}
    for trial in run.trials():
        place = Path(trial.folder.location)
        rows = [_timeless(row) for row in trial.metrics()]
        stopped = trial.state.get("state") == "stopped"
        last = max((row["images_seen"] for row in rows if "score" in row), default=0) if stopped else None
        names = sorted(name for name in trial.checkpoints.list() if name.isdigit() and (not last or int(name) <= last))
        weights = digests(place, f"checkpoints/{names[-1]}/*/*.safetensors") if names else {}
        trials[trial.id] = {
            "params": trial.params,
            "state": trial.state,
            "rows": [row for row in rows if last is None or row["images_seen"] <= last],
            "weights": weights,
            "lineage": trial.lineage(),
        }
    documents = {
        str(path.relative_to(folder)): _timeless(json.loads(path.read_text()))
        for path in [folder / "best.json", folder / "scores.json", *folder.glob("artifacts/**/*.json")]
        if path.exists()
    }
    leaderboard = [_timeless(row) for row in run.leaderboard()]
    others = digests(folder, "directions/*", "artifacts/**/*.png", "artifacts/**/*.gif", "artifacts/**/*.mp4")
    return {"trials": trials, "documents": documents, "leaderboard": leaderboard, "files": others}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in _CLOCK}
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    return value


def _nothing_left(place: Place, *, of_the_cluster: bool = False) -> None:
    """No process of a job, no temporary or half file, no lease and no lock that is held."""
    works = _works if of_the_cluster else _is_ours  # the nodes of a cluster live on; what jobs started on them does not
    wait_until(lambda: not [one for one in alive().values() if works(one)], what="no process of a job left running")
    assert left_over(place.storage) == []
    mine = [path for path in place.temporary.glob("*") if path.name != "ray"]
    assert [path for path in mine if not path.name.startswith(("latentscape-", *OF_OTHERS))] == []
    ours = [path for path in mine if path.name.startswith("latentscape-")]
    assert [path for folder in ours for path in folder.rglob("*") if path.suffix != ".lock"] == []


def _works(title: str) -> bool:
    of_ray = ("IDLE", "Agent", COORDINATOR)  # they stay as long as the cluster
    return (title.startswith("ray::") and not any(word in title for word in of_ray)) or " -m jobs." in title


def _is_ours(title: str) -> bool:
    return COORDINATOR not in title  # of the cluster of earlier tests, which still runs
