"""The GLB container: header, chunks, and the format expected by name."""

import struct

import pytest

from tests.intake.gltf_bytes import BINARY, admitted, glb, gltf, refused, triangle
from tests.support.glb import chunk, container, json_chunk


class TestNames:
    def test_select_the_format_in_any_case(self) -> None:
        assert admitted(glb(triangle()), "Radio.GLB") == "glb"
        assert admitted(gltf(triangle()), "radio.v2.gLTF") == "gltf"

    @pytest.mark.parametrize("name", ["model.obj", "model.glb.exe", "glb", "", "model.glb/", "\udcff\n.zip"])
    def test_are_refused_with_another_suffix(self, name: str) -> None:
        refused(glb(triangle()), ".glb", ".gltf", name=name)

    def test_are_refused_if_they_contradict_the_content(self) -> None:
        refused(glb(triangle()), "rename it to .glb", name="model.gltf")
        refused(gltf(triangle()), "does not start with 'glTF'", "looks like a .gltf: rename it", name="model.glb")

    @pytest.mark.parametrize("name", ["model.glb", "model.gltf"])
    def test_do_not_help_an_empty_file(self, name: str) -> None:
        refused(b"", "empty", name=name)


class TestHeader:
    def test_refuses_a_wrong_magic(self) -> None:
        refused(
            container(json_chunk(triangle()), magic=b"PK\3\4"), "does not start with 'glTF'", "the bytes 50 4b 03 04"
        )
        refused(b"hello, this is a text", '(it starts with "hell")', name="model.glb")

    def test_refuses_version_1(self) -> None:
        refused(container(json_chunk(triangle()), version=1), "version 1", "export it as glTF 2.0")

    @pytest.mark.parametrize("off", [-4, -1, 1, 4])
    def test_refuses_a_wrong_length(self, off: int) -> None:
        honest = glb(triangle())
        lying = honest[:8] + struct.pack("<I", len(honest) + off) + honest[12:]
        refused(lying, f"declares {len(honest) + off} bytes but the file has {len(honest)}")

    def test_refuses_a_file_truncated_anywhere(self) -> None:
        whole = glb(triangle())
        for size in [*range(30), len(whole) - len(BINARY) - 8, len(whole) - 1]:
            refused(whole[:size])


class TestChunks:
    def test_need_only_json(self) -> None:
        assert admitted(glb({"asset": {"version": "2.0"}}, None)) == "glb"

    def test_refuse_a_file_without_chunks(self) -> None:
        refused(container(), "first chunk is not JSON")

    def test_refuse_a_truncated_chunk(self) -> None:
        binary = struct.pack("<I4s", len(BINARY) + 4, b"BIN\0") + BINARY
        refused(container(json_chunk(triangle()), binary), "chunk 2 is truncated")

    def test_refuse_a_truncated_chunk_header(self) -> None:
        refused(container(json_chunk(triangle()), b"\0" * 4), "chunk 2 is truncated", "4 are left")

    def test_refuse_an_unpadded_chunk(self) -> None:
        text = b'{"asset": {"version": "2.0"}}'
        assert len(text) % 4
        refused(container(chunk(b"JSON", text)), "chunk 1", "multiple of 4")

    def test_refuse_binary_before_json(self) -> None:
        refused(container(chunk(b"BIN\0", BINARY), json_chunk(triangle())), "first chunk is not JSON")

    def test_refuse_a_second_json_chunk(self) -> None:
        refused(container(json_chunk(triangle()), json_chunk(triangle())), "more than one JSON chunk")

    def test_refuse_a_second_binary_chunk(self) -> None:
        binary = chunk(b"BIN\0", BINARY)
        refused(container(json_chunk(triangle()), binary, binary), "BIN chunk as chunk 3", "only one")

    def test_ignore_further_chunks_of_unknown_type(self) -> None:
        content = container(json_chunk(triangle()), chunk(b"BIN\0", BINARY), chunk(b"XTRA", b"more"))
        assert admitted(content) == "glb"

    def test_refuse_thousands_of_chunk_headers(self) -> None:
        refused(container(json_chunk(triangle()), *[chunk(b"XTRA", b"")] * 100), "more than 64 chunks")
