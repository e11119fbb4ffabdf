"""Stacks of pictures (.npy, .npz) and Parquet files give the pictures and labels that were put in."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framework.config import DataConfig
from framework.data import survey
from framework.errors import DataError
from framework.evaluation.sources.source import find_source, open_source
from tests.conftest import missing
from tests.data.conftest import jpeg
from tests.data.test_decoding import pixels

COUNT = 40
COLOUR = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
COLOUR[0, 0, :2] = [[0, 0, 0], [255, 255, 255]]  # the whole range is used
GREY = COLOUR[..., 0]


def in_order(store):
    """The pictures of a store in the order of their names."""
    return store.images[np.argsort(store.names)]


FORMS = {
    "colour": COLOUR,
    "grey": GREY,
    "one channel": GREY[..., None],
    "channels first": np.ascontiguousarray(np.moveaxis(COLOUR, -1, 1)),
    "0 to 1": (COLOUR / 255).astype(np.float32),
    "-1 to 1": (COLOUR / 127.5 - 1).astype(np.float64),
    "0 to 255": COLOUR.astype(np.float16),
    "integers": COLOUR.astype(">i8"),
    "16 bits": COLOUR.astype(np.uint16) * 257,
    "channels first, -1 to 1": np.ascontiguousarray(np.moveaxis(COLOUR / 127.5 - 1, -1, 1)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("save", ["npy", "npz", "compressed"])
def test_a_stack_of_pictures(form, save, tmp_path, pack):
    path = tmp_path / ("stack.npy" if save == "npy" else "stack.npz")
    {"npy": np.save, "npz": np.savez, "compressed": np.savez_compressed}[save](path, FORMS[form])
    grey = form in ("grey", "one channel")
    store = pack(path, channels=1 if grey else 3, held_out=0.0)
    assert sorted(store.names) == [f"{k:06d}" for k in range(COUNT)]
    assert np.array_equal(in_order(store), GREY[..., None] if grey else COLOUR)
    assert survey(DataConfig(source="folder", path=str(path))).images == COUNT


@pytest.mark.parametrize("left", [129, 20_001, -3])  # a part of a number, of a picture, all but the last bytes
def test_a_stack_that_is_cut_off_is_named(left, tmp_path, pack):
    np.save(tmp_path / "stack.npy", FORMS["0 to 1"])
    data = (tmp_path / "stack.npy").read_bytes()
    (tmp_path / "stack.npy").write_bytes(data[:left])
    with pytest.raises(DataError) as fault:
        pack(tmp_path / "stack.npy")
    assert missing(str(fault.value), str(tmp_path / "stack.npy")) == []


def test_labels_that_are_cut_off_are_named(tmp_path, pack):
    with zipfile.ZipFile(tmp_path / "stack.npz", "w") as archive:
        for name, array, left in (("arr_0", COLOUR, None), ("arr_1", np.arange(COUNT), -20)):
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{name}.npy", stream.getvalue()[:left])
    with pytest.raises(DataError) as fault:
        pack(tmp_path / "stack.npz")
    assert missing(str(fault.value), str(tmp_path / "stack.npz"), "damaged") == []


def test_transparent_pictures_of_a_stack(tmp_path, pack):
    clear = np.concatenate([COLOUR, np.full((COUNT, 32, 32, 1), 255, np.uint8)], -1)
    np.save(tmp_path / "stack.npy", clear)
    assert np.array_equal(in_order(pack(tmp_path / "stack.npy", held_out=0.0)), COLOUR)


def test_one_range_for_the_whole_stack(tmp_path, pack):
    stack = (COLOUR / 255).astype(np.float32)
    stack[1:] *= 0.5
    stack[5, 0, 0, 0], stack[6, 0, 0, 0] = 1.02, np.nan
    np.save(tmp_path / "stack.npy", stack)
    expected = (np.nan_to_num(stack) * 255).round().clip(0, 255).astype(np.uint8)
    found = in_order(pack(tmp_path / "stack.npy", held_out=0.0)).astype(int)
    assert np.abs(found - expected).max() <= 1  # halves may be rounded either way


def test_labels_beside_a_stack(tmp_path, pack):
    np.savez(tmp_path / "labelled.npz", COLOUR, np.arange(COUNT) % 10)  # as guided-diffusion's samples
    store = pack(tmp_path / "labelled.npz")
    assert store.label_classes["label"] == [str(k) for k in range(10)]
    assert store.labels["label"].tolist() == [int(name) % 10 for name in store.names]


def test_several_stacks_of_a_file(tmp_path, pack):
    parts = {"x_train": GREY[:30], "y_train": np.arange(30) % 3, "x_test": GREY[30:], "y_test": np.arange(10) % 3}
    np.savez_compressed(tmp_path / "mnist.npz", **parts)  # as Keras's mnist.npz
    store = pack(tmp_path / "mnist.npz")
    assert {name[:-6] for name in store.names} == {"x_train/", "x_test/"}
    assert store.labels["y"].tolist() == [int(name[-6:]) % 3 for name in store.names]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((COUNT, 49, 2048), np.float32), "no stack of pictures"),
        (np.zeros((COUNT, 68, 2), np.float32), "no stack of pictures"),
        (np.array({"mu": 1}, object), "no stack of pictures"),
        (np.full((COUNT, 16, 16), 3000.0), "from 3000 to 3000"),
        (np.asfortranarray(GREY), "Fortran"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(array, words, tmp_path, pack):
    np.save(tmp_path / "stack.npy", array)
    with pytest.raises(DataError, match=words) as caught:
        pack(tmp_path / "stack.npy")
    assert "\n" not in str(caught.value)


def test_stacks_and_other_arrays_in_a_folder(folder_of, pack):
    folder = folder_of({f"{k}.jpg": jpeg(k) for k in range(5)})
    np.save(folder / "landmarks.npy", np.zeros((5, 68, 2)))
    np.savez(folder / "fid.npz", mu=np.zeros(4), sigma=np.eye(4))
    np.save(folder / "more.npy", COLOUR)
    store = pack(folder)
    assert (len(store), store.rejected) == (5 + COUNT, [])
    assert sum(name.startswith("more.npy/") for name in store.names) == COUNT


@pytest.mark.parametrize("name", ["scored.npy", "scored.npz"])
def test_a_stack_is_a_side_of_a_score(name, tmp_path):
    (np.save if name.endswith("npy") else np.savez_compressed)(tmp_path / name, COLOUR)
    source = find_source(str(tmp_path / name), samples=0, seed=0)
    assert (source.kind, source.count, source.side.height) == ("files", COUNT, 32)
    assert np.array_equal(open_source(source)(3, 9), COLOUR[3:9])


FACES = [jpeg(k) for k in range(COUNT)]


def parquet(path, *, paths=None, features=None, rows_of_a_group=16, **columns):
    """A file as Hugging Face's `Dataset.to_parquet` writes it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    paths = paths or [None] * COUNT
    pictures = pa.array([{"bytes": face, "path": name} for face, name in zip(FACES, paths, strict=True)], kind)
    table = pa.table({"image": pictures, **columns})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_of_a_group)
    return path


def by_content(store):
    """What belongs to the k-th face: its place in the store."""
    return [store.hashes.index(hashlib.sha256(face).hexdigest()) for face in FACES]


def test_a_parquet_file(tmp_path, pack):
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    path = parquet(
        tmp_path / "train.parquet",
        features=features,
        label=[k % 2 for k in range(COUNT)],
        age=[20 + k for k in range(COUNT)],
        caption=[f"face number {k}" for k in range(COUNT)],
    )
    store = pack(path)
    order = by_content(store)
    assert [store.names[k] for k in order] == [f"{k:06d}" for k in range(COUNT)]
    assert (store.images[order[3]] == pixels(FACES[3])).all()
    assert store.label_classes["label"] == ["cat", "dog"]
    assert store.labels["label"][order].tolist() == [k % 2 for k in range(COUNT)]
    assert store.labels["age"][order].tolist() == [20 + k for k in range(COUNT)]
    assert list(store.labels_report["left_out"]) == ["caption"]
    found = survey(DataConfig(source="folder", path=str(path)))
    assert (found.images, found.labels.values["label"].sum()) == (COUNT, COUNT // 2)


def test_a_folder_of_parquet_files(tmp_path, pack):
    for part in ("train-0", "train-1"):
        parquet(tmp_path / "data" / f"{part}.parquet", paths=[f"{part}/{k}.jpg" for k in range(COUNT)])
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "data" / "numbers.parquet")
    (tmp_path / "data" / "README.md").write_text("words")
    store = pack(tmp_path / "data")
    assert {f"train-0.parquet/train-0/{k}.jpg" for k in range(COUNT)} <= set(store.names)
    assert [name for name, _ in store.rejected] == ["README.md"]


def test_rows_without_a_picture_and_plain_bytes(tmp_path, pack):
    pq.write_table(pa.table({"img": pa.array([*FACES, None], pa.binary())}), tmp_path / "plain.parquet")
    store = pack(tmp_path / "plain.parquet")
    assert (len(store), store.rejected) == (COUNT, [])


def test_a_parquet_file_that_cannot_be_used_is_named(tmp_path, pack):
    path = parquet(tmp_path / "cut.parquet")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.parquet is damaged"):
        pack(path)
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "numbers.parquet")
    with pytest.raises(DataError, match=r"numbers\.parquet has no column of pictures"):
        pack(tmp_path / "numbers.parquet")


def test_a_parquet_file_is_a_side_of_a_score(tmp_path):
    source = find_source(str(parquet(tmp_path / "a.parquet")), samples=0, seed=0)
    assert (source.count, source.side.height, source.left_out) == (COUNT, 48, ())
    assert open_source(source)(0, 2).shape == (2, 48, 48, 3)
