"""Makes an untrusted image harmless: decodes and re-encodes it, so that only pixels remain.

Runs in a process of its own: `confined_process.run("farm.intake.picture", ...)`.
"""

import io
from math import sqrt
from typing import Any, BinaryIO

from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from farm.errors import InvalidFormat
from farm.intake import confined_process

MAX_PIXELS = 50_000_000
MAX_STORED_PIXELS = 16_000_000  # a 4K frame of any shape needs less
MAX_STORED_SIDE_PIXELS = 16_383  # of WebP
MAX_GROWTH = 2  # a lossless file may be this many times as large as the file sent
# Tried in this order. Method 0 takes a quarter of the time, and a tenth more bytes for photos, but many times more for
# gradients.
WEBP_OPTIONS: list[dict[str, Any]] = [{"lossless": True, "method": 0}, {"lossless": True, "method": 1}, {"quality": 95}]
FORMATS = ["PNG", "JPEG", "WEBP"]


def reencode(source: BinaryIO, target: BinaryIO) -> dict[str, Any]:
    """Write the image upright and in sRGB, a JPEG as JPEG, all others as WebP; the first frame of an animated image.

    It is scaled down to MAX_STORED_PIXELS. The stored file is not much larger than the one sent: a JPEG keeps its own
    quantisation and sampling, a WebP is lossless unless it grows by more than MAX_GROWTH.

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
            jpeg_options = as_sent(opened) if isinstance(opened, JpegImageFile) else None
            picture = scaled_down(in_8_bits(in_srgb(ImageOps.exif_transpose(opened))))
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidFormat("The file is not a readable PNG, JPEG or WebP picture") from error
    picture.info.clear()
    if jpeg_options:
        picture.save(target, "JPEG", **jpeg_options)
    else:
        target.write(as_webp(picture, MAX_GROWTH * source.seek(0, io.SEEK_END)))
    return {
        "content_type": "image/jpeg" if jpeg_options else "image/webp",
        "width": picture.width,
        "height": picture.height,
    }


def as_sent(jpeg: JpegImageFile) -> dict[str, Any]:
    """The options that encode a JPEG's pixels like the file itself; 4:2:0 where its sampling has no name."""
    return {"qtables": list(jpeg.quantization.values()), "subsampling": get_sampling(jpeg), "optimize": True}


def as_webp(picture: Image.Image, max_lossless_bytes: int) -> bytes:
    """The image as lossless WebP, or with losses if that takes more bytes; its transparency is always exact."""
    for options in WEBP_OPTIONS:
        file = io.BytesIO()
        picture.save(file, "WEBP", **options)
        if file.tell() <= max_lossless_bytes:
            break
    return file.getvalue()


def scaled_down(picture: Image.Image) -> Image.Image:
    """The image with at most MAX_STORED_PIXELS, and a long side of at most MAX_STORED_SIDE_PIXELS."""
    by_area = sqrt(MAX_STORED_PIXELS / (picture.width * picture.height))
    scale = min(by_area, MAX_STORED_SIDE_PIXELS / max(picture.size))
    if scale >= 1:
        return picture
    size = max(int(picture.width * scale), 1), max(int(picture.height * scale), 1)
    return picture.resize(size, Image.Resampling.LANCZOS)


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
    confined_process.main(reencode)
