"""glTF materials look as the file defines them: every supported feature changes the picture of a plate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camera_paths import Pose
from farm.blender.client import Blender
from farm.errors import BadModel
from tests.blender.materials import halves, plate
from tests.support.blender import shot

pytestmark = pytest.mark.slow
SIZE = 64
GREY = {"baseColorFactor": [0.5, 0.5, 0.5, 1.0], "metallicFactor": 0.0}
RED, GREEN = (200, 20, 20), (20, 200, 20)


class DrawnPlate:
    """A drawn plate: mean straight RGBA from 0 to 255 of its middle and of both halves."""

    def __init__(self, picture: Any) -> None:
        self.picture = picture
        middle = slice(SIZE // 2 - 4, SIZE // 2 + 4)
        self.red, self.green, self.blue, self.alpha = picture[middle, middle].reshape(-1, 4).mean(axis=0)
        self.brightness = (self.red + self.green + self.blue) / 3
        self.left = picture[middle, SIZE // 2 - 10 : SIZE // 2 - 6].reshape(-1, 4).mean(axis=0)
        self.right = picture[middle, SIZE // 2 + 6 : SIZE // 2 + 10].reshape(-1, 4).mean(axis=0)


DrawPlate = Callable[..., DrawnPlate]


@pytest.fixture
def draw_plate(blender: Blender, tmp_path: Path) -> DrawPlate:
    """Draws a plate with the given material, `azimuth` degrees from its front."""

    def draw(material: dict[str, Any], azimuth: float = 0.0, samples: int = 16, **more: Any) -> DrawnPlate:
        model = plate(tmp_path / "plate.glb", material, **more)
        blender.open_shot(shot(model, size=(SIZE, SIZE), samples=samples))
        whole = np.zeros((SIZE, SIZE, 4))
        for frame in blender.frames([(0, Pose(azimuth))]):
            at = frame.subject
            pixels = np.fromfile(at.path, np.uint8).reshape(at.height, at.width, 4)
            whole[at.y : at.y + at.height, at.x : at.x + at.width] = pixels
        return DrawnPlate(whole)

    return draw


def pbr(**more: Any) -> dict[str, Any]:
    return {"pbrMetallicRoughness": GREY | more}


def extended(name: str, **values: Any) -> dict[str, Any]:
    return pbr(roughnessFactor=0.4) | {"extensions": {name: values}}


class TestColour:
    def test_applies_the_base_colour(self, draw_plate: DrawPlate) -> None:
        seen = draw_plate(pbr(baseColorFactor=[0.6, 0.05, 0.05, 1.0]))
        assert seen.red > 2 * seen.green
        assert seen.alpha == 255

    def test_maps_a_texture_the_right_way_round(self, draw_plate: DrawPlate) -> None:
        seen = draw_plate(pbr(baseColorFactor=[1, 1, 1, 1], baseColorTexture={"index": 0}), picture=halves(RED, GREEN))
        assert seen.left[0] > 2 * seen.left[1]
        assert seen.right[1] > 2 * seen.right[0]

    @pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "I;16"])
    def test_reads_every_kind_of_png(self, draw_plate: DrawPlate, mode: str) -> None:
        """A texture of one grey looks like the same grey without a texture: linear 0.2159 is 128 in sRGB."""
        if mode == "I;16":
            picture = Image.fromarray(np.full((16, 16), 128 * 257, dtype=np.uint16))
        else:
            picture = Image.new("RGBA", (16, 16), (128, 128, 128, 255)).convert("RGB" if mode == "P" else mode)
            picture = picture.quantize(4) if mode == "P" else picture
        textured = draw_plate(pbr(baseColorFactor=[1, 1, 1, 1], baseColorTexture={"index": 0}), picture=picture)
        plain = draw_plate(pbr(baseColorFactor=[0.2159, 0.2159, 0.2159, 1.0]))
        assert textured.red == pytest.approx(plain.red, abs=1.5)
        assert textured.blue == pytest.approx(plain.blue, abs=1.5)
        assert textured.alpha == 255

    def test_applies_the_texture_transform(self, draw_plate: DrawPlate) -> None:
        moved = {"index": 0, "extensions": {"KHR_texture_transform": {"offset": [0.5, 0.0]}}}
        seen = draw_plate(pbr(baseColorFactor=[1, 1, 1, 1], baseColorTexture=moved), picture=halves(RED, GREEN))
        assert seen.left[1] > 2 * seen.left[0]
        assert seen.right[0] > 2 * seen.right[1]

    def test_applies_vertex_colours(self, draw_plate: DrawPlate) -> None:
        red, green = (1.0, 0.05, 0.05, 1.0), (0.05, 1.0, 0.05, 1.0)
        seen = draw_plate(pbr(baseColorFactor=[1, 1, 1, 1]), colours=[red, green, green, red])
        assert seen.left[0] > 1.3 * seen.left[1]
        assert seen.right[1] > 1.3 * seen.right[0]

    def test_applies_metalness_and_roughness(self, draw_plate: DrawPlate) -> None:
        plastic = draw_plate(pbr(baseColorFactor=[0.9, 0.4, 0.1, 1], roughnessFactor=0.9))
        metal = draw_plate(pbr(baseColorFactor=[0.9, 0.4, 0.1, 1], metallicFactor=1.0, roughnessFactor=0.05))
        brushed = draw_plate(pbr(baseColorFactor=[0.9, 0.4, 0.1, 1], metallicFactor=1.0, roughnessFactor=0.6))
        assert abs(plastic.brightness - metal.brightness) > 10
        assert abs(brushed.brightness - metal.brightness) > 5

    def test_draws_unlit_in_its_own_colour_from_every_side(self, draw_plate: DrawPlate) -> None:
        material = pbr(baseColorFactor=[0.2, 0.2, 0.2, 1]) | {"extensions": {"KHR_materials_unlit": {}}}
        front, side = draw_plate(material), draw_plate(material, azimuth=60)
        assert front.brightness == pytest.approx(side.brightness, abs=2)
        assert front.brightness == pytest.approx(124, abs=1)  # linear 0.2 in sRGB


class TestSurface:
    def test_applies_the_normal_texture(self, draw_plate: DrawPlate) -> None:
        flat = halves((128, 128, 255), (128, 128, 255))
        tilted = halves((128, 128, 255), (128, 20, 140))
        plain, bumpy = (
            draw_plate(pbr(roughnessFactor=0.8) | {"normalTexture": {"index": 0}}, picture=picture)
            for picture in (flat, tilted)
        )
        assert np.abs(plain.left - bumpy.left)[:3].max() < 4
        assert np.abs(plain.right - bumpy.right)[:3].max() > 15

    def test_darkens_by_the_occlusions_strength(self, draw_plate: DrawPlate) -> None:
        closed = halves((0, 0, 0), (255, 255, 255))
        full, half, none = (
            draw_plate(pbr() | {"occlusionTexture": {"index": 0, "strength": strength}}, picture=closed)
            for strength in (1.0, 0.5, 0.0)
        )
        assert full.left[0] + 10 < half.left[0] < none.left[0] - 10
        assert full.right[0] == pytest.approx(none.right[0], abs=2)

    def test_applies_emission_and_its_strength(self, draw_plate: DrawPlate) -> None:
        black = {"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1]}, "emissiveFactor": [0.0, 0.1, 0.0]}
        weak = draw_plate(black)
        strong = draw_plate(black | {"extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 5.0}}})
        assert weak.green > weak.red + 30
        assert strong.green > weak.green + 40

    def test_applies_morph_targets(self, draw_plate: DrawPlate) -> None:
        narrow = [(0.6, 0, 0), (-0.6, 0, 0), (-0.6, 0, 0), (0.6, 0, 0)]
        plain, moved = draw_plate(pbr()), draw_plate(pbr(), morph=narrow)

        def shape(seen: DrawnPlate) -> float:
            rows, columns = np.nonzero(seen.picture[..., 3] > 127)
            return float(np.ptp(columns) / np.ptp(rows))

        assert shape(moved) < 0.6 * shape(plain)


class TestTransparency:
    def test_draws_mask_fully_or_not_at_all(self, draw_plate: DrawPlate) -> None:
        cut, kept = (
            pbr(baseColorFactor=[1, 1, 1, alpha]) | {"alphaMode": "MASK", "alphaCutoff": 0.5} for alpha in (0.4, 0.6)
        )
        assert draw_plate(kept).alpha == 255
        with pytest.raises(BadModel, match="fully transparent"):
            draw_plate(cut)

    def test_cuts_mask_along_its_texture(self, draw_plate: DrawPlate) -> None:
        leaf = Image.new("RGBA", (16, 16), (20, 200, 20, 255))
        leaf.paste((20, 200, 20, 0), (8, 0, 16, 16))
        seen = draw_plate(pbr(baseColorTexture={"index": 0}) | {"alphaMode": "MASK"}, picture=leaf)
        assert seen.left[3] == 255
        assert seen.right[3] == 0

    def test_draws_blend_with_its_alpha(self, draw_plate: DrawPlate) -> None:
        assert draw_plate(pbr(baseColorFactor=[1, 1, 1, 0.5]) | {"alphaMode": "BLEND"}).alpha == pytest.approx(
            128, abs=6
        )


class TestExtensions:
    @pytest.mark.parametrize(
        ("less", "more"),
        [
            (pbr(roughnessFactor=0.4), extended("KHR_materials_clearcoat", clearcoatFactor=1.0)),
            (pbr(roughnessFactor=0.4), extended("KHR_materials_transmission", transmissionFactor=1.0)),
            (extended("KHR_materials_ior", ior=1.0), extended("KHR_materials_ior", ior=2.3)),
            (
                extended("KHR_materials_specular", specularFactor=0.0),
                extended("KHR_materials_specular", specularFactor=1.0),
            ),
            (
                extended("KHR_materials_sheen", sheenColorFactor=[0, 0, 0]),
                extended("KHR_materials_sheen", sheenColorFactor=[1, 1, 1], sheenRoughnessFactor=0.5),
            ),
        ],
        ids=["clearcoat", "transmission", "ior", "specular", "sheen"],
    )
    def test_change_the_picture(self, draw_plate: DrawPlate, less: dict[str, Any], more: dict[str, Any]) -> None:
        plain, special = (draw_plate(material, azimuth=50, samples=64) for material in (less, more))
        assert np.abs(plain.picture - special.picture)[..., :3].max() >= 3
