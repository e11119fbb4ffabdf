"""Films of a walk: a GIF that loops and is small, an MP4 that every player opens.

GIF by Pillow with one palette for all frames, so that nothing flickers; MP4 by PyAV: H.264 in 4:2:0 at even sizes with
the index at the front, which browsers, phones and slides play.
"""

import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from framework.errors import LatentsError

FRAMES_A_SECOND = 12
_COLOURS = 128
_QUALITY = "20"  # x264's constant rate factor: visually clean


def there_and_back(frames: np.ndarray) -> np.ndarray:
    """Frames [s,h,w,3] and then the same backwards, without either end twice: it loops without a jump.

    >>> there_and_back(np.arange(4)).tolist()
    [0, 1, 2, 3, 2, 1]
    """
    return np.concatenate([frames, frames[-2:0:-1]])


def gif_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND) -> bytes:
    """Frames [s,h,w,3] uint8 as a GIF that loops for ever.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    # The palette is that of all frames together, a tile each of a large picture.
    palette = Image.fromarray(np.concatenate(list(frames[:: max(1, len(frames) // 16)]), axis=0)).quantize(_COLOURS)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / frames_a_second),
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def mp4_bytes(frames: np.ndarray, *, frames_a_second: int = FRAMES_A_SECOND, rounds: int = 1) -> bytes:
    """Frames [s,h,w,3] uint8 as H.264, repeated so many rounds; an odd edge is doubled.

    Raises:
        LatentsError: There are fewer than 2 frames.
    """
    _check(frames)
    even = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    with tempfile.TemporaryDirectory(prefix="latentscape-") as folder:
        path = Path(folder) / "film.mp4"  # a file, for to move the index to the front it is read again
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(frames_a_second), options={"crf": _QUALITY})
            stream.height, stream.width = even.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in (frame for _ in range(rounds) for frame in even):
                shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
                container.mux(stream.encode(shown))
            container.mux(stream.encode())
        return path.read_bytes()


def _check(frames: Sequence[np.ndarray] | np.ndarray) -> None:
    if len(frames) < 2:
        raise LatentsError(f"a film wants at least 2 frames, not {len(frames)}")
