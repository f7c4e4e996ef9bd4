"""Models with hostile pictures: foreign formats under a false name, damaged files, and a few bytes for many pixels."""

import base64
import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from tests.support.glb import glb

PNG_START = b"\x89PNG\r\n\x1a\n"
KTX2_START = b"\xabKTX 20\xbb\r\n\x1a\n"
STATED = ["image/png", "image/jpeg", "image/webp", None]


def models() -> Iterator[tuple[str, bytes, str]]:
    """Suffix, content and description of each."""
    for number, (kind, content) in enumerate(foreign().items()):
        for stated in STATED:
            yield "glb", textured(content, stated), f"a picture in {kind} that is called {stated}"
        yield "glb", textured(content, STATED[number % 3], embedded=True), f"a picture in {kind} in a data: URI"
    good = {kind: picture(kind) for kind in ("PNG", "JPEG", "WEBP")}
    for kind, content in good.items():
        for percent in (1, 10, 30, 50, 70, 90, 99):
            cut = content[: len(content) * percent // 100]
            yield "glb", textured(cut, f"image/{kind.lower()}"), f"the first {percent} % of a {kind}"
        for seed in range(8):
            broken = flipped(content, seed)
            yield "glb", textured(broken, f"image/{kind.lower()}"), f"a {kind} with flipped bits ({seed})"
        others = [other for other in good if other != kind]
        for other in others:
            yield "glb", textured(content, f"image/{other.lower()}"), f"a {kind} that is called {other}"
    for description, content in hostile_pngs():
        yield "glb", textured(content, "image/png"), f"a PNG with {description}"
    for description, content in hostile_jpegs():
        yield "glb", textured(content, "image/jpeg"), f"a JPEG with {description}"
    for description, content in hostile_webps():
        yield "glb", textured(content, "image/webp"), f"a WebP with {description}"
    for description, content in hostile_ktx2s():
        yield "glb", textured(content, "image/ktx2", is_ktx2=True), f"a KTX2 with {description}"
    many = png_of(8192, 8192, "1")
    yield "glb", textured(many, "image/png", images=20), "twenty times the same 67 million pixels"
    yield "glb", textured(picture("PNG"), "image/png", images=1001), "1001 pictures"


def textured(
    content: bytes, stated: str | None, *, embedded: bool = False, is_ktx2: bool = False, images: int = 1
) -> bytes:
    """A GLB of a triangle with this picture as its base colour. `stated` is its media type in the document."""
    positions = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    image: dict[str, Any] = {"bufferView": 1}
    if stated:
        image["mimeType"] = stated
    views = [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": max(len(content), 1)}]
    if embedded:
        image = {"uri": f"data:{stated or ''};base64,{base64.b64encode(content).decode()}"}
    extensions = {"extensionsUsed": ["KHR_texture_basisu"], "extensionsRequired": ["KHR_texture_basisu"]}
    sources: list[dict[str, Any]] = [
        {"extensions": {"KHR_texture_basisu": {"source": number}}} if is_ktx2 else {"source": number}
        for number in range(images)
    ]
    return glb(
        positions + content + bytes(4),
        nodes=[{"mesh": 0}],
        scenes=[{"nodes": [0]}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
        accessors=[
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        bufferViews=views,
        materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": number}}} for number in range(images)],
        textures=sources,
        images=[image] * images,
        **(extensions if is_ktx2 else {}),
    )


def picture(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """A picture of noise, as Pillow writes it."""
    noise = random.Random(1).randbytes(size[0] * size[1] * len(Image.new(mode, (1, 1)).tobytes()))
    file = io.BytesIO()
    Image.frombytes(mode, size, noise).save(file, kind, **options)
    return file.getvalue()


def foreign() -> dict[str, bytes]:
    """Starts of formats that OpenImageIO reads or a browser would; those that Pillow writes are whole files."""
    noise = random.Random(2).randbytes(2048)
    written = {kind: picture(kind) for kind in ("BMP", "TGA", "TIFF", "GIF", "ICO", "PPM", "SGI", "PCX", "DDS")}
    dpx = struct.pack(">4sI8sI", b"SDPX", 2048, b"V1.0\0\0\0\0", 8192) + noise
    return written | {
        "big-endian TIFF": b"MM\0*" + struct.pack(">I", 8) + noise,
        "BigTIFF": b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + noise,
        "DPX": dpx,
        "little-endian DPX": b"XPDS" + dpx[4:],
        "Cineon": struct.pack(">II", 0x802A5FD7, 1024) + noise,
        "Radiance HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n" + noise,
        "OpenEXR": struct.pack("<II", 20000630, 2) + noise,
        "Photoshop": struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 30000, 30000, 8, 3) + noise,
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + noise,
        "JPEG 2000 codestream": b"\xff\x4f\xff\x51" + noise,
        "PFM": b"PF\n60000 60000\n-1.0\n" + noise,
        "IFF": b"FOR4" + struct.pack(">I", 2000) + b"CIMG" + noise,
        "Softimage": struct.pack(">I", 0x5380F634) + noise,
        "FITS": b"SIMPLE  =                    T" + noise,
        "Zfile": struct.pack("<I", 0x2F0867AB) + noise,
        "AVIF": b"\0\0\0\x1cftypavif" + noise,
        "HEIC": b"\0\0\0\x18ftypheic" + noise,
        "video": b"\0\0\0\x20ftypisom" + noise,
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "PDF": b"%PDF-1.7\n" + noise,
        "a program": b"\x7fELF\x02\x01\x01" + noise,
        "nothing": b"",
        "a PNG's signature alone": PNG_START,
        "a PNG's signature and an EXR": PNG_START + struct.pack("<II", 20000630, 2) + noise,
    }


def flipped(content: bytes, seed: int) -> bytes:
    draw, changed = random.Random(seed), bytearray(content)
    for _ in range(12):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def png_chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG; `checksum` overrides its own."""
    own = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", own)


def png_of(width: int, height: int, mode: str = "L") -> bytes:
    """A black PNG, compressed a thousandfold, with honest numbers."""
    row = 1 + (width + 7) // 8 if mode == "1" else 1 + width
    packer, rows = zlib.compressobj(9), []
    for _ in range(height):
        rows.append(packer.compress(bytes(row)))
    data = b"".join(rows) + packer.flush()
    return png(width, height, data, depth=1 if mode == "1" else 8)


def png(
    width: int, height: int, data: bytes, *, depth: int = 8, color: int = 0, interlace: int = 0, before: bytes = b""
) -> bytes:
    """A PNG with this compressed data, `before` which other chunks come."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return PNG_START + png_chunk(b"IHDR", header) + before + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def hostile_pngs() -> Iterator[tuple[str, bytes]]:
    pixels = zlib.compress(bytes(64 * 65))
    for width, height in [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (0, 64), (20_000, 20_000)]:
        yield f"{width}x{height} pixels in its header", png(width, height, pixels)
    yield "data for a fraction of its pixels", png(4000, 4000, pixels)
    bomb = zlib.compress(bytes(64 * 1024**2), 9)
    yield "64 MB of data for its 64x64 pixels", png(64, 64, bomb)
    for depth, color in [(3, 0), (8, 9), (16, 3), (4, 2)]:
        yield f"{depth} bits of colour type {color}", png(64, 64, pixels, depth=depth, color=color)
    yield "interlace method 7", png(64, 64, pixels, interlace=7)
    yield "a palette that is missing", png(64, 64, pixels, color=3)
    yield "a filter that does not exist", png(64, 64, zlib.compress(b"\x09" * (64 * 65)))
    yield "data that is not compressed", png(64, 64, bytes(64 * 65))
    for kind, content in {
        b"zTXt": b"Comment\0\0" + bomb,
        b"iTXt": b"Comment\0\x01\0\0\0" + bomb,
        b"iCCP": b"profile\0\0" + bomb,
        b"eXIf": b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
        b"gAMA": b"\0",
        b"tRNS": bytes(1000),
        b"acTL": struct.pack(">II", 2**31 - 1, 0),
    }.items():
        yield f"a hostile {kind.decode()}", png(64, 64, pixels, before=png_chunk(kind, content))
    good = picture("PNG")
    yield "a wrong checksum", good.replace(good[29:33], b"\0\0\0\0", 1)
    yield "a chunk that is longer than the file", PNG_START + struct.pack(">I4s", 2**31 - 1, b"IHDR") + good[16:]
    yield "100,000 chunks", png(64, 64, pixels, before=png_chunk(b"teSt", b"") * 100_000)
    yield "two headers", png(64, 64, pixels, before=good[8:33])
    yield "no data", PNG_START + good[8:33] + png_chunk(b"IEND", b"")
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    yield "an animation", file.getvalue()


def hostile_jpegs() -> Iterator[tuple[str, bytes]]:
    good, progressive = picture("JPEG"), picture("JPEG", progressive=True)
    for name, content in (("", good), ("progressive and ", progressive)):
        at = next(content.find(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in content)
        for width, height in [(65_535, 65_535), (0, 0), (1, 65_535)]:
            size = struct.pack(">HH", height, width)
            yield f"{name}{width}x{height} pixels in its header", content[: at + 5] + size + content[at + 9 :]
        yield f"{name}200 components", content[: at + 9] + b"\xc8" + content[at + 10 :]
        yield f"{name}12 bits", content[: at + 4] + b"\x0c" + content[at + 5 :]
        scan = content.find(b"\xff\xda")
        yield f"{name}no data", content[:scan] + b"\xff\xd9"
        yield f"{name}a thousand scans", content[:scan] + content[scan:-2] * 1000 + b"\xff\xd9"
    table = good.find(b"\xff\xc4")
    yield "a Huffman table that is too long", good[: table + 5] + b"\xff" * 16 + good[table + 21 :]
    yield "no quantization tables", good.replace(b"\xff\xdb", b"\xff\xfe")
    yield "a segment of no length", good[:2] + b"\xff\xe1\0\0" + good[2:]
    yield "a broken EXIF", good[:2] + b"\xff\xe1\0\x20Exif\0\0II*\0\xff\xff\xff\xff" + bytes(16) + good[2:]
    yield "a megabyte of padding", good[:2] + b"\xff" * 1024**2 + good[2:]


def hostile_webps() -> Iterator[tuple[str, bytes]]:
    good, lossless = picture("WEBP"), picture("WEBP", lossless=True)

    def riff(*chunks: bytes, size: int | None = None) -> bytes:
        body = b"WEBP" + b"".join(chunks)
        return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body

    canvas = b"VP8X" + struct.pack("<I", 10)
    for flags in (0, 0x02, 0x10, 0xFF):
        yield (
            f"a canvas of 16 million squared ({flags})",
            riff(canvas + bytes([flags, 0, 0, 0]) + b"\xff" * 6, good[12:]),
        )
    yield "a wrong size", riff(good[12:], size=2**32 - 1)
    yield "a chunk that is longer than the file", riff(b"VP8 " + struct.pack("<I", 2**31), good[20:])
    yield "lossless noise", riff(b"VP8L" + struct.pack("<I", 500) + b"\x2f" + random.Random(3).randbytes(499))
    yield "lossless data of 16384x16384 pixels", lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:]
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    yield "an animation", file.getvalue()


def hostile_ktx2s() -> Iterator[tuple[str, bytes]]:
    def header(width: int, height: int, layers: int, faces: int, levels: int, scheme: int) -> bytes:
        numbers = struct.pack("<9I", 0, 1, width, height, 0, layers, faces, levels, scheme)
        index = struct.pack("<4I2Q", 80 + 24, 44, 0, 0, 0, 0) + struct.pack("<3Q", 160, 2**40, 2**60)
        return KTX2_START + numbers + index + random.Random(4).randbytes(400)

    for width, height in [(60_000, 60_000), (2**32 - 1, 2**32 - 1), (0, 0), (64, 64)]:
        for scheme in (0, 1, 2, 99):
            yield f"{width}x{height} pixels and compression {scheme}", header(width, height, 0, 1, 1, scheme)
    yield "a million layers of 255 levels", header(64, 64, 10**6, 6, 255, 1)
    yield "its signature alone", KTX2_START
