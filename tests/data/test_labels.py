"""Labels from names and tables."""

import numpy as np
import pytest

from framework.data.sources.labels import csv_labels, utkface_labels
from framework.errors import DataError


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_utkface_names():
    names = [
        "UTKFace/26_1_2_20170116162826441.jpg.chip.jpg",
        "0_0_4_20161219140623097.jpg",
        "116_0_3_1.png",
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


@pytest.mark.parametrize(
    ("age", "group"), [(12, "child"), (13, "young"), (29, "young"), (30, "adult"), (54, "adult"), (55, "old")]
)
def test_age_groups_begin_where_they_should(age, group):
    labels = utkface_labels([f"{age}_0_0_2017.jpg"])
    assert labels.classes["age_group"][int(labels.values["age_group"][0])] == group


def test_a_table_is_matched_with_and_without_folders(tmp_path):
    path = table(tmp_path, "\ufefffile, glasses ,kind\nUTKFace/a.jpg,0.25,cat\nb.jpg,,dog\nother.jpg,1,dog\n\n")
    labels, matched = csv_labels(path, ["b.jpg", "deep/in/a.jpg", "c.jpg"])
    assert matched == 2
    np.testing.assert_array_equal(labels.values["glasses"], [np.nan, 0.25, np.nan])
    np.testing.assert_array_equal(labels.values["kind"], [1, 0, np.nan])
    assert labels.classes == {"kind": ["cat", "dog"]}


def test_equal_last_steps_need_the_whole_name(tmp_path):
    path = table(tmp_path, "file,x\none/a.jpg,1\ntwo/a.jpg,2\n")
    labels, matched = csv_labels(path, ["two/a.jpg", "one/a.jpg", "three/a.jpg"])
    assert matched == 2
    np.testing.assert_array_equal(labels.values["x"], [2, 1, np.nan])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header"),
        ("file,x\n", "needs a header"),
        ("file\na.jpg\n", "needs a header"),
        ("file,x,x\na.jpg,1,1\n", "column 'x' twice"),
        ("file,\na.jpg,1\n", "twice or without a name"),
        ("file,x\na.jpg,1,2\n", "line 2: 3 cells, but the header has 2"),
        ("file,x\na.jpg,1\na.jpg,0\n", "names a.jpg more than once"),
        ("file,x\na.jpg,1\nb.jpg,yes\n", "column x: 'yes' is not a number"),
        ("file,x\na.jpg,inf\nb.jpg,1\n", "column x: 'inf' is not a number"),
        ("file,x\nz.jpg,1\n", "names none of the 2 images .it names 'z.jpg'; the images are named like 'a.jpg'"),
        ("file,x\n" + "".join(f"{k}.jpg,word{k}\n" for k in range(60)) + "a.jpg,w\n", "61 different words"),
    ],
)
def test_bad_tables_are_one_line(text, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        csv_labels(table(tmp_path, text), ["a.jpg", "b.jpg"])
    assert str(caught.value).startswith("data.labels: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        csv_labels(tmp_path / "none.csv", ["a.jpg"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        csv_labels(tmp_path / "binary.csv", ["a.jpg"])
