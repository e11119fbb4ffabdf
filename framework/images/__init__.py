"""Pictures: pixel ranges, grids, labelled sheets, strips, equations of pictures, and PNG files."""

from framework.images.equation import Term, equation
from framework.images.grids import as_color, enlarge, grid
from framework.images.layout import Row, at_side, corner_sheet, labelled_sheet, strip, strips
from framework.images.png import png_bytes
from framework.images.ranges import (
    from_intensities,
    from_pixels,
    to_bytes,
    to_intensities,
    to_model_range,
    to_pixels,
)

__all__ = [
    "Row",
    "Term",
    "as_color",
    "at_side",
    "corner_sheet",
    "enlarge",
    "equation",
    "from_intensities",
    "from_pixels",
    "grid",
    "labelled_sheet",
    "png_bytes",
    "strip",
    "strips",
    "to_bytes",
    "to_intensities",
    "to_model_range",
    "to_pixels",
]
