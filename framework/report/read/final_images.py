"""The last samples of each trial: the first tiles of its newest grid, shrunk so that 200 trials fit on a page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image

from framework.report.read.pictures import opened
from framework.report.read.trials import Trial
from framework.runs import RunFolder

COLUMNS, ROWS = 4, 2
_PADDING = 2  # pixels between tiles, as `framework.images.grid` draws them
_ALL_BYTES = 1_200_000  # maximum of all trials' pictures together
_MOST_BYTES = 40_000  # maximum of one picture
# (width in pixels, quality of WebP): the first pair that gives a small enough file is used.
_SIZES = ((560, 88), (400, 88), (400, 75), (280, 80), (280, 60), (200, 70), (140, 70))


@dataclass(frozen=True)
class LastSamples:
    """A trial's newest samples."""

    trial: Trial
    images_seen: int
    webp: bytes


def read_finals(run: RunFolder, trials: Sequence[Trial], *, tile: int) -> list[LastSamples]:
    """The newest sample grid of each trial that has one, in the order of the trials.

    Args:
        run: The folder of the run.
        trials: The trials to read.
        tile: Side of one sample, in pixels.
    """
    most = min(_MOST_BYTES, _ALL_BYTES // max(1, len(trials)))
    found = []
    for trial in trials:
        folder = run.trial(trial.id)
        grids = [path for path in folder.samples() if PurePosixPath(path).stem.isdigit()]
        webp = first_tiles(folder.folder.read_bytes(grids[-1]), tile=tile, most_bytes=most) if grids else None
        if webp is not None:
            found.append(LastSamples(trial, int(PurePosixPath(grids[-1]).stem), webp))
    return found


def first_tiles(data: bytes, *, tile: int, most_bytes: int) -> bytes | None:
    """The first tiles of a grid as a WebP; None if the grid is damaged.

    Args:
        data: The grid as PNG.
        tile: Side of one tile, in pixels.
        most_bytes: The picture is shrunk until it is this small, or cannot be shrunk any more.
    """
    grid = opened(data)
    if grid is None:
        return None
    image = grid.convert("RGB")
    box = tuple(count * (tile + _PADDING) + _PADDING for count in (COLUMNS, ROWS))
    image = image.crop((0, 0, min(box[0], image.width), min(box[1], image.height)))
    encoded = b""
    for width, quality in _SIZES:
        image.thumbnail((width, width), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality)
        encoded = buffer.getvalue()
        if len(encoded) <= most_bytes:
            break
    return encoded
