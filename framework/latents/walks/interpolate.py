"""Ways between latents: straight on or along the sphere on which normal latents lie, round many, between four."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.errors import LatentsError
from framework.images import Row, corner_sheet, strips
from framework.latents.films import draw_frames
from framework.latents.protocols import GeneratorLike, typical_norm
from framework.latents.walks.smoothness import PATH_STEPS, Ruler, measured, smoothness

LEG_FRAMES = 30  # from one sample to the next: 1.2 seconds
_LABELS = {"lerp": "linear (lerp)", "slerp": "spherical (slerp)"}
_NO_PLANE = 1e-6  # radians; two directions closer than this to equal or opposite span no plane


@dataclass(frozen=True)
class Interpolation:
    """Two walks between the same two latents.

    Attributes:
        picture: A row of images each, [H, W, 3] uint8.
        document: What was done, for JSON.
        latents: "lerp" and "slerp", each [steps, z] float32.
    """

    picture: np.ndarray
    document: dict[str, Any]
    latents: dict[str, np.ndarray]


def lerp(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Equal steps on the straight line, both ends included and exact: [z], [z] -> [steps, z] float32.

    In many dimensions the middle of two normal latents is shorter than either, by a factor near the square root
    of 2: less likely than any sample, and so often a blander face.
    """
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return _with_ends((1 - t) * a.astype(np.float64) + t * b.astype(np.float64), a, b)


def slerp(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Equal angles on the great circle from a to b, both ends included and exact: [z], [z] -> [steps, z] float32.

    The directions follow Shoemake, "Animating rotation with quaternion curves" (1985), as White, "Sampling generative
    networks" (2016) uses it for normal latents. White applies its weights to the latents themselves; here they apply
    to their directions and the norm goes linearly from |a| to |b|, so that no step is shorter or longer than both.

    Where the directions agree, or one end is 0, the way is straight. Where they are opposite, all great circles are as
    short: the one through the axis to which a is least aligned is taken.
    """
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
    if not aside.any():  # one dimension: no circle to walk on
        return lerp(a, b, steps)
    aside /= np.linalg.norm(aside)
    t = np.linspace(0.0, 1.0, steps)[:, None]
    directions = np.cos(t * angle) * start + np.sin(t * angle) * aside
    return _with_ends(((1 - t) * norms[0] + t * norms[1]) * directions, a, b)


def loop(latents: np.ndarray, steps: int) -> np.ndarray:
    """By slerp from each latent to the next and from the last to the first, `steps` a leg: [n,z] -> [n * steps, z].

    Each leg begins with its own latent exactly and ends one step before the next, so that nothing comes twice however
    often it is gone round.
    """
    ends = zip(latents, np.roll(latents, -1, axis=0), strict=True)
    return np.concatenate([slerp(a, b, steps + 1)[:-1] for a, b in ends])


def between_corners(corners: np.ndarray, steps: int) -> np.ndarray:
    """A sheet of latents between four: left and right of the first row, then of the last: [4,z] -> [steps, steps, z].

    Slerps of slerps: first along the first row and the last one, then down each column from the one to the other. So
    corners are exact and all four edges are slerps between theirs; a row within is no great circle.
    """
    first, last = slerp(corners[0], corners[1], steps), slerp(corners[2], corners[3], steps)
    return np.stack([slerp(a, b, steps) for a, b in zip(first, last, strict=True)], axis=1)


def interpolate(
    generator: GeneratorLike,
    config: LatentsConfig,
    *,
    starts: Sequence[tuple[str, np.ndarray]] = (),
    ruler: Ruler | None = None,
) -> Interpolation:
    """Both walks from one latent to another, in `latents.interpolation_steps` pictures.

    Args:
        generator: Makes the images.
        config: Its seed's samples 1 and 2 are walked between where nothing else is named.
        starts: Names and latents [z]: from the first to the second, or to sample 1 where there is one alone.
        ruler: Measures how long both ways are; none: they are not measured.

    Raises:
        LatentsError: There are more than two starts.
    """
    samples = generator.sample_latents(2, config.seed)
    ends = [*starts, ("sample 1", samples[0]), ("sample 2", samples[1])][: max(2, len(starts))]
    if len(ends) > 2:
        raise LatentsError(f"latents.start: a walk has two ends, and {len(ends)} are named")
    (from_name, a), (to_name, b) = ends
    steps = config.walks.steps
    latents = {"lerp": lerp(a, b, steps), "slerp": slerp(a, b, steps)}
    finely = {"lerp": lerp(a, b, PATH_STEPS), "slerp": slerp(a, b, PATH_STEPS)}
    lengths = None if ruler is None else measured(ruler, finely)
    t = [round(float(value), 6) for value in np.linspace(0.0, 1.0, steps)]
    captions = [f"t = {value:.2g}" for value in t]
    captions[0], captions[-1] = f"{captions[0]}\n{from_name}", f"{captions[-1]}\n{to_name}"
    rows = [Row(generator.images(walk), captions, _label(name, lengths)) for name, walk in latents.items()]
    document = {
        "seed": config.seed,
        "from": from_name,
        "to": to_name,
        "t": t,
        "latent_norms": {name: np.linalg.norm(walk, axis=1).round(4).tolist() for name, walk in latents.items()},
        "typical_norm": round(typical_norm(generator.latent_size), 4),
        "path_length": lengths,
        "paths": None if ruler is None else _smoothness(ruler, generator, config),
    }
    seed = f" of seed {config.seed}" if len(starts) < 2 else ""
    picture = strips(rows, title=f"From {from_name} to {to_name}{seed}")
    return Interpolation(picture=picture, document=document, latents=latents)


def _smoothness(ruler: Ruler, generator: GeneratorLike, config: LatentsConfig) -> dict[str, Any]:
    """Over `latents.path_pairs` pairs of samples, the first of them samples 1 and 2, whatever the walk starts from."""
    pairs = generator.sample_latents(2 * config.walks.pairs, config.seed).reshape(config.walks.pairs, 2, -1)
    ways = {"lerp": lerp, "slerp": slerp}
    return smoothness(ruler, {name: [way(a, b, PATH_STEPS) for a, b in pairs] for name, way in ways.items()})


def draw_loop(generator: GeneratorLike, config: LatentsConfig) -> np.ndarray:
    """Frames [s,H,W,3] of the loop through the first `latents.loop_samples` samples of `latents.seed`, at least 2."""
    count = config.walks.loop_samples
    legs = np.split(loop(generator.sample_latents(count, config.seed), LEG_FRAMES), count)
    captions = [f"sample {number} → {number % count + 1}" for number in range(1, count + 1) for _ in range(LEG_FRAMES)]
    return draw_frames((image for leg in legs for image in generator.images(leg)), captions)


def draw_corners(generator: GeneratorLike, config: LatentsConfig) -> np.ndarray:
    """The sheet between samples 1 to 4 of `latents.seed`, [H,W,3] uint8."""
    steps = config.walks.corner_steps
    sheet = between_corners(generator.sample_latents(4, config.seed), steps)
    return corner_sheet(
        generator.images(sheet.reshape(steps * steps, -1)),
        [f"sample {number}" for number in range(1, 5)],
        columns=steps,
        title=f"Between samples 1 to 4 of seed {config.seed}",
    )


def _label(walk: str, lengths: dict[str, Any] | None) -> str:
    if lengths is None or not lengths["straight"]:  # the ends look the same
        return _LABELS[walk]
    return f"{_LABELS[walk]}, path {lengths[walk] / lengths['straight']:.2f} times the straight way"


def _with_ends(walk: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    walk = walk.astype(np.float32)
    walk[0], walk[-1] = a, b
    return walk
