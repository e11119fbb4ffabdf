"""Arrays to PNG files in memory, and back."""

import io

import numpy as np
from PIL import Image


def png_bytes(picture: np.ndarray) -> bytes:
    """PNG of [h, w, 3], [h, w, 1] or [h, w] uint8: the same bytes for the same picture."""
    squeezed = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed)).save(buffer, format="PNG")
    return buffer.getvalue()
