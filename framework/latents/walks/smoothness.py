"""How far images change on the way from one latent to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from framework.images.ranges import in_levels
from framework.latents.networks import Features, Generate

PATH_STEPS = 65  # latents that a way is measured on, however many are drawn
_AT_A_TIME = 32


@dataclass(frozen=True)
class PathMeter:
    """Measures ways by their images, unrounded: on a fine walk rounding to whole levels would add a fifth.

    Attributes:
        generate: Latents -> images in [-1,1].
        features: Of images, between which distances are taken; none: pixels, the root of their mean squared difference
            in levels from 0 to 255.
        device: Where both compute.
    """

    generate: Generate
    features: Features | None = None
    device: str | torch.device = "cpu"

    @property
    def name(self) -> str:
        """In what it measures."""
        return "pixels" if self.features is None else "measurer"

    def length(self, walk: np.ndarray) -> float:
        """Of a walk [s,z], step by step."""
        return path_length(self._points(walk))

    def steps(self, walk: np.ndarray) -> tuple[np.ndarray, float]:
        """The length of each step [s-1] of a walk [s,z], and the straight distance between its ends."""
        points = self._points(walk)
        return np.linalg.norm(np.diff(points, axis=0), axis=1), path_length(points[[0, -1]])

    @torch.inference_mode()
    def _points(self, walk: np.ndarray) -> np.ndarray:
        """[s,z] -> [s,d]."""
        parts = torch.from_numpy(np.ascontiguousarray(walk, np.float32)).to(self.device).split(_AT_A_TIME)
        seen = []
        for part in parts:
            images = self.generate(part).float()
            seen.append(images.flatten(1) if self.features is None else self.features(images))
        points = torch.cat(seen).cpu().numpy().astype(np.float64)
        return points if self.features is not None else points * in_levels(1 / points.shape[1])


def measured(ruler: PathMeter, walks: dict[str, np.ndarray]) -> dict[str, Any]:
    """Lengths of walks [s,z] between the same ends, and straight on between those, as interpolation.json holds them."""
    first = next(iter(walks.values()))
    lengths = {name: ruler.length(walk) for name, walk in walks.items()}
    return {**lengths, "straight": ruler.length(first[[0, -1]]), "features": ruler.name, "steps": len(first)}


def smoothness(ruler: PathMeter, walks: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
    """How straight and how even ways are, by many of them: name -> walks [s,z], as interpolation.json's `paths` says.

    `ratio` is a way's length over the straight distance between the images at its ends, 1 where images change straight
    on; `largest_step` is its longest step over its mean one, 1 where they change evenly, large where they jump. Both
    are means over the walks; a walk whose ends look the same counts in neither.
    """
    found: dict[str, Any] = {}
    for name, several in walks.items():
        measured_ways = [(steps, straight) for steps, straight in map(ruler.steps, several) if straight > 0]
        if measured_ways:
            found[name] = {
                "ratio": float(np.mean([steps.sum() / straight for steps, straight in measured_ways])),
                "largest_step": float(np.mean([steps.max() / steps.mean() for steps, _ in measured_ways])),
            }
    first = next(iter(walks.values()))
    return {**found, "pairs": len(first), "features": ruler.name, "steps": len(first[0])}


def path_length(features: np.ndarray) -> float:
    """Length of a walk through features [s,d]: the sum of its steps'."""
    return float(np.linalg.norm(np.diff(features.astype(np.float64), axis=0), axis=1).sum())
