"""How large the pixels of a DICOM image are, where it does not simply say so: ultrasound, X-ray, secondary captures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .pixels import number, numbers

if TYPE_CHECKING:
    from pydicom import Dataset

# frame sizes of ultrasound consoles, smallest first
_CONSOLES = ((640, 480), (720, 576), (768, 576), (800, 600), (1024, 768), (1280, 960), (1280, 1024), (1600, 1200))


def pixel_spacing(dataset: Dataset) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Spacing in mm along i and j (between columns, between rows), and notes on what is doubtful about it."""
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    regions = dataset.get("SequenceOfUltrasoundRegions") or []
    scaled = [(region, scale) for region in regions if (scale := _region_scale(region)) is not None]
    if scaled:
        x, y = max(scaled, key=lambda pair: _region_area(pair[0]))[1]
        right = max(number(r, "RegionLocationMaxX1") or 0 for r in regions) + 1
        bottom = max(number(r, "RegionLocationMaxY1") or 0 for r in regions) + 1
        if right <= columns and bottom <= rows:
            return (x, y), ()
        told = _tagged_size(columns, rows, right, bottom)
        note = (
            f"The ultrasound region tag reaches beyond the {columns}x{rows} pixels of the image; it was taken to "
            f"describe {told[0]}x{told[1]} pixels, and the spacing was corrected for that."
        )
        return (x * told[0] / columns, y * told[1] / rows), (note,)
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        spacing = numbers(dataset, keyword, 2)
        if spacing is not None and min(spacing) > 0:
            return (spacing[1], spacing[0]), ()
    return (1.0, 1.0), ("The file stores no pixel spacing; 1 mm was assumed.",)


def _region_scale(region: Dataset) -> tuple[float, float] | None:
    """Millimetres a pixel of an ultrasound region that is an image in centimetres (not a Doppler or M-mode trace)."""
    units = (number(region, "PhysicalUnitsXDirection"), number(region, "PhysicalUnitsYDirection"))
    x, y = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
    return (abs(x) * 10, abs(y) * 10) if units == (3, 3) and x and y else None


def _region_area(region: Dataset) -> float:
    left, top, right, bottom = (number(region, f"RegionLocation{k}") or 0 for k in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
    return (right - left) * (bottom - top)


def _tagged_size(columns: int, rows: int, right: float, bottom: float) -> tuple[int, int]:
    """The size in pixels that an ultrasound region tag describes when it does not fit into the image.

    The smallest usual console size of the image's shape that holds the region, else the smallest whole multiple.
    """
    for width, height in _CONSOLES:
        if right <= width and bottom <= height and abs(width * rows - height * columns) <= 0.01 * width * rows:
            return width, height
    factor = math.ceil(max(right / columns, bottom / rows))
    return factor * columns, factor * rows
