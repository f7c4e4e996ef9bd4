"""Unpacking of glTF: meshopt-compressed geometry and KTX2 textures become a plain GLB that shows the same."""

import asyncio
import base64
import io
import json
import mmap
import struct
from pathlib import Path
from typing import Any

import meshopt
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from farm.errors import InvalidFormat
from farm.intake import confined_process, unpack
from farm.intake.buffers import Buffers
from farm.intake.check import check_model, read_document
from tests.intake.gltf_bytes import glb, refused
from tests.intake.packed import INDICES, KTX2, POSITIONS, compressed, mesh, textured

Arrays = NDArray[Any]


def unpacked(content: bytes, folder: Path, name: str = "packed.glb") -> tuple[dict[str, Any], Buffers]:
    """The document and the buffers of a file after `unpack`, which has passed check_model."""
    source, target = folder / name, folder / "plain.glb"
    source.write_bytes(content)
    assert check_model(source, source.name).packed
    with source.open("rb") as read, target.open("wb") as write:
        unpack.unpack(read, write)
    assert not check_model(target, target.name).packed
    with target.open("rb") as file:
        plain = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    document, payloads, stored = read_document(plain, "glb")
    return document, Buffers(document, payloads, stored)


def pixels(document: dict[str, Any], buffers: Buffers) -> Arrays:
    """The picture of texture 0."""
    image = document["images"][document["textures"][0]["source"]]
    assert image["mimeType"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(buffers.view(image["bufferView"]))))


class TestMeshopt:
    @pytest.mark.parametrize("name", ["EXT_meshopt_compression", "KHR_meshopt_compression"])
    def test_decodes_a_mesh(self, tmp_path: Path, name: str) -> None:
        document, buffers = unpacked(glb(*mesh(name)), tmp_path)
        positions, indices = (buffers.elements(accessor) for accessor in document["accessors"])
        assert (positions == POSITIONS).all()
        triangles = {tuple(np.roll(three, -three.argmin())) for three in indices.reshape(-1, 3)}
        assert triangles == {tuple(np.roll(three, -three.argmin())) for three in INDICES.reshape(-1, 3)}

    def test_leaves_the_other_extensions(self, tmp_path: Path) -> None:
        document, _ = unpacked(glb(*mesh()), tmp_path)
        assert document["extensionsUsed"] == document["extensionsRequired"] == ["KHR_mesh_quantization"]
        assert "meshopt" not in json.dumps(document)
        assert [len(document["buffers"]), document["nodes"]] == [1, [{"mesh": 0}]]

    def test_undoes_the_filters(self, tmp_path: Path) -> None:
        unit = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
        unit /= np.linalg.norm(unit[:, :3], axis=1, keepdims=True)
        rotations = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        document, buffers = unpacked(
            glb(
                *compressed(
                    (meshopt.encode_filter_oct(unit, 4, 8), "ATTRIBUTES", "OCTAHEDRAL"),
                    (meshopt.encode_filter_quat(rotations, 8, 16), "ATTRIBUTES", "QUATERNION"),
                    (meshopt.encode_filter_exp(POSITIONS, 15), "ATTRIBUTES", "EXPONENTIAL"),
                    (INDICES, "INDICES", "NONE"),
                )
            ),
            tmp_path,
        )
        views = [bytes(buffers.view(number)) for number in range(len(document["bufferViews"]))]
        normals = np.frombuffer(views[0], np.int8).reshape(-1, 4)[:, :3] / 127
        assert np.abs(normals - unit[:, :3]).max() < 0.03
        quaternions = np.frombuffer(views[1], np.int16).reshape(-1, 4) / 32767
        assert np.abs(np.abs((quaternions * rotations).sum(axis=1)) - 1).max() < 0.001
        assert np.abs(np.frombuffer(views[2], np.float32).reshape(-1, 3) - POSITIONS).max() < 0.001
        assert (np.frombuffer(views[3], np.uint16) == INDICES).all()

    def test_keeps_plain_views_and_embedded_buffers(self, tmp_path: Path) -> None:
        document, data = mesh()
        document["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(data).decode()
        document["buffers"].append({"byteLength": 5, "uri": "data:;base64,aGVsbG8="})
        document["bufferViews"].append({"buffer": 2, "byteOffset": 1, "byteLength": 3})
        _, buffers = unpacked(json.dumps(document).encode(), tmp_path, "packed.gltf")
        assert bytes(buffers.view(2)) == b"ell"

    @pytest.mark.parametrize("kept", [0, 1, 10, 300])
    def test_refuses_damaged_data(self, tmp_path: Path, kept: int) -> None:
        document, data = mesh()
        with pytest.raises(InvalidFormat, match=r"bufferViews\[0\] holds meshopt data that cannot be decoded"):
            unpacked(glb(document, data[:kept] + b"\xff" * (len(data) - kept)), tmp_path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"byteOffset": 10**6}, "EXT_meshopt_compression ends at byte"),
            ({"buffer": 1, "byteLength": 10}, "EXT_meshopt_compression has a buffer without data"),
            ({"count": 10**9}, "EXT_meshopt_compression decodes to 12000000000 bytes in a bufferView of 720"),
            ({"byteStride": 257}, "byteStride must be a whole number from 1 to 256"),
            ({"mode": "POINTS"}, 'mode is "POINTS"'),
            ({"filter": "SEPIA"}, 'filter is "SEPIA"'),
        ],
    )
    def test_refuses_impossible_ranges(self, change: dict[str, Any], message: str) -> None:
        document, data = mesh()
        document["bufferViews"][0]["extensions"]["EXT_meshopt_compression"] |= change
        refused(glb(document, data), "bufferViews[0].extensions", message)

    def test_refuses_a_plain_view_without_data(self) -> None:
        document, data = mesh()
        document["bufferViews"].append({"buffer": 1, "byteLength": 4})
        refused(glb(document, data), "buffers[1] has no data")

    def test_refuses_more_than_the_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpack, "MAX_UNPACKED_BYTES", 1000)
        with pytest.raises(InvalidFormat, match="unpacks to more than"):
            unpacked(glb(*mesh()), tmp_path)


class TestKtx2:
    @pytest.mark.parametrize("name", sorted(KTX2))
    def test_decodes_a_texture(self, tmp_path: Path, name: str) -> None:
        picture = pixels(*unpacked(json.dumps(textured(KTX2[name])).encode(), tmp_path, "packed.gltf")).astype(int)
        corners = picture[[2, 2, 12, 12], [2, 12, 2, 12]]
        expected = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]
        assert np.abs(corners[:, :3] - expected).max() <= 3
        assert picture.shape == (16, 16, 4 if name == "alpha" else 3)
        assert name != "alpha" or corners[:, 3].tolist() == [255, 255, 255, 0]

    def test_decodes_a_texture_in_a_buffer_view(self, tmp_path: Path) -> None:
        document = textured(KTX2["etc1s"]) | {
            "images": [{"bufferView": 0, "mimeType": "image/ktx2"}],
            "bufferViews": [{"buffer": 0, "byteLength": len(KTX2["etc1s"])}],
            "buffers": [{"byteLength": len(KTX2["etc1s"])}],
        }
        assert pixels(*unpacked(glb(document, KTX2["etc1s"] + bytes(3)), tmp_path)).shape == (16, 16, 3)

    def test_prefers_the_fallback_image(self, tmp_path: Path) -> None:
        document = textured(b"not KTX2", source=1)
        file = io.BytesIO()
        Image.new("RGB", (3, 2), "red").save(file, "PNG")
        uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
        document["images"].append({"uri": uri})
        plain, _ = unpacked(json.dumps(document).encode(), tmp_path, "packed.gltf")
        assert plain["images"][plain["textures"][0]["source"]]["uri"] == uri
        path = tmp_path / "optional.gltf"
        path.write_text(json.dumps(document | {"extensionsRequired": []}))
        assert not check_model(path, path.name).packed, "Blender ignores the optional extension"

    @pytest.mark.parametrize("content", [b"", b"no texture", KTX2["uastc"][:90], KTX2["etc1s"][:-20]])
    def test_refuses_what_is_not_ktx2(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(InvalidFormat, match=r"images\[0\] is not a readable KTX2 texture"):
            unpacked(json.dumps(textured(content)).encode(), tmp_path, "packed.gltf")

    def test_refuses_enormous_pictures(self, tmp_path: Path) -> None:
        content = bytearray(KTX2["uastc"])
        struct.pack_into("<I", content, 20, 100_000)
        with pytest.raises(InvalidFormat, match=r"images\[0\] "):
            unpacked(json.dumps(textured(bytes(content))).encode(), tmp_path, "packed.gltf")


def test_runs_in_the_sandbox(tmp_path: Path) -> None:
    source, target = tmp_path / "packed.glb", tmp_path / "plain.glb"
    source.write_bytes(glb(*mesh()))
    with target.open("wb") as file:
        asyncio.run(confined_process.unpack_model(source, file))
    assert not check_model(target, target.name).packed
    source.write_bytes(glb(mesh()[0], b"\xff" * 2000))
    with target.open("wb") as file, pytest.raises(InvalidFormat, match="meshopt data that cannot be decoded"):
        asyncio.run(confined_process.unpack_model(source, file))
