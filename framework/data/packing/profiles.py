"""Embedded colour profiles (ICC), converted to sRGB."""

import io
from typing import Any

from PIL import Image, ImageChops

_MOST_BYTES = 4 << 20
_MOST_KEPT = 64  # profiles; a set of photographs has few
_ALIKE = 2  # grey levels; a profile that changes no colour by more is sRGB under some name
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_FITTING = {"L": {"1", "L", "LA"}, "CMYK": {"CMYK"}, "RGB": {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"}}
_known: dict[tuple[bytes, str], Any] = {}


class BrokenProfileError(Exception):
    """A profile that cannot be read, or is for other colours than the picture has."""


def conversion(picture: Image.Image) -> tuple[str, Any] | None:
    """The mode that a picture must have, and the transform to sRGB; None if it has no profile or that of sRGB.

    Raises:
        BrokenProfileError: The profile cannot be used.
    """
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode.startswith(("I", "F")):
        return None
    if not isinstance(profile, bytes):  # a tag of a TIFF file may be anything
        raise BrokenProfileError
    mode = _MODES.get(profile[16:20])
    if mode is None or len(profile) > _MOST_BYTES or picture.mode not in _FITTING[mode]:
        raise BrokenProfileError
    key = (profile, mode)
    if key not in _known:
        if len(_known) >= _MOST_KEPT:
            _known.clear()
        _known[key] = _transform(profile, mode)
    transform = _known[key]
    if isinstance(transform, BrokenProfileError):
        raise transform
    return None if transform is None else (mode, transform)


def to_srgb(picture: Image.Image, transform: Any) -> Image.Image:
    """The picture in sRGB, in mode RGB."""
    converted = transform.apply(picture)
    converted.info.pop("icc_profile", None)
    return converted


def _transform(profile: bytes, mode: str) -> Any:
    """The transform to sRGB; None if it changes nothing; an error if the profile is broken."""
    from PIL import ImageCms  # imported here, because few pictures need it

    try:
        transform = ImageCms.buildTransform(
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        samples = _samples(mode)
        extremes = ImageChops.difference(transform.apply(samples), samples.convert("RGB")).getextrema()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return BrokenProfileError()
    most = max(high for _, high in extremes)  # pyright: ignore[reportGeneralTypeIssues]
    return None if mode != "CMYK" and most <= _ALIKE else transform


def _samples(mode: str) -> Image.Image:
    """Colours all over the space, a pixel each."""
    levels = range(0, 256, 51)
    if mode == "RGB":
        return Image.frombytes(
            "RGB", (216, 1), bytes(v for r in levels for g in levels for b in levels for v in (r, g, b))
        )
    return Image.frombytes("L", (256, 1), bytes(range(256))).convert(mode)
