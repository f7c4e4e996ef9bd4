"""Pictures in a model are PNG, JPEG or WebP by their content, of bounded size, and complete."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from farm.errors import InvalidFormat
from farm.intake import model_pictures
from farm.intake.check import check_model
from farm.settings import ModelLimits
from tests.intake.gltf_bytes import glb, refused, triangle
from tests.intake.packed import KTX2
from tests.support.hostile_pictures import foreign, picture, png, png_of, textured

FOREIGN = foreign()
KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def check(content: bytes, folder: Path, **limits: int) -> bool:
    """Whether the model is packed. Raises InvalidFormat."""
    path = folder / "model.glb"
    path.write_bytes(content)
    return check_model(path, path.name, ModelLimits(**limits)).packed


class TestFormat:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("embedded", [True, False])
    @pytest.mark.parametrize("is_stated", [True, False])
    def test_accepts_what_gltf_allows(self, tmp_path: Path, kind: str, embedded: bool, is_stated: bool) -> None:
        stated = KINDS[kind] if is_stated else None
        check(textured(picture(kind), stated, embedded=embedded), tmp_path)

    @pytest.mark.parametrize("stated", ["IMAGE/JPEG", "image/jpg"])
    def test_accepts_other_spellings_of_jpeg(self, tmp_path: Path, stated: str) -> None:
        check(textured(picture("JPEG"), stated), tmp_path)

    @pytest.mark.parametrize("kind", FOREIGN)
    @pytest.mark.parametrize("stated", ["image/png", None])
    def test_refuses_other_formats(self, kind: str, stated: str | None) -> None:
        refused(textured(FOREIGN[kind], stated), "images[0] is neither PNG, JPEG nor WebP")

    @pytest.mark.parametrize("embedded", [True, False])
    @pytest.mark.parametrize(("kind", "stated"), [("PNG", "image/jpeg"), ("JPEG", "image/png"), ("WEBP", "text/html")])
    def test_refuses_a_false_type(self, kind: str, stated: str, embedded: bool) -> None:
        content = textured(picture(kind), stated, embedded=embedded)
        refused(content, f"images[0] is {KINDS[kind]}, but the model calls it", stated)

    def test_ignores_pictures_that_no_texture_names(self, tmp_path: Path) -> None:
        check(glb(triangle("images[1]", {"uri": "data:image/vnd-ms.dds;base64,RERTIA=="})), tmp_path)

    def test_checks_the_picture_of_each_texture(self) -> None:
        document = triangle("images[1]", {"uri": "data:image/png;base64,RERTIA=="})
        document["textures"].append({"source": 0, "extensions": {"EXT_texture_webp": {"source": 1}}})
        refused(glb(document), "images[1] is neither PNG, JPEG nor WebP")

    def test_accepts_ktx2_only_where_it_is_converted(self, tmp_path: Path) -> None:
        assert check(textured(KTX2["uastc"], "image/ktx2", is_ktx2=True), tmp_path)
        refused(textured(KTX2["uastc"], "image/ktx2"), "images[0] is neither PNG, JPEG nor WebP")


class TestSize:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_limited_for_each_picture(self, tmp_path: Path, kind: str) -> None:
        content = textured(picture(kind, (64, 48)), KINDS[kind])
        check(content, tmp_path, max_picture_pixels=64 * 48)
        with pytest.raises(InvalidFormat, match="has 64x48 pixels: 3,071 are allowed"):
            check(content, tmp_path, max_picture_pixels=64 * 48 - 1)

    def test_is_limited_for_all_pictures_together(self, tmp_path: Path) -> None:
        content = textured(picture("PNG", (64, 48)), "image/png", images=3)
        check(content, tmp_path, max_texture_pixels=3 * 64 * 48)
        with pytest.raises(InvalidFormat, match="has 9,216 pixels in its textures: 9,215 are allowed"):
            check(content, tmp_path, max_texture_pixels=3 * 64 * 48 - 1)

    def test_is_read_from_the_header(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def not_decoded(*_: Any) -> None:
            raise AssertionError("decoded before all sizes were checked")

        monkeypatch.setattr(model_pictures, "_decode", not_decoded)
        refused(textured(png_of(60_000, 60_000, "1"), "image/png"), "images[0] has 60000x60000 pixels")
        ktx2 = bytearray(KTX2["uastc"])
        struct.pack_into("<II", ktx2, 20, 60_000, 60_000)
        refused(textured(bytes(ktx2), "image/ktx2", is_ktx2=True), "images[0] has 60000x60000 pixels")


class TestDecoding:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("percent", [20, 60, 95])
    def test_refuses_a_truncated_picture(self, kind: str, percent: int) -> None:
        content = picture(kind, (300, 200))
        cut = content[: len(content) * percent // 100]
        refused(textured(cut, KINDS[kind]), f"images[0] is a damaged {kind}, which cannot be decoded completely")

    def test_refuses_the_last_of_several(self) -> None:
        good, damaged = triangle(), png(64, 64, zlib.compress(bytes(10)))
        document = json.loads(json.dumps(good))
        document["images"].append({"bufferView": 4})
        document["textures"].append({"source": 1})
        document["bufferViews"].append({"buffer": 0, "byteOffset": 140, "byteLength": len(damaged)})
        document["buffers"][0]["byteLength"] += len(damaged)
        refused(glb(document, bytes(36) + struct.pack("<3H", 0, 1, 2) + bytes(98) + damaged), "images[1] is a damaged")

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_refuses_animations(self, tmp_path: Path, kind: str) -> None:
        frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
        path = tmp_path / "animation"
        frames[0].save(path, kind, save_all=True, append_images=frames[1:])
        refused(textured(path.read_bytes(), KINDS[kind]), "images[0] is an animation of 3 pictures")

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    def test_accepts_every_mode_of_png(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / "picture.png"
        Image.new(mode, (5, 3)).save(path)
        check(textured(path.read_bytes(), "image/png"), tmp_path)

    @pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 1}, {"subsampling": 2}])
    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    @pytest.mark.parametrize("size", [(1, 1), (7, 900)])
    def test_accepts_every_kind_of_jpeg(
        self, tmp_path: Path, mode: str, size: tuple[int, int], options: dict[str, Any]
    ) -> None:
        check(textured(picture("JPEG", size, mode, **options), "image/jpeg"), tmp_path)
