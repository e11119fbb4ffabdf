"""Copies of files: which are taken, what becomes of their labels, and that they are told."""

import csv
import json

import pytest

from framework.data import open_store
from framework.data.packing.report import packing_lines
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
        assert rows[0] == ["file", "of", "kind"]
        assert {tuple(row) for row in rows[1:]} == {
            *((f"b/{name}", f"a/{name}", "exact") for name in FILES if name < "050"),
            ("c/000.jpg", "a/000.jpg", "exact"),
        }
        (line,) = packing_lines(store)
        assert not missing(line, 51, "data.copies=keep")


def test_each_is_taken_where_asked_and_by_the_first_rules(folder_of, pack):
    folder = folder_of(THREEFOLD)
    kept, old = pack(folder, copies="keep"), pack(folder, rules=1)
    assert len(kept) == len(old) == 121
    assert kept.digest == old.digest
    assert pack(folder, rules=1, copies="keep").path == old.path
    assert packing_lines(kept) == packing_lines(old) == []


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
    assert not missing(packing_lines(store)[1], 1, "'x'", "'a/000.jpg'", "'b/000.jpg'")
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
    assert packing_lines(open_store(store.path)) == []
