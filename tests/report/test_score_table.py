"""Scores side by side: one column a protocol."""

import json

import pytest

from framework.errors import StorageError
from framework.report.shared.score_table import Row, columns, read_row
from framework.runs import RunFolder
from jobs.cli.tables import comparison_table


def score(metric, value, *, real=100, **more):
    return {"metric": metric, "value": value, "protocol": {"name": metric, "real": {"count": real}}, **more}


def row(name, *scores, images_seen=64):
    return Row(name, f"trials/{name}/checkpoints/{images_seen:012d}", images_seen, scores)


def test_unlike_protocols_never_share_a_column():
    rows = [row("a", score("fid5k_768", 3.0)), row("b", score("fid5k_768", 2.0, real=90))]
    first, second = columns(rows)
    assert [first.name, second.name] == ["fid5k_768 (a)", "fid5k_768 (b)"]
    assert [first.differs, second.differs] == [{"real.count": 100}, {"real.count": 90}]
    assert [each["value"] if each else None for each in first.scores] == [3.0, None]
    assert (first.best, second.best) == ([], [])
    table = comparison_table(rows, [first, second])
    assert "fid5k_768 (a): real.count 100" in table
    assert "*" not in table


def test_the_best_is_marked_whichever_way_is_better():
    rows = [
        row("a", score("fid5k_768", 3.0), score("recall5k_768", 0.2, sd=0.01)),
        row("b", score("fid5k_768", 2.0), score("recall5k_768", 0.1)),
    ]
    fid, recall = columns(rows)
    assert (fid.best, recall.best) == ([1], [0])
    lines = comparison_table(rows, [fid, recall]).splitlines()
    assert lines[0].split() == ["images", "seen", "fid5k_768", "recall5k_768"]
    assert lines[1].split() == ["a", "64", "3", "0.2", "±", "0.01", "*"]
    assert lines[2].split() == ["b", "64", "2", "*", "0.1"]


def test_all_equal_is_no_best_and_the_newest_of_one_protocol_counts():
    rows = [row("a", score("density5k_768", 1.0), score("density5k_768", 0.0)), row("b", score("density5k_768", 0.0))]
    (column,) = columns(rows)
    assert [each["value"] for each in column.scores] == [0.0, 0.0]
    assert column.best == []


@pytest.mark.parametrize("rows", [[], [row("a")]])
def test_without_scores_there_are_no_columns(rows):
    assert columns(rows) == []


def test_a_score_without_a_value_is_passed_over_and_an_entry_has_no_clock(tmp_path):
    entry = "entry:mine.faces:generator"
    good = {**score("fid5k_768", 3.0), "checkpoint": entry}
    (tmp_path / "experiment.yaml").write_text("model: {entry: 'mine.faces:generator'}\n")
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [{**good, "value": None}, good]}))
    read = read_row("mine", RunFolder.open(tmp_path), entry)
    assert (read.images_seen, read.scores) == (0, [good])


@pytest.mark.parametrize(
    "wrong", [None, 3, {}, {**score("m", 1.0), "value": "3.0"}, {**score("m", 1.0), "protocol": 3}, {"metric": 1}]
)
def test_what_is_no_score_is_named_with_its_file(tmp_path, wrong):
    (tmp_path / "experiment.yaml").write_text("")
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [score("m", 1.0), wrong]}))
    with pytest.raises(StorageError, match=r"scores\.json: scores\.1"):
        read_row("mine", RunFolder.open(tmp_path), "trials/a/checkpoints/000000000100")
