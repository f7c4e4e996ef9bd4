"""Unlit materials come out as their exact colour, whatever the template's light and view transform are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camera_paths import Pose
from farm import templates
from farm.blender.client import Blender
from farm.blender.host_process import BlenderHost
from farm.scene.shot import Engine
from tests.blender.materials import Part, parts, sheet
from tests.blender.models import box
from tests.support.blender import InsideBlender, bake, draw_frame, shot
from tests.support.templates import save_changed

pytestmark = pytest.mark.slow
SIZE = (64, 64)
HEX = (0xCC, 0x33, 0x22)


def linear(value: int) -> float:
    """An 8-bit sRGB value in linear light (IEC 61966-2-1)."""
    share = value / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def material(*rgb: int, alpha: float = 1.0, unlit: bool = True, **more: Any) -> dict[str, Any]:
    colour = [*map(linear, rgb), alpha]
    pbr = {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    extensions: dict[str, Any] = {"extensions": {"KHR_materials_unlit": {}}} if unlit else {}
    return {"pbrMetallicRoughness": pbr, "doubleSided": True} | extensions | more


PLATE = Part(sheet(0), material(*HEX))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return parts(tmp_path / "model.glb", PLATE)


def expose(bpy: Any, transform: str) -> None:
    view = bpy.context.scene.view_settings
    view.view_transform, view.exposure, view.gamma = transform, 1.5, 1.2
    bpy.context.scene.cycles.film_exposure = 0.5


def expose_agx(bpy: Any) -> None:
    expose(bpy, "AgX")
    bpy.context.scene.view_settings.look = "AgX - Punchy"


def expose_filmic(bpy: Any) -> None:
    expose(bpy, "Filmic")


def expose_standard(bpy: Any) -> None:
    expose(bpy, "Standard")


def is_exact(pixels: Any, *, within: float = 1) -> bool:
    middle = pixels[28:36, 28:36].reshape(-1, 4).astype(float)
    return bool(np.abs(middle - [*HEX, 255]).max() <= within)


class TestColour:
    @pytest.mark.parametrize("template", ["studio", "daylight", "dark", "pedestal"])
    def test_is_exact_in_every_template(self, blender: Blender, model: Path, template: str) -> None:
        setup = replace(shot(model, size=SIZE, samples=4), template=str(templates.blend(template)))
        _, seen = draw_frame(blender, setup)
        assert is_exact(seen)

    @pytest.mark.parametrize("change", [expose_agx, expose_filmic, expose_standard])
    def test_is_exact_past_every_view_transform(
        self, blender: Blender, inside: InsideBlender, model: Path, tmp_path: Path, change: Any
    ) -> None:
        inside(save_changed, change, tmp_path / "changed.blend")
        setup = replace(shot(model, size=SIZE, samples=4), template=str(tmp_path / "changed.blend"))
        assert is_exact(draw_frame(blender, setup)[1])

    def test_is_exact_in_eevee(self, blender: Blender, model: Path) -> None:
        assert is_exact(draw_frame(blender, shot(model, size=SIZE, samples=4, engine="eevee"))[1])

    def test_is_exact_up_to_the_edge(self, blender: Blender, model: Path) -> None:
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4), azimuth=25.0)
        covered = seen[seen[..., 3] > 0].astype(int)
        assert (covered[:, 3] < 255).any()
        assert np.abs(covered[:, :3] - HEX).max() <= 2

    def test_is_exact_in_16_bits_and_in_the_mirror_image(self, blender: Blender, model: Path) -> None:
        blender.open_shot(replace(shot(model, size=SIZE, samples=4), bits=16, reflector=True))
        layers = [
            np.fromfile(layer.path, "<u2").reshape(-1, 4) / 257
            for frame in blender.frames([(0, Pose(0))])
            for layer in (frame.subject, frame.reflection)
            if layer
        ]
        assert len(layers) == 2
        for pixels in layers:
            covered = pixels[pixels[:, 3] > 30]
            assert len(covered) > 100
            # The blurred rim of the mirror image takes a little of the lit exposure's colour.
            assert np.percentile(np.abs(covered[:, :3] - HEX), 95) <= 2
            assert np.abs(covered[:, :3] - HEX).max() <= 12

    def test_stays_the_same_in_later_frames(self, blender: Blender, model: Path) -> None:
        blender.open_shot(shot(model, size=SIZE, samples=4))
        pictures = [np.fromfile(each.subject.path, np.uint8) for each in blender.frames([(0, Pose(9)), (1, Pose(9))])]
        assert (pictures[0] == pictures[1]).all()


def test_casts_the_ground_shadow_of_a_lit_one(host: BlenderHost, tmp_path: Path) -> None:
    crate = box((-1, 0, -1), (1, 1, 1))
    shadows = []
    for unlit in (True, False):
        model = parts(tmp_path / f"{unlit}.glb", Part(crate, material(0, 0, 0, unlit=unlit)))
        shadows.append(bake(host, shot(model, shadows=True, samples=4))[1])
    assert shadows[1].max() > 0.5
    assert np.abs(shadows[0] - shadows[1]).max() < 0.05


class TestBesideLitMaterials:
    """A part of the model that is lit looks as it does without an unlit one."""

    @pytest.mark.parametrize("engine", ["cycles", "eevee"])
    def test_stays_hidden_behind_them(self, blender: Blender, model: Path, engine: Engine) -> None:
        lit = Part(sheet(0.4, half=0.4), material(30, 160, 60, unlit=False))
        unlit_behind = Part(sheet(0), material(*HEX))
        lit_behind = Part(sheet(0), material(*HEX, unlit=False))
        setup = shot(model, size=SIZE, samples=16, engine=engine)
        parts(model, lit, lit_behind)
        _, plain = draw_frame(blender, setup)
        parts(model, lit, unlit_behind)
        _, seen = draw_frame(blender, setup)
        middle = slice(29, 35)
        assert np.abs(plain[middle, middle].astype(int) - seen[middle, middle]).mean() < 5
        assert np.abs(seen[16, 20:44, :3].astype(int) - HEX).max() <= 3  # the unlit sheet's upper edge

    def test_is_exact_behind_an_invisible_box(self, blender: Blender, model: Path) -> None:
        collider = Part(sheet(0.4), material(255, 255, 255, alpha=0.0, unlit=False, alphaMode="BLEND"))
        parts(model, PLATE, collider)
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=4))
        assert is_exact(seen)

    def test_shines_through_half_transparent_ones(self, blender: Blender, model: Path) -> None:
        glass = Part(sheet(0.4), material(0, 0, 0, alpha=0.5, unlit=False, alphaMode="BLEND"))
        parts(model, PLATE, glass)
        _, seen = draw_frame(blender, shot(model, size=SIZE, samples=16))
        red, green, blue, alpha = seen[28:36, 28:36].reshape(-1, 4).mean(axis=0)
        assert 0.5 * HEX[0] < red < HEX[0]
        assert red > 3 * max(green, blue)
        assert alpha == 255
