import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from framework.config import EvaluationConfig
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec, build_extractor
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.weights import FILE, FILE_BYTES, FILE_SHA256, FILE_URL, read_weights
from tests.conftest import missing


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


def settings(**keys):
    return EvaluationConfig.model_validate(keys)


@pytest.mark.long
def test_auto_takes_the_deepest_finite_tap_and_says_so(inception_file):
    spec = resolve_features(settings(weights=str(inception_file)), assessor_folder=None)
    assert (spec.kind, spec.tap, spec.name) == ("inception", 768, "inception-2015-12-05")
    assert spec == pickle.loads(pickle.dumps(spec))
    assert len(pickle.dumps(spec)) < 1000


def test_a_tap_that_is_not_finite_is_refused(inception_file):
    wanted = (
        f"evaluation.tap: 2048 gives features that are not finite with {inception_file}; "
        "taps with finite features are 64, 192, 768"
    )
    with pytest.raises(EvaluationError) as caught:
        resolve_features(settings(weights=str(inception_file), tap=2048), assessor_folder=None)
    assert str(caught.value) == wanted


@pytest.mark.long
@pytest.mark.parametrize(
    ("keys", "resize_name", "words"),
    [
        ({}, "tensorflow2015", "bilinear as TensorFlow did it in 2015, no antialias"),
        ({"resize": "tensorflow2015"}, "tensorflow2015", "bilinear as TensorFlow did it in 2015, no antialias"),
        ({"resize": "clean"}, "clean", "Pillow bicubic with antialias, float32, clipped to [0, 255]"),
    ],
)
def test_the_resize_is_the_configurations(inception_file, keys, resize_name, words):
    spec = resolve_features(settings(weights=str(inception_file), tap=64, **keys), assessor_folder=None)
    assert (spec.resize_name, spec.resize, spec.precision) == (resize_name, f"299x299, {words}", "float32")
    assert not spec.logits


@pytest.mark.parametrize(
    ("features", "keys", "named"),
    [
        ("assessor", {"resize": "clean"}, "evaluation.resize: clean"),
        ("assessor", {"resize": "tensorflow2015"}, "evaluation.resize: tensorflow2015"),
        ("assessor", {"metrics": ["inception_score"]}, "evaluation.metrics: inception_score"),
        ("efficientnet", {"resize": "tensorflow2015"}, "evaluation.resize: tensorflow2015"),
        ("efficientnet", {"tap": 768}, "evaluation.tap: 768"),
        ("efficientnet", {"precision": "bfloat16"}, "evaluation.precision: bfloat16"),
        ("auto", {"metrics": ["inception_score"]}, "evaluation.metrics: inception_score"),
    ],
)
def test_what_only_inception_has_is_refused_with_others(assessor_folder, torch_home, features, keys, named):
    with pytest.raises(EvaluationError) as caught:
        resolve_features(settings(features=features, **keys), assessor_folder=assessor_folder)
    computes = "assessor" if features == "assessor" else "EfficientNet"
    assert missing(str(caught.value), named, "Inception", computes) == []
    assert (FILE_URL in str(caught.value)) == (features == "auto")


def test_an_inception_score_wants_finite_logits(inception_file):
    with pytest.raises(EvaluationError) as caught:
        resolve_features(
            settings(weights=str(inception_file), metrics=["fid", "inception_score"]), assessor_folder=None
        )
    message = f"evaluation.metrics: inception_score needs finite logits, but those of {inception_file} are not finite; "
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_logits_come_with_the_features(filled_file):
    config = settings(weights=str(filled_file), metrics=["inception_score5k"])
    spec = resolve_features(config, assessor_folder=None)
    assert (spec.tap, spec.logits) == (2048, True)
    images = np.random.default_rng(0).integers(0, 256, size=(2, 40, 40, 3), dtype=np.uint8)
    found = build_extractor(spec).with_logits(images)
    names = ["2048", "logits_unbiased"]
    peer = FeatureExtractorInceptionV3("peer", names, feature_extractor_weights_path=str(filled_file))
    for ours, theirs in zip(found, peer(torch.from_numpy(images).permute(0, 3, 1, 2)), strict=True):
        assert ours == pytest.approx(theirs.numpy(), rel=1e-4, abs=1e-4 * float(theirs.abs().max()))


def test_auto_falls_back_to_efficientnet_with_labels_or_without(assessor_folder, torch_home):
    spec = resolve_features(settings(), assessor_folder=assessor_folder)
    assert (spec.kind, spec.name, spec.tap) == ("efficientnet", "efficientnet-lite2", 1280)
    assert spec.resize == "260x260, Pillow bicubic with antialias, float32, clipped to [0, 255]"
    assert spec.digest == hashlib.sha256(Path(spec.path).read_bytes()).hexdigest()
    for keys in ({}, {"features": "efficientnet"}, {"resize": "clean"}):
        assert resolve_features(settings(**keys), assessor_folder=None) == spec


def test_the_assessor_stays_by_its_name(assessor_folder, assessor_spec, torch_home):
    assert resolve_features(settings(features="assessor"), assessor_folder=assessor_folder) == assessor_spec


def test_weights_are_found_where_torch_keeps_them(inception_file, assessor_folder, torch_home):
    place = torch_home / "hub" / "checkpoints" / FILE
    place.parent.mkdir(parents=True)
    place.symlink_to(inception_file)
    assert resolve_features(settings(tap=64), assessor_folder=assessor_folder).path == str(place)


def test_missing_weights_are_one_message_that_says_all(torch_home):
    with pytest.raises(EvaluationError) as caught:
        resolve_features(settings(features="inception"), assessor_folder=None)
    message = str(caught.value)
    for part in (FILE, f"{FILE_BYTES:,}", FILE_SHA256, FILE_URL, str(torch_home / "hub" / "checkpoints")):
        assert part in message
    assert "evaluation.weights=FILE" in message
    assert "evaluation.features=efficientnet" in message
    assert "\n" not in message
    assert FILE_SHA256.startswith("6726825d")  # torch.hub's file names end in the first digits


def test_a_configured_file_that_is_not_there_is_no_reason_for_something_else(assessor_folder, tmp_path):
    with pytest.raises(EvaluationError, match=r"evaluation\.weights: .*there is no file .*absent\.pth on this machine"):
        resolve_features(settings(weights=str(tmp_path / "absent.pth")), assessor_folder=assessor_folder)


def test_no_assessor(torch_home):
    with pytest.raises(EvaluationError, match="assessor, but there is no assessor"):
        resolve_features(settings(features="assessor"), assessor_folder=None)


class Trap:
    def __reduce__(self):
        return print, ("the pickle was run",)


@pytest.mark.parametrize(
    "kind", ["truncated", "flipped", "text", "empty", "pickle", "other", "torchvision", "safetensors"]
)
def test_damaged_and_wrong_files_are_one_line_that_names_them(inception_file, tmp_path, kind, capsys):
    file = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    data = bytearray(inception_file.read_bytes())
    if kind == "flipped":
        data[len(data) // 2] ^= 0xFF
    if kind == "pickle":
        torch.save({"fc.weight": Trap()}, file)
    elif kind == "other":
        torch.save([torch.zeros(3)], file)
    elif kind == "torchvision":
        torch.save({"fc.weight": torch.zeros(1000, 2048)}, file)
    else:
        cut = {"truncated": data[: len(data) // 2], "text": b"<html>404</html>", "empty": b""}
        file.write_bytes(bytes(cut.get(kind, data)))
    with pytest.raises(EvaluationError) as caught:
        resolve_features(settings(weights=str(file)), assessor_folder=None)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    if kind in ("truncated", "flipped", "text", "empty"):
        assert missing(str(caught.value), hashlib.sha256(file.read_bytes()).hexdigest()) == []
    assert capsys.readouterr().out == ""


def test_weights_that_do_not_fit_are_one_line(tmp_path):
    file = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(1008, 2048)}, file)
    with pytest.raises(EvaluationError, match="do not fit the Inception of 2015-12-05"):
        resolve_features(settings(weights=str(file)), assessor_folder=None)


@pytest.mark.long
def test_safetensors_hold_the_same_weights(inception_file, inception_spec, tmp_path):
    weights, _ = read_weights(inception_file)
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(weights, file)
    spec = resolve_features(settings(weights=str(file), tap=64), assessor_folder=None)
    images = np.random.default_rng(0).integers(0, 256, size=(3, 20, 20, 3), dtype=np.uint8)
    assert np.array_equal(build_extractor(spec)(images), build_extractor(inception_spec)(images))


def test_another_file_in_its_place_is_noticed(inception_file):
    spec = FeatureSpec("inception", str(inception_file), "0" * 64, 64)
    with pytest.raises(EvaluationError, match="has changed since the score began"):
        build_extractor(spec)


@pytest.mark.long
def test_features_do_not_depend_on_company(inception_spec):
    images = np.random.default_rng(0).integers(0, 256, size=(40, 24, 24, 3), dtype=np.uint8)
    extractor = build_extractor(inception_spec)
    together = extractor(images)
    assert together.shape == (40, 64)
    assert together.dtype == np.float32
    assert np.array_equal(together[32:], extractor(images[32:]))
    assert np.array_equal(together[:1], extractor(images[:1]))


@pytest.mark.long
def test_grey_is_repeated(inception_spec):
    grey = np.random.default_rng(0).integers(0, 256, size=(2, 24, 24, 1), dtype=np.uint8)
    extractor = build_extractor(inception_spec)
    assert np.array_equal(extractor(grey), extractor(grey.repeat(3, axis=3)))


@pytest.mark.long
@pytest.mark.parametrize("how", ["tensorflow2015", "clean"])
def test_images_may_differ_in_size(inception_spec, how):
    extractor = build_extractor(replace(inception_spec, resize_name=how))
    rng = np.random.default_rng(0)
    small, large = (rng.integers(0, 256, size=(2, *size, 3), dtype=np.uint8) for size in ((24, 24), (48, 40)))
    mixed = extractor([small[0], large[0], small[1], large[1]])
    assert np.array_equal(mixed[::2], extractor(small))
    assert np.array_equal(mixed[1::2], extractor(large))


@pytest.mark.long
def test_built_once(inception_spec, assessor_spec):
    assert build_extractor(inception_spec) is build_extractor(inception_spec)
    assert build_extractor(assessor_spec).feature_size == assessor_spec.tap


def test_images_that_do_not_fit_are_refused(assessor_spec):
    extractor = build_extractor(assessor_spec)
    with pytest.raises(EvaluationError, match="needs images of 16x16x1, not of 32x32x3"):
        extractor(np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(EvaluationError, match="needs images of 16x16x1, not of 16x20x1"):
        extractor([np.zeros((16, 16, 1), np.uint8), np.zeros((16, 20, 1), np.uint8)])
    with pytest.raises(EvaluationError, match=r"must be uint8 \[n,h,w,1 or 3\], not float32"):
        extractor(np.zeros((1, 16, 16, 1), np.float32))
    with pytest.raises(EvaluationError, match=r"must be uint8 \[h,w,1 or 3\] each, not uint8 \[16, 16\]"):
        extractor([np.zeros((16, 16), np.uint8)])


def test_another_assessor_is_noticed(assessor_folder):
    with pytest.raises(EvaluationError, match=r"holds assessor .*; expected 0000"):
        build_extractor(FeatureSpec("assessor", str(assessor_folder), "0" * 64, 80))


def test_a_folder_without_assessor(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read as an assessor"):
        resolve_features(settings(features="assessor"), assessor_folder=tmp_path)
