"""Models whose document stands for far more than its bytes, leads out of the file, or breaks a parser."""

import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.support.assets import ASSETS
from tests.support.glb import binary_chunk, chunk, container, glb, json_chunk

FLOAT, SHORT = 5126, 5123
TRIANGLE = struct.pack("<9f3H2x", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 2)
VIEWS = [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 6}]
POSITIONS = {"bufferView": 0, "componentType": FLOAT, "count": 3, "type": "VEC3"}
INDICES = {"bufferView": 1, "componentType": SHORT, "count": 3, "type": "SCALAR"}
PRIMITIVE = {"attributes": {"POSITION": 0}, "indices": 1}
FOREIGN_URIS = [
    "/etc/passwd",
    "../../etc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\secret.bin",
    "\\\\host\\share\\a.bin",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data",
    "https://example.com/a.bin",
    "//example.com/a.bin",
    "/proc/self/environ",
    "/dev/zero",
    "data:text/plain,abc",
    "data:;base64,AAA",
    "data:;base64,/etc/passwd;base64,AAAA",
    "DATA:;base64,AAAA",
    "",
    "x" * 100_000,
]

Document = dict[str, Any]


def models() -> Iterator[tuple[str, bytes, str]]:
    """Suffix, content and description of each."""
    for times in (1, 4):
        yield from _counts(times)
    for count in (10**6, 10**8, 2**31, 10**12, 2**63, 10**200):
        yield from _accessors(count)
    yield from _trees()
    yield from _draco()
    yield from _meshopt()
    yield from _texts()
    yield from _uris()
    yield from _json()
    yield from _containers()


def triangle(**parts: Any) -> Document:
    """A triangle with other parts of the document."""
    return {
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "meshes": [{"primitives": [PRIMITIVE]}],
        "accessors": [POSITIONS, INDICES],
        "bufferViews": VIEWS,
    } | parts


def _glb(document: Document, binary: bytes = TRIANGLE) -> bytes:
    return glb(binary, **document)


def _counts(times: int) -> Iterator[tuple[str, bytes, str]]:
    """More of each part than the limits allow, by default."""
    zeros = {"componentType": FLOAT, "count": 1000, "type": "VEC3"}
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    keys = {"componentType": FLOAT, "count": 60_000, "type": "SCALAR"}
    moves = {"componentType": FLOAT, "count": 60_000, "type": "VEC3"}
    sampler = {"input": 2, "output": 3}
    skin = {"joints": [0] * 5000}
    instancing = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 2}}}
    parts: dict[str, Document] = {
        "nodes": {"nodes": [{"mesh": 0}] * 60_000 * times, "scenes": []},
        "scenes": {"scenes": [{"nodes": [0]}] * 30 * times},
        "meshes": {"meshes": [{"primitives": [PRIMITIVE]}] * 25_000 * times},
        "primitives": {"meshes": [{"primitives": [PRIMITIVE] * 25_000 * times}]},
        "materials": {"materials": [{}] * 2500 * times},
        "clips": {"animations": [{"channels": [], "samplers": []}] * 1100 * times},
        "keyframes": {
            "accessors": [POSITIONS, INDICES, keys, moves],
            "animations": [{"channels": [channel] * 100 * times, "samplers": [sampler]}],
        },
        "joints": {"nodes": [{"mesh": 0, "skin": 0}] * 6 * times, "scenes": [], "skins": [skin]},
        "skins of many joints": {"skins": [skin] * 6 * times},
        "instances": {
            "accessors": [POSITIONS, INDICES, zeros | {"count": 60_000 * times}],
            "nodes": [{"mesh": 0, "extensions": instancing}],
        },
        "nodes of instances": {
            "accessors": [POSITIONS, INDICES, zeros],
            "nodes": [{"mesh": 0, "extensions": instancing}] * 60 * times,
            "scenes": [],
        },
        "uses of a mesh of a million triangles": {
            "accessors": [POSITIONS, INDICES | {"bufferView": 2, "count": 3 * 10**6}],
            "bufferViews": [*VIEWS, {"buffer": 0, "byteLength": 6 * 10**6}],
            "nodes": [{"mesh": 0}] * 11 * times,
            "scenes": [],
        },
        "primitives of a shared accessor without data": {
            "accessors": [zeros | {"count": 10**6}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 25 * times}],
        },
        "morph targets of a shared accessor": {
            "accessors": [zeros | {"count": 9999}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "targets": [{"POSITION": 0}] * 5200 * times}]}],
        },
        "attributes of a shared accessor": {
            "accessors": [zeros | {"count": 10**6, "componentType": 5121}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0} | {f"_A{n}": 0 for n in range(200 * times)}}]}],
        },
        "sets of joints and weights": {
            "accessors": [zeros | {"count": 10**6}, zeros | {"count": 10**6, "componentType": 5121, "type": "VEC4"}],
            "meshes": [
                {
                    "primitives": [
                        {
                            "attributes": {"POSITION": 0}
                            | {f"{kind}_{n}": 1 for n in range(8 * times) for kind in ("JOINTS", "WEIGHTS")}
                        }
                    ]
                }
            ],
        },
    }
    for what, changes in parts.items():
        binary = TRIANGLE + bytes(6 * 10**6) if what.startswith("uses") else TRIANGLE
        yield "glb", _glb(triangle(**changes), binary), f"too many {what} ({times})"


def _accessors(count: int) -> Iterator[tuple[str, bytes, str]]:
    """One accessor of many elements and no data, in each use."""
    zeros = {"componentType": FLOAT, "count": count, "type": "VEC3"}
    sparse = zeros | {
        "sparse": {
            "count": 1,
            "indices": {"bufferView": 1, "componentType": SHORT},
            "values": {"bufferView": 0},
        }
    }
    uses: dict[str, Document] = {
        "positions": {"accessors": [zeros, INDICES]},
        "sparse positions": {"accessors": [sparse, INDICES]},
        "sparse positions of a thousand primitives": {
            "accessors": [sparse, INDICES],
            "meshes": [{"primitives": [PRIMITIVE] * 1000}],
        },
        "indices": {"accessors": [POSITIONS, zeros | {"type": "SCALAR", "componentType": SHORT}]},
        "a morph target": {
            "accessors": [POSITIONS, INDICES, zeros],
            "meshes": [{"primitives": [PRIMITIVE | {"targets": [{"POSITION": 2}]}]}],
        },
        "inverse bind matrices": {
            "accessors": [POSITIONS, INDICES, zeros | {"type": "MAT4"}],
            "nodes": [{"mesh": 0, "skin": 0}],
            "skins": [{"joints": [0], "inverseBindMatrices": 2}],
        },
        "times": {
            "accessors": [POSITIONS, INDICES, zeros | {"type": "SCALAR"}, zeros],
            "animations": [
                {
                    "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
                    "samplers": [{"input": 2, "output": 3}],
                }
            ],
        },
        "instances": {
            "accessors": [POSITIONS, INDICES, zeros],
            "nodes": [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 2}}}}],
        },
    }
    for what, changes in uses.items():
        yield "glb", _glb(triangle(**changes)), f"{count} elements without data as {what}"
    for primitives in (1, 100):
        yield "glb", draco_shared(count, primitives), f"{count} elements of Draco's shared by {primitives} primitives"


def _trees() -> Iterator[tuple[str, bytes, str]]:
    for depth in (201, 1000, 20_000):
        chain: list[Document] = [{"children": [number + 1]} for number in range(depth)] + [{"mesh": 0}]
        yield "glb", _glb(triangle(nodes=chain)), f"nodes of {depth} levels"
        yield "glb", _glb(triangle(nodes=chain, skins=[{"joints": list(range(depth))}])), f"joints of {depth} levels"
        everywhere = [{"nodes": list(range(depth))}]
        yield "glb", _glb(triangle(nodes=chain, scenes=everywhere)), f"each of {depth} levels in the scene"
    yield "glb", _glb(triangle(nodes=[{"mesh": 0, "children": [0]}])), "a node that is its own child"
    yield "glb", _glb(triangle(nodes=[{"children": [1]}, {"children": [0]}])), "two nodes in a circle"
    yield "glb", _glb(triangle(nodes=[{"children": [1, 1]}, {"mesh": 0}])), "a child twice"
    yield "glb", _glb(triangle(scenes=[{"nodes": [0] * 100_000}])), "a node in the scene 100,000 times"


def draco_header(method: int, points: int, faces: int, version: tuple[int, int] = (2, 2), flags: int = 0) -> bytes:
    """The start of Draco's data: sequential (0) or edgebreaker (1), with its counts as numbers of 7 bits a byte."""

    def varint(number: int) -> bytes:
        parts = bytearray()
        while number > 0x7F:
            parts.append(number & 0x7F | 0x80)
            number >>= 7
        return bytes([*parts, number])

    counts = varint(faces) + varint(points) if method == 0 else b"\0" + varint(points) + varint(faces)
    return b"DRACO" + bytes([*version, 1, method]) + struct.pack("<H", flags) + counts


def with_draco(data: bytes, **primitive: Any) -> bytes:
    """A triangle whose geometry is this data of Draco."""
    extension = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    return glb(
        data + bytes(4),
        nodes=[{"mesh": 0}],
        meshes=[{"primitives": [PRIMITIVE | {"extensions": extension} | primitive]}],
        accessors=[
            {"componentType": FLOAT, "count": 3, "type": "VEC3"},
            {"componentType": SHORT, "count": 3, "type": "SCALAR"},
        ],
        bufferViews=[{"buffer": 0, "byteLength": len(data)}],
        extensionsUsed=["KHR_draco_mesh_compression"],
        extensionsRequired=["KHR_draco_mesh_compression"],
    )


def draco_shared(count: int, primitives: int) -> bytes:
    """A good model of Draco whose positions are said to be `count`, and plain primitives that name the same ones."""
    content = (ASSETS / "draco.glb").read_bytes()
    (size,) = struct.unpack_from("<I", content, 12)
    document = json.loads(content[20 : 20 + size])
    mesh = document["meshes"][0]["primitives"]
    document["accessors"][mesh[0]["attributes"]["POSITION"]]["count"] = count
    mesh += [{"attributes": {"POSITION": mesh[0]["attributes"]["POSITION"]}}] * primitives
    return container(json_chunk(document), content[20 + size :])


def _draco() -> Iterator[tuple[str, bytes, str]]:
    for method in (0, 1):
        for points, faces in [(3, 2 * 10**7), (10**8, 1), (2**32 - 1, 2**32 - 1), (3, 1), (2**60, 2**60), (0, 0)]:
            data = draco_header(method, points, faces) + bytes(64)
            yield "glb", with_draco(data), f"{points} points and {faces} faces of Draco ({method})"
        for version in [(2, 0), (1, 0), (9, 9)]:
            yield "glb", with_draco(draco_header(method, 3, 1, version) + bytes(64)), f"Draco {version} ({method})"
        yield "glb", with_draco(draco_header(method, 3, 1, flags=0x8000) + b"\xff" * 64), f"Draco's metadata ({method})"
        yield "glb", with_draco(draco_header(method, 3, 1)[:9]), f"a part of Draco's header ({method})"
        sequential = b"\x01" * 30 + b"\xff" * 30
        yield "glb", with_draco(draco_header(method, 2**21, 3) + sequential), f"few faces of many points ({method})"
    yield "glb", with_draco(b"DRACO" + b"\xff" * 60), "nonsense after Draco's magic"
    yield "glb", with_draco(b"\xff" * 60), "nonsense instead of Draco"
    good = (ASSETS / "draco.glb").read_bytes()
    at = good.find(b"DRACO")
    for offset in range(11, 200, 9):
        yield "glb", good[: at + offset] + b"\xff\xff\x7f" + good[at + offset + 3 :], f"Draco with byte {offset} broken"


def _meshopt() -> Iterator[tuple[str, bytes, str]]:
    for count, stride in [(10**6, 256), (10**8, 256), (2**31, 4), (2**40, 256), (4, 12)]:
        for mode in ("ATTRIBUTES", "TRIANGLES", "INDICES"):
            extension = {"buffer": 0, "byteLength": 36, "byteStride": stride, "count": count, "mode": mode}
            fallback = {"byteLength": count * stride, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}
            view = {"buffer": 1, "byteLength": count * stride, "extensions": {"EXT_meshopt_compression": extension}}
            document = triangle(bufferViews=[view, VIEWS[1]]) | {
                "asset": {"version": "2.0"},
                "buffers": [{"byteLength": len(TRIANGLE)}, fallback],
                "extensionsUsed": ["EXT_meshopt_compression"],
                "extensionsRequired": ["EXT_meshopt_compression"],
            }
            content = container(json_chunk(document), binary_chunk(TRIANGLE))
            yield "glb", content, f"{count} elements of {stride} bytes of meshopt's {mode}"


def _texts() -> Iterator[tuple[str, bytes, str]]:
    for length in (257, 10**6, 15 * 10**6):
        name = "n" * length
        clip = {"name": name, "channels": [], "samplers": []}
        named: dict[str, Document] = {
            "a clip": {"animations": [clip]},
            "a node": {"nodes": [{"mesh": 0, "name": name}]},
            "a mesh": {"meshes": [{"primitives": [PRIMITIVE], "name": name}]},
            "a material": {"materials": [{"name": name}]},
            "an attribute": {"meshes": [{"primitives": [{"attributes": {"POSITION": 0, f"_{name}": 0}}]}]},
        }
        for what, changes in named.items():
            yield "glb", _glb(triangle(**changes)), f"{length} characters in the name of {what}"
    for text in ("\0", "\u202e", "\ud83d", "../../etc/passwd", "%s%n", "{0.__class__}", "';DROP TABLE models;--"):
        document = {"asset": {"version": "2.0"}, "animations": [{"name": text, "channels": [], "samplers": []}]}
        yield "gltf", json.dumps(document).encode(), f"a clip with the name {text!a}"


def _uris() -> Iterator[tuple[str, bytes, str]]:
    for uri in FOREIGN_URIS:
        shown = uri[:60]
        image = {"images": [{"uri": uri}], "textures": [{"source": 0}]}
        material = {"materials": [{"emissiveTexture": {"index": 0}}]}
        yield "glb", _glb(triangle(**image, **material)), f"a picture at {shown}"
        document = triangle(buffers=[{"uri": uri, "byteLength": 44}], asset={"version": "2.0"})
        yield "gltf", json.dumps(document).encode(), f"a buffer at {shown}"


def _json() -> Iterator[tuple[str, bytes, str]]:
    asset = b'{"asset": {"version": "2.0"}, "extras": %s}'
    for depth in (101, 10_000, 10**6):
        yield "gltf", asset % (b"[" * depth + b"]" * depth), f"JSON of {depth} levels"
        yield "gltf", asset % (b'{"a":' * depth + b"1" + b"}" * depth), f"JSON of {depth} objects in each other"
    for what, value in {
        "a million lists": b"[" + b"[]," * 10**6 + b"[]]",
        "two million numbers": b"[" + b"1," * 2 * 10**6 + b"1]",
        "a million keys": b"{" + b",".join(b'"%d":1' % number for number in range(10**6)) + b"}",
        "a number of a million digits": b"9" * 10**6,
        "a number beyond all floats": b"1e999",
        "a number of 300 digits": b"9" * 300,
        "not a number": b"NaN",
        "a text that does not end": b'"' + b"a" * 10**6,
        "many escapes": b'"' + b"\\u0041" * 10**6 + b'"',
        "bytes that are not UTF-8": b'"\xff\xfe"',
    }.items():
        yield "gltf", asset % value, what
    yield "gltf", b"[" * 10**6, "a million brackets"
    yield "gltf", b" " * 10**6, "a million spaces"
    yield "gltf", b"\xff\xfe" + json.dumps({"asset": {"version": "2.0"}}).encode("utf-16-le"), "UTF-16"
    yield "gltf", b'{"asset": {"version": "2.0"}, "asset": {"version": "3.0"}}', "a key twice"


def _containers() -> Iterator[tuple[str, bytes, str]]:
    text, data = json_chunk({"asset": {"version": "2.0"}}), binary_chunk(TRIANGLE)
    for what, content in {
        "a length of 4 GB": container(text, length=2**32 - 1),
        "a length of nothing": container(text, length=0),
        "version 1": container(text, version=1),
        "a chunk of 4 GB": container(struct.pack("<I4s", 2**32 - 4, b"JSON") + b"{}  "),
        "a million chunks": container(text, *[chunk(b"TEST", b"")] * 10**6),
        "two JSON chunks": container(text, text),
        "two binary chunks": container(text, data, data),
        "a binary chunk first": container(data, text),
        "no chunk": container(),
        "half a header": b"glTF\2\0",
        "a GLB in a GLB": container(text, chunk(b"BIN\0", container(text))),
        "a buffer of 4 GB": container(
            json_chunk({"asset": {"version": "2.0"}, "buffers": [{"byteLength": 2**32}]}), data
        ),
    }.items():
        yield "glb", content, what
    yield "gltf", container(text), "a GLB that is called .gltf"
    yield "glb", json.dumps({"asset": {"version": "2.0"}}).encode(), "a glTF that is called .glb"
    for name in ("exe", "blend", "usdz", "fbx", "zip.glb.svg"):
        yield name, container(text), f"a GLB that is called .{name}"
