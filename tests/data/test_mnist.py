"""MNIST's files: every pixel kept, the test split held out, faults in one line."""

import gzip
import struct

import numpy as np
import pytest

from framework.config import Experiment, with_overrides
from framework.data import survey
from framework.errors import ConfigError, DataError
from framework.models.assessor.network import AssessorNetwork

COUNTS = {"train": 90, "t10k": 30}


def digits(split):
    rng = np.random.default_rng(len(split))
    count = COUNTS[split]
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count).astype(np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Writes a small MNIST, some of its files otherwise."""

    def write(name="mnist", *, pack=lambda data: data, suffix="", **otherwise):
        folder = tmp_path / name
        folder.mkdir()
        for split in COUNTS:
            images, labels = digits(split)
            for stem, array in ((f"{split}-images-idx3-ubyte", images), (f"{split}-labels-idx1-ubyte", labels)):
                data = otherwise.get(stem.replace("-", "_"), pack(idx(array)))
                if data is not None:
                    (folder / f"{stem}{suffix}").write_bytes(data)
        return folder

    return write


@pytest.fixture
def pack_digits(pack):
    return lambda folder, **more: pack(folder, source="mnist", channels=1, **{"resolution": 28, **more})


def test_every_pixel_is_kept_and_the_test_split_held_out(mnist, pack_digits):
    store = pack_digits(mnist())
    images, labels = (np.concatenate(parts) for parts in zip(digits("train"), digits("t10k"), strict=True))
    assert (store.images[..., 0] == images).all()
    assert store.images.shape == (120, 28, 28, 1)
    assert (store.labels["digit"] == labels).all()
    assert store.label_classes == {"digit": [str(digit) for digit in range(10)]}
    assert store.held_out.tolist() == [False] * 90 + [True] * 30
    assert store.names[0] == f"train-00000-{labels[0]}"
    assert store.names[-1] == f"test-00029-{labels[-1]}"
    assert sorted(file.name for file in store.path.iterdir()) == ["images.npy", "manifest.json", "rejected.csv"]


def test_at_32_pixels_it_is_framed_in_black(mnist, pack_digits):
    folder = mnist()
    framed, plain = pack_digits(folder, resolution=32).images[..., 0], pack_digits(folder).images[..., 0]
    assert (framed[:, 2:30, 2:30] == plain).all()
    assert framed.astype(int).sum() == plain.astype(int).sum()


def test_gzipped_or_not_it_is_the_same_data(mnist, pack_digits):
    plain, zipped = mnist(), mnist("zipped", pack=gzip.compress, suffix=".gz")
    assert pack_digits(plain).digest == pack_digits(zipped).digest
    experiment = with_overrides(Experiment(), {"data.path": str(zipped), "data.source": "mnist"} | GREY)
    assert (survey(experiment.data).images, survey(experiment.data).what) == (120, "zipped")


def test_a_sample_has_images_of_both_splits(mnist, pack_digits):
    folder = mnist()
    some, all_ = pack_digits(folder, limit=64), pack_digits(folder)
    assert len(some) == 64
    assert 0 < some.held_out.sum() < 64
    marks = dict(zip(all_.names, all_.held_out, strict=True))
    assert [marks[name] for name in some.names] == some.held_out.tolist()


IMAGES, LABELS = digits("train")


@pytest.mark.parametrize(
    ("otherwise", "message"),
    [
        ({"train_images_idx3_ubyte": None}, "has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz"),
        ({"t10k_labels_idx1_ubyte": b""}, "t10k-labels-idx1-ubyte is not an IDX file .*it is empty"),
        ({"train_images_idx3_ubyte": idx(LABELS)}, "is not an IDX file of unsigned bytes in 3 dimensions"),
        ({"train_images_idx3_ubyte": idx(IMAGES)[:-9]}, "is truncated: 70,567 bytes, but its header says 70,576"),
        ({"train_images_idx3_ubyte": idx(IMAGES)[:9]}, "train-images-idx3-ubyte is truncated"),
        ({"train_labels_idx1_ubyte": idx(LABELS) + b"x"}, "is too long"),
        ({"train_labels_idx1_ubyte": idx(LABELS[:-1])}, "90 images, but train-labels-idx1-ubyte 89 labels"),
        ({"train_labels_idx1_ubyte": idx(LABELS + 10)}, "contains the label 1[0-9]; MNIST's are 0 to 9"),
        ({"train_images_idx3_ubyte": idx(IMAGES[:, :27])}, "images of 27x28"),
        ({"train_images_idx3_ubyte": gzip.compress(idx(IMAGES))[:-99]}, "is damaged"),
        ({"train_images_idx3_ubyte": b"\x1f\x8b" + b"x" * 99}, "is damaged"),
    ],
)
def test_bad_files_are_one_line(otherwise, message, mnist, pack_digits, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        pack_digits(mnist(**otherwise))
    assert str(caught.value).startswith("data.path: ")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/data/*px-*/manifest.json"))


def test_without_a_folder_it_says_what_it_wants(pack_digits, tmp_path):
    with pytest.raises(DataError, match=r"data\.source mnist needs the folder of the four IDX files"):
        pack_digits(None)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder; mnist needs the folder of the four IDX files"):
        pack_digits(tmp_path / "file")


GREY = {"data.channels": 1, "data.resolution": 28}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data.channels": 3}, "data.channels: 3, but mnist is grey; must be 1"),
        ({"data.resolution": 64}, "data.resolution: 64 for mnist; must be 28"),
        ({"data.held_out": 0.2}, "data.held_out: 0.2 for mnist, whose test split is held out"),
    ],
)
def test_what_digits_cannot_be_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        with_overrides(Experiment(), {"data.source": "mnist", **GREY, **overrides})


@pytest.mark.long
def test_the_real_one(shared_data, pack_digits):
    store = pack_digits(shared_data / "data" / "mnist")
    assert (len(store.training_indices), len(store.held_out_indices)) == (60_000, 10_000)
    assert np.bincount(store.labels["digit"].astype(int)).min() > 6_000
    ones = store.images[store.labels["digit"] == 1]
    assert ones.mean() < store.images[:1000].mean()  # little ink
    assert store.rejected == []


def test_the_assessor_takes_28_pixels():
    import torch

    network = AssessorNetwork(outputs=10, resolution=28, channels=1, width=8, normalised=True).eval()
    logits, features = network(torch.zeros(2, 1, 28, 28))
    assert (logits.shape, features.shape) == ((2, 10), (2, 7 * 8))
