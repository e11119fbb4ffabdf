"""A training that does not fit into memory is told in one line, with what there is and what to change."""

import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.config import Experiment, with_overrides
from framework.errors import OutOfMemoryError
from framework.storage import open_folder
from framework.training import Trainer
from framework.training.memory import is_out_of_memory, out_of_memory
from framework.training.workers import WorkerGroup
from tests.conftest import missing


@pytest.mark.parametrize(
    ("overrides", "workers", "at_once", "smaller"),
    [
        ({}, 1, 128, 64),
        ({}, 3, 43, 21),
        ({"compute.images_per_pass": 16}, 2, 16, 8),
        ({"training.batch_size": 6}, 2, 3, 1),
    ],
)
def test_the_line_halves_what_is_computed_at_a_time(overrides, workers, at_once, smaller):
    experiment = with_overrides(Experiment(), overrides)
    fault = out_of_memory(experiment, WorkerGroup(0, workers, torch.device("cpu")))
    assert isinstance(fault, OutOfMemoryError)
    facts = (f"training.batch_size={experiment.training.batch_size}", f"{workers} worker{'s' * (workers > 1)}")
    assert missing(str(fault), *facts, f"{at_once} images", f"compute.images_per_pass={smaller}") == []
    assert "\n" not in str(fault)


def test_where_one_image_is_too_much_no_smaller_pass_is_advised():
    experiment = with_overrides(Experiment(), {"compute.images_per_pass": 1})
    text = str(out_of_memory(experiment, WorkerGroup()))
    assert missing(text, "one image", "model.width", "data.resolution") == []
    assert "compute.images_per_pass" not in text


@pytest.mark.parametrize(
    ("fault", "is_memory"),
    [
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("the user ran out of memory of what to do"), False),
        (MemoryError(), True),
    ],
)
def test_memory_is_told_from_other_faults_of_the_gpu(fault, is_memory):
    assert is_out_of_memory(fault) == is_memory


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, MemoryError])
def test_a_training_that_meets_it_ends_with_that_line(images, tmp_path, kind):
    experiment = with_overrides(
        Experiment(),
        {"data.resolution": 32, "model.width": 4, "training.batch_size": 8, "compute.precision": "float32"},
    )

    def has_no_memory():
        raise kind("tried to allocate 80.00 GiB")

    store = CheckpointStore(
        open_folder(tmp_path), digest=experiment.digest(images.digest), learned=experiment.learned(), keep=1
    )
    with pytest.raises(OutOfMemoryError, match=r"^out of memory: .* 8 images") as fault:
        Trainer(
            experiment=experiment,
            images=images,
            store=store,
            workers=WorkerGroup(),
            report=lambda report: None,
            should_stop=has_no_memory,
            log=lambda text: None,
        ).run()
    assert isinstance(fault.value.__cause__, kind)
