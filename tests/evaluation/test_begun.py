"""A run keeps the features that it began with, so that one search never mixes two metrics."""

import pytest

from framework.config import Experiment, with_overrides
from framework.evaluation.features.weights import FILE
from framework.evaluation.requests.begun import begun_features, final_settings, trial_settings
from framework.runs import RunFolder

NAMES = {"assessor": "assessor", "efficientnet": "efficientnet-lite2", "inception": "inception-2015-12-05"}


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


def a_run(folder, **keys):
    experiment = with_overrides(Experiment(), {"name": "r", "storage.path": str(folder), **keys})
    return RunFolder.create(experiment, ["python"])


def score(kind):
    """As older versions wrote it: the name of the features is all that tells them."""
    protocol = {"features": {"name": NAMES[kind], "sha256": "0" * 64}, "tap": 80}
    return {"metric": "some", "value": 1.0, "protocol": protocol}


def test_a_run_without_a_score_has_begun_with_nothing(tmp_path):
    run = a_run(tmp_path)
    assert begun_features(run) is None
    assert (trial_settings(run).features, final_settings(run).features) == ("auto", "auto")
    assert begun_features(RunFolder(run.folder / "not there", run.experiment)) is None


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("place", ["metrics", "best", "scores"])
def test_trials_keep_what_the_first_score_has(tmp_path, kind, place):
    run = a_run(tmp_path)
    if place == "metrics":
        run.trial("a").append_metrics({"images_seen": 64})
        run.trial("a").append_metrics({"images_seen": 128, "score": score(kind)})
        run.add_scores([score("efficientnet")])
    elif place == "best":
        checkpoint = "trials/a/checkpoints/000000000128"
        run.write_best({"trial": "a", "checkpoint": checkpoint, "images_seen": 128, "score": score(kind)})
    else:
        run.add_scores([score(kind)])
    assert begun_features(run) == kind
    assert trial_settings(run).features == kind
    assert final_settings(run).features == ("assessor" if kind == "assessor" else "auto")


def test_a_named_metric_or_network_goes_before_what_was_begun(tmp_path):
    for number, (keys, expected) in enumerate(
        [
            ({"search.metric": "fid"}, "inception"),
            ({"search.metric": "efficientnet_frechet_distance"}, "efficientnet"),
            ({"search.metric": "recall"}, "assessor"),
            ({"evaluation.features": "efficientnet"}, "efficientnet"),
        ]
    ):
        run = a_run(tmp_path / str(number), **keys)
        run.add_scores([score("assessor")])
        assert trial_settings(run).features == expected, keys


def test_final_scores_are_fid_once_its_weights_are_there(tmp_path, torch_home):
    run = a_run(tmp_path)
    run.add_scores([score("assessor")])
    place = torch_home / "hub" / "checkpoints" / FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert final_settings(run).features == "auto"
    assert trial_settings(run).features == "assessor"
