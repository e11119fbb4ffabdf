"""Eyes, brows, nose, mouth, wrinkles and beard."""

from framework.data.faces.attributes import Colour, Face, mixed
from framework.data.faces.canvas import Canvas, Point, curve, ring

_WHITE: Colour = (250, 249, 245)
_BLACK: Colour = (18, 14, 14)
_LIPS: Colour = (188, 62, 66)
_THROAT: Colour = (104, 22, 30)
_EYE_U = 0.4


def eye_height(face: Face) -> float:
    """V of the eyes: a child's lie lower."""
    return 0.06 if face.age_group == "child" else -0.04


def draw_eyes(canvas: Canvas, face: Face) -> None:
    """Eyes and brows; a smile narrows the eyes a little."""
    line = mixed(face.skin_tone, _BLACK, 0.75)
    for side in (-1, 1):
        centre = (side * _EYE_U, eye_height(face))
        radii = (0.19 * face.eye_size, (0.098 if face.smiling else 0.112) * face.eye_size)
        canvas.glow(centre, (0.34, 0.2), mixed(face.skin_tone, (70, 30, 30), 0.5), 0.5, turned=True)
        canvas.ellipse(centre, radii, _WHITE, turned=True)
        iris = (centre[0] + 0.02 * (face.yaw / 0.3), centre[1] + 0.005)
        canvas.ellipse(iris, (0.105 * face.eye_size, 0.088 * face.eye_size), face.iris_tone, turned=True)
        canvas.ellipse(iris, (0.055 * face.eye_size, 0.046 * face.eye_size), _BLACK, turned=True)
        canvas.ellipse((iris[0] - 0.03, iris[1] - 0.035), (0.028, 0.022), _WHITE, turned=True)
        lid = curve(
            (centre[0] - radii[0] * 1.05, centre[1]),
            (centre[0], centre[1] - 2.1 * radii[1]),
            (centre[0] + radii[0] * 1.05, centre[1]),
        )
        canvas.line(lid, 0.05, line, turned=True)
        brow = eye_height(face) - (0.27 if face.age_group == "child" else 0.245) - 0.02 * face.smiling
        inner, outer = (side * 0.17, brow + face.brow_tilt), (side * 0.62, brow + 0.035 - face.brow_tilt)
        tone = mixed(face.hair_tone, _BLACK, 0.25) if face.hair != "bald" else mixed(face.skin_tone, _BLACK, 0.6)
        canvas.line(curve(inner, (side * 0.44, brow - 0.085), outer), 0.085, tone, turned=True)


def draw_nose(canvas: Canvas, face: Face) -> None:
    """Shadow along its side, a lit ridge, two nostrils."""
    top, tip = eye_height(face) + 0.06, eye_height(face) + 0.36 * face.nose_length
    dark = mixed(face.skin_tone, (90, 30, 20), 0.5)
    away = -1 if face.light_from > 0 else 1
    canvas.line(
        curve((away * 0.07, top), (away * 0.09, tip - 0.1), (away * 0.15, tip - 0.01)),
        0.045,
        mixed(face.skin_tone, dark, 0.6),
        turned=True,
    )
    canvas.glow((0.0, tip - 0.05), (0.15, 0.11), mixed(face.skin_tone, (255, 255, 255), 0.7), 0.55, turned=True)
    canvas.line(curve((-0.16, tip), (0.0, tip + 0.08), (0.16, tip)), 0.05, dark, turned=True)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    """An open smile with teeth, or closed lips."""
    v = 0.5 + (0.03 if face.age_group == "child" else 0.0)
    lips = mixed(face.skin_tone, _LIPS, 0.62)
    if not face.smiling:
        wide = 0.27 * face.mouth_width
        canvas.polygon(
            [
                *curve((-wide, v + 0.06), (0.0, v - 0.03), (wide, v + 0.06)),
                *curve((wide, v + 0.06), (0.0, v + 0.18), (-wide, v + 0.06)),
            ],
            lips,
            turned=True,
        )
        canvas.line(
            curve((-wide, v + 0.065), (0.0, v + 0.045), (wide, v + 0.065)), 0.04, mixed(lips, _BLACK, 0.6), turned=True
        )
        return
    wide = 0.44 * face.mouth_width
    corner: Point = (wide, v - 0.03)
    left: Point = (-wide, v - 0.03)
    upper = curve(left, (0.0, v + 0.09), corner)
    canvas.polygon(
        [
            *curve((-wide * 1.1, v - 0.05), (0.0, v + 0.02), (wide * 1.1, v - 0.05)),
            *curve((wide * 1.1, v - 0.05), (0.0, v + 0.56), (-wide * 1.1, v - 0.05)),
        ],
        lips,
        turned=True,
    )
    canvas.polygon([*upper, *curve(corner, (0.0, v + 0.47), left)], _THROAT, turned=True)
    canvas.polygon(
        [*upper, *curve((wide * 0.92, v + 0.02), (0.0, v + 0.3), (-wide * 0.92, v + 0.02))], _WHITE, turned=True
    )
    fold = mixed(face.skin_tone, (90, 30, 20), 0.45)
    for side in (-1, 1):
        canvas.line(
            curve((side * wide * 1.12, v - 0.1), (side * wide * 1.24, v - 0.03), (side * wide * 1.14, v + 0.03)),
            0.035,
            fold,
            turned=True,
        )


def draw_wrinkles(canvas: Canvas, face: Face) -> None:
    """Of the old: on the forehead, beside the nose, under the eyes."""
    if face.age_group != "old":
        return
    fold = mixed(face.skin_tone, (80, 30, 20), 0.42)
    for v, wide in ((-0.5, 0.42), (-0.4, 0.5)):
        canvas.line(curve((-wide, v), (0.0, v - 0.06), (wide, v)), 0.035, fold, turned=True)
    for side in (-1, 1):
        canvas.line(curve((side * 0.22, 0.28), (side * 0.42, 0.36), (side * 0.5, 0.56)), 0.045, fold, turned=True)
        canvas.line(curve((side * 0.25, 0.12), (side * 0.42, 0.19), (side * 0.6, 0.1)), 0.035, fold, turned=True)
        canvas.line(curve((side * 0.66, -0.06), (side * 0.74, -0.09), (side * 0.8, -0.12)), 0.03, fold, turned=True)


def draw_beard(canvas: Canvas, face: Face) -> None:
    """A full beard with its moustache, under the mouth."""
    if not face.beard:
        return
    tone = mixed(face.hair_tone, _BLACK, 0.12)
    cheek = [
        (-1.0, -0.02),
        (-0.86, 0.2),
        (-0.62, 0.36),
        (-0.3, 0.37),
        (0.0, 0.42),
        (0.3, 0.37),
        (0.62, 0.36),
        (0.86, 0.2),
        (1.0, -0.02),
    ]
    chin = [(u * 0.99, v) for u, v in ring((0.0, 0.0), (1.0, 1.08), points=48) if v > 0.02]
    jaw = [(u * (1 - 0.16 * v**1.6), v) for u, v in chin]
    canvas.polygon([*cheek, *jaw], tone)
    canvas.glow((0.0, 0.75), (0.6, 0.3), mixed(tone, (255, 255, 255), 0.35), 0.4)
