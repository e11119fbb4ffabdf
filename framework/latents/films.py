"""Films of a walk: a GIF that loops and is small, an MP4 that every player opens.

GIF by Pillow with one palette for all frames and pixels that stay as they are until they really change, so that
nothing flickers; MP4 by PyAV: H.264 in 4:2:0 at even sizes with the index at the front, which browsers, phones and
slides play.
"""

import io
import math
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from framework.errors import LatentsError
from framework.images import labelled_sheet

FRAMES_A_SECOND = 25  # of an MP4; a GIF shows every third, 0.12 seconds each, which its hundredths hold exactly
_MOST_GIF_FRAMES_A_SECOND = 10
_COLOURS = 128
_STAYS = 8  # levels; a pixel that is no further from what is shown is not shown anew
_TILE = 256  # side of the one picture of a frame
_QUALITY = "20"  # x264's constant rate factor: visually clean


def there_and_back(frames: np.ndarray) -> np.ndarray:
    """Frames [s,h,w,3] and then the same backwards, without either end twice: it loops without a jump.

    >>> there_and_back(np.arange(4)).tolist()
    [0, 1, 2, 3, 2, 1]
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def draw_frames(images: Iterable[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """One large tile a frame, at one side whatever its resolution, its caption below: s of [h,w,c] -> [s,H,W,3]."""
    pairs = zip(images, captions, strict=True)
    drawn = (labelled_sheet(image[None], [caption], columns=1, side=_TILE) for image, caption in pairs)
    first = next(drawn)
    frames = np.empty((len(captions), *first.shape), np.uint8)  # a long film would not fit into memory twice
    frames[0] = first
    for number, frame in enumerate(drawn, start=1):
        frames[number] = frame
    return frames


def gif_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND) -> bytes:
    """Frames [s,h,w,3] uint8 as a GIF that loops for ever, at most 10 of them a second: every third of 25.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    every = math.ceil(frames_a_second / _MOST_GIF_FRAMES_A_SECOND)
    shown = frames[::every]
    # The palette is that of all frames together: every fourth pixel both ways of some, below each other.
    some = shown[:: max(1, len(shown) // 16), ::4, ::4]
    palette = Image.fromarray(np.concatenate(list(some), axis=0)).quantize(_COLOURS, kmeans=1)
    pictures = _steady(shown, palette)
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * every / frames_a_second),
        loop=0,
        optimize=True,  # what stays is transparent, which packs well
    )
    return file.getvalue()


def mp4_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND, rounds: int = 1) -> bytes:
    """Frames [s,h,w,3] uint8 as H.264, repeated so many rounds; an odd edge is doubled.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    height, width = frames.shape[1:3]
    with tempfile.TemporaryDirectory(prefix="latentscape-") as folder:
        path = Path(folder) / "film.mp4"  # a file, for to move the index to the front it is read again
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(frames_a_second), options={"crf": _QUALITY})
            stream.height, stream.width = height + height % 2, width + width % 2
            stream.pix_fmt = "yuv420p"
            for frame in (frame for _ in range(rounds) for frame in frames):
                even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            container.mux(stream.encode())
        return path.read_bytes()


def _steady(frames: np.ndarray, palette: Image.Image) -> list[Image.Image]:
    """Frames in the palette's colours; a pixel keeps its colour as long as that is near enough."""
    flat = palette.getpalette() or []
    colours = np.array(flat, np.int16).reshape(-1, 3)
    pictures, kept = [], None
    for frame in frames:
        picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        numbers = np.asarray(picture)
        if kept is not None:
            stays = np.abs(colours[kept] - frame).max(axis=-1) <= _STAYS
            numbers = np.where(stays, kept, numbers)
        kept = numbers
        steady = Image.fromarray(numbers, "P")
        steady.putpalette(flat)
        pictures.append(steady)
    return pictures


def _check(frames: Sequence[np.ndarray] | np.ndarray) -> None:
    if len(frames) < 2:
        raise LatentsError(f"a film wants at least 2 frames, not {len(frames)}")
