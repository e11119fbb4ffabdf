"""Both resizes against the packages that they are named after, pixel for pixel."""

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from framework.evaluation.features.resizing import resize, resize_like_tensorflow

CPU = torch.device("cpu")


def pictures(size, *, count=2, channels=3):
    """Noise, and where it is large enough a soft half."""
    images = np.random.default_rng(1).integers(0, 256, size=(count, *size, channels), dtype=np.uint8)
    images[:, : size[0] // 2] = images[:, :1]
    return images


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (299, 299), (512, 301)])
def test_tensorflow2015_is_tensorflows_to_the_bit(size):
    images = torch.from_numpy(pictures(size))
    expected = interpolate_bilinear_2d_like_tensorflow1x(
        images.permute(0, 3, 1, 2).float(), size=(299, 299), align_corners=False
    )
    assert torch.equal(resize_like_tensorflow(images).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize(
    "size", [(32, 32), (64, 64), (128, 128), (200, 200), (299, 299), (400, 400), (64, 48), (512, 301), (7, 3)]
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_clean_is_clean_fids_pixel_for_pixel(size, channels):
    images = pictures(size, channels=channels)
    expected = [build_resizer("clean")(image.repeat(3 // channels, axis=2)) for image in images]
    resized = resize(images, how="clean", device=CPU)
    assert resized.dtype == torch.float32
    assert np.array_equal(resized.numpy(), np.stack(expected))


@pytest.mark.parametrize("how", ["tensorflow2015", "clean"])
def test_each_of_its_own_size(how):
    sizes = [(32, 32), (200, 180), (32, 32), (64, 48)]
    images = [pictures(size, count=1, channels=1 if size[0] == 64 else 3)[0] for size in sizes]
    together = resize(images, how=how, device=CPU)
    assert together.shape == (4, 299, 299, 3)
    for image, resized in zip(images, together, strict=True):
        assert torch.equal(resize(image[None], how=how, device=CPU)[0], resized)
