"""Drawn faces: seeded, exactly labelled, and each attribute there to be seen."""

import dataclasses

import numpy as np
import pytest

from framework.config import DataConfig
from framework.data import open_store, prepare
from framework.data.synthetic_faces import DRAWING, draw, draw_face, sample_face
from framework.data.synthetic_faces.attributes import (
    AGE_GROUPS,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIRS,
    LIGHTS,
    POSES,
    SKINS,
)
from framework.data.synthetic_faces.labels import drawn_labels, face_name


def drawn(face, resolution=64):
    return np.asarray(draw(face, resolution=resolution)).astype(float)


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
def test_every_size(resolution):
    picture = draw_face(0, 5, resolution=resolution)
    assert (picture.size, picture.mode) == ((resolution, resolution), "RGB")


def test_a_face_depends_on_seed_and_index_alone():
    assert sample_face(1, 7) == sample_face(1, 7)
    assert len({sample_face(1, k) for k in range(200)} | {sample_face(2, k) for k in range(200)}) == 400
    assert draw_face(1, 7, resolution=32).tobytes() == draw_face(1, 7, resolution=32).tobytes()


def test_the_same_face_at_another_size():
    small = np.asarray(draw_face(0, 3, resolution=32)).astype(float)
    large = np.asarray(draw_face(0, 3, resolution=128).reduce(4)).astype(float)
    assert np.abs(small - large).mean() < 6


def test_shares():
    faces = [sample_face(0, k) for k in range(6000)]
    for name, share in (("glasses", 0.4), ("smiling", 0.5), ("beard", 0.8 * 0.32), ("hat", 0.15)):
        assert abs(np.mean([getattr(face, name) for face in faces]) - share) < 0.025, name
    for name, classes in (
        ("age_group", AGE_GROUPS),
        ("skin", SKINS),
        ("hair", HAIRS),
        ("hair_colour", HAIR_COLOURS),
        ("pose", POSES),
        ("light", LIGHTS),
        ("background", BACKGROUNDS),
    ):
        counts = [sum(getattr(face, name) == one for face in faces) / len(faces) for one in classes]
        assert min(counts) > 0.05, name
    assert np.corrcoef([face.glasses for face in faces], [face.smiling for face in faces])[0, 1] < 0.05


BASE = dataclasses.replace(
    next(face for face in (sample_face(0, k) for k in range(99)) if face.skin == "light" and face.age_group == "adult"),
    glasses=False,
    smiling=False,
    beard=False,
    hat=False,
    hair="short",
    yaw=0.0,
    roll=0.0,
    light_from=0.8,
)


@pytest.mark.parametrize(
    ("change", "rows", "least"),
    [
        ({"glasses": True}, (0.4, 0.65), 8),
        ({"smiling": True}, (0.6, 0.9), 5),
        ({"beard": True}, (0.6, 1.0), 8),
        ({"hat": True}, (0.0, 0.4), 8),
        ({"age_group": "old"}, (0.2, 0.9), 1),
        ({"age_group": "child"}, (0.2, 0.9), 4),
        ({"hair": "long"}, (0.0, 1.0), 6),
        ({"hair": "curly"}, (0.0, 0.6), 8),
        ({"hair": "bald"}, (0.0, 0.4), 4),
        ({"yaw": 0.3}, (0.3, 0.9), 6),
        ({"light_from": -0.8}, (0.2, 0.9), 4),
    ],
)
@pytest.mark.parametrize("resolution", [32, 64])
def test_every_attribute_shows_where_it_should(change, rows, least, resolution):
    difference = np.abs(drawn(dataclasses.replace(BASE, **change), resolution) - drawn(BASE, resolution)).mean(axis=2)
    inside = difference[int(rows[0] * resolution) : int(rows[1] * resolution)]
    assert inside.mean() > least
    assert inside.sum() > 0.6 * difference.sum()


def test_a_smile_shows_white_teeth_at_32_pixels():
    mouth = slice(22, 29), slice(11, 21)
    smiling = drawn(dataclasses.replace(BASE, smiling=True), 32)[mouth]
    assert (smiling.min(axis=2) > 200).sum() >= 8
    assert (drawn(BASE, 32)[mouth].min(axis=2) > 200).sum() == 0


def test_labels_are_what_was_drawn(tmp_path):
    store = prepare(DataConfig(source="drawn_faces", resolution=32, limit=80, seed=9), cache=tmp_path)
    assert sorted(store.names) == [face_name(k) for k in range(80)]
    for name, image, *_ in zip(store.names, store.images, strict=True):
        assert (image == np.asarray(draw_face(9, int(name[-7:]), resolution=32))).all()
    faces = [sample_face(9, int(name[-7:])) for name in store.names]
    assert store.labels["glasses"].tolist() == [face.glasses for face in faces]
    assert store.labels["smiling"].tolist() == [face.smiling for face in faces]
    for label, classes in store.label_classes.items():
        known = ~np.isnan(store.labels[label])
        assert [classes[int(k)] for k in store.labels[label][known]] == [
            getattr(face, label) for face, seen in zip(faces, known, strict=True) if seen
        ]
    hidden = np.isnan(store.labels["hair_colour"])
    assert hidden.tolist() == [face.hair == "bald" and not face.beard for face in faces]
    again = open_store(store.path)
    assert again.digest == store.digest


def test_more_faces_begin_with_the_fewer(tmp_path):
    few, more = (prepare(DataConfig(source="drawn_faces", resolution=32, limit=n), cache=tmp_path) for n in (64, 90))
    assert more.names[:64] == few.names
    assert (more.images[:64] == few.images).all()
    assert (more.held_out[:64] == few.held_out).all()


def test_grey(tmp_path):
    store = prepare(DataConfig(source="drawn_faces", resolution=32, limit=64, channels=1), cache=tmp_path)
    assert store.images.shape == (64, 32, 32, 1)
    assert (store.images[0, :, :, 0] == np.asarray(draw_face(0, 0, resolution=32).convert("L"))).all()


def test_labels_of_no_faces():
    assert all(len(values) == 0 for values in drawn_labels(0, []).values.values())


def test_a_changed_look_needs_another_number():
    """Stores and checkpoints know the look by `DRAWING`: raise it with the golden values when one of them changes."""
    means = [np.asarray(draw_face(0, k, resolution=32)).mean(axis=(0, 1)).round(1).tolist() for k in range(3)]
    assert DRAWING == 2
    np.testing.assert_allclose(means, GOLDEN_MEANS, atol=0.3)


GOLDEN_MEANS = [[128.0, 110.7, 107.0], [146.5, 138.6, 114.7], [131.6, 140.5, 159.8]]
