"""Files of labels in every form that people have: their dialects, their columns, and the names in them."""

import io
import json
import unicodedata
import zipfile

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data.sources.labels import label_document, label_lines, read_labels
from framework.errors import DataError

N = 24
NAMES = [f"img{k:04d}.jpg" for k in range(N)]
GLASSES = [k % 2 for k in range(N)]
SMILING = [k // 2 % 2 for k in range(N)]
ROWS = list(zip(NAMES, GLASSES, SMILING, strict=True))


def read(tmp_path, content, names=NAMES, *, file="labels.csv"):
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(DataConfig(source="folder", path=str(tmp_path), labels=str(path)), list(names))


def lines(separator=",", header="file{0}glasses{0}smiling\n", row="{1}{0}{2}{0}{3}\n"):
    return header.format(separator) + "".join(row.format(separator, *cells) for cells in ROWS)


def workbook():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
    return file.getvalue()


PLAIN = lines()
SAME = {
    "plain": PLAIN,
    "semicolons": lines(";").replace("\n", "\r\n"),
    "tabs": lines("\t"),
    "bars": lines("|"),
    "spaces": lines(" "),
    "padded": lines("   "),
    "celeba": f"{N}\nglasses smiling \n" + "".join(f"{n} {2 * g - 1:2d} {2 * s - 1:2d}\n" for n, g, s in ROWS),
    "counted, with a name for the files": f"{N}\n" + lines(" "),
    "bom": "\ufeff" + PLAIN,
    "mac": PLAIN.replace("\n", "\r"),
    "quoted": lines(row='"{1}"{0}"{2}"{0}"{3}"\n'),
    "sep": "sep=;\r\n" + lines(";"),
    "comment": "# exported 2026-11-01\n" + PLAIN,
    "hash before the header": "#" + PLAIN,
    "trailing separator": lines(header="file,glasses,smiling,\n", row="{1},{2},{3},\n"),
    "utf-16": lines("\t").encode("utf-16"),
    "utf-16 without a mark": lines("\t").encode("utf-16-le"),
    "utf-16 big": lines("\t").encode("utf-16-be"),
    "pandas' index": lines(header=",file,glasses,smiling\n", row="7{2}{3}{1},{1},{2},{3}\n"),
    "files last": lines(header="glasses,smiling,file\n", row="{2},{3},{1}\n"),
    "rows twice": PLAIN + "".join(f"{n},{g},{s}\n" for n, g, s in ROWS[:3]),
    "true and false": lines(header="file,glasses,smiling\n").replace(",1", ",True").replace(",0", ",FALSE"),
    "yes and no": PLAIN.replace(",1\n", ", Yes \n").replace(",1", ",yes").replace(",0", ",No"),
    "mixed": PLAIN.replace(",1\n", ",y\n").replace(",0", ",no"),
    "-1 and 1": PLAIN.replace(",0", ",-1"),
    "1 and 2": PLAIN.replace(",1", ",2").replace(",0", ",1"),
    "3 and 95": PLAIN.replace(",1", ",95").replace(",0", ",3"),
    "decimals": PLAIN.replace(",1", ",1.0").replace(",0", ",0.0"),
    "json by name": json.dumps({n: {"glasses": g, "smiling": bool(s)} for n, g, s in ROWS}),
    "json list": json.dumps([{"glasses": g, "smiling": s, "file_name": n} for n, g, s in ROWS], indent=1),
    "json lines": "".join(json.dumps({"glasses": g, "smiling": s, "file_name": n}) + "\n" for n, g, s in ROWS),
    "parts of paths": lines(row="C:\\Users\\me\\faces\\{1}{0}{2}{0}{3}\n"),
    "other case": lines(row="{1}{0}{2}{0}{3}\n").replace("img", "IMG"),
    "without an ending": PLAIN.replace(".jpg", ""),
}


@pytest.mark.parametrize("form", SAME)
def test_forms_of_one_table(form, tmp_path):
    labels, report = read(tmp_path, SAME[form])
    assert labels.classes == {}
    assert {name: values.tolist() for name, values in labels.values.items()} == {
        "glasses": GLASSES,
        "smiling": SMILING,
    }
    assert (report.matched, report.rows_without_image, report.images_without_row) == (N, 0, 0)
    assert report.left_out == {}


def test_windows_1252(tmp_path):
    labels, report = read(tmp_path, PLAIN.replace("smiling", "lächelnd").encode("cp1252"))
    assert list(labels.values) == ["glasses", "lächelnd"]
    assert any("1252" in note for note in report.notes)


def test_without_a_header(tmp_path):
    text = "".join(f"{n},{g}\n" for n, g, _ in ROWS)
    labels, _ = read(tmp_path, text)
    assert {name: values.tolist() for name, values in labels.values.items()} == {"label": GLASSES}
    labels, _ = read(tmp_path, "".join(f"{n} {g} {s}\n" for n, g, s in ROWS))
    assert list(labels.values) == ["label_1", "label_2"]


def test_numbers_with_a_decimal_comma(tmp_path):
    labels, _ = read(tmp_path, "file;x\n" + "".join(f"{n};0,{9 * g}5\n" for n, g, _ in ROWS))
    np.testing.assert_allclose(labels.values["x"], [0.95 if g else 0.05 for g in GLASSES])


def test_stylegan(tmp_path):
    names = [f"00000/img{k:08d}.png" for k in range(N)]
    pairs = [[name, k % 3] for k, name in enumerate(names)]
    one_hot = [[name, [float(k % 3 == place) for place in range(3)]] for k, name in enumerate(names)]
    for content in ({"labels": pairs}, {"labels": one_hot}):
        labels, report = read(tmp_path, json.dumps(content), names, file="dataset.json")
        assert labels.classes == {"label": ["0", "1", "2"]}
        assert labels.values["label"].tolist() == [k % 3 for k in range(N)]
        assert report.origin == "dataset.json"


def test_a_label_is_not_taken_for_the_name_of_a_file(tmp_path):
    with pytest.raises(DataError, match=r"names none of the 4 images .it names 'other\.png'"):
        read(tmp_path, "file,hat\nother.png,1\n", [f"{k}.png" for k in range(4)])


def column(tmp_path, cells, name="x"):
    """The values, classes and report of a single column."""
    labels, report = read(tmp_path, f"file,{name}\n" + "".join(f"{n},{c}\n" for n, c in zip(NAMES, cells, strict=True)))
    return labels.values.get(name), labels.classes.get(name), report


def cycle(*cells):
    return [cells[k % len(cells)] for k in range(N)]


nan = float("nan")


@pytest.mark.parametrize(
    ("name", "cells", "values", "classes"),
    [
        ("x", cycle(0, 1, "NA"), [0, 1, nan], None),
        ("x", cycle("no", "yes", "unknown", ""), [0, 1, nan, nan], None),
        ("x", cycle("True", "False", "None"), [1, 0, nan], None),
        ("x", cycle(-1, 0, 1), [nan, 0, 1], None),  # −1 is unknown beside 0 and 1
        ("x", cycle(-1, 0, 1, 2), [nan, 0, 1, 2], ["0", "1", "2"]),
        ("emotion", cycle(0, 1, 2, 3, 4, 5), [0, 1, 2, 3, 4, 5], ["0", "1", "2", "3", "4", "5"]),
        ("stars", cycle(5, 1, 2, 4), [3, 0, 1, 2], ["1", "2", "4", "5"]),
        ("age", cycle(1, 2, 3), [1, 2, 3], None),  # ages are numbers, however few
        ("ageInYears", cycle(20, 60), [20, 60], None),
        ("x", cycle(17, 33, 60, 2000), [17, 33, 60, 2000], None),
        ("x", cycle(0, 35, 100), [0, 0.35, 1], None),  # percent
        ("x", cycle("5%", "95%", "50%"), [0.05, 0.95, 0.5], None),
        ("x", cycle(0.1, 0.5, 0.9), [0.1, 0.5, 0.9], None),
        ("x", cycle("no glasses", "reading", "sun"), [0, 1, 2], ["no glasses", "reading", "sun"]),
        ("race", cycle("Hispanic/Latino", "East Asian"), [1, 0], ["East Asian", "Hispanic/Latino"]),
        ("sex", cycle("m", "f"), [1, 0], ["f", "m"]),
    ],
)
def test_columns(name, cells, values, classes, tmp_path):
    found, found_classes, report = column(tmp_path, cells, name)
    assert found is not None
    np.testing.assert_allclose(found, (values * N)[:N])
    assert (found_classes, report.left_out) == (classes, {})


def test_minus_one_is_no_where_another_column_says_so(tmp_path):
    rows = "".join(f"{n},{2 * g - 1},{k % 3 - 1}\n" for k, (n, g, _) in enumerate(ROWS))
    labels, report = read(tmp_path, "file,male,beard\n" + rows)
    assert labels.values["male"].tolist() == GLASSES
    np.testing.assert_array_equal(labels.values["beard"], cycle(0, nan, 1))
    assert any("beard" in note for note in report.notes)


@pytest.mark.parametrize(
    "cells",
    [
        [f"a face, number {k}".replace(",", "") for k in range(N)],
        [f"masks/{k % 2}.png" for k in range(N)],
        ["same"] * N,
        [1] * N,
        [""] * N,
        cycle("yes"),
        cycle(0, 1, "maybe"),
        cycle(-1, 0),
        cycle("inf", 1, 0),
    ],
)
def test_a_column_that_cannot_be_a_label_is_left_out_with_a_reason(cells, tmp_path):
    values, _, report = column(tmp_path, cells)
    assert values is None
    assert report.left_out["x"]
    assert any("Warning" in line for line in label_lines(read(tmp_path, "file,y\nimg0000.jpg,\n")[0], report))


def test_the_other_columns_stay(tmp_path):
    header = "file,caption,glasses,x,x,\n"
    labels, report = read(tmp_path, header + "".join(f"{n},picture {n},{g},1,0,3\n" for n, g, _ in ROWS))
    assert list(labels.values) == ["glasses"]
    assert set(report.left_out) == {"caption", "x", "number 6"}


def test_rows_that_disagree_are_unknown(tmp_path):
    labels, report = read(tmp_path, PLAIN + f"{NAMES[0]},1,0\n")
    assert np.isnan(labels.values["glasses"][0])
    assert labels.values["glasses"][1:].tolist() == GLASSES[1:]
    assert labels.values["smiling"].tolist() == SMILING
    assert any("glasses" in note for note in report.notes)


@pytest.mark.parametrize(
    ("rows", "images", "found"),
    [
        (["one/a.jpg", "two/a.jpg"], ["two/a.jpg", "one/a.jpg", "three/a.jpg"], [1, 0, -1]),
        (["train/1.jpg", "val/1.jpg"], ["set/train/1.jpg", "set/val/1.jpg"], [0, 1]),
        (["C:\\me\\train\\1.jpg", "C:\\me\\val\\1.jpg"], ["val\\1.jpg", "./train/1.jpg"], [1, 0]),
        (["1.jpg"], ["train/1.jpg", "valid/1.jpg"], [-1, -1]),  # it could be either
        (["a.jpg", "A.JPG"], ["A.jpg", "a.jpg"], [-1, 0]),
        (["x/a.jpg", "b.jpg"], ["deep/x/a.jpg", "x/a.jpg", "b.jpg"], [-1, 0, 1]),
        (["Zoë.jpg", unicodedata.normalize("NFC", "Ángel.jpg")], [unicodedata.normalize("NFD", "Ángel.jpg")], [1]),
        (["2", "1"], ["1.jpg", "2.jpg"], [1, 0]),
        (["x/" * 9_000 + "a.jpg"], ["y/" * 9_000 + "a.jpg"], [0]),
    ],
)
def test_names_are_matched_by_the_longest_end(rows, images, found, tmp_path):
    images = [*images, "known.jpg"]
    text = "".join(f"{json.dumps({'file': row, 'x': 100 + 1000 * k})}\n" for k, row in enumerate([*rows, "known.jpg"]))
    labels, report = read(tmp_path, text, images)
    values = labels.values["x"][:-1]
    assert [-1 if np.isnan(value) else int(value - 100) // 1000 for value in values] == found
    assert report.images_without_row == found.count(-1)
    assert report.rows_without_image == len(rows) - len(found) + found.count(-1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (workbook(), "CSV"),
        (b"PAR1....", "Parquet"),
        (b"\x1f\x8b\x08", "compressed"),
        ('{"labels": null}', "none of the known forms"),
        ("[1, 2]", "none of the known forms"),
        ('{"a.jpg": ', "JSON"),
        ("[" * 100_000, "JSON"),
        ("file,x\na\0.jpg,1\n", "cannot be read as CSV"),
        (b"\xff\xfe\x00\x80", "needs a header"),
        (",".join(map(str, range(20_000))) + "\n" + "1," * 20_000, "too many"),
        ("".join(json.dumps({f"a{k}": 1}) + "\n" for k in range(10_001)), "too many"),
        ("".join(json.dumps({f"a{k % 9_000}": k}) + "\n" for k in range(20_000)), "too many"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "none of the known forms|JSON|names none"),
    ],
)
def test_what_is_no_table_is_named(content, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith("data.labels: ")


def test_a_million_lines_of_comments_are_passed_in_one_reading(tmp_path):
    """Each was cut from the rest of the text, which took hours."""
    labels, _ = read(tmp_path, "# a comment\n" * 1_000_000 + lines())
    assert "glasses" in labels.values


def test_the_table_of_labels(tmp_path):
    races = cycle(*(f"race {letter}" for letter in "abcdefghijkl"))
    text = "file,glasses,race,score\n"
    text += "".join(f"{n},{2 * g - 1},{race},0.{g}5\n" for (n, g, _), race in zip(ROWS, races, strict=True))
    labels, report = read(tmp_path, text, NAMES[:20] + ["other.jpg"] * 4)
    table = {row["label"]: row for row in label_document(labels, report)["label_table"]}
    assert table["glasses"] == {
        "label": "glasses",
        "kind": "binary",
        "images": 20,
        "counts": {"no": 10, "yes": 10},
        "written": {"no": "-1", "yes": "1"},
    }
    assert (table["race"]["kind"], len(table["race"]["counts"]), sum(table["race"]["counts"].values())) == (
        "class",
        12,
        20,
    )
    assert (table["score"]["kind"], table["score"]["images"]) == ("number", 20)
    lines = label_lines(labels, report)
    assert "and 4 more" in next(line for line in lines if "race" in line)
    assert [line for line in lines if line.startswith("Warning")] == [
        "Warning: 4 of 24 images have no row in labels.csv",
        "Warning: 4 of 24 rows of labels.csv name no image",
    ]
    assert len(label_lines(labels, report, every_label=False)) == 3
