"""A row of a stack of pictures as the bytes of a picture file. Imports NumPy only for rows that are not plain bytes."""

_HEADS = {1: b"P5", 3: b"P6", 4: b"PyRGBA"}  # Pillow's PPM formats, which are the plain pixels behind a line of text


def as_picture(
    data: bytes, height: int, width: int, channels: int, place: str, dtype: str, low: float, high: float
) -> bytes:
    r"""The picture of a row.

    Args:
        data: The row as it is stored.
        place: Whether the channels are "last" ([h,w,c]) or "first" ([c,h,w]).
        dtype: The type of its values, as NumPy writes it.
        low: The value that is black.
        high: The value that is white.

    >>> as_picture(bytes([7] * 4), 2, 2, 1, "last", "|u1", 0.0, 255.0)
    b'P5\n2 2\n255\n\x07\x07\x07\x07'
    """
    if dtype != "|u1" or (place == "first" and channels > 1):
        import numpy as np  # imported here, so that a decoding process starts fast

        values = np.frombuffer(data, dtype).reshape((channels, height, width) if place == "first" else -1)
        values = np.moveaxis(values, 0, -1) if place == "first" else values
        if dtype != "|u1":
            scaled = (np.nan_to_num(values.astype(np.float64), nan=low) - low) * (255.0 / (high - low))
            values = scaled.round().clip(0, 255).astype(np.uint8)
        data = values.tobytes()
    return b"%s\n%d %d\n255\n" % (_HEADS[channels], width, height) + data
