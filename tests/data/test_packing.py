"""Stores: whole or not there, made once, the same wherever their images came from."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data import open_store, prepare
from framework.errors import DataError
from tests.data.conftest import jpeg
from tests.data.test_decoding import pixels

FILES = {f"{k:03d}.jpg": jpeg(k) for k in range(120)}


def contents(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}


def test_images_names_and_hashes_belong_together(folder_of, pack):
    store = pack(folder_of(FILES))  # enough for several processes
    assert store.images.shape == (120, 32, 32, 3)
    assert sorted(store.names) == sorted(FILES)
    for name, content, image in zip(store.names, store.hashes, store.images, strict=True):
        assert content == hashlib.sha256(FILES[name]).hexdigest()
        assert (image == pixels(FILES[name])).all()
    with pytest.raises(ValueError, match="read-only"):
        store.images[0] = 0


def test_the_second_time_nothing_is_written(folder_of, pack, tmp_path):
    folder = folder_of(FILES)
    first = pack(folder)
    before = contents(tmp_path / "cache")
    second = pack(folder, horizontal_flip=True)  # not a matter of packing
    assert contents(tmp_path / "cache") == before
    assert (second.path, second.digest) == (first.path, first.digest)


@pytest.mark.long
def test_a_changed_source_or_setting_is_packed_anew(folder_of, pack):
    folder = folder_of(FILES)
    first = pack(folder)
    (folder / "000.jpg").write_bytes(jpeg(500))
    second = pack(folder)
    assert second.path != first.path
    assert second.digest != first.digest
    assert (
        len({pack(folder, **more).digest for more in ({}, {"resolution": 64}, {"channels": 1}, {"held_out": 0.3})}) == 4
    )


def test_the_digest_knows_neither_names_nor_paths_nor_order(folder_of, pack):
    first = pack(folder_of(FILES))
    renamed = {f"deep/{999 - k:03d}.jpeg": data for k, data in enumerate(FILES.values())}
    second = pack(folder_of(renamed, "others"))
    assert second.digest == first.digest
    for kind in ("training_indices", "held_out_indices"):
        assert (first.images[getattr(first, kind)] == second.images[getattr(second, kind)]).all()


def test_labels_have_a_digest_of_their_own(folder_of, pack, tmp_path):
    folder = folder_of(FILES)
    stores = []
    for text in ("file,x\n000.jpg,1\n", "file,x\n000.jpg,0\n"):
        (tmp_path / "labels.csv").write_text(text)
        stores.append(pack(folder, labels=str(tmp_path / "labels.csv")))
    assert stores[0].digest == stores[1].digest
    assert stores[0].labels_digest != stores[1].labels_digest
    assert stores[0].labels_matched == 1
    assert stores[0].labels_digest == open_store(stores[0].path).labels_digest


def test_labels_are_looked_at_before_anything_is_decoded(folder_of, pack, tmp_path):
    with pytest.raises(DataError, match=r"data\.labels: .*none.csv does not exist"):
        pack(folder_of({"a.jpg": b"no picture"}), labels=str(tmp_path / "none.csv"))


@pytest.mark.long
def test_a_sample_is_seeded_nested_and_keeps_its_held_out_images(folder_of, tar_of, pack):
    folder = folder_of(FILES)
    whole, large, small = (pack(folder, limit=limit) for limit in (None, 100, 64))
    assert (len(large), len(small)) == (100, 64)
    assert set(small.hashes) < set(large.hashes) < set(whole.hashes)
    marks = dict(zip(whole.hashes, whole.held_out, strict=True))
    assert all(marks[content] == mark for content, mark in zip(small.hashes, small.held_out, strict=True))
    assert set(pack(folder, limit=64, seed=1).hashes) != set(small.hashes)
    assert pack(tar_of({f"UTKFace/{name}": data for name, data in FILES.items()}), limit=64).digest == small.digest
    assert len(pack(folder, limit=5000)) == 120


@pytest.mark.long
def test_rejected_files_are_listed_and_replaced_in_a_sample(folder_of, pack):
    bad = {
        "empty.jpg": b"",
        "notes.txt": b"words, no picture",
        "cut.jpg": jpeg(1, side=400)[:4000],
        "tiny.png": jpeg(3, side=8),
    }
    folder = folder_of({**FILES, **bad})
    store = pack(folder)
    assert (len(store), len(store.rejected)) == (120, 4)
    with (store.path / "rejected.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["file", "reason"],
        ["cut.jpg", "truncated"],
        ["empty.jpg", "empty file"],
        ["notes.txt", "not an image"],
        ["tiny.png", "too small: 8x8 pixels"],
    ]
    assert [tuple(row) for row in rows[1:]] == store.rejected
    for name, image in zip(store.names, store.images, strict=True):
        assert (image == pixels(FILES[name])).all()
    for limit in (64, 100, 118, 120):
        assert len(pack(folder, limit=limit, max_rejected=0.1)) == limit


def test_too_many_rejected_files_are_an_error_that_says_what_to_do(folder_of, pack, tmp_path):
    folder = folder_of({**FILES, **{f"bad{k}.jpg": b"x" for k in range(12)}})
    with pytest.raises(
        DataError, match=r"data.max_rejected: 12 of 132 files .*12 not an image.*5.0%.*repair or"
    ) as caught:
        pack(folder)
    listed = next((tmp_path / "cache" / "data").glob("*.rejected.csv"))
    assert str(listed) in str(caught.value)
    assert len(listed.read_text().splitlines()) == 13
    assert len(pack(folder, max_rejected=0.1)) == 120
    assert not listed.exists()
    with pytest.raises(DataError, match=r"data\.max_rejected"):  # also of a store that is there
        pack(folder, max_rejected=0.01)


def test_nothing_left_for_training(folder_of, pack):
    files = {name: data for name, data in FILES.items() if int(name[:3]) < 20}
    held = {name: data for name, data in files.items() if name in _held_out_names(folder_of, pack, files)}
    with pytest.raises(DataError, match=r"data.held_out: 0.5 of \d+ images leaves no image"):
        pack(folder_of(held, "only held out"), held_out=0.5)
    assert not pack(folder_of(files, "all"), held_out=0.0).held_out.any()


def _held_out_names(folder_of, pack, files):
    store = pack(folder_of(files, "some"), held_out=0.5)
    return {store.names[k] for k in store.held_out_indices}


def test_training_and_held_out_are_disjoint_and_whole(folder_of, pack):
    store = pack(folder_of(FILES))
    both = np.concatenate([store.training_indices, store.held_out_indices])
    assert sorted(both.tolist()) == list(range(120))
    assert store.training_indices.dtype == np.int64
    assert 0 < len(store.held_out_indices) < 40


def test_progress_ends_at_the_whole(folder_of, tmp_path):
    seen = []
    config = DataConfig(source="folder", path=str(folder_of(FILES)), resolution=32)
    prepare(config, cache=tmp_path / "cache", progress=lambda *pair: seen.append(pair))
    assert seen[-1] == (120, 120)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_damaged_store_is_made_anew(folder_of, pack):
    folder = folder_of(FILES)
    store = pack(folder)
    for damage in ("manifest.json", "images.npy"):
        (store.path / damage).write_bytes((store.path / damage).read_bytes()[:1000])
        with pytest.raises(DataError, match="damaged packed images"):
            open_store(store.path)
        assert pack(folder).digest == store.digest
    manifest = json.loads((store.path / "manifest.json").read_text())
    (store.path / "manifest.json").write_text(json.dumps(manifest | {"names": manifest["names"][:-1]}))
    with pytest.raises(DataError, match="counts differ"):
        open_store(store.path)
    with pytest.raises(DataError, match="no packed images here"):
        open_store(store.path.parent)


PREPARE = """
import sys
from pathlib import Path
from framework.config import DataConfig
from framework.data import prepare
config = DataConfig(source="drawn_faces", resolution=32, limit=int(sys.argv[2]))
print(prepare(config, cache=Path(sys.argv[1])).digest)
"""


def started(cache, limit):
    """A program without a main guard, read from a pipe: what multiprocessing would choke on."""
    run = subprocess.Popen(
        [sys.executable, "-", str(cache), str(limit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    run.stdin.write(PREPARE)
    run.stdin.close()
    return run


@pytest.mark.long
def test_two_at_once_make_one_store(tmp_path):
    runs = [started(tmp_path, 300) for _ in range(2)]
    digests = set()
    for run in runs:
        with run:
            digests.add(run.stdout.read().strip())
    assert [run.returncode for run in runs] == [0, 0]
    assert len(digests) == 1
    stores = [path for path in (tmp_path / "data").iterdir() if path.is_dir()]
    assert len(stores) == 1
    assert open_store(stores[0]).digest == digests.pop()


@pytest.mark.long
def test_a_killed_preparation_leaves_no_store_and_no_process(tmp_path):
    run = started(tmp_path, 20_000)
    while not any(path.stat().st_size for path in tmp_path.glob("data/.*building/images.npy")):
        time.sleep(0.02)
    children = [int(pid) for pid in _children(run.pid)]
    assert children
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    while any(Path(f"/proc/{pid}").exists() and _state(pid) != "Z" for pid in children):
        time.sleep(0.02)
    assert not list(tmp_path.glob("data/*/manifest.json"))
    run.stdout.close()


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


@pytest.mark.long
def test_real_faces(real_store):
    assert real_store.images.shape == (4975, 32, 32, 3)  # 25 of the 5,000 files are copies, by their sha256
    assert real_store.packing_report["copies"] == 25
    assert real_store.source == "UTKFace-5k.tar"
    assert real_store.rejected == []
    assert real_store.labels_matched == 4975
    assert np.isnan(real_store.labels["race"]).sum() == 3  # as published
    glasses, smiling = real_store.labels["glasses"], real_store.labels["smiling"]
    assert abs((glasses > 0.5).mean() - 0.13) < 0.02
    assert abs((smiling > 0.5).mean() - 0.48) < 0.03
    assert sorted(real_store.label_classes) == ["age_group", "race"]
    assert 0.08 < real_store.held_out.mean() < 0.12
    assert 90 < real_store.images.mean() < 140
