"""The rigged figure among the sample models: an armature, one skinned mesh and a clip called Walk."""

import math
from pathlib import Path

import bpy

from tests.assets.shapes import lathe

FRAMES = 24
# Bone: (parent, head, tail), in metres; the figure faces -y.
BONES: dict[str, tuple[str | None, tuple[float, float, float], tuple[float, float, float]]] = {
    "Hips": (None, (0, 0, 0.90), (0, 0, 1.02)),
    "Chest": ("Hips", (0, 0, 1.02), (0, 0, 1.42)),
    "Head": ("Chest", (0, 0, 1.55), (0, 0, 1.68)),
}
for _side, _x in (("L", 1), ("R", -1)):
    BONES[f"Thigh.{_side}"] = ("Hips", (0.10 * _x, 0, 0.90), (0.10 * _x, -0.005, 0.49))
    BONES[f"Shin.{_side}"] = (f"Thigh.{_side}", (0.10 * _x, -0.005, 0.49), (0.10 * _x, 0, 0.05))
    BONES[f"Arm.{_side}"] = ("Chest", (0.20 * _x, 0, 1.40), (0.25 * _x, 0.005, 1.10))
    BONES[f"Forearm.{_side}"] = (f"Arm.{_side}", (0.25 * _x, 0.005, 1.10), (0.26 * _x, 0, 0.82))
THICKNESS = {"Hips": 0.125, "Chest": 0.15, "Head": 0.105, "Thigh": 0.075, "Shin": 0.06, "Arm": 0.052, "Forearm": 0.045}


def build_walker(_scratch: Path) -> None:
    """Put the figure into the scene, skinned and animated."""
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = FRAMES, 0, FRAMES
    rig = _armature()
    made = bpy.data.materials.new("Suit")
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (0.03, 0.22, 0.42, 1.0)
    shader.inputs["Roughness"].default_value = 0.5
    limbs = [_limb(name) for name in BONES]
    with bpy.context.temp_override(active_object=limbs[0], selected_editable_objects=limbs, object=limbs[0]):
        bpy.ops.object.join()
    body = limbs[0]
    body.name = body.data.name = "Walker"
    body.data.materials.append(made)
    body.parent = rig
    body.modifiers.new("Armature", "ARMATURE").object = rig
    _walk(rig)


def _armature() -> bpy.types.Object:
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (parent, head, tail) in BONES.items():
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail, bone.roll = head, tail, 0.0
        bone.parent = rig.data.edit_bones[parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def _limb(name: str) -> bpy.types.Object:
    """A capsule around one bone, weighted to it alone except near its head, which it shares with its parent."""
    parent, head, tail = BONES[name]
    length, radius = math.dist(head, tail), THICKNESS[name.split(".")[0]]
    ends = [math.radians(angle) for angle in (90, 60, 30, 0)]
    below = [(radius * math.cos(a), -radius * 0.7 * math.sin(a)) for a in ends]
    above = [(radius * 0.85 * math.cos(a), length + radius * 0.6 * math.sin(a)) for a in reversed(ends)]
    limb = lathe(name, [*below, *above], steps=12)
    weights = {vertex.index: 0.5 if parent and vertex.co.z < 0 else 1.0 for vertex in limb.data.vertices}
    own = limb.vertex_groups.new(name=name)
    shared = limb.vertex_groups.new(name=parent) if parent else None
    for index, weight in weights.items():
        own.add([index], weight, "REPLACE")
        if shared and weight < 1:
            shared.add([index], 1 - weight, "REPLACE")
    # A bone's own axis is y, a turned part's is z.
    bone = bpy.data.objects["Rig"].data.bones[name]
    turn = bone.matrix_local.to_quaternion().to_matrix().to_4x4()
    from mathutils import Matrix  # comes with bpy, and only once bpy is imported

    limb.data.transform(Matrix.Translation(head) @ turn @ Matrix.Rotation(-math.pi / 2, 4, "X"))
    return limb


def _walk(rig: bpy.types.Object) -> None:
    """One second of walking on the spot: the last frame is the first, so it repeats without a jump."""
    rig.animation_data_create().action = bpy.data.actions.new("Walk")
    for frame in range(0, FRAMES + 1, 3):
        phase = math.tau * frame / FRAMES
        for side, sign in (("L", 1.0), ("R", -1.0)):
            swing = sign * math.sin(phase)
            bend = max(0.0, sign * math.cos(phase))
            for bone, angle in [
                (f"Thigh.{side}", 28 * swing),
                (f"Shin.{side}", 8 + 42 * bend),
                (f"Arm.{side}", -24 * swing),
                (f"Forearm.{side}", -20 - 10 * swing),
            ]:
                pose = rig.pose.bones[bone]
                pose.rotation_mode = "XYZ"
                pose.rotation_euler = (math.radians(angle), 0.0, 0.0)
                pose.keyframe_insert("rotation_euler", frame=frame)
        hips = rig.pose.bones["Hips"]
        hips.location = (0.0, 0.02 * math.cos(2 * phase), 0.0)
        hips.keyframe_insert("location", frame=frame)
