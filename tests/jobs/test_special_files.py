"""Files that a user names, wherever they are read: only regular ones, and no more of them than is allowed."""

import os
from pathlib import Path

import pytest
from PIL import Image

from framework.config import Experiment, StorageConfig, load_experiment
from framework.errors import LatentscapeError
from framework.evaluation.features.weights import features_file, find_weights, read_transformer, read_weights
from framework.evaluation.sources.source import find_source
from framework.evaluation.sources.statistics_file import read_statistics
from framework.files import read_file
from framework.latents.directions.direction import load_direction
from framework.latents.directions.sorted_samples import read_piles
from framework.latents.projection.starts import read_starts
from framework.models.assessor.assessor import DESCRIPTION, Assessor
from framework.models.keras_import.archive import open_archive
from framework.orchestration.studies.photos import read_photos
from framework.runs import cache_folder
from framework.runs.folder import run_place
from framework.storage import open_folder


class OfGrey32:
    """What `read_photos` asks of a generator."""

    resolution, channels = 32, 1


def read_keras(path: Path) -> None:
    with open_archive(path, guarded=True):
        pass


READERS = {
    "CONFIG": load_experiment,
    "a document of a run": lambda path: open_folder(path.parent).read_json(path.name),
    "a log of a run": lambda path: open_folder(path.parent).append_text(path.name, "line\n"),
    "a folder to copy": lambda path: open_folder(path.parent / "copy").upload(path.parent),
    "an assessor": lambda path: Assessor.load(path.rename(path.with_name(DESCRIPTION)).parent),
    "weights of a run": lambda path: open_folder(path.parent).read_bytes(path.name),
    "a direction": lambda path: load_direction(open_folder(path.parent), path.name),
    "a projection": lambda path: read_starts(open_folder(path.parent), ["x"], latent_size=8),
    "a photograph": lambda path: read_photos([str(path)], OfGrey32()),
    "sorted samples": lambda path: read_piles(str(path), samples=9),
    "evaluation.weights": lambda path: find_weights(str(path)),
    "evaluation.features": lambda path: features_file(str(path)),
    "weights of Inception": read_weights,
    "weights of features": read_transformer,
    "a file of Keras": read_keras,
    "a side of evaluate": lambda path: find_source(str(path), samples=9, seed=0),
    "statistics": read_statistics,
}


def special(path: Path, kind: str) -> Path:
    if kind == "a named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
@pytest.mark.parametrize("what", READERS)
def test_a_special_file_is_one_line_and_is_not_opened(what, kind, tmp_path):
    """Opening the pipe would wait for a writer for ever, and the device has no end."""
    with pytest.raises(LatentscapeError, match=f"is {kind}, not a file") as caught:
        READERS[what](special(tmp_path / "x.safetensors", kind))
    assert "\n" not in str(caught.value)


LIMITS = {"CONFIG": 64 << 20, "a document of a run": 64 << 20, "sorted samples": 64 << 20, "a photograph": 512 << 20}
LIMITS |= {"weights of a run": 4 << 30, "weights of Inception": 4 << 30, "a projection": 4 << 30}


@pytest.mark.parametrize("name", ["manifest.json", "images.npy"])
def test_a_folder_of_images_with_a_pipe_where_packed_ones_have_a_file(name, tmp_path):
    for number in range(2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    assert find_source(str(tmp_path), samples=9, seed=0).count == 2


@pytest.mark.parametrize("what", LIMITS)
def test_a_file_above_the_limit_is_not_read(what, tmp_path):
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.truncate(LIMITS[what] + 1)
    with pytest.raises(LatentscapeError, match=f"too large: more than {LIMITS[what]:,} bytes"):
        READERS[what](path)


def test_a_size_that_the_system_tells_wrong_does_not_lift_the_limit():
    assert os.stat("/proc/self/maps").st_size == 0  # noqa: PTH116
    assert read_file("/proc/self/maps").count(b"\n") > 9
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_file("/proc/self/maps", most_bytes=100)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("a\0b", "a path cannot contain the character NUL"),
        ("~no-such-user/x", "there is no user no-such-user"),
        ("a\udc41\ud800b", "half a surrogate pair"),
        ("file://[::1/x", "cannot be used as a folder .Invalid IPv6 URL"),
        ("s3://[bad", "cannot be opened .Invalid IPv6 URL"),
    ],
)
def test_a_place_that_cannot_be_one(location, message):
    with pytest.raises(LatentscapeError, match=message) as caught:
        open_folder(location)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
@pytest.mark.parametrize("key", ["path", "cache_path"])
def test_a_file_in_the_place_of_the_storage(key, kind, tmp_path):
    """Before anything is packed, and also when a job only plans."""
    place = special(tmp_path / "x", kind)
    for path in (place, place / "below"):
        storage = StorageConfig(**{"path": str(tmp_path), key: str(path)})
        with pytest.raises(LatentscapeError, match=f"{place}: is not a folder"):
            run_place(Experiment(storage=storage)), cache_folder(storage)
