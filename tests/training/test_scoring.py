"""Scores wait for their checkpoint to be written, and for the score before; the training waits for neither."""

import threading

import pytest

from framework.checkpoint import Checkpoint, CheckpointStore
from framework.checkpoint.snapshot import Writing
from framework.storage import open_folder
from framework.training.reports.scores import PendingScores


class AtOnce:
    def done(self):
        return True

    def result(self):
        return {"metric": "made_up", "value": 1.0, "protocol": {}}


@pytest.fixture
def pending(tmp_path):
    store = CheckpointStore(open_folder(tmp_path), digest="x", learned={}, keep="all")
    begun = []

    def begin(checkpoint):
        begun.append(checkpoint.images_seen)
        return AtOnce()

    return PendingScores(begin, store), begun, lambda clock: Checkpoint(open_folder(tmp_path / f"{clock:012d}"))


def test_a_score_begins_when_its_checkpoint_is_written(pending):
    scores, begun, checkpoint = pending
    may_end = threading.Event()
    writing = Writing(may_end.wait)
    scores.add(checkpoint(8), writing)
    assert scores.take(images_seen=16) == []
    assert begun == []
    may_end.set()
    writing.wait()
    assert [one.images_seen for one in scores.take(images_seen=24)] == [8]
    assert begun == [8]


def test_where_it_has_to_come_the_writing_is_waited_for(pending):
    scores, begun, checkpoint = pending
    may_end = threading.Event()
    scores.add(checkpoint(8), Writing(may_end.wait))
    threading.Timer(0.2, may_end.set).start()
    assert [one.images_seen for one in scores.take(images_seen=8, leave=0)] == [8]
    assert begun == [8]


def test_what_the_writing_met_is_raised_where_its_score_is_due(pending):
    scores, begun, checkpoint = pending

    def full():
        raise OSError("no space left")

    writing = Writing(full)
    with pytest.raises(OSError, match="no space left"):
        writing.wait()
    with pytest.raises(OSError, match="no space left"):
        scores.add(checkpoint(8), writing)
    assert begun == []
