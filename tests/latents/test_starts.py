"""Latents of projected photographs: read by name, refused in one line."""

import numpy as np
import pytest
import safetensors.numpy

from framework.errors import LatentsError
from framework.latents.projection.starts import read_starts
from framework.storage import open_folder


@pytest.fixture
def folder(tmp_path):
    """RUN/projections with two latents of 12 numbers, and files that hold none."""
    found = open_folder(tmp_path / "projections")
    for number, name in enumerate(("anna", "ben")):
        latent = np.arange(12, dtype=np.float32) + number
        found.write_bytes(f"{name}.safetensors", safetensors.numpy.save({"latent": latent}))
    found.write_bytes("notes.json", b"{}")
    return found


def test_latents_come_by_name_in_the_order_asked_for(folder):
    found = read_starts(folder, ["ben", "anna.safetensors", "runs/x/projections/ben.safetensors"], latent_size=12)
    assert [name for name, _ in found] == ["ben", "anna", "ben"]
    assert all(latent.dtype == np.float32 for _, latent in found)
    assert [latent[0] for _, latent in found] == [1, 0, 1]
    assert read_starts(folder / "nowhere", [], latent_size=12) == []


def test_one_that_is_not_there_names_those_that_are(folder):
    with pytest.raises(LatentsError, match=r"^latents.start: .*carl.* anna, ben$"):
        read_starts(folder, ["anna", "carl"], latent_size=12)
    with pytest.raises(LatentsError, match=r"^latents.start: .*carl.*nowhere$"):
        read_starts(folder / "nowhere", ["carl"], latent_size=12)


def test_another_size_is_refused(folder):
    with pytest.raises(LatentsError, match=r"anna.safetensors: .*size 12.* size 100"):
        read_starts(folder, ["anna"], latent_size=100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no such format at all",
        safetensors.numpy.save({"vector": np.zeros(12, np.float32)}),
        safetensors.numpy.save({"latent": np.zeros(12, np.float32)})[:-4],
        safetensors.numpy.save({"latent": np.zeros((1, 12), np.float32)}),
        safetensors.numpy.save({"latent": np.full(12, 1e300)}),
        safetensors.numpy.save({"latent": np.full(12, np.nan, np.float32)}),
    ],
)
def test_a_damaged_file_is_refused(folder, data):
    folder.write_bytes("broken.safetensors", data)
    with pytest.raises(LatentsError, match=r"broken\.safetensors: "):
        read_starts(folder, ["broken"], latent_size=12)
