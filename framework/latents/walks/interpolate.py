"""Walks between latents: linear or spherical between two, a loop through many, a sheet between four."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.images import Row, corner_sheet, strips
from framework.latents.films import draw_frames
from framework.latents.protocols import GeneratorLike, normal_size, typical_norm
from framework.latents.walks.smoothness import PATH_STEPS, PathMeter, measured, smoothness

LEG_FRAMES = 30  # frames from one sample to the next, 1.2 seconds
_LABELS = {"lerp": "linear (lerp)", "slerp": "spherical (slerp)"}
_NO_PLANE = 1e-6  # radians; two vectors that are closer than this to parallel do not define a plane


@dataclass(frozen=True)
class Interpolation:
    """The linear and the spherical walk between two latents.

    Attributes:
        picture: [H, W, 3] uint8, one row of images per walk.
        document: The content of `interpolation.json`.
        latents: "lerp" and "slerp" -> [steps, z] float32.
    """

    picture: np.ndarray
    document: dict[str, Any]
    latents: dict[str, np.ndarray]


def lerp(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Equal steps on the straight line from a to b, both ends included exactly: [z], [z] -> [steps, z] float32.

    In many dimensions the midpoint of two normal latents is shorter than either by a factor near √2. Such short latents
    are rare among samples, so the face in the middle is often blander.
    """
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return _with_ends((1 - t) * a.astype(np.float64) + t * b.astype(np.float64), a, b)


def slerp(a: np.ndarray, b: np.ndarray, steps: int, *, normal: int | None = None) -> np.ndarray:
    """Equal angles on the great circle from a to b, both ends included exactly: [z], [z] -> [steps, z] float32.

    The directions follow Shoemake, "Animating rotation with quaternion curves" (1985), which White, "Sampling
    generative networks" (2016) uses for normal latents. White applies the weights to the latents; here they are applied
    to the directions, and the norm changes linearly from |a| to |b|, so that no step is shorter or longer than both.

    If the directions are equal, or one end is 0, the walk is linear. If they are opposite, all great circles are
    equally short, and the walk takes the one through the axis with which a is least aligned.

    Args:
        normal: The numbers of a latent that are normal; the rest, the code of a condition, changes linearly. None: all.
    """
    if normal is not None and normal < len(a):
        parts = [slerp(a[:normal], b[:normal], steps), lerp(a[normal:], b[normal:], steps)]
        return np.concatenate(parts, axis=1)
    first, second = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(first), np.linalg.norm(second)
    if min(norms) == 0.0:
        return lerp(a, b, steps)
    start, end = first / norms[0], second / norms[1]
    angle = 2 * np.arctan2(np.linalg.norm(start - end), np.linalg.norm(start + end))  # exact for small angles too
    if angle < _NO_PLANE:
        return lerp(a, b, steps)
    aim = end if np.pi - angle > _NO_PLANE else np.eye(len(a))[np.argmin(np.abs(start))]
    aside = aim - (aim @ start) * start
    if not aside.any():  # latents of one dimension have no great circle
        return lerp(a, b, steps)
    aside /= np.linalg.norm(aside)
    t = np.linspace(0.0, 1.0, steps)[:, None]
    directions = np.cos(t * angle) * start + np.sin(t * angle) * aside
    return _with_ends(((1 - t) * norms[0] + t * norms[1]) * directions, a, b)


def loop(latents: np.ndarray, steps: int, *, normal: int | None = None) -> np.ndarray:
    """Slerps from each latent to the next and from the last to the first: [n,z] -> [n * steps, z].

    Each leg starts exactly at its latent and ends one step before the next, so that no latent is repeated when the loop
    is played several times.
    """
    ends = zip(latents, np.roll(latents, -1, axis=0), strict=True)
    return np.concatenate([slerp(a, b, steps + 1, normal=normal)[:-1] for a, b in ends])


def between_corners(corners: np.ndarray, steps: int, *, normal: int | None = None) -> np.ndarray:
    """A sheet of latents between four corners: [4,z] -> [steps, steps, z].

    The corners are top left, top right, bottom left, bottom right. The first and the last row are slerps, and each
    column is a slerp between them. So the corners are exact and the four edges are slerps; inner rows are not.
    """
    first, last = (slerp(corners[at], corners[at + 1], steps, normal=normal) for at in (0, 2))
    return np.stack([slerp(a, b, steps, normal=normal) for a, b in zip(first, last, strict=True)], axis=1)


def interpolate(
    generator: GeneratorLike,
    config: LatentsConfig,
    *,
    starts: Sequence[tuple[str, np.ndarray]] = (),
    meter: PathMeter | None = None,
) -> Interpolation:
    """Draws both walks from one latent to another, each in `latents.walks.steps` images.

    Args:
        starts: Names and latents [z] of the ends. With one, the walk leads from it to sample 1 of `latents.seed`; with
            none, from sample 1 to sample 2.
        meter: Measures the lengths of both walks; None leaves them out.

    Raises:
        LatentsError: There are more than two starts.
    """
    samples = generator.sample_latents(2, config.seed)
    ends = [*starts, ("sample 1", samples[0]), ("sample 2", samples[1])][: max(2, len(starts))]
    if len(ends) > 2:
        raise LatentsError(f"latents.start: a walk has two ends, but {len(ends)} are named")
    (from_name, a), (to_name, b) = ends
    steps, normal = config.walks.steps, normal_size(generator)
    latents = {"lerp": lerp(a, b, steps), "slerp": slerp(a, b, steps, normal=normal)}
    paths = {"lerp": lerp(a, b, PATH_STEPS), "slerp": slerp(a, b, PATH_STEPS, normal=normal)}
    lengths = None if meter is None else measured(meter, paths)
    t = [round(float(value), 6) for value in np.linspace(0.0, 1.0, steps)]
    captions = [f"t = {value:.2g}" for value in t]
    captions[0], captions[-1] = f"{captions[0]}\n{from_name}", f"{captions[-1]}\n{to_name}"
    rows = [Row(generator.images(walk), captions, _label(name, lengths)) for name, walk in latents.items()]
    document = {
        "seed": config.seed,
        "from": from_name,
        "to": to_name,
        "t": t,
        "latent_norms": {
            name: np.linalg.norm(walk[:, :normal], axis=1).round(4).tolist() for name, walk in latents.items()
        },
        "typical_norm": round(typical_norm(normal), 4),
        "path_length": lengths,
        "paths": None if meter is None else _smoothness(meter, generator, config),
    }
    seed = f" of seed {config.seed}" if len(starts) < 2 else ""
    picture = strips(rows, title=f"From {from_name} to {to_name}{seed}")
    return Interpolation(picture=picture, document=document, latents=latents)


def _smoothness(meter: PathMeter, generator: GeneratorLike, config: LatentsConfig) -> dict[str, Any]:
    """Smoothness over `latents.walks.pairs` pairs of samples, the first of which is samples 1 and 2."""
    pairs = generator.sample_latents(2 * config.walks.pairs, config.seed).reshape(config.walks.pairs, 2, -1)
    kinds = {"lerp": lerp, "slerp": functools.partial(slerp, normal=normal_size(generator))}
    return smoothness(meter, {name: [walk(a, b, PATH_STEPS) for a, b in pairs] for name, walk in kinds.items()})


def draw_loop(generator: GeneratorLike, config: LatentsConfig) -> np.ndarray:
    """Draws frames [s,H,W,3] of the loop through the first samples; `latents.walks.loop_samples` must be at least 2."""
    count = config.walks.loop_samples
    samples = generator.sample_latents(count, config.seed)
    legs = np.split(loop(samples, LEG_FRAMES, normal=normal_size(generator)), count)
    captions = [f"sample {number} → {number % count + 1}" for number in range(1, count + 1) for _ in range(LEG_FRAMES)]
    return draw_frames((image for leg in legs for image in generator.images(leg)), captions)


def draw_corners(generator: GeneratorLike, config: LatentsConfig) -> np.ndarray:
    """Draws the sheet between samples 1 to 4 of `latents.seed`, [H,W,3] uint8."""
    steps = config.walks.corner_steps
    sheet = between_corners(generator.sample_latents(4, config.seed), steps, normal=normal_size(generator))
    return corner_sheet(
        generator.images(sheet.reshape(steps * steps, -1)),
        [f"sample {number}" for number in range(1, 5)],
        columns=steps,
        title=f"Between samples 1 to 4 of seed {config.seed}",
    )


def _label(walk: str, lengths: dict[str, Any] | None) -> str:
    if lengths is None or not lengths["straight"]:  # both ends give the same image
        return _LABELS[walk]
    return f"{_LABELS[walk]}, path {lengths[walk] / lengths['straight']:.2f} times the straight way"


def _with_ends(walk: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    walk = walk.astype(np.float32)
    walk[0], walk[-1] = a, b
    return walk
