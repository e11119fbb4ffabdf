"""Copies of files: which are taken, what becomes of their labels, and that they are told."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from framework.config import DataConfig
from framework.data import open_store
from framework.data.packing.held_out import held_out_marks
from framework.data.packing.near_copies import _close_hashes, find_near_copies
from framework.data.packing.summary import summary_lines
from framework.data.store import is_held_out
from framework.data.synthetic_faces import draw_face
from tests.conftest import missing
from tests.data.conftest import jpeg

FILES = {f"{k:03d}.jpg": jpeg(k) for k in range(70)}
# As the usual archive on Kaggle has it: everything twice, and a part of it four times.
THREEFOLD = {
    **{f"b/{name}": data for name, data in FILES.items()},
    **{f"a/{name}": data for name, data in FILES.items() if name < "050"},
    "c/000.jpg": FILES["000.jpg"],
}


def test_of_exact_copies_the_first_by_name_is_taken(folder_of, zip_of, pack):
    alone = pack(folder_of(FILES, "alone"))
    for source in (folder_of(THREEFOLD), zip_of(dict(reversed(THREEFOLD.items())))):
        store = pack(source)
        expected = {f"{'a' if name < '050' else 'b'}/{name}" for name in FILES}
        assert set(store.names) == expected
        assert (store.digest, len(store)) == (alone.digest, 70)
        assert store.packing_report["copies"] == 51
        with (store.path / "copies.csv").open() as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["file", "of", "kind", "different_bits", "correlation"]
        assert {tuple(row[:3]) for row in rows[1:]} == {
            *((f"b/{name}", f"a/{name}", "exact") for name in FILES if name < "050"),
            ("c/000.jpg", "a/000.jpg", "exact"),
        }
        (line,) = told(store)
        assert not missing(line, 51, "data.copies=keep")


def test_each_is_taken_where_asked_and_by_the_first_rules(folder_of, pack):
    folder = folder_of(THREEFOLD)
    kept, old = pack(folder, copies="keep"), pack(folder, rules=1)
    assert len(kept) == len(old) == 121
    assert kept.digest == old.digest
    assert pack(folder, rules=1, copies="keep").path == old.path
    assert told(kept) == told(old) == []


@pytest.mark.long
def test_a_sample_counts_what_is_taken(folder_of, pack):
    folder = folder_of(THREEFOLD)
    small, large = pack(folder, limit=64), pack(folder, limit=68)
    assert (len(small), len(large)) == (64, 68)
    assert set(small.hashes) < set(large.hashes)
    assert len(set(large.hashes)) == 68
    assert len(pack(folder, limit=100)) == 70


def test_labels_of_copies(folder_of, pack, tmp_path):
    """Rows of copies count where the image taken has none, and what differs is told."""
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,x,word\na/000.jpg,1,yes\nb/000.jpg,0,yes\nc/000.jpg,1,no\nb/001.jpg,5,no\na/002.jpg,2,no\nb/002.jpg,2,no\n"
    )
    store = pack(folder_of(THREEFOLD), labels=str(table))
    x = dict(zip(store.names, store.labels["x"].tolist(), strict=True))
    assert (x["a/000.jpg"], x["a/001.jpg"], x["a/002.jpg"]) == (1, 5, 2)
    report = store.packing_report
    assert report["copies_differ"] == 1
    assert report["example"] == ["a/000.jpg", "b/000.jpg", "x"]
    assert not missing(told(store)[1], 1, "'x'", "'a/000.jpg'", "'b/000.jpg'")
    assert store.labels_report["rows_without_image"] == 0


def test_copies_in_folders_of_classes(folder_of, pack):
    files = {f"{kind}/{name}": data for kind in ("cats", "dogs") for name, data in FILES.items() if name < "004"}
    files["dogs/other.jpg"] = jpeg(500)
    store = pack(folder_of(files), labels="folders", held_out=0.0)
    assert len(store) == 5
    assert store.label_classes["folder"] == ["cats", "dogs"]
    assert store.packing_report["copies_differ"] == 4


def test_a_store_of_an_earlier_version_has_no_report(folder_of, pack):
    store = pack(folder_of(FILES))
    manifest = json.loads((store.path / "manifest.json").read_text())
    del manifest["packing_report"]
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    assert told(open_store(store.path)) == []


def told(store):
    """The lines of the summary about copies."""
    lines = summary_lines(store, DataConfig())
    return [line for line in lines if line.startswith(("Copies", "Near-copies", "Warning: copies"))]


def saved(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def faces(count, *, resolution=128):
    return [draw_face(3, index, resolution=resolution) for index in range(count)]


def test_no_two_drawn_faces_are_near_copies():
    """A count of false pairs: 1,000 faces, so 499,500 pairs, which differ in person or pose."""
    found = find_near_copies(np.stack([np.asarray(face) for face in faces(1000, resolution=32)]))
    assert len(found.pairs) == 0
    assert found.groups() == []


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_that_were_saved_again_or_resized_are_found(channels, folder_of, pack):
    files, expected = {}, set()
    for number, face in enumerate(faces(64)):
        files[f"{number:02d}.png"] = saved(face, "PNG")
        changed = {
            "again.jpg": saved(face, quality=60),
            "small.png": saved(face.resize((90, 90)), "PNG"),
            "bright.jpg": saved(face.point(lambda value: min(255, int(value * 1.06) + 4)), quality=90),
        }
        kind = [*changed, *[None] * 13][number % 16]
        if kind is not None:
            files[f"{number:02d}{kind}"] = changed[kind]
            expected.add((f"{number:02d}{kind}", f"{number:02d}.png"))
    store = pack(folder_of(files), channels=channels, held_out=0.4)
    with (store.path / "copies.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {tuple(sorted((row["file"], row["of"]))) for row in rows} == {tuple(sorted(pair)) for pair in expected}
    assert all(row["kind"] == "near" and float(row["correlation"]) > 0.97 for row in rows)
    assert (store.packing_report["near_groups"], store.packing_report["near_copies"]) == (12, 24)
    assert not missing(told(store)[0], 12, 24)
    marks = dict(zip(store.names, store.held_out.tolist(), strict=True))
    hashes = dict(zip(store.names, store.hashes, strict=True))
    for pair in expected:
        assert len({marks[name] for name in pair}) == 1
        assert marks[pair[0]] == is_held_out(min(hashes[name] for name in pair), 0.4)
    old = pack(folder_of(files), channels=channels, rules=1, held_out=0.4)
    split = [pair for pair in expected if len({old.held_out[old.names.index(name)] for name in pair}) == 2]
    assert split  # by rules 1 some pairs are on both sides
    assert old.digest != store.digest


def test_pictures_of_one_layout_are_no_near_copies(folder_of, pack):
    """The same drawing in other colours is another picture; and of most images, which are alike, none is a copy."""
    rng = np.random.default_rng(5)
    palettes = rng.integers(0, 256, (60, 3, 3))
    shape = np.add.outer(np.arange(64) // 22, np.zeros(64, int)) % 3
    coloured = np.stack([palette[shape].astype(np.uint8) for palette in palettes])
    assert len(find_near_copies(coloured).pairs) <= 1  # of 1,770, two have nearly the same colours
    face = np.asarray(faces(1, resolution=64)[0]).astype(int)
    noisy = [np.clip(face + rng.normal(0, 2, face.shape), 0, 255).astype(np.uint8) for _ in range(40)]
    files = {f"{k}.png": saved(Image.fromarray(image), "PNG") for k, image in enumerate(noisy)}
    store = pack(folder_of(files))
    assert store.packing_report["near_alike"] == 40
    assert not missing(told(store)[0], 40)
    assert [is_held_out(content, 0.1) for content in store.hashes] == store.held_out.tolist()
    twice = {f"other{suffix}": saved(faces(5)[4], kind) for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG"))}
    store = pack(folder_of(files | twice), held_out=0.4)
    assert (store.packing_report["near_alike"], store.packing_report["near_copies"]) == (40, 2)
    marks = dict(zip(store.names, store.held_out.tolist(), strict=True))
    assert marks["other.png"] == marks["other.jpg"]


def test_where_every_photograph_lies_there_in_three_sizes_each_three_are_on_one_side(folder_of, pack):
    files = {}
    for number, face in enumerate(faces(40)):
        files[f"{number:02d}/original.png"] = saved(face, "PNG")
        files[f"{number:02d}/medium.jpg"] = saved(face.resize((96, 96)), quality=85)
        files[f"{number:02d}/thumbnail.jpg"] = saved(face.resize((64, 64)), quality=70)
    store = pack(folder_of(files), resolution=32, held_out=0.3)
    report = store.packing_report
    assert (report["near_groups"], report["near_copies"], report["near_alike"]) == (40, 120, 0)
    marks: dict[str, set[bool]] = {}
    for name, mark in zip(store.names, store.held_out.tolist(), strict=True):
        marks.setdefault(name[:2], set()).add(mark)
    assert all(len(sides) == 1 for sides in marks.values())
    assert 0 < store.held_out.sum() < 120


def test_a_large_group_stays_in_training():
    names, hashes = [f"{k}.png" for k in range(100)], [f"{k:02d}" + "0" * 62 for k in range(100)]  # all held out
    marks = held_out_marks(DataConfig(), names, hashes, groups=[np.arange(5, 45), np.arange(50, 53)], copies={})
    assert np.flatnonzero(~marks).tolist() == list(range(5, 45))


def test_hashes_within_six_bits_are_all_found():
    """Against every pair compared with every other."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 40, np.uint64, endpoint=False)
    flips = np.array([[1 << int(bit) for bit in rng.choice(64, 7, replace=False)] for _ in hashes], np.uint64)
    near = [hashes ^ np.bitwise_or.reduce(flips[:, :count], axis=1) for count in (1, 4, 6, 7)]
    every = np.concatenate([hashes, *near])
    distances = np.bitwise_count(every[:, None] ^ every[None, :])
    expected = {tuple(pair) for pair in np.argwhere(np.triu(distances <= 6, k=1)).tolist()}
    found = [
        (min(pair), max(pair))
        for ends in _close_hashes(every)
        for pair in zip(*map(np.ndarray.tolist, ends), strict=True)
    ]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(expected) >= 40 * 4


def test_a_film_of_many_frames_is_one_group_and_one_colour_is_none():
    rng = np.random.default_rng(1)
    frame = np.asarray(faces(1, resolution=64)[0]).astype(int)
    film = np.clip(frame + rng.integers(-1, 2, (300, *frame.shape)), 0, 255).astype(np.uint8)
    blank = np.full((50, 64, 64, 3), 204, np.uint8) + rng.integers(0, 2, (50, 64, 64, 3)).astype(np.uint8)
    found = find_near_copies(np.concatenate([film, blank]))
    (group,) = found.groups()
    assert group.tolist() == list(range(300))
    assert found.candidates < 300 * 299 / 2
    (first, *_), distances = found.pairs[0], found.distances
    assert first == 0
    assert distances.max() <= 6
