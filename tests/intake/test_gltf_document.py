"""The JSON document: bounded memory, no references outside the file, version and extensions."""

import base64
import importlib.util
import json
import re
import tracemalloc
from pathlib import Path

import pytest

from farm.intake import document, text
from tests.intake.gltf_bytes import admitted, glb, gltf, put, refused, triangle

ASSET = b'{"asset": {"version": "2.0"}, "extras": %s}'


class TestJson:
    @pytest.mark.parametrize(
        ("json_text", "said"),
        [
            (b"", "cannot be read"),
            (b"not JSON", "cannot be read"),
            (b'{"asset": {"version": "2.0"}', "cannot be read"),
            (b'{"asset": {"version": "2.0"}}\0', "Extra data"),
            (b'{"asset": "\xff\xfe"}', "not UTF-8"),
            (b"\xef\xbb\xbf" + ASSET % b"1", "BOM"),
            (b'["asset"]', "not an object at its top level"),
            (ASSET % b"NaN", "NaN"),
            (ASSET % b"-Infinity", "-Infinity"),
            (ASSET % b"1e999", "extras is too large a number"),
            (ASSET % (b"9" * 400), "extras is too large a number"),
            (ASSET % (b"9" * 5000), "thousands of digits"),
            (ASSET % rb'["\ud83d"]', "extras[0] holds half a character"),
            (ASSET % rb'{"\ud83d": 1}', "extras has a key with half a character"),
        ],
    )
    @pytest.mark.parametrize("name", ["model.glb", "model.gltf"])
    def test_is_refused_with_a_reason_if_invalid(self, name: str, json_text: bytes, said: str) -> None:
        refused(glb(json_text, None) if name == "model.glb" else json_text or b" ", said, name=name)

    @pytest.mark.parametrize("depth", [document.MAX_DEPTH, 5_000, 900_000])
    def test_is_refused_if_nested_too_deeply(self, depth: int) -> None:
        refused(glb(ASSET % (b"[" * depth + b"]" * depth), None), "nested too deeply")

    def test_accepts_characters_of_any_alphabet(self) -> None:
        assert admitted(glb(ASSET % rb'["\ud83d\ude00", "\u00e9"]', None)) == "glb"
        assert admitted(glb(ASSET % '["é漢😀"]'.encode(), None)) == "glb"

    def test_is_refused_with_too_many_values(self) -> None:
        many = b"[" + b"[]," * text.MAX_JSON_VALUES + b"1]"
        refused(glb(ASSET % many, None), "more than 1,000,000 values")

    def test_is_refused_if_too_large(self) -> None:
        refused(glb(ASSET % (b'"' + b" " * text.MAX_JSON_BYTES + b'"'), None), "larger than 16 MB", "as GLB")

    def test_measures_embedded_data_without_holding_it(self) -> None:
        payload = b"A" * (text.MAX_JSON_BYTES * 2)
        size = len(payload) // 4 * 3
        content = b'{"asset":{"version":"2.0"},"buffers":[{"byteLength":%d,"uri":"data:;base64,%s"}]}'
        fitting, lying = content % (size, payload), content % (size + 1, payload)
        tracemalloc.start()
        try:
            assert admitted(fitting, "model.gltf") == "gltf"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1024 * 1024
        refused(lying, f"buffers[0] declares {size + 1} bytes but holds {size}", name="model.gltf")


class TestUris:
    OUTSIDE = (
        "../secret.bin",
        "%2e%2e/secret.bin",
        "..\\secret.bin",
        "/etc/passwd",
        "//host/share",
        "file:///etc/passwd",
        "http://example.com/a.bin",
        "https://example.com/a.bin",
        "texture.png",
        "",
        " data:;base64,AAAA",
        "DATA:;base64,AAAA",
        "\ndata:;base64,AAAA",
        "x" * 5000,
    )
    BROKEN = (
        "data:",
        "data:,plain",
        "data:text/plain,AAAA",
        "data:;base64",
        "data:;base64,AAA",
        "data:;base64,AAAA=",
        "data:;base64,A===",
        "data:;base64,AA AA",
        "data:;base64,AA*A",
        "data:;base64,AA%3D%3D",
        "data:;base64,AAAA\n",
        "data:../../etc/passwd;base64,AAAA",
        "data:;BASE64,AAAA",
        "data:;base64," + "A" * 257,
        "data:;base64," + "A" * 300 + "*",
    )

    @pytest.mark.parametrize("place", ["buffers[0].uri", "images[0].uri", "extras.deep[0].uri", "extensions.X.a.uri"])
    @pytest.mark.parametrize("uri", OUTSIDE)
    def test_cannot_reference_anything_outside_the_file(self, place: str, uri: str) -> None:
        refused(glb(self._with(place, uri)), f"{place} is ", "points outside the file", "embed")

    @pytest.mark.parametrize("uri", BROKEN)
    def test_must_be_exactly_base64_data(self, uri: str) -> None:
        refused(glb(self._with("images[0].uri", uri)), "images[0].uri must read data:")

    @pytest.mark.parametrize("uri", [None, 7, True, ["data:;base64,AAAA"], {"path": "/etc/passwd"}])
    def test_must_be_text(self, uri: object) -> None:
        refused(glb(self._with("extras.deep[0].uri", uri)), "extras.deep[0].uri must be a data: URI")

    @pytest.mark.parametrize(
        "uri",
        [
            "data:;base64,",
            "data:image/png;base64,AAAA",
            "data:image/svg+xml;charset=utf-8;base64,AA==",
            "data:application/octet-stream;base64," + "+/9A" * 100 + "AAA=",
        ],
    )
    def test_accept_embedded_data(self, uri: str) -> None:
        assert admitted(glb(self._with("extras", [{"uri": uri}]))) == "glb"

    def test_accept_escaped_slashes(self) -> None:
        content = json.dumps(self._with("extras", [{"uri": "data:image/png;base64," + "A" * 400 + "/AAA" * 100}]))
        assert admitted(glb(content.replace("/", r"\/").encode())) == "glb"

    @pytest.mark.parametrize("forged", ["*0*", r"\u002a0*", "*0123456789abcdef 40000 0*", r"\u002a5 5 5*"])
    def test_cannot_forge_a_payload_marker(self, forged: str) -> None:
        buffer = '{"byteLength":300,"uri":"data:;base64,'
        content = '{"asset":{"version":"2.0"},"buffers":[' + buffer + "A" * 400 + '"},' + buffer + forged + '"}]}'
        refused(content.encode(), "buffers[1].uri must read data:", name="model.gltf")

    def test_use_the_last_of_two_equal_keys(self) -> None:
        refused(glb(ASSET % b'{"uri": "data:;base64,AAAA", "uri": "/etc/passwd"}', None), "/etc/passwd")

    @staticmethod
    def _with(place: str, uri: object) -> object:
        made = triangle()
        made["extras"] = {"deep": [{}]}
        made["extensions"] = {"X": {"a": {}}}
        put(made, place, uri)
        return made


class TestVersionAndExtensions:
    @pytest.mark.parametrize("asset", [None, [], "2.0"])
    def test_requires_an_asset(self, asset: object) -> None:
        refused(glb(triangle("asset", asset)), "'asset'", "not glTF")

    @pytest.mark.parametrize("version", ["1.0", "2", "2.1", "3.0", 2.0, None, ["2.0"]])
    def test_requires_version_2_0(self, version: object) -> None:
        refused(glb(triangle("asset.version", version)), "asset.version is", '"2.0"')

    @pytest.mark.parametrize(
        ("extension", "fix"),
        [
            ("MSFT_texture_dds", "PNG or JPEG instead of DDS"),
            ("KHR_gaussian_splatting", "a mesh instead of splats"),
            ("ACME_secret_sauce", "export again without it"),
        ],
    )
    def test_names_an_unsupported_extension_with_the_fix(self, extension: str, fix: str) -> None:
        refused(glb(_extensions([extension], [extension])), f'requires "{extension}"', fix)

    def test_accepts_an_unsupported_optional_extension(self) -> None:
        assert admitted(glb(_extensions(["KHR_texture_basisu"], []))) == "glb"

    def test_requires_extensions_to_be_listed_as_used(self) -> None:
        refused(glb(_extensions([], ["KHR_mesh_quantization"])), "extensionsRequired[0]", "extensionsUsed")
        assert admitted(glb(_extensions(["KHR_mesh_quantization"], ["KHR_mesh_quantization"]))) == "glb"

    @pytest.mark.parametrize("names", [None, "KHR_texture_basisu", [7], {"KHR_texture_basisu": 1}])
    def test_requires_lists_of_extensions(self, names: object) -> None:
        refused(glb(triangle("extensionsRequired", names)), "extensionsRequired must be an array")

    def test_supports_the_extensions_of_this_blender(self) -> None:
        bpy = importlib.util.find_spec("bpy")
        assert bpy is not None
        assert bpy.origin is not None
        (importer,) = Path(bpy.origin).parent.glob("*/scripts/addons_core/io_scene_gltf2/io/imp/gltf2_io_gltf.py")
        listed = re.search(r"extensions_managed = \[(.*?)\]", importer.read_text(), re.DOTALL)
        assert listed is not None
        assert set(re.findall(r"'(\w+)'", listed[1])) == document.SUPPORTED


def _extensions(used: list[str], required: list[str]) -> object:
    return triangle() | {"extensionsUsed": used, "extensionsRequired": required}


def test_measures_the_size_that_python_decodes() -> None:
    for size in (1, 2, 3, 190, 191, 192, 193, 5000):
        uri = "data:;base64," + base64.b64encode(bytes(size)).decode()
        for declared, fits in ((size, True), (size + 1, False)):
            content = json.loads(gltf(triangle()))
            content["buffers"].append({"uri": uri, "byteLength": declared})
            if fits:
                assert admitted(json.dumps(content).encode(), "model.gltf") == "gltf"
            else:
                refused(json.dumps(content).encode(), f"holds {size}", name="model.gltf")
