"""The random attributes of a drawn face."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

Colour = tuple[int, int, int]

AGE_GROUPS = ["child", "adult", "old"]
SKINS = ["light", "medium", "dark"]
HAIRS = ["bald", "short", "curly", "long"]
HAIR_COLOURS = ["black", "brown", "blond", "red", "grey"]
POSES = ["left", "front", "right"]  # as the viewer sees it
LIGHTS = ["left", "front", "right"]
BACKGROUNDS = ["grey", "blue", "green", "warm"]

_SKIN_STOPS: list[Colour] = [(252, 224, 204), (222, 164, 118), (138, 88, 58), (78, 48, 36)]  # light, medium, dark, end
_HAIR_TONES: dict[str, Colour] = {
    "black": (32, 28, 34),
    "brown": (104, 64, 36),
    "blond": (230, 192, 108),
    "red": (186, 78, 32),
    "grey": (192, 192, 196),
}
_BACKGROUND_TONES: dict[str, Colour] = {
    "grey": (196, 198, 204),
    "blue": (92, 146, 210),
    "green": (104, 172, 124),
    "warm": (234, 166, 104),
}
_CLOTHES: list[Colour] = [(52, 70, 120), (150, 46, 52), (60, 62, 68), (236, 232, 224), (40, 112, 96), (120, 78, 140)]
_HATS: list[Colour] = [(184, 42, 46), (34, 62, 122), (44, 112, 74), (236, 190, 62), (98, 58, 126)]
_FRAMES: list[Colour] = [(20, 20, 24), (20, 20, 24), (20, 20, 24), (112, 28, 26), (22, 40, 112)]
_FRAMES_ON_DARK: list[Colour] = [(244, 240, 228), (244, 240, 228), (240, 196, 60), (14, 14, 16), (14, 14, 16)]
_IRISES: list[Colour] = [(66, 42, 26), (86, 58, 34), (64, 110, 160), (82, 124, 78)]


@dataclass(frozen=True)
class Face:
    """The attributes of one face. Lengths are in half widths or half heights of the head, angles in radians.

    Attributes:
        yaw: Turn of the head, positive to the viewer's right.
        light_from: Direction of the light, from -1 (the viewer's left) to 1 (right).
        roll: Tilt of the head in the image plane.
        shift: Offset of the head's centre, as shares of the picture.
        slimness: Width of the head relative to the usual width.
    """

    glasses: bool
    smiling: bool
    beard: bool
    hat: bool
    age_group: str
    skin: str
    hair: str
    hair_colour: str
    background: str
    yaw: float
    light_from: float
    roll: float
    shift: tuple[float, float]
    size: float
    slimness: float
    skin_tone: Colour
    hair_tone: Colour
    background_tone: Colour
    cloth_tone: Colour
    hat_tone: Colour
    frame_tone: Colour
    iris_tone: Colour
    round_lenses: bool
    beanie: bool
    parting: float
    mouth_width: float
    brow_tilt: float
    eye_size: float
    nose_length: float

    @property
    def pose(self) -> str:
        """The direction in which the face looks: left, front or right."""
        return POSES[_third(self.yaw)]

    @property
    def light(self) -> str:
        """The direction of the light: left, front or right."""
        return LIGHTS[_third(self.light_from)]


class _Chance:
    """Seeded random decisions. Python's `random()` returns the same numbers on every machine and version."""

    def __init__(self, seed: int, index: int) -> None:
        digest = hashlib.sha256(f"{seed} {index}".encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big")).random  # noqa: S311 - pictures, not secrets

    def happens(self, probability: float) -> bool:
        return self._random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random()

    def among(self, choices: Sequence[T]) -> T:
        return choices[int(self._random() * len(choices))]

    def weighted(self, choices: Sequence[str], weights: Sequence[float]) -> str:
        left = self._random() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            left -= weight
            if left < 0:
                return choice
        return choices[-1]


def sample_face(seed: int, index: int) -> Face:
    """The attributes of face `index`, which depend only on the seed and the index."""
    chance = _Chance(seed, index)
    age_group = chance.weighted(AGE_GROUPS, [0.2, 0.55, 0.25])
    skin = chance.weighted(SKINS, [0.4, 0.33, 0.27])
    child = age_group == "child"
    hair_colour = chance.weighted(HAIR_COLOURS, _hair_colour_weights(age_group, skin))
    background = chance.among(BACKGROUNDS)
    return Face(
        glasses=chance.happens(0.4),
        smiling=chance.happens(0.5),
        beard=chance.happens(0.32) and not child,
        hat=chance.happens(0.15),
        age_group=age_group,
        skin=skin,
        hair=chance.weighted(HAIRS, [0.0 if child else 0.14, 0.4, 0.18, 0.34]),
        hair_colour=hair_colour,
        background=background,
        yaw=chance.among([-0.3, 0.0, 0.3]) + chance.between(-0.1, 0.1),
        light_from=chance.among([-0.8, 0.0, 0.8]) + chance.between(-0.1, 0.1),
        roll=chance.between(-0.07, 0.07),
        shift=(chance.between(-0.015, 0.015), chance.between(-0.015, 0.015)),
        size=chance.between(0.97, 1.03),
        slimness=chance.between(0.94, 1.04) * (1.07 if child else 1.0),
        skin_tone=_between_stops(_SKIN_STOPS, SKINS.index(skin) + chance.between(0.0, 0.65)),
        hair_tone=_varied(_HAIR_TONES[hair_colour], chance.between(0.85, 1.15)),
        background_tone=_varied(_BACKGROUND_TONES[background], chance.between(0.8, 1.1)),
        cloth_tone=_varied(chance.among(_CLOTHES), chance.between(0.85, 1.15)),
        hat_tone=chance.among(_HATS),
        frame_tone=chance.among(_FRAMES_ON_DARK if skin == "dark" else _FRAMES),
        iris_tone=chance.among(_IRISES[: 2 if skin == "dark" else 4]),
        round_lenses=chance.happens(0.5),
        beanie=chance.happens(0.5),
        parting=chance.between(-0.5, 0.5),
        mouth_width=chance.between(0.92, 1.08) * (0.9 if child else 1.0),
        brow_tilt=chance.between(-0.04, 0.05),
        eye_size=chance.between(0.94, 1.06) * (1.36 if child else 1.0),
        nose_length=chance.between(0.9, 1.1) * (0.62 if child else 1.0),
    )


def _hair_colour_weights(age_group: str, skin: str) -> list[float]:
    if age_group == "old":
        return [0.08, 0.08, 0.04, 0.0, 0.8]
    return [0.75, 0.25, 0.0, 0.0, 0.0] if skin == "dark" else [0.28, 0.32, 0.24, 0.16, 0.0]


def _third(value: float) -> int:
    """0, 1 or 2 for a value left of the middle, in it, or right of it."""
    return 0 if value < -0.15 else 2 if value > 0.15 else 1


def _between_stops(stops: Sequence[Colour], place: float) -> Colour:
    low = int(place)
    return mixed(stops[low], stops[min(low + 1, len(stops) - 1)], place - low)


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """A colour mixed with a share of another.

    >>> mixed((0, 100, 200), (100, 100, 100), 0.5)
    (50, 100, 150)
    """
    red, green, blue = (round(one + (two - one) * share) for one, two in zip(colour, other, strict=True))
    return red, green, blue


def _varied(colour: Colour, brightness: float) -> Colour:
    red, green, blue = (min(255, round(part * brightness)) for part in colour)
    return red, green, blue
