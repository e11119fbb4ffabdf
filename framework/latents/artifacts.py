"""Writes the results of latent studies to a run's `artifacts/`: PNG pictures, JSON documents, safetensors latents.

Every function returns the names of the files that it wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from framework.config.schema import LatentsConfig
from framework.images import png_bytes
from framework.latents.arithmetic.run import ArithmeticResult
from framework.latents.directions.sheet import make_sheet, sample_grid
from framework.latents.films import gif_bytes, mp4_bytes
from framework.latents.protocols import GeneratorLike
from framework.latents.walks.interpolate import draw_corners, draw_loop, interpolate
from framework.latents.walks.smoothness import PathMeter
from framework.storage import Folder

SAMPLES = "samples.png"
INTERPOLATION = "interpolation.png", "interpolation.json"
CORNERS = "corners.png"
LOOP = "loop.gif", "loop.mp4"
SHEET = "sheet.png", "sheet_latents.safetensors"
ARITHMETIC = "arithmetic.png", "arithmetic.json"


def write_samples(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """Writes nine samples as a grid."""
    folder.write_bytes(SAMPLES, png_bytes(sample_grid(generator, config)))
    return [SAMPLES]


def write_corners(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """Writes the sheet of images between four samples."""
    folder.write_bytes(CORNERS, png_bytes(draw_corners(generator, config)))
    return [CORNERS]


def write_loop(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """Writes the film around `latents.walks.loop_samples` samples as GIF and MP4; deletes old ones if that is 0."""
    if not config.walks.loop_samples:
        for name in LOOP:
            folder.delete(name)
        return []
    film = draw_loop(generator, config)
    for name, data in zip(LOOP, (gif_bytes(film), mp4_bytes(film)), strict=True):
        folder.write_bytes(name, data)
    return list(LOOP)


def write_interpolation(
    folder: Folder,
    generator: GeneratorLike,
    config: LatentsConfig,
    *,
    starts: Sequence[tuple[str, np.ndarray]] = (),
    meter: PathMeter | None = None,
    about: Mapping[str, Any] | None = None,
) -> list[str]:
    """Writes the two walks of `interpolate`.

    Args:
        about: Entries to add to the document, such as the checkpoint.
    """
    walks = interpolate(generator, config, starts=starts, meter=meter)
    picture, document = INTERPOLATION
    folder.write_bytes(picture, png_bytes(walks.picture))
    folder.write_json(document, {**walks.document, **(about or {})})
    return [picture, document]


def write_sheet(
    folder: Folder, generator: GeneratorLike, config: LatentsConfig, *, about: Mapping[str, str] | None = None
) -> list[str]:
    """Writes the numbered samples and their latents.

    Args:
        about: Entries to add to the metadata of the latents' file, such as the generator's digest.
    """
    sheet = make_sheet(generator, config)
    picture, latents = SHEET
    metadata = {"seed": str(config.seed), "numbers": f"1 to {len(sheet.latents)}", **(about or {})}
    folder.write_bytes(picture, png_bytes(sheet.picture))
    folder.write_bytes(latents, save({"latents": np.ascontiguousarray(sheet.latents)}, metadata=metadata))
    return [picture, latents]


def read_sheet_latents(folder: Folder) -> np.ndarray:
    """Reads the latents of a written sheet, [n, z] float32; number k is row k - 1."""
    return load(folder.read_bytes(SHEET[1]))["latents"]


def write_arithmetic(folder: Folder, result: ArithmeticResult, *, about: Mapping[str, Any] | None = None) -> list[str]:
    """Writes the equation and its document; if no expression could be run, only the document, and deletes old pictures.

    Args:
        about: Entries to add to the document, such as the checkpoint.
    """
    picture, document = ARITHMETIC
    if result.picture is None:
        folder.delete(picture)
    else:
        folder.write_bytes(picture, png_bytes(result.picture))
    folder.write_json(document, {**result.document, **(about or {})})
    return [document] if result.picture is None else [picture, document]
