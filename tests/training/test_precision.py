"""Which precision a training takes, and which algorithms: by what the device can do, given as an argument."""

import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from framework.config import Experiment, with_overrides
from framework.models import build_companion, build_generator
from framework.models.arithmetic.bfloat16 import convolution_gain, is_emulated
from framework.training.algorithms import algorithms
from framework.training.precision import precision_of_gpu, settle_precision, settled
from framework.training.steps.augment import NUMBERS, build_augmentation
from framework.training.steps.penalties import squared_slopes
from tests.conftest import missing

CPU = torch.device("cpu")
# Operations that torch.use_deterministic_algorithms names as having no deterministic form on CUDA, by how they begin.
THROW = [
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward",
    "avg_pool3d_backward",
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "fractional_max_pool",
    "max_unpool",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "nll_loss",
    "_ctc_loss_backward",
    "put_",
    "histc",
    "bincount",
    "median",
    "grid_sampler",
    "scatter_reduce",
    "resize_",
]
MODELS = {
    "dcgan": {"objective.r1_gamma": 1.0},
    "skip": {"model.architecture": "skip", "objective.augmentations": ["color", "translation", "cutout"]},
    "residual": {"model.architecture": "residual", "objective.r1_gamma": 1.0},
    "autoencoder": {"model.family": "autoencoder"},
    "vae": {"model.family": "vae"},
}


def told(configured, *, kept=None, able, auto=("float32", "found")):
    return settled(configured, kept=kept, auto=lambda: auto, has_bfloat16=lambda: able, what="GPU")


def test_auto_on_a_gpu_goes_by_what_it_has():
    assert precision_of_gpu(has_bfloat16=True)[0] == "bfloat16"
    name, reason = precision_of_gpu(has_bfloat16=False)
    assert (name, missing(reason, "GPU", "bfloat16")) == ("float32", [])


@pytest.mark.parametrize(("configured", "kept"), [("bfloat16", None), ("bfloat16", "float32"), ("auto", "bfloat16")])
def test_a_bfloat16_that_is_only_imitated_is_told_in_one_line(configured, kept):
    name, (choice, *warnings) = told(configured, kept=kept, able=False)
    assert name == "bfloat16"
    assert choice.startswith("precision: bfloat16 (")
    (warning,) = warnings
    assert warning.startswith("warning: ")
    assert missing(warning, "GPU", "bfloat16", "compute.precision=float32") == []
    assert told(configured, kept=kept, able=True) == (name, [choice])


@pytest.mark.parametrize("able", [True, False])
def test_other_precisions_are_told_without_a_warning(able):
    for asked, kept, name, reason in (
        ("float64", None, "float64", "configured"),
        ("auto", None, "float32", "found"),
        ("auto", "float32", "float32", "checkpoint"),
    ):
        chosen, (line,) = told(asked, kept=kept, able=able)
        assert (chosen, missing(line, "precision:", name, reason)) == (name, [])


def test_this_cpu_is_tried():
    experiment = with_overrides(Experiment(), {"compute.precision": "bfloat16"})
    name, lines = settle_precision(experiment, kept=None, resolution=32, channels=3, device=CPU)
    assert name == "bfloat16"
    assert (len(lines) == 2) == is_emulated(convolution_gain(CPU))


def settings():
    cudnn, filling = torch.backends.cudnn, torch.utils.deterministic
    return torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, filling.fill_uninitialized_memory


@pytest.mark.parametrize("deterministic", [False, True])
def test_algorithms_are_set_for_a_gpu_and_given_back(deterministic, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = settings()
    with algorithms("cpu", deterministic=deterministic):
        assert settings() == before
    with algorithms("cuda:0", deterministic=deterministic):
        assert settings() == (deterministic, not deterministic, not deterministic)
        assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) == deterministic
    assert settings() == before


class Operations(TorchDispatchMode):
    """Their names, as they come."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def operations_of(overrides, *, deterministic):
    """Those of forward and backward through both networks, on a device that has shapes and no values."""
    experiment = with_overrides(Experiment(), {"data.resolution": 32, "model.width": 8, **overrides})
    shape = {"resolution": 32, "channels": 3, "seed": 0}
    generator = build_generator(experiment.model, **shape).to("meta")
    partner = build_companion(experiment.model, **shape).to("meta")
    augment = build_augmentation(experiment.objective.augmentations) or (lambda images, _: images)
    with algorithms("meta", deterministic=deterministic), Operations() as operations:
        images = generator(torch.empty(4, experiment.model.latent_size, device="meta"))
        result = partner(augment(images, torch.empty(4, NUMBERS, device="meta")))
        losses = squared_slopes((result, images))[0] if experiment.objective.r1_gamma else result
        losses.sum().backward()
    return operations.seen


def those_that_throw(operations):
    return {name for name in operations if name.startswith(tuple(THROW))}


@pytest.mark.parametrize("name", MODELS)
def test_deterministic_mode_meets_no_operation_that_throws_in_it(name):
    seen = operations_of(MODELS[name], deterministic=True)
    assert "convolution_backward" in seen
    assert those_that_throw(seen) == set()


@pytest.mark.parametrize("name", ["skip", "residual"])
def test_without_it_a_generator_that_interpolates_has_one(name):
    assert those_that_throw(operations_of(MODELS[name], deterministic=False)) == {"upsample_bilinear2d_backward"}
