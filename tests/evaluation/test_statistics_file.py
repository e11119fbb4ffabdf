import dataclasses
import pickle
import re
import zipfile

import numpy as np
import pytest

from framework.errors import EvaluationError
from framework.evaluation.features.extractor import FeatureSpec
from framework.evaluation.protocols.protocol import Protocol
from framework.evaluation.sources.source import drawn, find_source, open_source, statistics_moments
from framework.evaluation.sources.statistics_file import read_statistics, save_statistics
from framework.metrics import Moments, frechet_distance

SPEC = FeatureSpec("inception", "/here/weights.pth", "a" * 64, 64)


def moments(seed=0, count=200, size=64):
    return Moments.of(np.random.default_rng(seed).normal(size=(count, size)))


@pytest.fixture
def theirs(tmp_path):
    """(mu=…, sigma=…, …) -> a file as pytorch-fid, clean-fid and TTUR write it."""

    def write(name="theirs.npz", **arrays):
        usual = {"mu": moments().mean, "sigma": moments().covariance}
        np.savez(tmp_path / name, **{key: value for key, value in (usual | arrays).items() if value is not None})
        return tmp_path / name

    return write


def test_pytorch_fid_reads_what_we_write(tmp_path):
    save_statistics(tmp_path / "ours.npz", moments(), SPEC)
    with np.load(tmp_path / "ours.npz") as archive:  # as pytorch-fid and clean-fid do it: no pickles by default
        mean, covariance = archive["mu"][:], archive["sigma"][:]
    assert np.array_equal(mean, moments().mean)
    assert np.array_equal(covariance, moments().covariance)


@pytest.mark.parametrize("features", [None, SPEC])
def test_what_was_written_comes_back(tmp_path, features):
    save_statistics(tmp_path / "ours.npz", moments(), features)
    found = find_source(str(tmp_path / "ours.npz"), samples=9, seed=0)
    assert (found.kind, found.side.split, found.side.count, found.side.height) == (
        "statistics",
        "statistics",
        200,
        None,
    )
    back = statistics_moments(found, SPEC)
    assert back.count == 200
    assert frechet_distance(back, moments()) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(back.covariance, moments().covariance, rtol=1e-14)


def test_of_how_many_images_nobody_knows(theirs):
    """Then the score says so too, and is the same."""
    paths = theirs(), theirs("b.npz", mu=moments(1).mean)
    sides = [find_source(str(path), samples=9, seed=0) for path in paths]
    protocol = Protocol.of(SPEC, real=sides[0].side, fake=sides[1].side)
    distance = frechet_distance(*(statistics_moments(side, SPEC) for side in sides))
    shift = moments().mean - moments(1).mean
    assert distance == pytest.approx(shift @ shift, rel=1e-9)
    assert protocol.name == "fid_64"
    assert protocol.document()["real"] == {"split": "statistics", "channels": 3, "digest": sides[0].side.digest}


def test_float32_that_is_symmetric_but_for_rounding_is_taken(theirs):
    rounded = moments().covariance.astype(np.float32)
    rounded[0, 1] = np.nextafter(rounded[0, 1], np.float32(9))
    assert read_statistics(theirs(sigma=rounded)).covariance.dtype == np.float64


class Trap:
    def __reduce__(self):
        return print, ("the pickle was run",)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mu": None}, "lacks mu, which statistics need; it has sigma"),
        (
            {"mu": None, "sigma": None, "images": np.zeros(3)},
            "lacks mu and sigma, which statistics need; it has images",
        ),
        ({"mu": np.zeros((64, 1))}, r"mu has shape \[64, 1\] and sigma \[64, 64\]"),
        ({"sigma": np.eye(63)}, r"mu has shape \[64\] and sigma \[63, 63\]"),
        ({"mu": np.full(64, np.nan)}, "mu has values that are not finite"),
        ({"sigma": np.full((64, 64), np.inf)}, "sigma has values that are not finite"),
        ({"sigma": np.triu(np.ones((64, 64)))}, "sigma is not symmetric"),
        ({"sigma": -np.eye(64)}, "sigma has negative variances"),
        ({"mu": np.zeros(64, complex)}, "mu is complex128, not real numbers"),
        ({"mu": np.array(["a"] * 64)}, "mu is <U1, not real numbers"),
        ({"mu": np.array([Trap()] * 64, object)}, "allow_pickle=False"),
    ],
)
def test_what_is_no_mean_and_covariance_is_one_line(theirs, arrays, words, capsys):
    path = theirs(**arrays)
    with pytest.raises(EvaluationError, match=f"^{re.escape(str(path))}: .*{words}") as caught:
        find_source(str(path), samples=9, seed=0)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_pickle_beside_is_never_run(theirs, capsys):
    read_statistics(theirs(more=np.array([Trap()], object)))
    assert capsys.readouterr().out == ""


def test_a_member_that_is_no_array_is_one_line(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("mu.npy", pickle.dumps(Trap()))
        archive.writestr("sigma.npy", b"hello")
    with pytest.raises(EvaluationError, match=r"is not a readable \.npz of statistics \(mu is not an array\)"):
        read_statistics(tmp_path / "x.npz")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "npy", "truncated", "flipped"])
def test_what_is_no_archive_is_one_line(theirs, kind, tmp_path, capsys):
    path = theirs()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    np.save(tmp_path / "array.npy", np.zeros(3))
    path.write_bytes(
        {
            "empty": b"",
            "text": b"<html>404</html>",
            "pickle": pickle.dumps(Trap()),
            "npy": (tmp_path / "array.npy").read_bytes(),
            "truncated": path.read_bytes()[:5000],
            "flipped": bytes(data),
        }[kind]
    )
    with pytest.raises(EvaluationError, match=r"is not a readable \.npz of statistics \(") as caught:
        find_source(str(path), samples=9, seed=0)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_header_that_is_not_python_is_one_line(theirs):
    """numpy raises an error of its tokenizer."""
    path = theirs()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("mu.npy", b"\x93NUMPY\x01\x00\x20\x00" + b"[" * 32)
    with pytest.raises(EvaluationError, match=r"theirs\.npz: is not a readable \.npz of statistics"):
        read_statistics(path)


def test_another_tap_says_both(theirs):
    source = find_source(str(theirs()), samples=9, seed=0)
    with pytest.raises(
        EvaluationError, match=r"of 64 features, but the other side has 768 .*; evaluation\.tap=64 gives"
    ):
        statistics_moments(source, dataclasses.replace(SPEC, tap=768))
    odd = find_source(str(theirs(mu=np.zeros(5), sigma=np.eye(5))), samples=9, seed=0)
    with pytest.raises(EvaluationError, match=r"of 5 features, but the other side has 64 \(inception[^;]*$"):
        statistics_moments(odd, SPEC)


@pytest.mark.parametrize("change", [{"digest": "b" * 64}, {"precision": "bfloat16"}, {"kind": "assessor"}])
def test_other_features_are_noticed_where_the_file_says_whose_it_holds(tmp_path, change):
    save_statistics(tmp_path / "ours.npz", moments(), SPEC)
    source = find_source(str(tmp_path / "ours.npz"), samples=9, seed=0)
    with pytest.raises(EvaluationError, match="holds statistics of other features"):
        statistics_moments(source, dataclasses.replace(SPEC, **change))


def test_statistics_are_no_images(theirs):
    source = find_source(str(theirs()), samples=9, seed=0)
    for ask in (open_source, lambda it: it.count, lambda it: drawn(it, 2, seed=0)):
        with pytest.raises(EvaluationError, match="holds statistics, not images; only FID can be computed from them"):
            ask(source)


def test_another_file_in_its_place_is_noticed(theirs):
    source = find_source(str(theirs()), samples=9, seed=0)
    theirs(mu=np.zeros(64))
    with pytest.raises(EvaluationError, match="has changed since the score began"):
        statistics_moments(source, SPEC)
