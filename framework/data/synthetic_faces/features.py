"""Draws eyes, brows, nose, mouth, wrinkles and beard."""

from framework.data.synthetic_faces.attributes import Colour, Face, mixed
from framework.data.synthetic_faces.canvas import Canvas, curve, leaf, ring

_WHITE: Colour = (250, 249, 245)
_BLACK: Colour = (18, 14, 14)
_LIPS: Colour = (196, 62, 70)
_THROAT: Colour = (104, 22, 30)
_FOLD: Colour = (84, 30, 20)
_EYE_U = 0.4


def eye_height(face: Face) -> float:
    """The vertical position of the eyes, which is lower for a child."""
    return 0.13 if face.age_group == "child" else -0.04


def draw_eyes(canvas: Canvas, face: Face) -> None:
    """Draws eyes and brows; a smile narrows the eyes a little."""
    wide, high = 0.19 * face.eye_size, (0.098 if face.smiling else 0.112) * face.eye_size
    v = eye_height(face)
    for side in (-1, 1):
        u = side * _EYE_U
        iris = (u + 0.06 * face.yaw, v + 0.005)
        canvas.glow((u, v), (0.34, 0.2), mixed(face.skin_tone, _FOLD, 0.5), 0.5, turned=True)
        canvas.ellipse((u, v), (wide, high), _WHITE, turned=True)
        canvas.ellipse(iris, (wide * 0.55, high * 0.8), face.iris_tone, turned=True)
        canvas.ellipse(iris, (wide * 0.29, high * 0.42), _BLACK, turned=True)
        canvas.ellipse((iris[0] - 0.03, iris[1] - 0.035), (0.028, 0.022), _WHITE, turned=True)
        lid = curve((u - wide * 1.05, v), (u, v - 2.1 * high), (u + wide * 1.05, v))
        canvas.line(lid, 0.05, mixed(face.skin_tone, _BLACK, 0.75), turned=True)
        _draw_brow(canvas, face, side)


def _draw_brow(canvas: Canvas, face: Face, side: int) -> None:
    v = eye_height(face) - (0.3 if face.age_group == "child" else 0.245) - 0.02 * face.smiling
    inner, outer = (side * 0.17, v + face.brow_tilt), (side * 0.62, v + 0.035 - face.brow_tilt)
    tone = mixed(face.skin_tone if face.hair == "bald" else face.hair_tone, _BLACK, 0.6 if face.hair == "bald" else 0.3)
    thick = 0.06 if face.age_group == "child" else 0.085
    canvas.line(curve(inner, (side * 0.44, v - 0.085), outer), thick, tone, turned=True)


def draw_nose(canvas: Canvas, face: Face) -> None:
    """Draws the nose: a shadow along its side, a lit tip, and its lower edge."""
    top, tip = eye_height(face) + 0.06, eye_height(face) + 0.36 * face.nose_length
    dark = mixed(face.skin_tone, _FOLD, 0.55)
    away = -1 if face.light_from > 0 else 1
    ridge = curve((away * 0.07, top), (away * 0.09, tip - 0.1), (away * 0.15, tip - 0.01))
    canvas.line(ridge, 0.045, mixed(face.skin_tone, dark, 0.6), turned=True)
    canvas.glow((0.0, tip - 0.05), (0.15, 0.11), mixed(face.skin_tone, _WHITE, 0.7), 0.55, turned=True)
    canvas.line(curve((-0.16, tip), (0.0, tip + 0.08), (0.16, tip)), 0.05, dark, turned=True)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    """Draws an open smile with teeth, or closed lips."""
    v = 0.56 if face.age_group == "child" else 0.5
    lips = mixed(face.skin_tone, _LIPS, 0.7)
    if not face.smiling:
        wide = 0.27 * face.mouth_width
        canvas.polygon(leaf((-wide, v + 0.06), (wide, v + 0.06), above=v - 0.04, below=v + 0.2), lips, turned=True)
        between = curve((-wide, v + 0.065), (0.0, v + 0.045), (wide, v + 0.065))
        canvas.line(between, 0.04, mixed(lips, _BLACK, 0.6), turned=True)
        return
    wide, corner, rim = 0.44 * face.mouth_width, v - 0.03, v - 0.05
    canvas.polygon(leaf((-wide * 1.1, rim), (wide * 1.1, rim), above=v + 0.02, below=v + 0.58), lips, turned=True)
    canvas.polygon(leaf((-wide, corner), (wide, corner), above=v + 0.09, below=v + 0.48), _THROAT, turned=True)
    upper = curve((-wide, corner), (0.0, v + 0.09), (wide, corner))
    lower = curve((wide * 0.92, v + 0.02), (0.0, v + 0.32), (-wide * 0.92, v + 0.02))
    canvas.polygon([*upper, *lower], _WHITE, turned=True)
    for side in (-1, 1):
        dimple = curve((side * wide * 1.12, v - 0.1), (side * wide * 1.24, v - 0.03), (side * wide * 1.14, v + 0.03))
        canvas.line(dimple, 0.035, mixed(face.skin_tone, _FOLD, 0.45), turned=True)


def draw_skin(canvas: Canvas, face: Face) -> None:
    """Draws freckles for a child, and wrinkles on the forehead, at the nose and the eyes for an old person."""
    if face.age_group == "child":
        for u, v in ((0.36, 0.36), (0.5, 0.33), (0.46, 0.44), (0.63, 0.4)):
            for side in (-1, 1):
                canvas.ellipse((side * u, v), (0.03, 0.024), mixed(face.skin_tone, _FOLD, 0.4), turned=True)
    if face.age_group != "old":
        return
    fold = mixed(face.skin_tone, _FOLD, 0.45)
    for v, wide in ((-0.5, 0.42), (-0.4, 0.5)):
        canvas.line(curve((-wide, v), (0.0, v - 0.06), (wide, v)), 0.035, fold, turned=True)
    for side in (-1, 1):
        canvas.line(curve((side * 0.22, 0.28), (side * 0.42, 0.36), (side * 0.5, 0.56)), 0.045, fold, turned=True)
        canvas.line(curve((side * 0.25, 0.12), (side * 0.42, 0.19), (side * 0.6, 0.1)), 0.035, fold, turned=True)
        canvas.line([(side * 0.66, -0.06), (side * 0.8, -0.12)], 0.03, fold, turned=True)


def draw_beard(canvas: Canvas, face: Face) -> None:
    """Draws a full beard with a moustache, which the mouth is later drawn over."""
    if not face.beard:
        return
    tone = mixed(face.hair_tone, _BLACK, 0.12)
    cheek = [(1.0, -0.02), (0.86, 0.2), (0.62, 0.36), (0.3, 0.37)]
    edge = [*((-u, v) for u, v in cheek), (0.0, 0.42), *reversed(cheek)]
    jaw = [(u * (1 - 0.16 * v**1.6), v) for u, v in ring((0.0, 0.0), (0.99, 1.08), points=48) if v > 0.02]
    canvas.polygon([*edge, *jaw], tone)
    canvas.glow((0.0, 0.8), (0.6, 0.3), mixed(tone, _WHITE, 0.3), 0.5)
