"""overview.webp: a contact sheet of four quadrants (pictures, depth, normals, masks), 10 x 10 views each."""

import io
from collections.abc import Callable

from PIL import Image

COLUMNS = 10  # and as many rows, in each quadrant
CELL_PIXELS = 80  # per side
QUADRANTS = ("images", "depth", "normals", "masks")  # left to right, then down

Open = Callable[[str, int], Image.Image]


def selected_views(views: int) -> list[int]:
    """The numbers of the views on the sheet: all, or a hundred spread evenly."""
    shown = min(views, COLUMNS * COLUMNS)
    return [number * views // shown for number in range(shown)]


def draw_overview(views: int, open_picture: Open) -> Image.Image:
    """Draw the sheet. `open_picture` returns a view's picture from one of the QUADRANTS' folders."""
    half = COLUMNS * CELL_PIXELS
    sheet = Image.new("RGB", (2 * half, 2 * half), "white")
    for quadrant, folder in enumerate(QUADRANTS):
        for cell, number in enumerate(selected_views(views)):
            small = (
                open_picture(folder, number).convert("RGB").resize((CELL_PIXELS, CELL_PIXELS), Image.Resampling.LANCZOS)
            )
            left = quadrant % 2 * half + cell % COLUMNS * CELL_PIXELS
            top = quadrant // 2 * half + cell // COLUMNS * CELL_PIXELS
            sheet.paste(small, (left, top))
    return sheet


def webp(sheet: Image.Image) -> bytes:
    """The sheet as a WebP file with reproducible bytes."""
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=90, method=4)
    return file.getvalue()
