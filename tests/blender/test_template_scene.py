"""A template that would be drawn in another way than the farm draws is refused with a fix."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.blender import InsideBlender
from tests.support.templates import Change, add_backdrop, assert_reported, examine_changed

pytestmark = pytest.mark.slow


def raw_view(bpy: Any) -> None:
    bpy.context.scene.view_settings.view_transform = "Raw"


def other_display(bpy: Any) -> None:
    bpy.context.scene.display_settings.display_device = "Display P3"


def add_collection_instance(bpy: Any) -> None:
    instance = bpy.data.objects.new("Many", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", bpy.data.collections["Stage"]
    bpy.context.scene.collection.objects.link(instance)


def second_scene(bpy: Any) -> None:
    bpy.data.scenes.new("Other")


def second_view_layer(bpy: Any) -> None:
    bpy.context.scene.view_layers.new("Other")


def lights_as_holdout(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Lights"].holdout = True


def stage_indirect_only(bpy: Any) -> None:
    bpy.context.view_layer.layer_collection.children["Stage"].indirect_only = True


def sequencer_strip(bpy: Any) -> None:
    strips = bpy.context.scene.sequence_editor_create().strips
    strips.new_effect("Blue", "COLOR", 1, frame_start=1, frame_end=10)


def compositing(bpy: Any) -> None:
    bpy.context.scene.use_nodes = True
    bpy.context.scene.node_tree.nodes.new("CompositorNodeGlare")


VIOLATIONS: list[tuple[Change, str, str]] = [
    (raw_view, "Scene", "view transform is Raw"),
    (other_display, "Scene", "display device is Display P3"),
    (add_backdrop, "Backdrop", "drawn beside the model"),
    (add_collection_instance, "Many", "drawn beside the model"),
    (second_scene, "Scene", "more than one scene: Other, Scene"),
    (second_view_layer, "Scene", "more than one view layer: Other, ViewLayer"),
    (lights_as_holdout, "Lights", "it is Holdout in the view layer"),
    (stage_indirect_only, "Stage", "it is Indirect Only in the view layer"),
    (sequencer_strip, "Scene", "sequencer strips"),
    (compositing, "Scene", "compositing nodes"),
]


@pytest.mark.parametrize(
    ("change", "object_", "problem"), VIOLATIONS, ids=[change.__name__ for change, _, _ in VIOLATIONS]
)
def test_reports_each_violation_with_its_fix(
    inside: InsideBlender, tmp_path: Path, change: Change, object_: str, problem: str
) -> None:
    assert_reported(inside(examine_changed, change, tmp_path / "changed.blend"), object_, problem)
