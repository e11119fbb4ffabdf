"""Films are read back by what plays them."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from framework.errors import LatentsError
from framework.latents.films import draw_frames, gif_bytes, mp4_bytes, there_and_back


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


def test_a_gif_of_a_smooth_film_shows_every_third_frame_in_the_same_time(frames):
    image = Image.open(io.BytesIO(gif_bytes(frames[:9])))
    assert (image.n_frames, image.info["duration"]) == (3, 120)  # 9 frames of 25 a second: 0.36 s
    for number, frame in enumerate(frames[:9:3]):
        image.seek(number)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frame).max() <= 8


def test_a_pixel_of_a_gif_stays_until_it_really_changes():
    """Noise of 3 levels is not shown; a drift of a level a frame is, and never lags by more than what may stay."""
    noise = np.random.default_rng(0).integers(97, 104, (12, 40, 40, 3)).astype(np.uint8)
    assert Image.open(io.BytesIO(gif_bytes(noise, frames_a_second=10))).n_frames == 1
    drift = np.tile(np.arange(60, 140, dtype=np.uint8)[:, None, None, None], (1, 40, 40, 3))
    film = Image.open(io.BytesIO(gif_bytes(drift, frames_a_second=10)))
    at, seconds = 0, 0
    for number in range(film.n_frames):
        film.seek(number)
        shown = int(np.asarray(film.convert("RGB"))[0, 0, 0])
        assert abs(shown - int(drift[at, 0, 0, 0])) <= 8
        at += film.info["duration"] // 100
        seconds += film.info["duration"]
    assert seconds == 80 * 100


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
def test_frames_have_one_geometry_and_their_words_below(resolution):
    images = np.full((2, resolution, resolution, 3), 90, np.uint8)
    film = draw_frames(images, ["sample 1 → 2", "sample 2 → 1"])
    assert film.shape == (2, 328, 304, 3)
    assert (film[:, 24:280, 24:280] == 90).all()
    assert (film[:, :24] == 255).all()
    assert not np.array_equal(film[0, 280:], film[1, 280:])


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


def test_an_mp4_does_not_depend_on_the_cores_of_the_machine(frames):
    """x264 writes its settings into the film; with threads it would cut frames into a slice for each core.

    Without cpu-independent, 3 of 2,100 encodings of the same frames had other bytes; with it none of 1,600.
    """
    data = mp4_bytes(frames)
    assert b" threads=1 " in data
    assert b" sliced_threads=0 " in data
    assert mp4_bytes(frames) == data


def test_one_frame_is_no_film(frames):
    for make in (gif_bytes, mp4_bytes):
        with pytest.raises(LatentsError, match="at least 2 frames, not 1"):
            make(frames[:1])
    assert len(there_and_back(frames)) == 18
