"""Valid templates are accepted and describe their properties; a shot opens no other template."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farm import templates
from farm.blender.client import Blender
from farm.errors import BadTemplate
from farm.scene.shot import ShotSetup
from farm.templates import contract
from tests.support.assets import ASSETS
from tests.support.blender import InsideBlender, draw_frame
from tests.support.templates import (
    STUDIO,
    Change,
    add_backdrop,
    darken_key,
    driver_with_code,
    examine_changed,
    linked_light,
    remove_property,
    save_changed,
    script_to_run,
)

pytestmark = pytest.mark.slow


def nothing(_: Any) -> None: ...


def simple_driver(bpy: Any) -> None:
    bpy.data.lights["Key"].driver_add("energy").driver.expression = "sqrt(4) * 3 + 200"


def notes(bpy: Any) -> None:
    bpy.data.texts.new("Notes").from_string("import os")


def packed_image(bpy: Any) -> None:
    bpy.data.images.new("Sky", 8, 8).pack()


def hidden_helper(bpy: Any) -> None:
    add_backdrop(bpy)
    bpy.data.objects["Backdrop"].hide_render = True


@pytest.mark.parametrize("change", [nothing, simple_driver, notes, packed_image, hidden_helper])
def test_accepts_harmless_changes(inside: InsideBlender, tmp_path: Path, change: Change) -> None:
    assert inside(examine_changed, change, tmp_path / "changed.blend") == []


@pytest.mark.parametrize("name", templates.names())
def test_accepts_the_built_in_templates(blender: Blender, name: str) -> None:
    assert blender.check(templates.blend(name)) == []


def properties_of(path: Path) -> dict[str, dict[str, Any]]:
    import bpy

    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    objects = {part.name: bpy.data.objects[part.name] for part in contract.PARTS}
    return {
        property_.name: objects[part.name].id_properties_ui(property_.name).as_dict()
        for part in contract.PARTS
        for property_ in part.properties
    }


@pytest.mark.parametrize("name", templates.names())
def test_describes_the_properties_in_blenders_panel(inside: InsideBlender, name: str) -> None:
    shown = inside(properties_of, templates.blend(name))
    for property_ in (property_ for part in contract.PARTS for property_ in part.properties):
        panel = shown[property_.name]
        expected = property_.minimum, property_.maximum, property_.meaning
        assert (panel["min"], panel["max"], panel["description"]) == expected


class TestOpenShot:
    def shot(self, template: Path) -> ShotSetup:
        return ShotSetup(str(ASSETS / "product.glb"), str(template), 64, 36, samples=1, engine="cycles", shadows=False)

    @pytest.mark.parametrize("change", [script_to_run, driver_with_code, linked_light, remove_property])
    def test_refuses_a_template_with_violations(
        self, inside: InsideBlender, blender: Blender, tmp_path: Path, change: Change
    ) -> None:
        inside(save_changed, change, tmp_path / "changed.blend")
        with pytest.raises(BadTemplate, match=r"changed\.blend is refused"):
            blender.open_shot(self.shot(tmp_path / "changed.blend"))
        assert not (tmp_path / "changed.blend.ran").exists()

    def test_refuses_a_missing_file(self, blender: Blender, tmp_path: Path) -> None:
        with pytest.raises(BadTemplate, match=r"nowhere\.blend cannot be read"):
            blender.open_shot(self.shot(tmp_path / "nowhere.blend"))

    def test_draws_with_the_saved_light(self, inside: InsideBlender, blender: Blender, tmp_path: Path) -> None:
        inside(save_changed, darken_key, tmp_path / "changed.blend")
        _, before = draw_frame(blender, self.shot(STUDIO))
        _, after = draw_frame(blender, self.shot(tmp_path / "changed.blend"))
        covered = before[..., 3] == 255
        assert after[covered][:, :3].mean() < 0.9 * before[covered][:, :3].mean()
        assert (np.abs(after[..., 3].astype(int) - before[..., 3]) < 64).all()
