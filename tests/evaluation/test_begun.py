"""A run keeps the features that it began with, so that one search never mixes two metrics."""

import pytest

from framework.config import Experiment, with_overrides
from framework.errors import ConfigError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.features.weights import FILE
from framework.evaluation.protocols.protocol import ImageSetSpec
from framework.evaluation.requests.begun import begun_features, final_settings, trial_settings
from framework.evaluation.requests.passes import passes
from framework.evaluation.requests.requested import requested
from framework.evaluation.requests.run_metrics import RunImageSets, RunScoringPass
from framework.runs import RunFolder
from tests.conftest import missing

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


LITE2 = {"model.discriminator": "both", "model.feature_network": "efficientnet-lite2"}


def test_auto_is_never_the_network_of_the_discriminator(tmp_path, torch_home):
    run = a_run(tmp_path, **LITE2)
    run.add_scores([score("efficientnet")])
    assert (trial_settings(run).features, final_settings(run).features) == ("assessor", "assessor")
    folder = torch_home / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"")
    assert (trial_settings(run).features, final_settings(run).features) == ("inception", "inception")
    other = a_run(tmp_path / "lite0", **{"model.discriminator": "both"})
    assert trial_settings(other).features == "auto"


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"search.metric": "efficientnet_frechet_distance"}, "search.metric: efficientnet_frechet_distance"),
        ({"evaluation.features": "efficientnet"}, "evaluation.features: efficientnet"),
        ({"evaluation.features": "efficientnet", "search.metric": "recall"}, "evaluation.features: efficientnet"),
    ],
)
def test_trials_are_not_ranked_by_the_network_of_their_discriminator(keys, named):
    with pytest.raises(ConfigError) as fault:
        with_overrides(Experiment(), LITE2 | keys)
    assert missing(str(fault.value), named, "model.feature_network: efficientnet-lite2", "fid") == []
    searched = {"search.space": {"model.discriminator": {"choice": ["own", "both"]}}}
    searched["search.space"]["model.feature_network"] = {"choice": ["efficientnet-lite0", "efficientnet-lite2"]}
    with pytest.raises(ConfigError, match="efficientnet-lite2"):
        with_overrides(Experiment(), searched | keys)
    assert with_overrides(Experiment(), {"model.discriminator": "both"} | keys)


def test_a_score_by_the_network_of_the_discriminator_says_so(tmp_path):
    side = {"height": 32, "width": 32, "channels": 3}
    sides = RunImageSets(ImageSetSpec(count=100, split="training", digest="a" * 64, **side), None)
    features = FeatureSpec("efficientnet", "w.pth", "b" * 64, 1280, resize_name="clean")
    documents = []
    for name, keys in (("lite2", LITE2 | {"search.metric": "fid"}), ("own", {})):
        run = a_run(tmp_path / name, **keys)
        config = run.experiment.evaluation
        (request,) = requested(config.model_copy(update={"metrics": ["fid"]}), features=features)
        (made,) = passes([request])
        documents.append(RunScoringPass(run, sides, made, features).protocol(request).document())
    assert documents[0].pop("features") == documents[1].pop("features") | {"in_discriminator": True}
    assert documents[0] == documents[1]
