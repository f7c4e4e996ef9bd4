"""Textures of a scan for glTF, which allows JPEG and PNG of 8 bits per channel: others are converted to PNG."""

import io
from dataclasses import dataclass

from PIL import Image

from farm.errors import InvalidFormat
from farm.intake.picture import in_8_bits, in_srgb

MAX_TEXTURE_SIDE_PIXELS = 16384
FORMATS = ["JPEG", "PNG", "TIFF", "BMP", "TGA"]
PNG_BIT_DEPTH_AT = 24  # in the header of every PNG


@dataclass(frozen=True)
class Texture:
    content: bytes
    mime_type: str


def texture(content: bytes, name: str) -> Texture:
    """The image as it is, or converted to 8-bit sRGB. Raises InvalidFormat: unreadable, truncated or too large."""
    with _opened(content, name) as image:
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(name) from error
        is_8_bits = image.mode in ("L", "LA", "RGB", "RGBA", "P", "1")
        if image.format == "JPEG" and is_8_bits:
            return Texture(content, "image/jpeg")
        if image.format == "PNG" and is_8_bits and content[PNG_BIT_DEPTH_AT] <= 8:
            return Texture(content, "image/png")
        try:
            return png(in_8_bits(in_srgb(image)))
        except ValueError as error:
            raise _unreadable(name) from error


def pixels(content: bytes, name: str) -> int:
    """The number of the image's pixels, from its header. Raises InvalidFormat: unreadable or too large."""
    with _opened(content, name) as image:
        return image.width * image.height


def roughness_and_metal(roughness: bytes | None, metal: bytes | None) -> Texture:
    """Combine two grey images, of which None is white, to glTF's: roughness is green, metal is blue."""
    channels = [_grey(content) for content in (roughness, metal)]
    size = max(channel.size for channel in channels if channel)
    white = Image.new("L", size, 255)
    green, blue = (channel.resize(size) if channel else white for channel in channels)
    return png(Image.merge("RGB", (white, green, blue)))


def png(image: Image.Image) -> Texture:
    file = io.BytesIO()
    image.info.clear()
    image.save(file, "PNG")
    return Texture(file.getvalue(), "image/png")


def _grey(content: bytes | None) -> Image.Image | None:
    if content is None:
        return None
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("L")


def _opened(content: bytes, name: str) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # the limit below has a message for the client
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if max(image.size) > MAX_TEXTURE_SIDE_PIXELS:
            raise InvalidFormat(
                f"The texture {name[:80]!a} has {image.width}x{image.height} pixels: "
                f"the maximum is {MAX_TEXTURE_SIDE_PIXELS} per side"
            )
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(name) from error
    return image


def _unreadable(name: str) -> InvalidFormat:
    return InvalidFormat(f"The texture {name[:80]!a} is not a readable JPG, PNG, TIFF, BMP or TGA: export it again")
