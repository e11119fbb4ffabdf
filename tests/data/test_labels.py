"""Labels from names, from folders, and from plain tables; what has become of packed data and of older stores."""

import json

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data import open_store, prepare, survey
from framework.data.packing.prepare import find_prepared
from framework.data.sources.labels import offer_lines, read_labels
from framework.data.sources.labels.names import folders_of, utkface_labels
from framework.data.store import MANIFEST
from framework.data.synthetic_faces.labels import face_name
from framework.errors import DataError
from tests.data.conftest import jpeg

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


def read(tmp_path, text, names=NAMES, **settings):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return read_labels(DataConfig(source="folder", path=str(tmp_path), labels=str(path), **settings), list(names))


def test_utkface_names():
    names = [
        "UTKFace/26_1_2_20170116162826441.jpg.chip.jpg",
        "0_0_4_20161219140623097.jpg",
        "UTKFace\\116_0_3_1.png",  # a zip from Windows
        "39_1_20170116174525125.jpg.chip.jpg",  # malformed as published: no race
        "26_2_2_20170116.jpg",
        "26_1_5_20170116.jpg",
        "portrait.jpg",
        "_1_1_2017.jpg",
    ]
    labels = utkface_labels(names)
    assert labels.values["age"][:3].tolist() == [26, 0, 116]
    assert labels.values["female"][:3].tolist() == [1, 0, 0]
    assert [labels.classes["race"][int(k)] for k in labels.values["race"][:3]] == ["asian", "other", "indian"]
    assert [labels.classes["age_group"][int(k)] for k in labels.values["age_group"][:3]] == ["young", "child", "old"]
    for values in labels.values.values():
        assert values.dtype == np.float32
        assert np.isnan(values[3:]).all()
    _, report = read_labels(DataConfig(source="utkface"), names)
    assert len(report.notes) == 1
    assert report.notes[0].startswith("5 of 8 names")
    assert names[3] in report.notes[0]


@pytest.mark.parametrize(
    ("age", "group"), [(12, "child"), (13, "young"), (29, "young"), (30, "adult"), (54, "adult"), (55, "old")]
)
def test_age_groups_begin_where_they_should(age, group):
    labels = utkface_labels([f"{age}_0_0_2017.jpg"])
    assert labels.classes["age_group"][int(labels.values["age_group"][0])] == group


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["cat/1.png", "dog/1.png"], ["cat", "dog"]),
        (["cat\\1.png", "dog\\1.png", "1.png"], ["cat", "dog", ""]),
        (["set/faces/cat/1.png", "set/faces/dog/old/1.png"], ["cat", "dog"]),
        (["train/cat/1.png", "train/dog/1.png", "valid/cat/1.png"], ["cat", "dog", "cat"]),
        (["cat/a/1.png", "dog/b/1.png"], ["cat", "dog"]),
        (["cover.png", "set/cat/1.png", "set/dog/1.png"], ["", "cat", "dog"]),
        (["train/1.png", "valid/2.png"], ["", ""]),
        (["1.png", "2.png"], ["", ""]),
    ],
)
def test_the_class_folder_is_the_first_that_differs(names, folders):
    assert folders_of(names) == folders


def test_folders_are_one_class_label(folder_of, pack):
    files = {f"{name}/{k}.jpg": jpeg(10 * place + k) for place, name in enumerate(("1e3", "no")) for k in range(4)}
    store = pack(folder_of(files), labels="folders")
    assert store.label_classes == {"folder": ["1e3", "no"]}
    assert store.labels["folder"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert store.labels_matched is None


def test_folders_need_folders(folder_of, pack):
    with pytest.raises(DataError, match=r"^data\.labels: folders"):
        pack(folder_of({"a.jpg": b"no picture"}), labels="folders")


def test_a_table_is_matched_with_and_without_folders(tmp_path):
    text = "\ufefffile, glasses ,kind\nUTKFace/a.jpg,0.25,cat\nb.jpg,,dog\nother.jpg,1,dog\n\n"
    labels, report = read(tmp_path, text, ["b.jpg", "deep/in/a.jpg", "c.jpg"])
    assert (report.matched, report.rows_without_image, report.images_without_row) == (2, 1, 1)
    np.testing.assert_array_equal(labels.values["glasses"], [np.nan, 0.25, np.nan])
    np.testing.assert_array_equal(labels.values["kind"], [1, 0, np.nan])
    assert labels.classes == {"kind": ["cat", "dog"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header"),
        ("file,x\n", "needs a header"),
        ("file\na.jpg\n", "needs a header"),
        ("file,x\na.jpg,1,2\n", "line 2: 3 cells, but the header has 2"),
        ("# by hand\nfile,x\na.jpg,1\nb.jpg,1,2\n", "line 4: 3 cells, but the header has 2"),
        ("file,x\nz.jpg,1\n", "names none of the 3 images .it names 'z.jpg'; the images are named like 'a.jpg'"),
    ],
)
def test_bad_tables_are_one_line(text, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith("data.labels: ")
    assert "\n" not in str(caught.value)


def test_a_table_is_read_before_anything_is_decoded(folder_of, tmp_path, pack):
    folder = folder_of({"a.jpg": b"no picture"})
    with pytest.raises(DataError, match=r"data\.labels: .*none.csv does not exist"):
        pack(folder, labels=str(tmp_path / "none.csv"))
    (tmp_path / "labels.csv").write_text("file,x\nb.jpg,1\n")
    with pytest.raises(DataError, match="names none of the 1 images"):
        pack(folder, labels=str(tmp_path / "labels.csv"))


def plain_table(tmp_path) -> DataConfig:
    rows = [
        f"{face_name(k)},{k % 2},{k % 5 / 4},{('cat', 'dog', 'emu')[k % 3]},{20 + 7 * k}\n" for k in range(64) if k % 8
    ]
    (tmp_path / "tags.csv").write_text("file,tagged,score,kind,years\n" + "".join(rows))
    return DataConfig(source="drawn_faces", limit=64, resolution=32, labels=str(tmp_path / "tags.csv"))


def test_a_plain_table_gives_what_it_always_gave(tmp_path):
    """Computed by commit 87210cb, before tables of other forms were read."""
    store = prepare(plain_table(tmp_path), cache=tmp_path)
    assert store.path.name == "drawn_faces-32px-11e5614e06b0723f"
    assert store.labels_digest == "059e9ceece5df7d891ade1dbc81ad68a6ab86c1e9c7e2caa135eed0faed7ca96"
    assert store.digest == "b50f31674ce6762d297efa27aa1e7ebaa3b396f61bcc6c4e6c2d19f391459da1"
    assert store.labels_matched == 56


def older(store, **entries):
    """Makes a store one that an earlier version packed."""
    manifest = json.loads((store.path / MANIFEST).read_bytes())
    del manifest["labels_report"]
    (store.path / MANIFEST).write_text(json.dumps({**manifest, **entries}))


def test_the_labels_of_an_older_store_are_read_anew(folder_of, tmp_path, pack):
    (tmp_path / "labels.csv").write_text("file,x\na.jpg,-1\nb.jpg,1\n")
    folder, labels = folder_of({name: jpeg(place) for place, name in enumerate(NAMES)}), str(tmp_path / "labels.csv")
    store = pack(folder, labels=labels)
    older(store, labels={"x": [-1, 1, None]})
    written = (store.path / MANIFEST).read_bytes()
    config = DataConfig(source="folder", path=str(folder), resolution=32, labels=labels)
    found = find_prepared(config, cache=tmp_path / "cache")
    assert found is not None
    np.testing.assert_array_equal(found.labels["x"], [0, 1, np.nan])
    assert (store.path / MANIFEST).read_bytes() == written  # looking changes nothing
    again = pack(folder, labels=labels)
    assert (again.path, again.digest, again.labels_digest) == (store.path, store.digest, store.labels_digest)
    np.testing.assert_array_equal(open_store(store.path).labels["x"], [0, 1, np.nan])


@pytest.mark.long
def test_a_file_among_the_images_is_taken_by_its_name_and_is_no_image(folder_of, tar_of, zip_of, pack):
    pairs = [[f"00000/img{k}.jpg", k % 3] for k in range(6)]
    files = {name: jpeg(k) for k, (name, _) in enumerate(pairs)}
    files["dataset.json"] = json.dumps({"labels": pairs}).encode()
    for path in (folder_of(files), zip_of(files), tar_of(files), tar_of(files, "images.tar.gz", "w:gz")):
        plain = pack(path, max_rejected=0.5)
        assert ([name for name, _ in plain.rejected], plain.labels) == (["dataset.json"], {})
        store = pack(path, labels="dataset.json")
        assert (store.rejected, store.label_classes) == ([], {"label": ["0", "1", "2"]})
        assert dict(zip(store.names, store.labels["label"], strict=True)) == dict(pairs)


def test_a_survey_knows_the_labels_and_offers_a_file(folder_of):
    folder = folder_of({"cat/1.jpg": jpeg(1), "dog/2.jpg": jpeg(2), "metadata.csv": b"file_name,text\n1.jpg,a\n"})
    config = DataConfig(source="folder", path=str(folder), resolution=32)
    before = survey(config)
    assert before.offered == ["metadata.csv"]
    assert "metadata.csv" in offer_lines(before.offered, before.names)[0]
    assert "data.labels=folders" in offer_lines([], before.names)[0]
    assert offer_lines([], ["train/1.jpg", "valid/1.jpg", "2.jpg"]) == []
    known = survey(config.model_copy(update={"labels": "folders"}))
    assert known.labels.classes == {"folder": ["cat", "dog"]}
    assert np.isnan(known.labels.values["folder"]).sum() == 1  # the table itself
