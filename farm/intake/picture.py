"""Makes an untrusted image harmless: decodes and re-encodes it, so that only pixels remain.

Runs in a process of its own: `sandbox.run("farm.intake.picture", ...)`.
"""

import io
from typing import Any, BinaryIO

from PIL import Image, ImageCms, ImageOps

from farm.errors import InvalidFormat
from farm.intake import sandbox

MAX_PIXELS = 50_000_000
FORMATS = ["PNG", "JPEG", "WEBP"]


def reencode(source: BinaryIO, target: BinaryIO) -> dict[str, Any]:
    """Write the image upright and in sRGB: a JPEG as JPEG, all others as PNG; the first frame of an animated image.

    Returns its `content_type`, and `width` and `height` in pixels. Raises InvalidFormat.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit below has a message for the client
    try:
        with Image.open(source, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InvalidFormat(
                    f"The picture has {opened.width}x{opened.height} pixels: the maximum is "
                    f"{MAX_PIXELS // 10**6} million pixels"
                )
            picture = in_8_bits(in_srgb(ImageOps.exif_transpose(opened)))
            is_jpeg = opened.format == "JPEG"
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidFormat("The file is not a readable PNG, JPEG or WebP picture") from error
    picture.info.clear()
    if is_jpeg:
        picture.save(target, "JPEG", quality=95, subsampling=0)
    else:
        picture.save(target, "PNG")
    return {
        "content_type": "image/jpeg" if is_jpeg else "image/png",
        "width": picture.width,
        "height": picture.height,
    }


def in_srgb(picture: Image.Image) -> Image.Image:
    """Convert an image with a colour profile (Adobe RGB, Display P3, CMYK) to sRGB; a broken profile is ignored."""
    profile = picture.info.get("icc_profile")
    if profile is None:
        return picture
    if picture.mode not in ("RGB", "RGBA", "L", "CMYK"):
        picture = in_8_bits(picture)
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return converted or picture


def in_8_bits(picture: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB, or RGBA if the image has transparency."""
    if picture.mode.startswith("I"):  # 16 bits of grey, which PIL would clip rather than scale
        picture = picture.point(lambda value: value / 257).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


if __name__ == "__main__":
    sandbox.main(reencode)
