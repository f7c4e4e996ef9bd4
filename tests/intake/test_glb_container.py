"""The container: a GLB is admitted only if its header and chunks tell the truth, and names decide what is expected."""

import struct

import pytest

from tests.intake.gltf_bytes import BINARY, admitted, glb, gltf, refused, triangle
from tests.support.glb import chunk, container, json_chunk


class TestNames:
    def test_glb_and_gltf_are_told_apart_by_name_whatever_its_case(self) -> None:
        assert admitted(glb(triangle()), "Radio.GLB") == "glb"
        assert admitted(gltf(triangle()), "radio.v2.gLTF") == "gltf"

    @pytest.mark.parametrize("name", ["model.obj", "model.glb.exe", "glb", "", "model.glb/", "\udcff\n.zip"])
    def test_any_other_name_is_refused_and_told_what_is_accepted(self, name: str) -> None:
        refused(glb(triangle()), ".glb", ".gltf", name=name)

    def test_content_of_the_other_format_is_told_to_be_renamed(self) -> None:
        refused(glb(triangle()), "rename it to .glb", name="model.gltf")
        refused(gltf(triangle()), "does not start with 'glTF'", "looks like a .gltf: rename it", name="model.glb")

    @pytest.mark.parametrize("name", ["model.glb", "model.gltf"])
    def test_an_empty_file_is_refused(self, name: str) -> None:
        refused(b"", "empty", name=name)


class TestHeader:
    def test_wrong_magic_is_refused(self) -> None:
        refused(container(json_chunk(triangle()), magic=b"PK\3\4"), "does not start with 'glTF'")

    def test_version_1_is_refused(self) -> None:
        refused(container(json_chunk(triangle()), version=1), "version 1", "export it as glTF 2.0")

    @pytest.mark.parametrize("off", [-4, -1, 1, 4])
    def test_a_length_field_that_lies_is_refused(self, off: int) -> None:
        honest = glb(triangle())
        lying = honest[:8] + struct.pack("<I", len(honest) + off) + honest[12:]
        refused(lying, f"declares {len(honest) + off} bytes but the file has {len(honest)}")

    def test_a_file_cut_off_anywhere_is_refused(self) -> None:
        whole = glb(triangle())
        for size in [*range(30), len(whole) - len(BINARY) - 8, len(whole) - 1]:
            refused(whole[:size])


class TestChunks:
    def test_json_alone_is_enough(self) -> None:
        assert admitted(glb({"asset": {"version": "2.0"}}, None)) == "glb"

    def test_a_file_without_chunks_is_refused(self) -> None:
        refused(container(), "first chunk is not JSON")

    def test_a_truncated_chunk_is_refused(self) -> None:
        binary = struct.pack("<I4s", len(BINARY) + 4, b"BIN\0") + BINARY
        refused(container(json_chunk(triangle()), binary), "chunk 2 is truncated")

    def test_a_truncated_chunk_header_is_refused(self) -> None:
        refused(container(json_chunk(triangle()), b"\0" * 4), "chunk 2 is truncated", "4 are left")

    def test_an_unpadded_chunk_is_refused(self) -> None:
        text = b'{"asset": {"version": "2.0"}}'
        assert len(text) % 4
        refused(container(chunk(b"JSON", text)), "chunk 1", "multiple of 4")

    def test_binary_before_json_is_refused(self) -> None:
        refused(container(chunk(b"BIN\0", BINARY), json_chunk(triangle())), "first chunk is not JSON")

    def test_a_second_json_chunk_is_refused(self) -> None:
        refused(container(json_chunk(triangle()), json_chunk(triangle())), "more than one JSON chunk")

    def test_a_second_binary_chunk_is_refused(self) -> None:
        binary = chunk(b"BIN\0", BINARY)
        refused(container(json_chunk(triangle()), binary, binary), "BIN chunk as chunk 3", "only one")

    def test_chunks_of_unknown_kind_after_those_two_are_left_alone(self) -> None:
        content = container(json_chunk(triangle()), chunk(b"BIN\0", BINARY), chunk(b"XTRA", b"more"))
        assert admitted(content) == "glb"

    def test_a_file_of_nothing_but_chunk_headers_is_refused(self) -> None:
        refused(container(json_chunk(triangle()), *[chunk(b"XTRA", b"")] * 100), "more than 64 chunks")
