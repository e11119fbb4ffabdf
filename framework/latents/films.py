"""Films of a walk: a small looping GIF, and an MP4 that common players open.

Pillow writes the GIF with one palette for all frames; a pixel keeps its colour until it changes noticeably, so that
nothing flickers. PyAV writes the MP4 as H.264 in 4:2:0 at even sizes with the index at the front, a format that
browsers, phones and presentation programs play.
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

# Frames of an MP4 per second. A GIF shows every third one for 0.12 s, because its durations are multiples of 0.01 s.
FRAMES_A_SECOND = 25
_MOST_GIF_FRAMES_A_SECOND = 10
_COLOURS = 128
_STAYS = 8  # levels of 255; a pixel that differs less from the shown colour is not redrawn
_TILE = 256  # side in pixels of the image in a frame
# x264's constant rate factor, at which artefacts are not visible; its faster ways to compute now and then give others.
_X264 = {"crf": "20", "x264-params": "cpu-independent=1"}


def there_and_back(frames: np.ndarray) -> np.ndarray:
    """Frames [s,h,w,3], then the same in reverse order without the first and the last, so that the film loops smoothly.

    >>> there_and_back(np.arange(4)).tolist()
    [0, 1, 2, 3, 2, 1]
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def draw_frames(images: Iterable[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Draws each image [h,w,c] as a frame of fixed size with its caption below: [s,H,W,3]."""
    pairs = zip(images, captions, strict=True)
    drawn = (labelled_sheet(image[None], [caption], columns=1, side=_TILE) for image, caption in pairs)
    first = next(drawn)
    # Filled frame by frame: collecting a list first would need the memory of a long film twice.
    frames = np.empty((len(captions), *first.shape), np.uint8)
    frames[0] = first
    for number, frame in enumerate(drawn, start=1):
        frames[number] = frame
    return frames


def gif_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND) -> bytes:
    """Encodes frames [s,h,w,3] uint8 as an endless GIF of at most 10 frames per second: every third of 25.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    stride = math.ceil(frames_a_second / _MOST_GIF_FRAMES_A_SECOND)
    shown = frames[::stride]
    # One palette for all frames, computed from every fourth row and column of about 16 frames.
    samples = shown[:: max(1, len(shown) // 16), ::4, ::4]
    palette = Image.fromarray(np.concatenate(list(samples), axis=0)).quantize(_COLOURS, kmeans=1)
    pictures = _steady(shown, palette)
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * stride / frames_a_second),
        loop=0,
        optimize=True,  # unchanged pixels become transparent, which compresses well
    )
    return file.getvalue()


def mp4_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND, rounds: int = 1) -> bytes:
    """Encodes frames [s,h,w,3] uint8 as H.264, repeated `rounds` times; a row or column is doubled if a size is odd.

    The same frames give the same bytes with any processor and number of cores.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    height, width = frames.shape[1:3]
    with tempfile.TemporaryDirectory(prefix="latentscape-") as folder:
        path = Path(folder) / "film.mp4"  # a real file, because faststart reads it again to move the index
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(frames_a_second), options=_X264)
            stream.height, stream.width = height + height % 2, width + width % 2
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1  # more threads cut frames into slices, by their speed and number
            for frame in (frame for _ in range(rounds) for frame in frames):
                even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            container.mux(stream.encode())
        return path.read_bytes()


def _steady(frames: np.ndarray, palette: Image.Image) -> list[Image.Image]:
    """Quantises frames to the palette; a pixel keeps its colour while that is within `_STAYS` of the new one."""
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
        raise LatentsError(f"a film needs at least 2 frames, not {len(frames)}")
