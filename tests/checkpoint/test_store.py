"""Checkpoints: whole or not there, the best and the newest kept, damage and other settings named."""

import json
import re

import pytest
import torch

from framework.checkpoint import CheckpointStore
from framework.errors import CheckpointError
from framework.storage import open_folder

LEARNED = {"data": "d" * 64, "optimizer.generator_lr": 1e-3}


@pytest.fixture
def folder(location):
    return open_folder(location) / "checkpoints"


def store_in(folder, *, keep=2, digest="one", learned=LEARNED):
    return CheckpointStore(folder, digest=digest, learned=learned, keep=keep)


def save(store, images_seen, *, value=None):
    weights = {"weight": torch.full((2, 3), float(images_seen))}
    checkpoint = store.save(
        {"generator": weights, "ema": {}},
        info={"images_seen": images_seen, "nested": {"order": [1, 2.5, None]}},
        images_seen=images_seen,
        generator=(weights, {"latent_size": 4}),
    )
    if value is not None:
        store.record_score(checkpoint, {"metric": "m", "value": value, "protocol": {}}, value)
    return checkpoint


def names(folder):
    return [int(name) for name in folder.list() if name.isdigit()]


def forbid(text):
    raise AssertionError(text)


def test_tensors_of_every_kind_come_back_bit_for_bit(folder):
    image = torch.randn(2, 3, 4, 5)
    shared = torch.arange(12.0)
    kinds = {
        "bfloat16": torch.randn(3).bfloat16(),
        "float64": torch.randn(3, dtype=torch.float64),
        "scalar": torch.tensor(7),
        "flag": torch.tensor(True),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "empty": torch.zeros(0, 3),
        "nan": torch.tensor([float("nan"), float("-inf")]),
        "channels_last": image.to(memory_format=torch.channels_last),
        "transposed": torch.randn(3, 4).t(),
        "view": shared[2:5],
        "same memory": shared,
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
    store = store_in(folder)
    store.save({"state": kinds, "none": {}}, info={}, images_seen=1, generator=({}, {}))
    found = store.newest(warn=forbid)
    assert found.tensors("none") == {}
    back = found.tensors("state")
    assert back.keys() == kinds.keys()
    for name, tensor in kinds.items():
        assert back[name].dtype == tensor.dtype, name
        assert torch.equal(back[name].nan_to_num(9), tensor.detach().nan_to_num(9)), name
        assert back[name].is_contiguous()
    restored = torch.zeros_like(kinds["channels_last"])
    restored.copy_(back["channels_last"])
    assert restored.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(restored, image)


def test_a_restart_finds_all_that_was_saved(folder):
    assert store_in(folder).newest(warn=forbid) is None
    saved = save(store_in(folder), 128_000)
    found = store_in(folder).newest(warn=forbid)
    assert (found.name, found.images_seen) == ("000000128000", 128_000) == (saved.name, saved.images_seen)
    assert found.info == {"images_seen": 128_000, "nested": {"order": [1, 2.5, None]}}
    assert found.manifest["learned"] == LEARNED
    assert set(found.manifest["files"]) == set(found.folder.files()) - {"manifest.json"}
    assert found.folder.files() == [
        "generator/config.json",
        "generator/weights.safetensors",
        "info.json",
        "manifest.json",
        "state/ema.safetensors",
        "state/generator.safetensors",
    ]


def test_the_newest_and_the_best_are_kept(folder):
    store = store_in(folder, keep=2)
    for images_seen, value in [(1, 9.0), (2, 3.0), (3, 5.0), (4, 4.0), (5, 6.0)]:
        save(store, images_seen, value=value)
    assert names(folder) == [2, 4, 5]
    best, score = store_in(folder).best()
    assert (best.images_seen, score["value"]) == (2, 3.0)
    assert folder.read_json("best.json")["checkpoint"] == best.name
    assert CheckpointStore.best_in(folder) == (best.name, score)
    save(store, 6, value=1.0)
    assert names(folder) == [2, 5, 6]  # the score came after the save: until the next one the old best stays
    save(store, 7)
    assert names(folder) == [6, 7]
    assert [checkpoint.images_seen for checkpoint in store.all()] == [6, 7]


def test_keep_all_keeps_each(folder):
    store = store_in(folder, keep="all")
    for images_seen in range(1, 6):
        save(store, images_seen, value=float(images_seen))
    assert names(folder) == [1, 2, 3, 4, 5]


def test_a_late_score_finds_its_checkpoint(folder):
    store = store_in(folder, keep=1)
    first = save(store, 1)
    store.await_score(first)
    save(store, 2, value=5.0)
    save(store, 3)
    assert names(folder) == [1, 2, 3]
    store.record_score(first, {"metric": "m", "value": 4.0, "protocol": {}}, 4.0)
    assert store.best()[0].images_seen == 1
    save(store, 4)
    assert names(folder) == [1, 4]


def test_a_score_of_a_checkpoint_that_is_gone_displaces_nothing(folder):
    store = store_in(folder, keep=1)
    first = save(store, 1)
    save(store, 2, value=5.0)
    store.record_score(first, {"value": 1.0}, 1.0)
    assert store.best()[0].images_seen == 2


def test_a_score_that_is_not_finite_is_never_the_best(folder):
    store = store_in(folder)
    save(store, 1, value=float("nan"))
    assert store.best() is None
    save(store, 2, value=5.0)
    save(store, 3, value=float("inf"))
    assert store.best()[0].images_seen == 2


def test_saving_the_same_clock_again_forgets_its_score(folder):
    store = store_in(folder)
    save(store, 1, value=5.0)
    save(store, 2, value=1.0)
    save(store, 2)
    assert store.best()[0].images_seen == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: folder.delete("state/generator.safetensors"),
        lambda folder: folder.write_bytes("state/generator.safetensors", b"garbage"),
        lambda folder: folder.write_bytes(
            "generator/weights.safetensors", folder.read_bytes("generator/weights.safetensors")[:-1] + b"\x01"
        ),
        lambda folder: folder.write_text("manifest.json", '{"format": 1,'),
        lambda folder: folder.write_text("manifest.json", "[]"),
        lambda folder: folder.delete("manifest.json"),
        lambda folder: folder.write_text("info.json", "{}"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(folder, damage):
    store = store_in(folder, keep=3)
    for images_seen in (1, 2, 3):
        save(store, images_seen)
    damage(folder / "000000000003")
    told = []
    found = store_in(folder).newest(warn=told.append)
    assert found.images_seen == 2
    assert len(told) == 1
    assert "000000000003" in told[0]
    assert "\n" not in told[0]


def test_a_damaged_best_gives_way_to_the_second(folder):
    store = store_in(folder, keep="all")
    save(store, 1, value=2.0)
    save(store, 2, value=1.0)
    (folder / "000000000002").write_bytes("state/generator.safetensors", b"")
    assert store.best()[0].images_seen == 1


def test_pruning_after_damage_keeps_the_newest_good_one(folder):
    store = store_in(folder, keep=1)
    save(store, 200)
    save(store_in(folder, keep="all"), 300)
    (folder / "000000000300").delete("info.json")
    store = store_in(folder, keep=1)
    assert store.newest(warn=lambda _: None).images_seen == 200
    save(store, 250)
    assert names(folder) == [250]


def test_an_unfinished_upload_is_cleared_by_the_next_save(folder):
    (folder / "000000000001").write_text("state/generator.safetensors", "half")
    store = store_in(folder, keep=1)
    assert store.all() == []
    save(store, 2)
    assert names(folder) == [2]


def test_another_digest_is_refused_by_the_keys_that_differ(folder):
    save(store_in(folder), 1)
    other = store_in(folder, digest="two", learned={"data": "e" * 64, "model.width": 64})
    with pytest.raises(CheckpointError) as fault:
        other.newest(warn=forbid)
    text = str(fault.value)
    differ = {"optimizer.generator_lr": (0.001, 0.0002), "model.width": (128, 64), "data": ("d" * 12, "e" * 12)}
    for key, values in differ.items():
        assert re.search(rf"{key}: .*?\b{values[0]}\b.*? {values[1]}\b", text)
    assert "\n" not in text


def test_a_later_format_is_refused(folder):
    save(store_in(folder), 1)
    manifest = (folder / "000000000001").read_json("manifest.json")
    (folder / "000000000001").write_json("manifest.json", {**manifest, "format": 2})
    told = []
    assert store_in(folder).newest(warn=told.append) is None
    assert "format 2" in told[0]


def test_nothing_in_a_checkpoint_is_a_pickle(folder):
    save(store_in(folder), 1)
    for name in (folder / "000000000001").files():
        assert name.endswith((".json", ".safetensors")), name
    json.loads((folder / "000000000001").read_text("info.json"))
