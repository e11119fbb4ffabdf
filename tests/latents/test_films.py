"""Films are read back by what plays them."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from framework.errors import LatentsError
from framework.latents.films import gif_bytes, mp4_bytes, there_and_back


@pytest.fixture
def frames():
    """A light square that wanders over a dark ground."""
    found = np.full((10, 45, 60, 3), 40, np.uint8)
    for number, frame in enumerate(found):
        frame[10:25, 4 * number : 4 * number + 15] = (250, 200, 60)
    return found


def test_a_gif_loops_and_shows_each_frame(frames):
    image = Image.open(io.BytesIO(gif_bytes(frames, frames_a_second=10)))
    assert (image.n_frames, image.size, image.info["loop"], image.info["duration"]) == (10, (60, 45), 0, 100)
    for number, frame in enumerate(frames):
        image.seek(number)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frame).max() <= 8


def test_an_mp4_is_h264_at_an_even_size_with_its_index_in_front(frames):
    data = mp4_bytes(frames, frames_a_second=10, rounds=3)
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        (stream,) = container.streams.video
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", 60, 46)
        assert float(stream.average_rate) == 10
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 30
    for number, frame in enumerate(shown):
        assert np.abs(frame[:45].astype(int) - frames[number % 10]).mean() < 6


def test_one_frame_is_no_film(frames):
    for make in (gif_bytes, mp4_bytes):
        with pytest.raises(LatentsError, match="at least 2 frames, not 1"):
            make(frames[:1])
    assert len(there_and_back(frames)) == 18
