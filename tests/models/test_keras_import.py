"""Models that Keras saved: equal to what Keras gave, and refused by name where they are not of the kind."""

import gzip
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from framework.config import ModelConfig
from framework.errors import CheckpointError
from framework.models import build_discriminator, build_generator
from framework.models import layers as plain
from framework.models.described import _steps
from framework.models.keras_import import import_discriminator, import_generator, read_model
from framework.models.keras_import.weights import states_of, step_names

GOLDEN = Path(__file__).parents[1] / "golden" / "keras"
SAVED = ("keras2.h5", "keras3.h5", "keras3.keras")
NAMES = ("pair_generator", "pair_discriminator", "normalised", "padded", "critic", "activations")
CLOSE = 1e-5


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """Unpacks a golden file; gives its path, its input and what Keras gave."""
    folder = tmp_path_factory.mktemp("keras")

    def unpack(name, saved):
        path = folder / f"{name}_{saved}"
        if not path.exists():
            path.write_bytes(gzip.decompress((GOLDEN / f"{path.name}.gz").read_bytes()))
        with np.load(GOLDEN / f"{saved.partition('.')[0]}.npz") as known:
            return path, known[f"{name}.given"], known[f"{name}.gives"]

    return unpack


def difference(found, keras):
    """Largest absolute difference of torch's [n,c,h,w] or [n] from Keras's [n,h,w,c] or [n,1]."""
    found = found.detach().numpy()
    found = found.transpose(0, 2, 3, 1) if found.ndim == 4 else found.reshape(len(found), -1)
    return float(np.abs(found - keras).max())


def images(given):
    return torch.from_numpy(given).permute(0, 3, 1, 2)


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_computes_what_keras_computes(golden, name, saved):
    path, given, keras = golden(name, saved)
    model = read_model(path)
    shapes = plain.shapes_of(model.layers, model.given, key="layers")
    network = torch.nn.Sequential(*_steps(model.layers, shapes))
    network.load_state_dict({key.removeprefix("steps."): value for key, value in step_names(states_of(model)).items()})
    x = torch.from_numpy(given)
    assert difference(network(images(given) if x.ndim == 4 else x), keras) < CLOSE
