"""Checks the pictures in a glTF: formats that glTF allows, of bounded size, and complete.

Blender's importer gives a picture's bytes to OpenImageIO, which recognises dozens of formats by their content whatever
the document calls them, and some of its readers crash on damaged files. So a picture must be PNG, JPEG or WebP (or KTX2
where farm.intake.unpack makes a PNG of it), and Pillow must decode all of it here, where memory and time are limited.

A picture is decoded and not rewritten: rewriting takes ten times as long, loses quality, and changes the client's file.
A JPEG is decoded at an eighth of its size, which reads every byte of it but computes only a few of its pixels.
"""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from farm.errors import InvalidFormat
from farm.intake.binary import JsonObject
from farm.intake.buffers import Buffers
from farm.intake.document import basisu_of, meshopt_of
from farm.intake.json_paths import invalid, quoted, quoted_bytes
from farm.intake.limits import check
from farm.settings import ModelLimits

PNG, JPEG, WEBP, KTX2 = "image/png", "image/jpeg", "image/webp", "image/ktx2"
PILLOW_FORMATS = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP"}
KTX2_SIZE_AT = 20  # of width and height, 32 bits each
JPEG_REDUCTION = 8
ALIASES = {"image/jpg": JPEG}
UNSPECIFIC = ("", "application/octet-stream", "application/gltf-buffer")  # media types of data: URIs
_MEDIA_TYPE = re.compile(r"data:([^;,]*)")
_FIX = "export the model again with PNG or JPEG textures"


@dataclass(frozen=True)
class _Picture:
    path: str
    content: memoryview
    kind: str


def check_pictures(document: JsonObject, buffers: Buffers, limits: ModelLimits) -> None:
    """Check the pictures that Blender or farm.intake.unpack would open; others are never read.

    Requires a document that has passed check_schema, check_buffer_views and check_images. Raises InvalidFormat: a
    picture has another format than allowed or stated, too many pixels, or cannot be decoded.
    """
    pictures, total = [], 0
    for number, image, may_be_ktx2 in _opened_images(document, limits):
        path = f"images[{number}]"
        content = buffers.embedded(image["uri"]) if "uri" in image else buffers.view(image["bufferView"])
        picture = _Picture(path, content, _kind(image, path, content, may_be_ktx2))
        width, height = _size(picture)
        if width * height > limits.max_picture_pixels:
            raise invalid(
                path,
                f"has {width}x{height} pixels: {limits.max_picture_pixels:,} are allowed, so make the texture smaller",
            )
        total += width * height
        check("pixels in its textures", total, limits.max_texture_pixels)
        pictures.append(picture)
    for picture in pictures:  # after the cheap checks of all
        if picture.kind != KTX2:
            _decode(picture)


def _opened_images(document: JsonObject, limits: ModelLimits) -> Iterator[tuple[int, JsonObject, bool]]:
    """The images that a texture refers to, with their numbers, and whether unpack would convert them from KTX2."""
    opened: dict[int, bool] = {}
    for texture in document.get("textures", []):
        basisu, webp = basisu_of(texture), texture.get("extensions", {}).get("EXT_texture_webp", {})
        for source in (texture.get("source"), webp.get("source")):
            if source is not None:
                opened.setdefault(source, False)
        if basisu and "source" in basisu and "source" not in texture:
            opened[basisu["source"]] = True
    check("pictures", len(opened), limits.max_pictures)
    for number, may_be_ktx2 in opened.items():
        image = document["images"][number]
        if "bufferView" not in image or not meshopt_of(document["bufferViews"][image["bufferView"]]):
            yield number, image, may_be_ktx2


def _kind(image: JsonObject, path: str, content: memoryview, may_be_ktx2: bool) -> str:
    """The media type by content, which must be that of the document, too."""
    start = bytes(content[:16])
    if start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:] == b"IHDR":
        kind = PNG
    elif start[:3] == b"\xff\xd8\xff":
        kind = JPEG
    elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = WEBP
    elif start[:12] == b"\xabKTX 20\xbb\r\n\x1a\n" and may_be_ktx2:
        kind = KTX2
    elif may_be_ktx2:
        raise invalid(path, f"is not a readable KTX2 texture (it starts with {quoted_bytes(start[:8])}): {_FIX}")
    else:
        raise invalid(path, f"is neither PNG, JPEG nor WebP (it starts with {quoted_bytes(start[:8])}): {_FIX}")
    for stated in _stated_types(image):
        if ALIASES.get(stated, stated) != kind:
            raise invalid(path, f"is {kind}, but the model calls it {quoted(stated)}: {_FIX}")
    return kind


def _stated_types(image: JsonObject) -> Iterator[str]:
    if "mimeType" in image:
        yield image["mimeType"].strip().lower()
    if "uri" in image and (head := _MEDIA_TYPE.match(image["uri"])) and head[1].lower() not in UNSPECIFIC:
        yield head[1].lower()


def _size(picture: _Picture) -> tuple[int, int]:
    """Width and height in pixels, from the header."""
    if picture.kind == KTX2:
        if len(picture.content) < KTX2_SIZE_AT + 8:
            raise invalid(picture.path, f"is not a readable KTX2 texture, it ends in its header: {_FIX}")
        width, height = struct.unpack_from("<II", picture.content, KTX2_SIZE_AT)
        return width, max(height, 1)
    with _open(picture) as image:
        return image.size


def _decode(picture: _Picture) -> None:
    with _open(picture) as image:
        if picture.kind != JPEG and getattr(image, "n_frames", 1) > 1:
            raise invalid(picture.path, f"is an animation of {image.n_frames} pictures: {_FIX}")  # type: ignore[attr-defined]
        if picture.kind == JPEG:
            image.draft("L", (image.width // JPEG_REDUCTION or 1, image.height // JPEG_REDUCTION or 1))
        try:
            image.load()
        except MemoryError:
            raise
        except Exception as error:
            raise _unreadable(picture) from error


def _open(picture: _Picture) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # the limits above have messages for the client
    try:
        return Image.open(io.BytesIO(picture.content), formats=[PILLOW_FORMATS[picture.kind]])
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them run into
        raise _unreadable(picture) from error


def _unreadable(picture: _Picture) -> InvalidFormat:
    name = PILLOW_FORMATS[picture.kind]
    return invalid(picture.path, f"is a damaged {name}, which cannot be decoded completely: {_FIX}")
