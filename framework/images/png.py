"""PNG encoding of arrays."""

import io

import numpy as np
from PIL import Image


def png_bytes(picture: np.ndarray) -> bytes:
    """Encodes [h, w, 3], [h, w, 1] or [h, w] uint8 as PNG; equal pictures give equal bytes."""
    squeezed = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed)).save(buffer, format="PNG")
    return buffer.getvalue()
