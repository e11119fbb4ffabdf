"""Decodes a file to a square picture. Of other libraries it imports only Pillow, so that a worker starts fast."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import AvifImagePlugin, Image, UnidentifiedImageError
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile

from framework.data.packing.colours import Conversion, conversion_of, converted
from framework.data.packing.heif import HEIC, INSTALL, is_heif, open_heif
from framework.data.packing.profiles import BrokenProfileError, conversion, to_srgb
from framework.data.packing.structure import has_several_scans, structural_fault
from framework.data.sources.kinds import HEAD_BYTES, kind_of_file
from framework.errors import reason_of

MAX_PIXELS = 89_478_485  # Pillow's limit, 256 MiB of RGB
MAX_WHOLE_PIXELS = 1 << 24  # of a picture that is not made smaller; scores hold up to 128 of them
MAX_JPEG_PIXELS = 4 * MAX_PIXELS  # a larger JPEG than MAX_PIXELS is decoded at 1/2, 1/4 or 1/8 of its size
# Pillow holds four copies of a WebP and up to five of an AVIF picture while it decodes it, and cannot decode parts.
MOST_PIXELS_OF = {"WEBP": 55_000_000, "AVIF": 55_000_000, "HEIF": 55_000_000}
_MOST_JPEG2000_PIXELS = 36_000_000  # holds 24 bytes per pixel; a larger one is decoded at 1/2 of its size
_MOST_CMYK_PIXELS = 44_000_000  # of a JPEG that is decoded at its size
_MOST_COEFFICIENT_BYTES = 768 << 20
# Only raster formats, because Pillow would pass an EPS file to Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "ICO", "DIB", "PCX")
_EXIF_ORIENTATION = 0x0112
_EXIF_KEYS = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {_TURNS[value] for value in (5, 6, 7, 8)}
# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if at least this multiple of the requested side remains. On 5,000
# files of UTKFace the mean difference from the full decode is then 0.24 grey levels at 32 px and 0.43 at 64 px. A
# margin of 1.5 would give 0.82 at 32 px, with one file in five above 1.
_DRAFT_MARGIN = {64: 1.5}
_DRAFT_MARGIN_ELSE = 2.0
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there is a decoding process for each core, and each thread needs memory


class RejectedError(Exception):
    """A file without a usable picture; the message is the reason."""


def decode(
    data: bytes | io.BytesIO,
    *,
    resolution: int,
    channels: int,
    rules: int = 1,
    scale: tuple[float, float] | None = None,
    facts: dict[str, Any] | None = None,
) -> bytes:
    """Decodes a file to the centre square as uint8 bytes [resolution, resolution, channels].

    The picture is rotated by its EXIF orientation, put on white where it is transparent, and resized with antialiasing
    (Lanczos). Pictures down to half the resolution are enlarged; smaller ones are rejected.

    By rules 2, colours are converted from an embedded profile to sRGB, grey values of more than 8 bits have the scale
    of `scale_of`, and a transparent picture whose visible part is nearly white is put on black.

    Args:
        data: The file. A stream is closed, so that its bytes are freed, before the picture is converted.
        resolution: Width and height of the result in pixels.
        channels: 1 for grey, 3 for colour.
        rules: `data.rules`.
        scale: The values that become black and white, of the set; None for those of this picture.
        facts: Is filled: `size` (width and height of the upright picture), `spread` (of the result: the largest
            difference within a channel), `brightest`; with more than 8 bits `range` and `scale`; and where the pixels
            are others than by rules 1 `how`. `broken_profile` if it has a colour profile that cannot be used.

    Raises:
        RejectedError: The file is empty, truncated, not an image or too small, has more than `MAX_PIXELS` (a JPEG,
            `MAX_JPEG_PIXELS`; other formats, `MOST_PIXELS_OF`), or needs too much memory.
    """
    file = data if isinstance(data, io.BytesIO) else io.BytesIO(data)
    told: dict[str, Any] = {} if facts is None else facts
    try:
        square = _decoded(file, resolution, "L" if channels == 1 else "RGB", rules, scale, told)
    except MemoryError:
        raise RejectedError("needs too much memory") from None
    ends: list[Any] = [band.getextrema() for band in square.split()]
    told |= {"spread": max(high - low for low, high in ends), "brightest": max(high for _, high in ends)}
    return square.tobytes()


def decode_whole(data: bytes | io.BytesIO) -> tuple[tuple[int, int], bytes]:
    """Decodes a file to its (width, height) and uint8 bytes [height, width, 3], upright, on white where transparent.

    Raises:
        RejectedError: As `decode`; or it has more than 8 bits per channel or more than `MAX_WHOLE_PIXELS`.
    """
    try:
        file = data if isinstance(data, io.BytesIO) else io.BytesIO(data)
        picture = _opened(file)
        _refuse_for_whole(picture)
        _load(picture)
        _refuse_for_whole(picture)
        turn = _turn(picture)
        file.close()
        with _conversion_faults(picture):
            whole = converted(picture, "RGB", Conversion())
        upright = whole if turn is None else whole.transpose(turn)
        return upright.size, upright.tobytes()
    except MemoryError:
        raise RejectedError("needs too much memory") from None


def size_of_whole(data: bytes) -> tuple[int, int]:
    """The (width, height) that `decode_whole` gives, from the header alone; raises RejectedError as it does."""
    picture = _opened(io.BytesIO(data))
    _refuse_for_whole(picture)
    return (picture.height, picture.width) if _turn(picture) in _SIDEWAYS else picture.size


def _decoded(
    file: io.BytesIO, resolution: int, mode: str, rules: int, scale: tuple[float, float] | None, facts: dict[str, Any]
) -> Image.Image:
    """The square picture in mode "L" or "RGB"."""
    picture = _opened(file)
    size = picture.size
    huge = picture.format == "JPEG" and _pixels(picture) > MAX_PIXELS
    if huge:
        _refuse_huge_jpeg(picture, file)
    _refuse_by_size(picture, most_pixels=MAX_JPEG_PIXELS if huge else MAX_PIXELS, resolution=resolution)
    profile = _profile(picture, facts) if rules > 1 else None
    loaded = mode if profile is None else profile[0]
    if picture.format == "JPEG" and (picture.mode in {"L", "RGB"} or _pixels(picture) > _MOST_CMYK_PIXELS):
        side = int(_DRAFT_MARGIN.get(resolution, _DRAFT_MARGIN_ELSE) * resolution)
        if min(picture.size) >= 2 * side or loaded != picture.mode:
            picture.draft(loaded, (side, side))
    if isinstance(picture, Jpeg2KImageFile) and _pixels(picture) > _MOST_JPEG2000_PIXELS:
        picture.reduce = 1
        _load(picture, otherwise="too large for a single resolution")
    _load(picture)
    _refuse_by_size(picture, most_pixels=MAX_PIXELS, resolution=0)  # an icon's picture may differ from its header
    turn = _turn(picture)  # after loading, because Pillow rotates TIFF files while it loads them
    facts["size"] = size[::-1] if turn in _SIDEWAYS else size
    file.close()
    wide = picture.mode.startswith(("I", "F"))  # is grey; the small square becomes coloured more cheaply
    with _conversion_faults(picture):
        how = conversion_of(picture, rules=rules, scale=scale, facts=facts)
        square = _square(converted(picture, "L" if wide else loaded, how), resolution)
    if profile is not None:
        square = to_srgb(square, profile[1])
        facts["how"] = f"{facts.get('how', '')} sRGB".strip()
    square = square.convert(mode) if square.mode != mode else square
    return square if turn is None else square.transpose(turn)


def _profile(picture: Image.Image, facts: dict[str, Any]) -> tuple[str, Any] | None:
    try:
        return conversion(picture)
    except BrokenProfileError:
        facts["broken_profile"] = True
        return None


def _opened(file: io.BytesIO) -> Image.Image:
    if not file.getbuffer():
        raise RejectedError("empty file")
    if (fault := structural_fault(file.getvalue())) is not None:  # the value is the stream's own bytes, not a copy
        raise RejectedError(f"refused: {fault}")
    try:
        if file.getbuffer()[:3] == b"\xff\xd8\xff":
            return JpegImageFile(file)  # skips the format search; of several pictures it reads the first
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        return _opened_otherwise(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RejectedError(f"decompression bomb: more than {MAX_PIXELS:,} pixels") from None
    except MemoryError:
        raise
    except Exception as fault:
        raise RejectedError(f"damaged header: {reason_of(fault)}") from None


def _opened_otherwise(file: io.BytesIO) -> Image.Image:
    """A file that is no picture for Pillow alone."""
    if not is_heif(bytes(file.getbuffer()[:HEAD_BYTES])):
        kind = kind_of_file(file)
        raise RejectedError("not an image" if kind is None else f"not an image: {kind[0]}; {kind[1]}")
    try:
        return open_heif(file)
    except ImportError:
        raise RejectedError(f"{HEIC}: needs {INSTALL}") from None
    except MemoryError:
        raise
    except Exception as fault:
        raise RejectedError(f"damaged header: {reason_of(fault)}") from None


def _pixels(picture: Image.Image) -> int:
    return picture.width * picture.height


def _refuse_huge_jpeg(picture: Image.Image, file: io.BytesIO) -> None:
    """For several scans libjpeg holds all coefficients, of 2 bytes each; for one scan it needs little memory."""
    layers = [(across, down) for _, across, down, _ in getattr(picture, "layer", ())]
    most = max((across * down for across, down in layers), default=1)
    coefficients = _pixels(picture) * sum(across * down for across, down in layers) // max(most, 1)
    if 2 * coefficients > _MOST_COEFFICIENT_BYTES and has_several_scans(file.getvalue()):
        raise RejectedError(f"decompression bomb: {picture.width}x{picture.height} pixels in several scans")


def _refuse_by_size(picture: Image.Image, *, most_pixels: int, resolution: int) -> None:
    width, height = picture.size
    if width * height > most_pixels:
        raise RejectedError(f"decompression bomb: {width}x{height} pixels")
    if width * height > (most := MOST_PIXELS_OF.get(picture.format or "", most_pixels)):
        raise RejectedError(f"too large: {width}x{height} pixels; {picture.format} may have {most:,}")
    if min(width, height) * 2 < resolution:
        raise RejectedError(f"too small: {width}x{height} pixels")


def _refuse_for_whole(picture: Image.Image) -> None:
    if picture.mode.startswith(("I", "F")):
        raise RejectedError(f"colours in mode {picture.mode}; python -m jobs.prepare_data converts them")
    if _pixels(picture) > MAX_WHOLE_PIXELS:
        width, height = picture.size
        raise RejectedError(f"too large: {width}x{height} pixels; python -m jobs.prepare_data makes it smaller")


def _load(picture: Image.Image, *, otherwise: str = "") -> None:
    """Reads the pixels. A fault that Pillow does not name is damage, or `otherwise`."""
    try:
        picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RejectedError(f"decompression bomb: more than {MAX_PIXELS:,} pixels") from None
    except MemoryError:
        raise
    except Exception as fault:
        text = reason_of(fault)
        damaged = f"damaged or {otherwise}" if otherwise else "damaged"
        raise RejectedError("truncated" if "truncated" in text.lower() else f"{damaged}: {text}") from None


@contextmanager
def _conversion_faults(picture: Image.Image) -> Iterator[None]:
    """Rejects a picture whose colours Pillow cannot convert in this block."""
    try:
        yield
    except (ValueError, OSError) as fault:
        raise RejectedError(f"colours in mode {picture.mode} cannot be converted: {reason_of(fault)}") from None


def _square(picture: Image.Image, resolution: int) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if side == resolution:
        return picture.crop((int(left), int(top), int(left) + side, int(top) + side))
    size, box = (resolution, resolution), (left, top, left + side, top + side)
    return picture.resize(size, Image.Resampling.LANCZOS, box=box)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """The rotation or reflection that makes the picture upright, by its EXIF data; None if none is needed."""
    if picture.format not in {"TIFF", "MPO"} and _EXIF_KEYS.isdisjoint(picture.info):
        return None
    try:
        return _TURNS.get(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # Pillow raises struct.error, SyntaxError, KeyError and more; the picture itself may be fine
        return None
