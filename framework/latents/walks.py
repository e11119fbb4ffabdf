"""From one latent to another: straight on, or along the sphere on which normal latents lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.config.schema import LatentsConfig
from framework.images import Row, strips
from framework.latents.subjects import GeneratorLike, typical_norm

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


def interpolate(generator: GeneratorLike, config: LatentsConfig) -> Interpolation:
    """Both walks from the first sample of `latents.seed` to the second, in `latents.interpolation_steps` pictures."""
    ends = generator.sample_latents(2, config.seed)
    steps = config.interpolation_steps
    latents = {"lerp": lerp(ends[0], ends[1], steps), "slerp": slerp(ends[0], ends[1], steps)}
    t = [round(float(value), 6) for value in np.linspace(0.0, 1.0, steps)]
    captions = [f"t = {value:.2g}" for value in t]
    labels = {"lerp": "linear (lerp)", "slerp": "spherical (slerp)"}
    rows = [Row(generator.images(walk), captions, labels[name]) for name, walk in latents.items()]
    document = {
        "seed": config.seed,
        "from_sample": 1,
        "to_sample": 2,
        "t": t,
        "latent_norms": {name: np.linalg.norm(walk, axis=1).round(4).tolist() for name, walk in latents.items()},
        "typical_norm": round(typical_norm(generator.latent_size), 4),
    }
    picture = strips(rows, title=f"From sample 1 to sample 2 of seed {config.seed}")
    return Interpolation(picture=picture, document=document, latents=latents)


def _with_ends(walk: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    walk = walk.astype(np.float32)
    walk[0], walk[-1] = a, b
    return walk
