"""How much images change along walks between latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from framework.images.ranges import in_levels
from framework.latents.networks import Features, Generate
from framework.models.arithmetic.blocks import BLOCK_IMAGES

PATH_STEPS = 65  # latents on a measured path, independent of how many images are drawn


@dataclass(frozen=True)
class PathMeter:
    """Measures paths by the distances between successive images.

    Images are not rounded to 8 bits, because that would add a fifth to the length of a path with fine steps.

    Attributes:
        generate: Latents -> images in [-1,1].
        features: Images -> features whose Euclidean distances are measured. If None, distances are the root mean
            squared differences of pixels, on the scale from 0 to 255.
        device: The device of both networks.
        unit: What features are, as `interpolation.json` names it.
    """

    generate: Generate
    features: Features | None = None
    device: str | torch.device = "cpu"
    unit: str = "measurer"

    @property
    def name(self) -> str:
        """What distances are measured in, as `interpolation.json` names it."""
        return "pixels" if self.features is None else self.unit

    def length(self, walk: np.ndarray) -> float:
        """The length of a path [s,z], the sum of its steps."""
        return path_length(self._points(walk))

    def steps(self, walk: np.ndarray) -> tuple[np.ndarray, float]:
        """The length of each step [s-1] of a path [s,z], and the distance between the images at its ends."""
        points = self._points(walk)
        return np.linalg.norm(np.diff(points, axis=0), axis=1), path_length(points[[0, -1]])

    @torch.inference_mode()
    def _points(self, walk: np.ndarray) -> np.ndarray:
        """Pixels or features [s,d] of latents [s,z]."""
        parts = torch.from_numpy(np.ascontiguousarray(walk, np.float32)).to(self.device).split(BLOCK_IMAGES)
        vectors = []
        for part in parts:
            images = self.generate(part).float()
            vectors.append(images.flatten(1) if self.features is None else self.features(images))
        points = torch.cat(vectors).cpu().numpy().astype(np.float64)
        return points if self.features is not None else points * in_levels(1 / points.shape[1])


def measured(meter: PathMeter, walks: dict[str, np.ndarray]) -> dict[str, Any]:
    """Lengths of walks [s,z] between the same ends and the distance of the ends, as in `interpolation.json`."""
    first = next(iter(walks.values()))
    lengths = {name: meter.length(walk) for name, walk in walks.items()}
    return {**lengths, "straight": meter.length(first[[0, -1]]), "features": meter.name, "steps": len(first)}


def smoothness(meter: PathMeter, walks: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
    """How straight and how even the image paths of walks are: name -> walks [s,z], as in `interpolation.json`.

    `ratio` is the length of a path divided by the distance between the images at its ends: 1 if the images change in a
    straight line. `largest_step` is the longest step divided by the mean one: 1 if the images change evenly, large if
    they jump. Both are means over the walks; a walk whose ends give the same image is left out.
    """
    figures: dict[str, Any] = {}
    for name, several in walks.items():
        paths = [(steps, straight) for steps, straight in map(meter.steps, several) if straight > 0]
        if paths:
            figures[name] = {
                "ratio": float(np.mean([steps.sum() / straight for steps, straight in paths])),
                "largest_step": float(np.mean([steps.max() / steps.mean() for steps, _ in paths])),
            }
    first = next(iter(walks.values()))
    return {**figures, "pairs": len(first), "features": meter.name, "steps": len(first[0])}


def path_length(features: np.ndarray) -> float:
    """Length of a path through points [s,d], the sum of its steps."""
    return float(np.linalg.norm(np.diff(features.astype(np.float64), axis=0), axis=1).sum())
