"""Pictures: pixel ranges, grids, labelled sheets, strips and equations of pictures, PNG."""

from framework.images.grids import as_color, enlarge, grid
from framework.images.png import png_bytes
from framework.images.ranges import to_model_range, to_pixels

__all__ = ["as_color", "enlarge", "grid", "png_bytes", "to_model_range", "to_pixels"]
