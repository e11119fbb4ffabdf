import numpy as np
import pytest
import torch

from framework.config import AssessorConfig
from framework.errors import DataError
from framework.models.assessor.assessor import WEIGHTS
from framework.training.assessor.augment import augmented
from framework.training.assessor.train import split, train_assessors, train_half

pytestmark = pytest.mark.long

SHORT = AssessorConfig(images=3072, width=8)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    told = []
    cache = tmp_path_factory.mktemp("cache")
    return train_assessors(store, SHORT, cache=cache, progress=lambda *now: told.append(now)), told, cache


def test_both_learn_what_is_there(trained, store):
    pair, _, _ = trained
    held_out = store.held_out_indices
    for assessor in (pair.finder, pair.measurer):
        assert assessor.accuracy["bar"]["metric"] == "auroc"
        assert assessor.accuracy["bar"]["value"] > 0.99
        assert assessor.accuracy["tint"]["metric"] == "accuracy"
        assert assessor.accuracy["tint"]["value"] > 0.95
        assert assessor.accuracy["tint"]["n"] == len(held_out)
    told = pair.measurer.score_of(store.images[held_out], "bar")
    truth = store.labels["bar"][held_out] == 1
    assert told[truth].mean() > 0.8
    assert told[~truth].mean() < 0.2


def test_the_accuracy_is_the_share_of_right_ones(trained, store):
    pair, _, _ = trained
    held_out = store.held_out_indices
    right = pair.finder.predict(store.images[held_out])["tint"].argmax(axis=1) == store.labels["tint"][held_out]
    assert pair.finder.accuracy["tint"]["value"] == pytest.approx(right.mean())


def test_features_are_standardised_by_the_half_it_learned_from(trained, store):
    pair, _, _ = trained
    (_, half), _ = split(store, seed=0)
    features = pair.measurer.features(store.images[half])
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    assert features.std(axis=0).max() < 1.001


def test_the_two_differ(trained):
    pair, _, _ = trained
    assert pair.finder.digest != pair.measurer.digest


def test_progress_rises_to_both_ones_images(trained):
    told = trained[1]
    assert [now[0] for now in told] == sorted(now[0] for now in told)
    assert told[-1] == (2 * SHORT.images, 2 * SHORT.images)


def test_a_second_call_loads(trained, store):
    pair, _, cache = trained

    def never(*now):
        raise AssertionError("trained again")

    again = train_assessors(store, SHORT, cache=cache, progress=never)
    assert (again.folder, again.finder.digest, again.left_out) == (pair.folder, pair.finder.digest, pair.left_out)
    assert sorted(path.name for path in cache.rglob("*") if path.name.startswith(".tmp-")) == []


def test_other_settings_labels_or_images_are_another_pair(make, trained, tmp_path):
    pair, _, _ = trained
    tiny = SHORT.model_copy(update={"images": 64})
    names = {pair.folder.name, train_assessors(make(), tiny, cache=tmp_path).folder.name}
    changed = make()
    changed.labels["bar"][0] = np.nan
    names.add(train_assessors(changed, tiny, cache=tmp_path).folder.name)
    names.add(train_assessors(make(seed=1), tiny, cache=tmp_path).folder.name)
    assert len(names) == 4


def test_the_same_seed_gives_the_same_weights_and_a_damaged_pair_is_made_again(store, tmp_path):
    tiny = SHORT.model_copy(update={"images": 64})
    pair, again = (train_assessors(store, tiny, cache=tmp_path / name) for name in ("one", "other"))
    assert (again.finder.digest, again.measurer.digest) == (pair.finder.digest, pair.measurer.digest)
    (again.folder / "measurer" / WEIGHTS).write_bytes(b"damaged")
    assert train_assessors(store, tiny, cache=tmp_path / "other").measurer.digest == pair.measurer.digest


def test_the_weights_do_not_depend_on_the_threads_of_the_process(store, tmp_path):
    tiny, digests, before = SHORT.model_copy(update={"images": 192}), set(), torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            digests.add(train_assessors(store, tiny, cache=tmp_path / str(threads)).finder.digest)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(digests) == 1


def test_a_label_that_the_held_out_do_not_show_has_no_value(make, tmp_path):
    store = make()
    store.labels["bar"][store.held_out] = 1
    pair = train_assessors(store, SHORT.model_copy(update={"images": 64}), cache=tmp_path)
    assert pair.finder.accuracy["bar"]["value"] is None
    assert pair.finder.accuracy["bar"]["n"] == store.held_out.sum()


def test_no_labels_no_assessor(make, tmp_path):
    with pytest.raises(DataError, match=r"data\.labels"):
        train_assessors(make(labels={}), SHORT, cache=tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_augmentation_keeps_shape_and_depends_on_its_generator_alone(store):
    pixels = store.images[:64]
    first, again, other = (augmented(pixels, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.shape == (64, 3, 32, 32)
    assert first.equal(again)
    assert not first.equal(other)
    plain = pixels.mean() / 127.5 - 1.0
    assert abs(first.mean().item() - plain) < 0.05


def test_elsewhere_trains_the_same_two(trained, store, tmp_path):
    pair, _, _ = trained
    tiny = SHORT.model_copy(update={"images": 64})
    here = train_assessors(store, tiny, cache=tmp_path / "here")

    def elsewhere():
        return [train_half(store, tiny, half=half) for half in (0, 1)]

    there = train_assessors(store, tiny, cache=tmp_path / "there", elsewhere=elsewhere)
    assert (there.finder.digest, there.measurer.digest) == (here.finder.digest, here.measurer.digest)
    assert there.finder.accuracy == here.finder.accuracy
    assert here.finder.digest != pair.finder.digest
