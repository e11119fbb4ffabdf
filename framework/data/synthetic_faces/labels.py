"""Exact labels of drawn faces, derived from their names."""

import numpy as np

from framework.data.labels import Labels
from framework.data.synthetic_faces.attributes import (
    AGE_GROUPS,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIRS,
    LIGHTS,
    POSES,
    SKINS,
    sample_face,
)

_CLASSES = {
    "age_group": AGE_GROUPS,
    "skin": SKINS,
    "hair": HAIRS,
    "hair_colour": HAIR_COLOURS,
    "pose": POSES,
    "light": LIGHTS,
    "background": BACKGROUNDS,
}


def face_name(index: int) -> str:
    """The name of face `index`.

    >>> face_name(12)
    'face-0000012'
    """
    return f"face-{index:07d}"


def drawn_labels(seed: int, names: list[str]) -> Labels:
    """The labels of faces: glasses, smiling, beard and hat as 0 or 1, and the class labels of `_CLASSES`."""
    faces = [sample_face(seed, int(name.rpartition("-")[2])) for name in names]
    values: dict[str, list[float]] = {
        "glasses": [face.glasses for face in faces],
        "smiling": [face.smiling for face in faces],
        "beard": [face.beard for face in faces],
        "hat": [face.hat for face in faces],
    }
    for label, classes in _CLASSES.items():
        values[label] = [classes.index(getattr(face, label)) for face in faces]
    # The hair colour of a bald head is visible only in a beard.
    values["hair_colour"] = [
        code if face.hair != "bald" or face.beard else float("nan")
        for code, face in zip(values["hair_colour"], faces, strict=True)
    ]
    return Labels({name: np.array(column, np.float32) for name, column in values.items()}, dict(_CLASSES))
