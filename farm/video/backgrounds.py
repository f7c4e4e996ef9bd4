"""What lies behind and in front of frames: a plain colour, or overlays scaled to cover the frame."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from farm.errors import RenderFailed
from farm.orders.render_settings import Anchor

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class OverlayPicture:
    """A picture file, and the anchor: the side or corner that cropping keeps."""

    path: Path
    anchor: Anchor


def plain(colour: Colour, width: int, height: int) -> Image.Image:
    """A picture of one colour, as RGB."""
    return Image.new("RGB", (width, height), colour)


def cover(picture: OverlayPicture, colour: Colour, width: int, height: int) -> Image.Image:
    """The picture, scaled to cover width x height and cropped, as RGB. `colour` shows where the picture is transparent.

    Raises RenderFailed when the file is not a readable picture.
    """
    upright = _read(picture, "background")
    opaque = Image.alpha_composite(Image.new("RGBA", upright.size, (*colour, 255)), upright).convert("RGB")
    box = crop(*upright.size, width, height, picture.anchor)
    return opaque.resize((width, height), Image.Resampling.LANCZOS, box)


def foreground(picture: OverlayPicture, width: int, height: int) -> Image.Image:
    """The picture, scaled to cover width x height and cropped, as RGBA. Raises RenderFailed as `cover` does."""
    upright = _read(picture, "foreground")
    box = crop(*upright.size, width, height, picture.anchor)
    return upright.resize((width, height), Image.Resampling.LANCZOS, box)  # Pillow multiplies by alpha meanwhile


def _read(picture: OverlayPicture, layer: str) -> Image.Image:
    """The picture upright, as RGBA."""
    try:
        with Image.open(picture.path) as file:
            return ImageOps.exif_transpose(file).convert("RGBA")
    except (OSError, ValueError) as error:
        raise RenderFailed(f"The {layer} picture cannot be read: {error}") from error


def crop(
    picture_width: int, picture_height: int, width: int, height: int, anchor: Anchor
) -> tuple[float, float, float, float]:
    """The largest part of a picture that has the shape width:height, at the anchor: left, top, right, bottom."""
    if picture_width * height <= picture_height * width:
        part_width, part_height = float(picture_width), picture_width * height / width
    else:
        part_width, part_height = picture_height * width / height, float(picture_height)
    down, across = ("center", "center") if anchor == "center" else anchor.split("-")
    left = (picture_width - part_width) * ANCHOR_SHARES[across]
    top = (picture_height - part_height) * ANCHOR_SHARES[down]
    return left, top, min(left + part_width, picture_width), min(top + part_height, picture_height)


ANCHOR_SHARES = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
