"""What every shipped config gets on every kind of cluster: a table that was reasoned out, not copied from a run.

A machine has 16 cores. Without GPUs they are shared out over as many trials as have a core for each worker; beside a
GPU a worker has one core. By auto a worker has a GPU, and a trial no more workers than there are GPUs. Shares of a GPU
fit card by card: three times 0.3. A cluster from 0 (a head of 8 cores) is asked for all trials at a time.
"""

import pytest

from framework.config import load_experiment
from framework.orchestration.cluster.connect import planned_cluster
from framework.orchestration.cluster.gpus import local_gpus
from framework.orchestration.trial.resources import search_plan
from framework.search.space import number_of_settings
from jobs.cli.forecast import forecast
from jobs.cli.job import Console
from tests.conftest import missing, numbers
from tests.orchestration.plans import CONFIGS, SETTINGS, plan_of, row

# (workers, GPUs each, cores each, trials at a time)
TWO_WORKERS_FOUR_TRIALS = {
    "0 GPUs": (2, 0, 2, 4),  # 8 workers on 16 cores: two each
    "1 GPU": (1, 1, 1, 1),  # one worker, not two
    "2 GPUs": (2, 1, 1, 1),
    "4 GPUs": (2, 1, 1, 2),
    "8 GPUs": (2, 1, 1, 4),
    "1 GPU, 0.5 each": (2, 0.5, 1, 1),  # both workers on one card
    "8 GPUs, 0.3 each": (2, 0.3, 1, 4),  # 24 shares would hold 12 trials
    "2 GPUs, 0 each": (2, 0, 2, 4),
    "from 0, 1 each": (2, 1, 1, 4),  # asks for 8 GPUs
    "from 0, auto": (2, 0, 1, 4),  # 8 cores for 8 workers
}
ONE_WORKER_FOUR_TRIALS = {
    "0 GPUs": (1, 0, 4, 4),  # 16 cores over 4
    "1 GPU": (1, 1, 1, 1),
    "2 GPUs": (1, 1, 1, 2),
    "4 GPUs": (1, 1, 1, 4),
    "8 GPUs": (1, 1, 1, 4),  # four of them idle: there are four trials
    "1 GPU, 0.5 each": (1, 0.5, 1, 2),
    "8 GPUs, 0.3 each": (1, 0.3, 1, 4),
    "2 GPUs, 0 each": (1, 0, 4, 4),
    "from 0, 1 each": (1, 1, 1, 4),
    "from 0, auto": (1, 0, 2, 4),  # 8 cores over 4
}
ONE_TRIAL = {
    "0 GPUs": (1, 0, 16, 1),
    "1 GPU": (1, 1, 1, 1),
    "2 GPUs": (1, 1, 1, 1),  # the others idle: there is one trial
    "4 GPUs": (1, 1, 1, 1),
    "8 GPUs": (1, 1, 1, 1),
    "1 GPU, 0.5 each": (1, 0.5, 1, 1),
    "8 GPUs, 0.3 each": (1, 0.3, 1, 1),
    "2 GPUs, 0 each": (1, 0, 16, 1),
    "from 0, 1 each": (1, 1, 1, 1),
    "from 0, auto": (1, 0, 8, 1),
}
ONE_WORKER_SIX_TRIALS = ONE_WORKER_FOUR_TRIALS | {
    "0 GPUs": (1, 0, 2, 6),  # 16 cores over 6, whole ones
    "8 GPUs": (1, 1, 1, 6),
    "8 GPUs, 0.3 each": (1, 0.3, 1, 6),
    "2 GPUs, 0 each": (1, 0, 2, 6),
    "from 0, 1 each": (1, 1, 1, 6),
    "from 0, auto": (1, 0, 1, 6),
}
ONE_WORKER_TWELVE_TRIALS = ONE_WORKER_FOUR_TRIALS | {
    "0 GPUs": (1, 0, 1, 12),  # 16 cores over 12, whole ones
    "8 GPUs": (1, 1, 1, 8),
    "8 GPUs, 0.3 each": (1, 0.3, 1, 12),
    "2 GPUs, 0 each": (1, 0, 1, 12),
    "from 0, 1 each": (1, 1, 1, 12),
    "from 0, auto": (1, 0, 1, 12),  # 8 cores are too few: whole ones are asked for, so that nodes come
}
TABLE = {
    "demo": TWO_WORKERS_FOUR_TRIALS,
    "faces": ONE_TRIAL,
    "mnist": TWO_WORKERS_FOUR_TRIALS,
    "mnist-autoencoder": ONE_WORKER_FOUR_TRIALS,
    "mnist-vae": ONE_WORKER_SIX_TRIALS,
    "utkface-notebook": ONE_WORKER_TWELVE_TRIALS,
    "utkface-autoencoder": ONE_WORKER_FOUR_TRIALS,
    "utkface-cpu": TWO_WORKERS_FOUR_TRIALS,
    "utkface-vae": ONE_WORKER_FOUR_TRIALS,
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_the_plan_is_as_reasoned(config, setting):
    made, cluster = plan_of(config, setting)
    assert row(made) == TABLE[config.stem][setting]
    # What is said to run now has room now: GPUs are shared out card by card.
    held = made.concurrent_now * made.workers
    assert held * made.cores_per_worker <= cluster.cores
    if made.gpus_per_worker:
        assert held <= cluster.gpus * int(1 / made.gpus_per_worker)
    assert made.concurrent_now == made.concurrent or cluster.grows
    assert made.shares_cards == (0 < made.gpus_per_worker < 1 < made.workers)


@pytest.mark.parametrize(
    ("setting", "told", "facts"),
    [
        # Trials, at a time, waiting, workers, cores each, GPUs each, what a key says, the cluster's cores and GPUs.
        ("0 GPUs", [4, 4, 2, 2, 16, 0], []),
        ("1 GPU", [4, 1, 3, 1, 1, 1, 2, 16, 1], ["compute.workers=2"]),
        ("1 GPU, 0.5 each", [4, 1, 3, 2, 1, 16, 1], ["0.5 GPU", "gloo"]),
        ("from 0, 1 each", [4, 4, 0, 2, 1, 1, 8, 0], ["may grow"]),  # 0 at a time now
        ("from 0, auto", [4, 4, 2, 1, 1, 8, 0], ["compute.gpus_per_worker=1", "may grow"]),
    ],
)
def test_the_line_says_what_is_planned_and_why(setting, told, facts):
    (demo,) = (config for config in CONFIGS if config.stem == "demo")
    made, cluster = plan_of(demo, setting)
    line = made.line(cluster)
    assert (numbers(line, "Plan:"), missing(line, *facts)) == (told, [])


@pytest.fixture
def files(tmp_path):
    """Folders that --dry-run counts: it opens no image."""
    (tmp_path / "utkface").mkdir()
    for number in range(100):
        (tmp_path / "utkface" / f"{20 + number}_0_2_20170116174525125.jpg").touch()
    (tmp_path / "folder").symlink_to(tmp_path / "utkface")
    (tmp_path / "mnist").mkdir()
    for part, count in (("train", 600), ("t10k", 100)):
        header = bytes.fromhex("00000803") + b"".join(n.to_bytes(4, "big") for n in (count, 28, 28))
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(count * 784))
        header = bytes.fromhex("00000801") + count.to_bytes(4, "big")
        (tmp_path / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(header + bytes(count))
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_dry_run_says_what_the_run_would_plan_here(config, files, capsys):
    source = load_experiment(config).data.source
    experiment = load_experiment(config, {} if source == "drawn_faces" else {"data.path": str(files / source)})
    document = forecast(experiment, Console())
    cluster = planned_cluster()
    made = search_plan(experiment, cluster, trials=number_of_settings(experiment))
    assert cluster.gpus == local_gpus().usable  # as many as an embedded Ray is told
    assert made.line(cluster) in capsys.readouterr().err
    assert document["concurrent"] == made.concurrent
    assert (document["workers"], document["gpus_per_worker"]) == (made.workers, made.gpus_per_worker)
