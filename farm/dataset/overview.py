"""overview.webp: a contact sheet of four quadrants (pictures, depth, normals, masks), 10 x 10 views each."""

import io
from collections.abc import Callable

from PIL import Image

ACROSS = 10
CELL = 80  # pixels a side
QUADRANTS = ("images", "depth", "normals", "masks")  # left to right, then down

Open = Callable[[str, int], Image.Image]


def chosen(views: int) -> list[int]:
    """The views that are shown: all, or a hundred of them spread evenly."""
    shown = min(views, ACROSS * ACROSS)
    return [number * views // shown for number in range(shown)]


def draw_overview(views: int, open_picture: Open) -> Image.Image:
    """The sheet. `open_picture` gives the picture of a view out of one of the QUADRANTS' folders."""
    half = ACROSS * CELL
    sheet = Image.new("RGB", (2 * half, 2 * half), "white")
    for quadrant, folder in enumerate(QUADRANTS):
        for place, number in enumerate(chosen(views)):
            small = open_picture(folder, number).convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
            left = quadrant % 2 * half + place % ACROSS * CELL
            top = quadrant // 2 * half + place // ACROSS * CELL
            sheet.paste(small, (left, top))
    return sheet


def webp(sheet: Image.Image) -> bytes:
    """The sheet as a WebP file, the same bytes every time."""
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=90, method=4)
    return file.getvalue()
