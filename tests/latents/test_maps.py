"""Figures of latent maps against closed forms, on toys whose holes are known."""

import numpy as np
import pytest

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment, with_overrides
from framework.errors import LatentsError
from framework.latents.maps.codes import check_encoder, encode_images
from framework.latents.maps.plane import plane_of
from framework.latents.maps.points import ACROSS, BETWEEN, PRIOR, RECONSTRUCTIONS, WITHIN, make_trials, trial_figures
from framework.metrics.latent_space import aggregate_kl, chance_purity, hole_share, knn_purity
from framework.models import build_encoder, build_generator


def blobs(*, apart, size=2, each=200):
    """Two classes of standard normal codes, `apart` from each other along the first number."""
    codes = np.random.default_rng(0).standard_normal((2 * each, size))
    labels = np.repeat([0, 1], each)
    codes[:, 0] += apart * (labels - 0.5)
    return codes, labels


def test_purity_of_blobs_apart_is_1_and_of_blobs_in_one_place_is_chance():
    assert knn_purity(*blobs(apart=100.0)) == 1.0
    codes, labels = blobs(apart=0.0, each=2000)
    assert chance_purity(labels) == pytest.approx(1999 / 3999)
    assert knn_purity(codes, labels) == pytest.approx(chance_purity(labels), abs=0.02)


def test_purity_counts_the_others_alone():
    codes, labels = np.array([[0.0], [1.0], [2.1], [3.3]]), np.array([0, 0, 1, 1])
    assert knn_purity(codes, labels, neighbours=1) == 0.75  # the third's nearest is the second
    assert knn_purity(codes, labels, neighbours=50) == pytest.approx(1 / 3)  # all three others


def test_kl_of_known_gaussians():
    exact = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) * np.sqrt(3 / 2)  # mean 0, covariance 1 over n - 1
    assert aggregate_kl(exact) == pytest.approx(0.0, abs=1e-12)
    assert aggregate_kl(exact + np.array([3.0, 4.0])) == pytest.approx(25 / 2)
    wide = 0.5 * (4 + 1 - 2 - np.log(4))
    assert aggregate_kl(exact * [2.0, 1.0]) == pytest.approx(wide)
    turned = exact * [2.0, 1.0] @ np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert aggregate_kl(turned) == pytest.approx(wide)
    variances = np.tile([3.0, 0.0], (4, 1))
    assert aggregate_kl(exact, variances) == pytest.approx(wide)
    # posteriors that are the prior, wherever nothing is learned
    assert aggregate_kl(np.zeros((4, 2)), np.ones((4, 2))) == pytest.approx(0.0, abs=1e-12)


def test_kl_of_a_number_that_never_moves_is_infinite():
    assert aggregate_kl(np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])) == float("inf")


def toy_confidence(latents):
    """A decoder and classifier that know two classes, near first latents of -5 and 5: a hole from -4 to 4 between."""
    return np.where(np.abs(latents[:, 0]) >= 4, 1.0, 0.5).astype(np.float32)


def test_the_hole_between_two_known_classes():
    codes, labels = np.zeros((100, 2)), np.repeat([0, 1], 50)
    codes[:, 0] = np.where(labels, 5.0, -5.0)
    points = make_trials(labels, count=20_000, seed=0).points(codes)
    figures = trial_figures({kind: toy_confidence(latents) for kind, latents in points.items()}, sure_from=0.9)
    # half of the pairs (50 of the 99 others) are of two classes, and of their way 8 of 10 lies in the hole
    assert figures["hole_share"][BETWEEN] == pytest.approx(50 / 99 * 0.8, abs=0.015)
    assert figures["hole_share"][RECONSTRUCTIONS] == 0.0
    assert figures["hole_share"][PRIOR] == pytest.approx(1.0, abs=0.001)  # all but 6 of 100,000 are within 4
    assert figures["midpoint_confidence"] == {WITHIN: 1.0, ACROSS: 0.5}


def test_a_hole_begins_below_the_bound():
    assert hole_share(np.array([0.9, 0.9], np.float32), sure_from=0.9) == 0.0


def test_pairs_are_of_the_classes_they_say_and_never_of_an_image_with_itself():
    labels = np.array([3, 1, 1, 7, 1, 3, 9])
    trials = make_trials(labels, count=3_000, seed=1)
    assert (labels[trials.within[:, 0]] == labels[trials.within[:, 1]]).all()
    assert (labels[trials.across[:, 0]] != labels[trials.across[:, 1]]).all()
    for pairs in (trials.anywhere, trials.within, trials.across):
        assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len(np.unique(trials.anywhere, axis=0)) == 7 * 6
    assert len(np.unique(trials.within, axis=0)) == 3 * 2 + 2
    assert len(np.unique(trials.across, axis=0)) == 7 * 6 - 8
    first = np.bincount(trials.within[:, 0], minlength=7) / 3_000
    np.testing.assert_allclose(first, [0.2, 0.2, 0.2, 0, 0.2, 0.2, 0], atol=0.03)
    again = make_trials(labels, count=3_000, seed=1)
    np.testing.assert_array_equal(trials.across, again.across)
    assert (make_trials(labels, count=3_000, seed=2).across != trials.across).any()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]], ids=["one class", "one image a class"])
def test_classes_that_give_no_pairs_are_refused(labels):
    with pytest.raises(LatentsError, match=r"latents\.maps\.images: a map needs images of two classes"):
        make_trials(np.array(labels), count=100, seed=0)


def test_codes_of_two_numbers_are_their_own_plane():
    codes, _ = blobs(apart=3.0)
    plane = plane_of(codes, method="tsne", seed=0)
    np.testing.assert_array_equal(plane.points, codes)
    assert plane.method == "latents"


def test_principal_components_find_the_plane_that_codes_lie_in():
    flat = np.random.default_rng(1).standard_normal((300, 2)) * [5.0, 2.0]
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))[0]
    plane = plane_of(flat @ turn[:2], method="pca", seed=0)
    deviations = plane.points.std(axis=0, ddof=1)
    np.testing.assert_allclose(deviations**2, np.linalg.eigvalsh(np.cov(flat.T))[::-1], rtol=1e-9)
    shares = [int(axis.partition("(")[2].partition("%")[0]) for axis in plane.axes]
    assert sum(shares) in (99, 100, 101)


def test_t_sne_keeps_blobs_apart_and_repeats():
    codes, labels = blobs(apart=30.0, size=5, each=40)
    plane = plane_of(codes, method="tsne", seed=3)
    assert plane.points.shape == (80, 2)
    assert knn_purity(plane.points, labels) == 1.0
    np.testing.assert_array_equal(plane.points, plane_of(codes, method="tsne", seed=3).points)


def test_what_is_no_map_is_refused():
    with pytest.raises(LatentsError, match=r"model\.latent_size: .* at least 2, not 1"):
        check_encoder(loaded("vae", latent_size=1), "here")
    with pytest.raises(LatentsError, match="at least 4 labelled images, not 3"):
        plane_of(np.zeros((3, 5)), method="pca", seed=0)


def loaded(family, *, latent_size=3):
    keys = {"model.family": family, "model.width": 4, "model.latent_size": latent_size}
    model = with_overrides(Experiment(), keys).model
    shape = {"resolution": 28, "channels": 1, "seed": 0}
    encoder = None if family == "gan" else build_encoder(model, **shape)
    config = model.model_dump() | {"resolution": 28, "channels": 1}
    generator = build_generator(model, **shape)
    return LoadedGenerator(generator, encoder=encoder, config=config, digest="x", source="here", device="cpu")


@pytest.mark.parametrize("family", ["autoencoder", "vae"])
def test_an_images_code_is_the_same_whoever_encodes_which_part(family):
    images = np.random.default_rng(0).integers(0, 256, (70, 28, 28, 1), np.uint8)
    generator = loaded(family)
    whole = encode_images(generator, images)
    parts = [encode_images(generator, part) for part in (images[:41], images[41:])]
    for name in ("means", "variances"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), joined)
    np.testing.assert_array_equal(whole.means, generator.encode(images))
    assert (whole.variances > 0).all() if family == "vae" else (whole.variances == 0).all()


def test_a_generator_without_encoder_is_refused():
    with pytest.raises(LatentsError, match="trials/a: a map needs an encoder"):
        check_encoder(loaded("gan"), "trials/a")
