"""One file to one picture: known colours, known turns, known reasons."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from framework.data.packing import colours, decoding
from framework.data.packing.decoding import RejectedError, decode

RED, GREEN, BLUE, WHITE = (200, 30, 20), (20, 160, 60), (30, 40, 190), (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def quarters(side: int = 64) -> Image.Image:
    """Red above left, green above right, blue below left, white below right."""
    image = Image.new("RGB", (side, side), WHITE)
    for colour, place in ((RED, (0, 0)), (GREEN, (side // 2, 0)), (BLUE, (0, side // 2))):
        image.paste(colour, (*place, place[0] + side // 2, place[1] + side // 2))
    return image


def pixels(data: bytes, *, resolution: int = 32, channels: int = 3) -> np.ndarray:
    raw = decode(data, resolution=resolution, channels=channels)
    return np.frombuffer(raw, np.uint8).reshape(resolution, resolution, channels)


def corners(array: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in array[y, x]) for y, x in ((4, 4), (4, -5), (-5, 4), (-5, -5))]


def near(found, wanted, tolerance=3):
    return np.abs(np.array(found, float) - np.array(wanted, float)).max() <= tolerance


def test_rgb_stays():
    assert corners(pixels(saved(quarters()))) == [RED, GREEN, BLUE, WHITE]


def test_palette_grey_and_bilevel():
    assert near(corners(pixels(saved(quarters().quantize(8)))), [RED, GREEN, BLUE, WHITE])
    grey = pixels(saved(Image.new("L", (64, 64), 77)))
    assert (grey == 77).all()
    assert (pixels(saved(Image.new("1", (64, 64), 1))) == 255).all()


def test_transparent_parts_are_white():
    image = quarters().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (pixels(saved(image)) == 255).all()
    half = Image.new("LA", (64, 64), (100, 128))  # 100 * 128/255 + 255 * 127/255
    assert near(pixels(saved(half)), 177.2, 1)
    keyed = saved(Image.new("L", (64, 64), 9), transparency=9)
    assert (pixels(keyed) == 255).all()
    palette = quarters().quantize(8)
    assert (pixels(saved(palette, transparency=bytes(8 * [0]))) == 255).all()


def test_cmyk():
    cyan = Image.new("CMYK", (64, 64), (255, 0, 0, 0))
    assert near(corners(pixels(saved(cyan, "JPEG", quality=98)))[0], (0, 255, 255), 4)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    image = Image.fromarray(np.tile(ramp, (64, 1)))
    grey = pixels(saved(image, kind), resolution=64)[:, :, 0]
    assert np.abs(grey[0] - ramp / 257).max() <= 0.5


def test_sixteen_bit_colour():
    rows = b"".join(b"\0" + struct.pack(">3H", 51400, 7710, 5140) * 64 for _ in range(64))  # RED times 257

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert corners(pixels(png))[0] == RED


def test_floats():
    assert near(pixels(saved(Image.fromarray(np.full((64, 64), 0.5, np.float32)), "TIFF")), 127.5, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(orientation, kind):
    from PIL import ImageOps

    upright = quarters(256)
    exif = Image.Exif()
    exif[0x0112] = orientation
    undone = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    turner = upright.copy()
    turner.getexif()[0x0112] = undone
    turned = ImageOps.exif_transpose(turner)
    options = {"JPEG": {"quality": 98}, "WEBP": {"lossless": True}}.get(kind, {})
    data = saved(turned, kind, exif=exif, **options)
    assert near(corners(pixels(data)), [RED, GREEN, BLUE, WHITE], 6)


@pytest.mark.filterwarnings("ignore")  # as the worker has it
def test_damaged_exif_leaves_the_picture():
    data = saved(quarters(), "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff" + b"\xff" * 40)
    assert near(corners(pixels(data)), [RED, GREEN, BLUE, WHITE], 12)


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (97, 64)])
def test_the_centre_square_is_kept(size):
    image = Image.new("RGB", size, RED)
    side = min(size)
    image.paste(BLUE, ((size[0] - side) // 2, (size[1] - side) // 2, (size[0] + side) // 2, (size[1] + side) // 2))
    found = pixels(saved(image))
    assert near(found[2:-2, 2:-2].reshape(-1, 3), BLUE)


def test_shrinking_is_antialiased():
    fine = np.indices((256, 256)).sum(axis=0) % 2 * 255  # a chessboard, grey from afar
    found = pixels(saved(Image.fromarray(fine.astype(np.uint8))))
    assert np.abs(found.astype(int) - 127.5).max() < 3


def test_half_the_resolution_is_enlarged_and_less_is_too_small():
    assert pixels(saved(quarters(32)), resolution=64).shape == (64, 64, 3)
    with pytest.raises(RejectedError, match="too small: 31x400"):
        decode(saved(Image.new("RGB", (31, 400))), resolution=64, channels=3)


def test_grey_is_the_luma():
    found = pixels(saved(quarters()), channels=1)
    assert found.shape == (32, 32, 1)
    luma = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in (RED, GREEN, BLUE, WHITE)]
    assert near([corner[0] for corner in corners(found)], luma, 1)
    assert near([corner[0] for corner in corners(pixels(saved(quarters(), "JPEG", quality=98), channels=1))], luma, 4)


def bomb() -> bytes:
    """A small file that says it is 30,000 pixels wide and high."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is text, not a picture", "not an image"),
        (saved(quarters(400), "JPEG", quality=95)[:3000], "truncated"),
        (saved(quarters(400), "PNG")[:300], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not an image"),  # no Ghostscript here
        (b"\xff\xd8\xff\xe0 and nothing more", "damaged header|not an image|truncated"),
        (bomb(), "decompression bomb"),
        (saved(Image.new("RGB", (9, 9))), "too small: 9x9"),
        (saved(Image.new("L", (10_000, 10_000))), "decompression bomb: (10000x10000|more than)"),
    ],
)
def test_what_is_rejected_and_why(data, reason):
    with pytest.raises(RejectedError, match=reason):
        decode(data, resolution=32, channels=3)


@pytest.mark.parametrize("resolution", [32, 64])
def test_draft_scaling_stays_within_a_grey_level_on_average(real_files, resolution):
    differences = []
    for data in real_files:
        full = Image.open(io.BytesIO(data)).convert("RGB").resize((resolution, resolution), Image.Resampling.LANCZOS)
        differences.append(np.abs(pixels(data, resolution=resolution).astype(int) - np.asarray(full)).mean())
    assert 0 < np.mean(differences) < 0.5
    assert max(differences) < 1.1


def test_no_draft_is_made_of_real_faces_at_128(real_files):
    full = Image.open(io.BytesIO(real_files[0])).resize((128, 128), Image.Resampling.LANCZOS)
    assert (pixels(real_files[0], resolution=128) == np.asarray(full)).all()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(*chunks: bytes) -> bytes:
    """A PNG file with more chunks after its header."""
    data = saved(quarters())
    return data[:33] + b"".join(chunks) + data[33:]


def with_segments(count: int) -> bytes:
    """A JPEG with more segments of metadata, of 64 KB each."""
    data = saved(quarters(), "JPEG")
    return data[:2] + (b"\xff\xe1\xff\xff" + bytes(65533)) * count + data[2:]


def with_scans(count: int, *, before: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan comes so many times more, each with a segment before it."""
    data = saved(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + (before + data[last:-2]) * count + data[-2:]


COMMENT_LIKE_THE_END = b"\xff\xfe\0\4\xff\xd9"


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"", order: str = "<") -> bytes:
    """A TIFF file of these tags: number, type, count, value or offset."""
    rows = b"".join(struct.pack(f"{order}HHLL", *tag) for tag in tags)
    return struct.pack(f"{order}2sHLH", b"II" if order == "<" else b"MM", 42, 8, len(tags)) + rows + bytes(4) + data


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: with_chunks(chunk(b"tEXt", b"a\0" + bytes(65 << 20))), "refused: more than 64 MiB of metadata"),
        (lambda: with_chunks(*[chunk(b"vpAg", bytes(33 << 20))] * 2), "refused: more than 64 MiB of metadata"),
        (lambda: with_chunks(chunk(b"vpAg", b"") * 700_000), "refused: more than 64 MiB of metadata"),
        (lambda: with_segments(1030), "refused: more than 64 MiB of metadata"),
        (lambda: with_scans(600), "refused: more than 500 scans"),
        (
            lambda: with_scans(600, before=COMMENT_LIKE_THE_END),
            "refused: more than 500 scans",
        ),
        (lambda: tiff((273, 4, 1 << 21, 0), data=bytes(8 << 20)), "refused: more than 1,048,576 numbers in its tags"),
        (lambda: tiff((273, 3, 1 << 21, 0), data=bytes(4 << 20), order=">"), "refused: more than 1,048,576 numbers"),
        (lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 40) + bytes(9), "refused: more than 65,536 tags"),
    ],
)
def test_what_would_cost_more_than_pixels_is_refused_before_it_is_parsed(make, reason):
    data = make()
    with pytest.raises(RejectedError, match=reason):
        decode(data, resolution=32, channels=3)


def test_ordinary_metadata_and_scans_are_taken():
    expected = pixels(saved(quarters()))
    assert (
        pixels(with_chunks(chunk(b"tEXt", b"a\0" + bytes(9 << 20)), *[chunk(b"vpAg", b"")] * 100)) == expected
    ).all()
    baseline = pixels(saved(quarters(), "JPEG"))
    assert (pixels(with_segments(130)) == baseline).all()
    assert pixels(with_scans(90)).shape == baseline.shape


def standing_still() -> bytes:
    """A TIFF file whose first directory names itself as the next one."""
    data = bytearray(saved(quarters(), "TIFF"))
    start = int.from_bytes(data[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(data[start : start + 2], "little")
    data[end : end + 4] = data[4:8]
    return bytes(data)


def animated_gif(frames: int) -> bytes:
    data = saved(quarters().quantize(8), "GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + data[start:-1] * frames + data[-1:]


def icon_of_many() -> bytes:
    """An icon that lists 10,000 pictures, all of them the same."""
    data = saved(quarters(64), "ICO", sizes=[(64, 64)])
    row = data[6:18] + struct.pack("<L", 6 + 16 * 10_000)
    return data[:4] + struct.pack("<H", 10_000) + row * 10_000 + data[22:]


@pytest.mark.parametrize(
    "data",
    [
        standing_still(),
        animated_gif(100_000),
        icon_of_many(),
        saved(quarters(), "MPO", save_all=True, append_images=[quarters()] * 30, quality=98),
        saved(quarters(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 64), RED)] * 30),
        saved(quarters(), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 64), RED)] * 30, lossless=True),
    ],
)
def test_of_many_pictures_in_a_file_the_first_one_is_taken(data):
    assert near(corners(pixels(data)), [RED, GREEN, BLUE, WHITE], 6)


def test_an_icon_is_as_large_as_the_picture_in_it():
    """Its own list has one byte for a width."""
    image = saved(Image.new("1", (9500, 9500)))
    icon = struct.pack("<3H4B2H2L", 0, 1, 1, 64, 64, 0, 0, 1, 1, len(image), 22) + image
    with pytest.raises(RejectedError, match="decompression bomb"):
        decode(icon, resolution=32, channels=3)


def wide(kind: type, values: float) -> Image.Image:
    rng = np.random.default_rng(3)
    array = (rng.random((150, 97)) * values).astype(kind)
    array[-1, -1] = values  # decides how floats are scaled
    return Image.fromarray(array)


@pytest.mark.parametrize("resolution", [32, 128])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "data",
    [
        saved(wide(np.uint16, 65_535)),
        saved(wide(np.float32, 1.0), "TIFF"),
        saved(wide(np.float32, 200.0), "TIFF"),
        saved(wide(np.float32, 60_000.0), "TIFF"),
        saved(wide(np.int32, 70_000), "TIFF"),
        saved(Image.merge("RGBA", [wide(np.uint8, 255)] * 4)),
        saved(Image.merge("LA", [wide(np.uint8, 255)] * 2)),
        saved(Image.merge("RGB", [wide(np.uint8, 255)] * 3).quantize(9), transparency=bytes(range(9))),
        saved(Image.merge("CMYK", [wide(np.uint8, 255)] * 4), "TIFF"),
        saved(wide(np.uint8, 255).convert("1")),
    ],
)
def test_a_picture_is_the_same_in_strips(data, resolution, channels, monkeypatch):
    whole = pixels(data, resolution=resolution, channels=channels)
    monkeypatch.setattr(colours, "_STRIP_PIXELS", 700)
    assert (pixels(data, resolution=resolution, channels=channels) == whole).all()


@pytest.mark.long
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_larger_jpeg_than_the_bound_is_taken_at_a_part_of_its_size(mode):
    side = 9600  # 92 million pixels
    image = quarters(16).convert(mode).resize((side, side), Image.Resampling.NEAREST)
    data = saved(image, "JPEG", quality=60)
    expected = saved(quarters(16).convert(mode).convert("RGB").resize((64, 64), Image.Resampling.NEAREST))
    assert near(corners(pixels(data)), corners(pixels(expected)), 6)


def of_size(data: bytes, marker: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header has another size."""
    at = data.index(marker) + 5
    return data[:at] + struct.pack(">2H", height, width) + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            of_size(saved(quarters(), "JPEG", progressive=True, subsampling=0), b"\xff\xc2", 20_000, 15_000),
            "decompression bomb: 20000x15000 pixels in several scans",
        ),
        (of_size(saved(quarters(), "JPEG"), b"\xff\xc0", 65_535, 65_535), r"decompression bomb: 65535x65535 pixels$"),
    ],
)
def test_a_jpeg_that_is_too_large_at_any_part_of_its_size(data, reason):
    """Only of a JPEG of several scans libjpeg holds all coefficients in memory."""
    with pytest.raises(RejectedError, match=reason):
        decode(data, resolution=32, channels=3)


def webp_of_size(width: int, height: int) -> bytes:
    """A WebP whose header has another size."""
    data = saved(quarters(), "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    return data[:at] + struct.pack("<L", (width - 1) | (height - 1) << 14) + data[at + 4 :]


def avif_of_size(width: int, height: int) -> bytes:
    """An AVIF whose header has another size."""
    data = saved(quarters(), "AVIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">2L", width, height) + data[at + 8 :]


@pytest.mark.parametrize(("of_size", "kind"), [(webp_of_size, "WEBP"), (avif_of_size, "AVIF")])
def test_formats_that_need_much_memory_have_a_lower_bound(of_size, kind):
    with pytest.raises(RejectedError, match=f"too large: 8000x6876 pixels; {kind} may have 55,000,000"):
        decode(of_size(8000, 6876), resolution=32, channels=3)
    with pytest.raises(RejectedError, match=r"damaged|truncated"):  # within the bound
        decode(of_size(100, 100)[:-9], resolution=32, channels=3)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_large_jpeg_2000_is_taken_at_half_its_size(mode, monkeypatch):
    data = saved(quarters(128).convert(mode), "JPEG2000")
    whole = pixels(data, resolution=32)
    monkeypatch.setattr(decoding, "_MOST_JPEG2000_PIXELS", 100)
    assert near(corners(pixels(data, resolution=32)), corners(whole), 6)
    with pytest.raises(RejectedError, match="damaged or too large for a single resolution"):
        decode(saved(quarters(128), "JPEG2000", num_resolutions=1), resolution=32, channels=3)


def test_a_large_jpeg_of_four_colours_is_taken_at_a_part_of_its_size(monkeypatch):
    data = saved(quarters(256).convert("CMYK"), "JPEG", quality=95)
    whole = pixels(data, resolution=32)
    monkeypatch.setattr(decoding, "_MOST_CMYK_PIXELS", 100)
    smaller = pixels(data, resolution=32)
    assert (smaller != whole).any()
    assert near(corners(smaller), corners(whole), 6)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_stream_gives_the_same_and_is_freed(kind):
    data = saved(quarters(), kind)
    stream = io.BytesIO(data)
    assert decode(stream, resolution=32, channels=3) == decode(data, resolution=32, channels=3)
    assert stream.closed
