"""The sheet of numbered samples from which groups are chosen, and a grid of nine samples."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from framework.config.schema import LatentsConfig
from framework.images import grid, labelled_sheet
from framework.latents.protocols import GeneratorLike

_GRID_SIDE = 3
_GRID_TILE = 128  # minimum side of a tile in pixels
_SHEET_COLUMNS = 10


@dataclass(frozen=True)
class Sheet:
    """The samples of `latents.seed`; number k is latent k - 1.

    Attributes:
        picture: [H, W, 3] uint8, with the numbers below the images.
        latents: [n, z] float32.
    """

    picture: np.ndarray
    latents: np.ndarray


def make_sheet(generator: GeneratorLike, config: LatentsConfig) -> Sheet:
    """Draws `latents.arithmetic.sheet_samples` samples, numbered from 1, up to ten per row."""
    count = config.arithmetic.sheet_samples
    latents = generator.sample_latents(count, config.seed)
    picture = labelled_sheet(
        generator.images(latents),
        [str(number) for number in range(1, count + 1)],
        columns=min(_SHEET_COLUMNS, ceil(sqrt(count))),
        title=f"{count} samples of seed {config.seed}, by number",
    )
    return Sheet(picture=picture, latents=latents)


def sample_grid(generator: GeneratorLike, config: LatentsConfig) -> np.ndarray:
    """Draws the first nine samples of `latents.seed`, 3 by 3: [H, W, 3] uint8."""
    images = generator.images(generator.sample_latents(_GRID_SIDE**2, config.seed))
    return grid(images, columns=_GRID_SIDE, scale=max(1, _GRID_TILE // generator.resolution), padding=8)
