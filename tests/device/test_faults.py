"""Faults planted into the running code: each is caught, and named with the product's own line."""

import inspect
import re
import textwrap

import pytest

from framework.images import ranges
from framework.models.architectures import autoencoder
from framework.training import state
from framework.training.reports import report as reporting
from framework.training.reports import samples
from framework.training.steps import base_step as stepping
from framework.training.steps import gan_step as step
from framework.training.steps import geometry
from framework.training.steps.penalties import GradientPenalties
from tests.device.count import budgets, check, counted
from tests.device.test_training import lives

pytestmark = pytest.mark.long

GAN_STEP, LEAKY = r"framework/training/steps/gan_step\.py", r"framework/models/arithmetic/leaky\.py"


@pytest.fixture
def plant(monkeypatch):
    """Replaces a piece of a function's own text; what it is made of then says the same file and line."""

    def plant(owner, name, piece, fault):
        function = inspect.unwrap(getattr(owner, name))
        lines, first = inspect.getsourcelines(function)
        source = textwrap.dedent("".join(lines))
        assert source.count(piece) == 1, f"{name} has changed: plant the fault elsewhere"
        text = "\n" * (first - 1) + source.replace(piece, fault)
        made = {}
        exec(compile(text, inspect.getfile(function), "exec"), function.__globals__, made)
        monkeypatch.setattr(owner, name, made[name])

    return plant


DEVICES = "Expected all tensors to be on the same device"


def exceeds(name):
    """What is said of a case that is over its budget."""
    with pytest.raises(AssertionError) as told:
        check(name, counted(name), budgets()[name])
    return str(told.value)


def test_a_device_forgotten_in_arange(plant, tmp_path):
    plant(geometry, "_one_hot", "torch.arange(side, device=like.device)", "torch.arange(side)")
    with pytest.raises(RuntimeError, match=rf"at framework/training/steps/geometry\.py:\d+ in _one_hot: {DEVICES}"):
        lives(tmp_path, 32, {"objective.augmentations": ["translation"]})


def test_a_device_forgotten_in_eye(plant, tmp_path):
    plant(autoencoder.FittedDecoder, "fit", "eye(self.latent_size, device=codes.device)", "eye(self.latent_size)")
    with pytest.raises(RuntimeError, match=rf"at framework/models/architectures/autoencoder\.py:\d+ in fit: {DEVICES}"):
        lives(tmp_path, 32, {"model.family": "autoencoder"})


def test_a_dropout_mask_left_on_the_host(plant, tmp_path):
    plant(step.PairStep, "_logits", "network(images, mask)", "network(images, None if mask is None else mask.cpu())")
    with pytest.raises(RuntimeError, match=rf"at framework/models/architectures/\w+\.py:\d+ in .*: {DEVICES}"):
        lives(tmp_path, 32, {})


def test_adams_step_on_the_host_after_a_resume(plant, tmp_path):
    plant(state, "restore_moments", '.step"].to(parameter.device)', '.step"]')
    named = r"_fused_adam_.* at framework/training/steps/base_step\.py:\d+ in Step\._update: tensors on cpu and cuda"
    with pytest.raises(RuntimeError, match=named):
        lives(tmp_path, 32, {})


def test_numpy_of_what_is_on_the_gpu(plant, tmp_path, monkeypatch):
    plant(ranges, "to_pixels", ".cpu().numpy()", ".numpy()")
    monkeypatch.setattr(samples, "to_pixels", ranges.to_pixels)
    with pytest.raises(TypeError, match=r"can't convert cuda:0 .* at framework/images/ranges\.py:\d+ in to_pixels"):
        lives(tmp_path, 32, {})


def test_the_first_report_of_no_steps(plant, tmp_path):
    plant(reporting.MetricAccumulator, "row", "not self._looks_each_step and self._steps", "not self._looks_each_step")
    with pytest.raises(RuntimeError, match="stack expects a non-empty TensorList") as told:
        lives(tmp_path, 32, {})
    assert any(entry.path.name == "report.py" and entry.name == "row" for entry in told.traceback)


def test_a_number_looked_at_in_the_step(plant):
    plant(
        step.PairStep,
        "_generator_update",
        "parameter.requires_grad_(True)",
        "parameter.requires_grad_(parameter is not self._judging[0] or norm.item() < 9)",
    )
    said = exceeds("gan notebook, 32 px")
    assert re.search(
        r"waits 1, budget 0\n.*\(item, .*: framework/training/steps/gan_step\.py:\d+ in _generator_update$", said, re.M
    )


def test_a_blocking_copy_in_the_step(plant):
    fault = "(images * torch.ones(1).to(images.device)).requires_grad_"
    plant(GradientPenalties, "watched", "images.requires_grad_", fault)
    said = exceeds("gan joint, skip, 32 px")
    assert re.search(r"blocking \d+, budget \d+\n", said)
    assert re.search(
        r"blocking: 2 x copy to the GPU .*: framework/training/steps/penalties\.py:\d+ in watched$", said, re.M
    )


def test_a_copy_of_memory_that_is_not_pinned(plant):
    fault = "(images * torch.ones(1).to(images.device, non_blocking=True)).requires_grad_"
    plant(GradientPenalties, "watched", "images.requires_grad_", fault)
    said = exceeds("gan joint, skip, 32 px")
    assert re.search(
        r"copy to the GPU \(of memory that is not pinned\): framework/training/steps/penalties\.py:\d+ in", said
    )


def test_images_that_are_not_channels_last(plant, monkeypatch):
    plant(ranges, "to_model_range", ".contiguous(memory_format=torch.channels_last)", ".contiguous()")
    monkeypatch.setattr(stepping, "to_model_range", ranges.to_model_range)
    said = exceeds("autoencoder, 32 px")
    assert re.search(r"layouts \d+, budget \d+\n", said)
    assert re.search(
        r"convolution's input \[4, 3, 32, 32\] of strides .*: framework/models/arithmetic/leaky\.py:\d+ in", said
    )
