"""The studies' files, in a run's `artifacts/`: pictures as PNG, figures as JSON, latents as safetensors."""

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
from framework.latents.walks.smoothness import Ruler
from framework.storage import Folder

SAMPLES = "samples.png"
INTERPOLATION = "interpolation.png", "interpolation.json"
CORNERS = "corners.png"
LOOP = "loop.gif", "loop.mp4"
SHEET = "sheet.png", "sheet_latents.safetensors"
ARITHMETIC = "arithmetic.png", "arithmetic.json"


def write_samples(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """Nine samples in a grid; gives the names of the files, as all of these do."""
    folder.write_bytes(SAMPLES, png_bytes(sample_grid(generator, config)))
    return [SAMPLES]


def write_corners(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """The sheet between four samples."""
    folder.write_bytes(CORNERS, png_bytes(draw_corners(generator, config)))
    return [CORNERS]


def write_loop(folder: Folder, generator: GeneratorLike, config: LatentsConfig) -> list[str]:
    """The film round many samples, twice; where none is wanted, no old one stays."""
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
    ruler: Ruler | None = None,
    about: Mapping[str, Any] | None = None,
) -> list[str]:
    """Both walks, as `interpolate` makes them; `about` joins the document, such as the checkpoint."""
    made = interpolate(generator, config, starts=starts, ruler=ruler)
    picture, document = INTERPOLATION
    folder.write_bytes(picture, png_bytes(made.picture))
    folder.write_json(document, {**made.document, **(about or {})})
    return [picture, document]


def write_sheet(
    folder: Folder, generator: GeneratorLike, config: LatentsConfig, *, about: Mapping[str, str] | None = None
) -> list[str]:
    """The numbered samples and their latents; `about` joins the file's metadata, such as the generator's digest."""
    made = make_sheet(generator, config)
    picture, latents = SHEET
    metadata = {"seed": str(config.seed), "numbers": f"1 to {len(made.latents)}", **(about or {})}
    folder.write_bytes(picture, png_bytes(made.picture))
    folder.write_bytes(latents, save({"latents": np.ascontiguousarray(made.latents)}, metadata=metadata))
    return [picture, latents]


def read_sheet_latents(folder: Folder) -> np.ndarray:
    """[n, z] float32 of a written sheet: number k is row k - 1."""
    return load(folder.read_bytes(SHEET[1]))["latents"]


def write_arithmetic(folder: Folder, result: ArithmeticResult, *, about: Mapping[str, Any] | None = None) -> list[str]:
    """The equation and its document; where nothing could be run, the document alone, and no old picture beside it."""
    picture, document = ARITHMETIC
    if result.picture is None:
        folder.delete(picture)
    else:
        folder.write_bytes(picture, png_bytes(result.picture))
    folder.write_json(document, {**result.document, **(about or {})})
    return [document] if result.picture is None else [picture, document]
