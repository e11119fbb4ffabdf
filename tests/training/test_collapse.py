"""What a training does when its scores or samples collapse: the same at the same step in each life and on each rank."""

import json
from pathlib import Path

import pytest
import torch

from framework.checkpoint.saved import Checkpoint
from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.storage import open_folder
from framework.training.reports.health import Health
from framework.training.reports.report import Scored
from tests.conftest import missing
from tests.training.test_workers import assert_same, weights

SETTINGS = {
    "data.resolution": 32,
    "model.width": 4,
    "model.latent_size": 6,
    "training.batch_size": 8,
    "training.total_images": 8 * 12,
    "training.report_every_images": 8,
    "evaluation.every_images": 8,
    "compute.precision": "float64",
}
# Each score is judged when the next checkpoint is due. That of 24 is twice the best or more, so the training goes back
# at 32; that of 48 likewise, at 56. The checkpoints at 32 and 56 have the weights of the best, and so its score.
SCORES = {8: 1.0, 16: 0.5, 24: 1.2, 32: 0.5, 40: 0.4, 48: 0.9, 56: 0.4, 64: 2.0}


def scored(images_seen, value, metric="fid1k_768"):
    document = {"metric": metric, "value": value, "protocol": {}}
    return Scored(f"{images_seen:012d}", images_seen, document, 0.0, 0.0, images_seen)


def alarms(values, metric="fid1k_768", notes=None):
    health = Health(total_images=1_000_000, notes={} if notes is None else notes)
    return [health.after_score(scored(number, value, metric)) for number, value in enumerate(values)]


def test_a_score_twice_the_best_is_an_alarm_once():
    said = alarms([3.0, 1.0, 1.9, 2.0, 2.5])
    assert [text is not None for text in said] == [False, False, False, True, False]
    assert missing(said[3], "fid1k_768 is 2 at 3 images", "its best is 1 at 1 images") == []
    higher = alarms([0.2, 0.8, 0.5, 0.4], "recall1k_768")
    assert [text is not None for text in higher] == [False, False, False, True]


def test_five_scores_without_a_new_best_are_an_alarm():
    assert [text is not None for text in alarms([1.0, 1.1, 1.1, 1.1, 1.1])] == [False] * 5
    said = alarms([1.0, 1.1, 1.1, 1.1, 1.1, 1.1])
    assert missing(said[5], "stopped improving for 5 scores") == []
    assert alarms([1.0, 1.1, 1.1, 1.1, 1.1, 0.9, 1.1]) == [None] * 7


def test_alarms_are_kept_over_restarts_and_what_is_no_number_is_passed_over():
    notes = {}
    assert alarms([1.0, float("nan"), None], notes=notes) == [None] * 3
    health = Health(total_images=1_000_000, notes=json.loads(json.dumps(notes)))
    health.recall([(5, "fid1k_768", 1.5), (0, "fid1k_768", 9.0)])  # the first is new, the other known
    assert health.collapsed_scores() is None
    assert health.after_score(scored(6, 2.0)) is not None
    assert health.best_images_seen == 0
    health.rewound(images_seen=6)
    assert health.collapsed_scores() is None
    assert health.after_score(scored(7, 3.0)) is not None


def test_samples_that_are_alike_are_a_sign_only_after_others():
    health = Health(total_images=1_000_000, notes={})
    assert health.collapsed_samples(0.1, images_seen=8) is None
    health.after_samples(0.9, images_seen=16)
    assert "0.10 times as far apart" in health.collapsed_samples(0.1, images_seen=24)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"training.most_rewinds": 3}, "training.most_rewinds"),
        ({"training.on_collapse": "rewind", "training.most_rewinds": 0}, "training.most_rewinds"),
    ],
)
def test_what_has_no_effect_is_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        with_overrides(Experiment(), settings)


def rows_of(job):
    return json.loads(Path(job["reports"]).read_text())["rows"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_stop_and_rewind_by_hand_on_one_and_two_workers_and_after_a_stop(ranks):
    stops = {**SETTINGS, "training.on_collapse": "stop"}
    rewinds = {**SETTINGS, "training.on_collapse": "rewind"}
    stopping = ranks.job("stopping", overrides=stops, scores=SCORES)
    again = ranks.job("again", store="stopping", overrides=stops, scores=SCORES)
    alone = ranks.job("alone", overrides=rewinds, scores=SCORES)
    first = ranks.job("first", overrides=rewinds, scores=SCORES, stop_at=5)
    second = ranks.job("second", store="first", overrides=rewinds, scores=SCORES)
    ranks.run(stopping, again, alone, first, second)
    # Stopping: saved where the score of 24 was judged, which is not scored any more; nothing happens after that.
    rows = rows_of(stopping)
    assert rows[-1]["images_seen"] == 32
    assert rows[-1]["checkpoint"] == f"{32:012d}"
    assert missing(rows[-1]["warnings"][-1], "half as good", "1.2 at 24", "0.5 at 16", "ends the training") == []
    assert [seen for row in rows for seen, _ in row["scores"]] == [8, 16, 24]
    assert rows_of(again) == []
    # Rewinding twice, then it stops.
    rows = {row["images_seen"]: row for row in rows_of(alone)}
    assert max(rows) == 72
    back = {seen: row["rewound_to_images_seen"] for seen, row in rows.items() if "rewinds" in row}
    assert back == {32: 16, 56: 40}
    rates = {seen: row["generator_lr"] for seen, row in rows.items()}
    assert rates == {seen: 2e-4 if seen < 32 else 1e-4 if seen < 56 else 5e-5 for seen in range(0, 80, 8)}
    assert missing(rows[56]["warnings"][-1], "0.9 at 48", "weights of 40 images", "rewind 2 of 2") == []
    assert missing(rows[72]["warnings"][-1], "2 at 64", "2 rewinds did not help") == []
    for now, best in back.items():
        assert_same(weights(alone, now), weights(alone, best))
    assert not torch.equal(weights(alone, 48)["ema.dense.weight"], weights(alone, 40)["ema.dense.weight"])
    # The life that ended at 40 had gone back once, and the next one knows.
    assert rows_of(first)[-1]["images_seen"] == 40
    for seen in (48, 56, 64, 72):
        assert_same(weights(alone, seen), weights(second, seen))
    info = Checkpoint(open_folder(f"{alone['store']}/{72:012d}")).training_info["notes"]
    assert (info["rewinds"], info["lr_factor"]) == (2, 0.25)
    shared = ranks.job("shared", overrides={**rewinds, "compute.workers": 2}, scores=SCORES)
    ranks.run(shared, world=2)
    assert [row["images_seen"] for row in rows_of(shared) if "rewinds" in row] == [32, 56]
    one, other = weights(alone, 72), weights(shared, 72)
    for name in one:
        torch.testing.assert_close(other[name], one[name], rtol=1e-7, atol=1e-10, msg=name)
