"""Pixels by rules 2: colour profiles, one scale for a set, and the ground of transparent pictures."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, TiffImagePlugin, TiffTags

from framework.data.packing import colours
from framework.data.packing.decoding import decode
from framework.data.packing.scales import Range, scale_of, united
from tests.data.test_decoding import BLUE, GREEN, RED, WHITE, corners, near, quarters, saved

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def decoded(data, *, resolution=32, channels=3, rules=2, scale=None):
    facts = {}
    raw = decode(data, resolution=resolution, channels=channels, rules=rules, scale=scale, facts=facts)
    return np.frombuffer(raw, np.uint8).reshape(resolution, resolution, channels), facts


def number(value):
    return struct.pack(">i", round(value * 65536))


def profile(*primaries, gamma, space=b"RGB "):
    """A minimal ICC profile of version 2, by a matrix and gammas, or of grey without primaries."""
    white = b"XYZ \0\0\0\0" + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    names = [(b"rXYZ", b"rTRC"), (b"gXYZ", b"gTRC"), (b"bXYZ", b"bTRC")]
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", 6) + b"Other\0" + b"\0" * 78), (b"wtpt", white)]
    tags += [(b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    for primary, (place, trc) in zip(primaries, names, strict=False):
        tags += [(place, b"XYZ \0\0\0\0" + b"".join(map(number, primary))), (trc, curve)]
    tags += [] if primaries else [(b"kTRC", curve)]
    body, table, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        data = content + b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I", start + len(body)) + b"none\x02\x10\0\0mntr" + space + b"XYZ " + b"\0" * 12 + b"acsp"
    head += b"\0" * 28 + b"".join(map(number, (0.9642, 1.0, 0.8249))) + b"\0" * 48
    return head[:128].ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


ADOBE = profile((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), gamma=2.19921875)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 98}), ("TIFF", {}), ("WEBP", {})])
def test_an_embedded_profile_is_converted_to_srgb(kind, options):
    """The picture was converted from sRGB to the profile, so converting it back gives the picture."""
    options |= {"lossless": True} if kind == "WEBP" else {}
    wide = ImageCms.profileToProfile(quarters(256), SRGB, ImageCms.ImageCmsProfile(io.BytesIO(ADOBE)))
    data = saved(wide, kind, icc_profile=ADOBE, **options)
    found, facts = decoded(data)
    assert near(corners(found), [RED, GREEN, BLUE, WHITE], 8)
    assert facts["how"] == "sRGB"
    assert not near(corners(decoded(data, rules=1)[0]), [RED, GREEN, BLUE, WHITE], 20)
    grey, _ = decoded(data, channels=1)
    assert near(corners(grey), corners(decoded(saved(quarters(256)), channels=1)[0]), 4)


def test_turned_transparent_and_of_a_palette():
    wide = ImageCms.profileToProfile(quarters(256), SRGB, ImageCms.ImageCmsProfile(io.BytesIO(ADOBE)))
    exif = Image.Exif()
    exif[0x0112] = 3
    found, _ = decoded(saved(wide.rotate(180), "PNG", icc_profile=ADOBE, exif=exif))
    expected = [RED, GREEN, BLUE, WHITE]
    assert near(corners(found), expected, 3)
    transparent = wide.convert("RGBA")
    transparent.putalpha(Image.new("L", wide.size, 0))
    assert (decoded(saved(transparent, icc_profile=ADOBE))[0] == 255).all()
    assert near(corners(decoded(saved(wide.quantize(8), icc_profile=ADOBE))[0]), expected, 4)


def test_profiles_that_change_nothing_or_cannot_be_used_leave_the_picture():
    expected, _ = decoded(saved(quarters(), "PNG"))
    fine = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    broken = [b"no profile at all", ADOBE[:200], bytes(140), profile(gamma=1.8, space=b"GRAY")]
    for icc in (fine, *broken):
        found, facts = decoded(saved(quarters(), "PNG", icc_profile=icc))
        assert (found == expected).all()
        assert "how" not in facts
        assert ("broken_profile" in facts) == (icc != fine)
    whole = quarters().convert("CMYK")
    found, facts = decoded(saved(whole, "TIFF", icc_profile=ADOBE))  # the profile is not one of four colours
    assert (found == decoded(saved(whole, "TIFF"))[0]).all()
    assert facts["broken_profile"]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[34675], tags.tagtype[34675] = 4_294_967_295, TiffTags.LONG  # the tag of the profile is a number
    found, facts = decoded(saved(quarters(), "TIFF", tiffinfo=tags))
    assert (found == expected).all()
    assert facts["broken_profile"]


def test_grey_with_a_gamma_of_its_own():
    """Linear 0.25 is 137 in sRGB: 1.055 · 0.25^(1/2.4) − 0.055 = 0.537."""
    linear = saved(Image.new("L", (64, 64), 64), icc_profile=profile(gamma=1.0, space=b"GRAY"))
    for channels in (1, 3):
        assert near(decoded(linear, channels=channels)[0], 137.0, 2)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Range(True, 0, 4080), (0, 4095)),
        (Range(True, 12, 1000), (0, 1023)),
        (Range(True, 0, 16_000), (0, 16_383)),
        (Range(True, 0, 40_000), (0, 65_535)),
        (Range(True, 0, 200), (0, 255)),
        (Range(True, 0, 0), (0, 255)),
        (Range(True, 0, 70_000), (0, 70_000)),
        (Range(True, -1024, 3071), (-1024, 3071)),
        (Range(False, 0.0, 1.0), (0, 1)),
        (Range(False, -0.03, 1.02), (0, 1)),
        (Range(False, -1.0, 1.0), (-1, 1)),
        (Range(False, -0.9, 0.7), (-1, 1)),
        (Range(False, -1.05, 1.04), (-1, 1)),
        (Range(False, 0.0, 254.0), (0, 255)),
        (Range(False, -9.0, 262.0), (0, 255)),
        (Range(False, 0.0, 60_000.0), (0, 65_535)),
        (Range(False, 0.0, 4.5), (0, 4.5)),
        (Range(False, -1024.0, 3071.0), (-1024, 3071)),
        (Range(False, 0.0, 0.0), (0, 1)),
    ],
)
def test_the_scale_of_a_set(values, expected):
    assert tuple(scale_of(values)) == expected


def test_ranges_are_united_apart_for_whole_numbers_and_floats():
    ranges = [Range(True, 0, 9), Range(False, -0.5, 0.5), Range(True, -3, 2), Range(False, 0.0, 0.9)]
    assert united(ranges) == {True: Range(True, -3, 9), False: Range(False, -0.5, 0.9)}


def ramp(number, values, kind):
    """A picture whose values rise from left to right, but for a line that differs from picture to picture."""
    across = np.linspace(*values, 64)[None, :].repeat(64, 0)
    across[number % 64, :8] = values[0]
    return Image.fromarray(across.astype(kind))


@pytest.mark.parametrize(
    ("kind", "form", "of_set", "of_first", "scale"),
    [
        (np.uint16, "PNG", (0, 4080), (0, 2000), (0, 4095)),
        (np.uint16, "TIFF", (0, 65535), (0, 4095), (0, 65535)),
        (np.float32, "TIFF", (-1, 1), (-1, 0), (-1, 1)),
        (np.float32, "TIFF", (0, 1.02), (0, 0.5), (0, 1)),
        (np.int32, "TIFF", (-1024, 3071), (-1024, 0), (-1024, 3071)),
    ],
)
def test_one_scale_serves_a_whole_set(kind, form, of_set, of_first, scale, folder_of, pack):
    """The first picture has a part of the set's values, and is darker than the others."""
    values = {f"{k:02d}": of_set if k else of_first for k in range(30)}
    files = {name: saved(ramp(int(name), ends, kind), form) for name, ends in values.items()}
    store = pack(folder_of(files), resolution=64, channels=1)
    for name, image in zip(store.names, store.images[:, 40, :, 0].astype(float), strict=True):
        black, white = scale
        expected = (np.linspace(*values[name], 64) - black) / (white - black) * 255
        assert np.abs(image - expected.clip(0, 255)).max() <= 1
    (scaled,) = store.packing_report["scaled"]
    assert (scaled["images"], scaled["whole"]) == (30, kind != np.float32)
    assert (scaled["black"], scaled["white"]) == scale
    old = pack(folder_of(files), resolution=64, channels=1, rules=1, held_out=0.0)
    new = pack(folder_of(files), resolution=64, channels=1, held_out=0.0)
    same = bool((old.images[np.argsort(old.names)] == new.images[np.argsort(new.names)]).all())
    assert same == (old.digest == new.digest) == (scale == (0, 65535))


def icon(colour, *, ground=0):
    image = Image.new("RGBA", (128, 128), (0, 0, 0, ground))
    ImageDraw.Draw(image).ellipse([20, 20, 108, 108], outline=colour, width=12)
    return image


def test_transparent_pictures_have_a_ground_that_shows_them():
    white, facts = decoded(saved(icon((255, 255, 255, 255))))
    assert facts["how"] == "on black"
    assert (white.min(), white.max() > 200) == (0, True)
    for colour in ((0, 0, 0, 255), (200, 30, 20, 255), (220, 220, 220, 255)):
        image, facts = decoded(saved(icon(colour)))
        assert "how" not in facts
        assert (image == decoded(saved(icon(colour)), rules=1)[0]).all()
        assert facts["spread"] > 20
    for whole in (
        icon((255, 255, 255, 255), ground=255).convert("RGB"),
        Image.new("RGBA", (64, 64), (255, 255, 255, 0)),
    ):
        image, facts = decoded(saved(whole))
        assert "how" not in facts
        assert (image == decoded(saved(whole), rules=1)[0]).all()


@pytest.mark.parametrize("scale", [None, (0, 30_000)])
@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(np.random.default_rng(3).integers(0, 4096, (150, 97)).astype(np.uint16))),
        saved(Image.fromarray(np.random.default_rng(3).normal(size=(150, 97)).astype(np.float32)), "TIFF"),
        saved(icon((255, 255, 255, 255))),
        saved(icon((250, 255, 255, 255)), icc_profile=ADOBE),
    ],
)
def test_a_picture_is_the_same_in_strips(data, scale, monkeypatch):
    whole, facts = decoded(data, scale=scale)
    monkeypatch.setattr(colours, "_STRIP_PIXELS", 700)
    strips, same = decoded(data, scale=scale)
    assert (strips == whole).all()
    assert same == facts
