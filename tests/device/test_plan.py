"""What the plan of --dry-run counts, beside what a whole training asks of the pretended GPU.

Memory is counted in the same engine of autograd, since that one lets go of a graph later than torch's own.
"""

import tempfile
from pathlib import Path

import pytest

from framework.config import load_experiment
from framework.orchestration.cluster.gpus import local_gpus
from framework.training import Trainer, WorkerGroup
from framework.training.conditions import condition_of
from framework.training.cost import TrainingCost
from jobs.cli.forecast import forecast
from jobs.cli.job import Console
from tests.device.count import CASES, budgets, experiment_of, images_of, store_of
from tests.device.pretended import pretended

pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]

FACES = "gan of configs/faces.yaml, 32 px"
MEMORY = {
    "gan notebook, R1, 32 px": {"compute.images_per_pass": 24},
    FACES: {"model.condition": ["bright"]},
    "vae, 32 px": {},
}
SHIPPED = Path(__file__).parents[2] / "configs" / "faces.yaml"


@pytest.fixture
def fresh_gpus():
    """The GPUs of this machine are looked for again."""
    local_gpus.cache_clear()
    yield
    local_gpus.cache_clear()


def peak_of(name, **keys):
    """The most that a training of a few steps held, and its plan; the steps are larger than a report's samples."""
    case, side = CASES[name]
    batch = 64 if name.startswith("gan") else 512
    keys = {"model.width": 16, "training.batch_size": batch, "training.total_images": 2 * batch} | keys
    experiment, images = experiment_of(side, **case | keys), images_of(side)
    condition = condition_of(images, experiment.model.condition)
    with tempfile.TemporaryDirectory() as folder, pretended() as gpu:
        store = store_of(experiment, images, folder)
        Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(device="cuda"),
            report=lambda report: None,
            should_stop=lambda: False,
            log=lambda text: None,
        ).run()
        return gpu.most, TrainingCost(experiment, condition=condition).memory_bytes(experiment.compute.precision)


@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_what_the_gpu_holds(name):
    held, planned = peak_of(name, **MEMORY[name])
    assert held == pytest.approx(planned, rel=0.06)


@pytest.mark.parametrize("name", ["gan notebook, 32 px", "gan joint, skip, 32 px", "gan joint, residual, R1, 32 px"])
def test_memory_in_bfloat16_is_about_that(name):
    held, planned = peak_of(name, **{"compute.precision": "bfloat16"})
    assert held == pytest.approx(planned, rel=0.2)


@pytest.mark.parametrize("name", CASES)
def test_operations_are_those_that_the_gpu_is_asked_for(name):
    keys, side = CASES[name]
    grey = {"data.channels": 1} if side == 28 else {}
    cost = TrainingCost(experiment_of(side, **keys | grey))
    assert cost.step_operations == pytest.approx(budgets()[name]["operations"], rel=0.12)


def test_faces_are_planned_for_the_gpu(tmp_path, fresh_gpus, capsys):
    """configs/faces.yaml on a card; tests/orchestration/test_plans.py has it without one."""
    (tmp_path / "photographs").mkdir()
    for number in range(100):
        (tmp_path / "photographs" / f"{number}.jpg").touch()
    place = {"data.path": str(tmp_path / "photographs"), "storage.path": str(tmp_path / "runs")}
    with pretended():
        document = forecast(load_experiment(SHIPPED, place), Console())
    assert (document["trials"], document["workers"], document["gpus_per_worker"]) == (1, 1, 1)
    assert document["memory_bytes_per_worker"] < 24 * 2**30
    said = capsys.readouterr().err
    assert "Work: 1.62 GMAC per generated image, " in said
    assert "Time of a trial on one card: 1.3 h on an H100, " in said
    assert not (tmp_path / "runs").exists()
