"""Make stand_in.glb, the model that `farm templates preview` shows: python -m blender_scenes.make_stand_in

It shows the effect of lights: a grey and a mirror ball, a glossy box, and a board of known colours.
"""

import math
from pathlib import Path

import bpy

HERE = Path(__file__).parent
Triple = tuple[float, float, float]

# Six patches of a colour chart in sRGB, top left first; the greys are above, where nothing hides them.
PATCHES = ("#f3f3f2", "#7a7a79", "#343434", "#af363c", "#469449", "#383d96")


def linear(colour: str) -> Triple:
    """Linear RGB of an sRGB colour such as "#af363c" (IEC 61966-2-1)."""
    values = (byte / 255 for byte in bytes.fromhex(colour[1:]))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return red, green, blue


def material(name: str, colour: str, *, roughness: float, metallic: float = 0.0) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    inputs = made.node_tree.nodes["Principled BSDF"].inputs
    inputs["Base Color"].default_value = (*linear(colour), 1.0)
    inputs["Roughness"].default_value, inputs["Metallic"].default_value = roughness, metallic
    return made


def ball(name: str, radius: float, location: Triple, made: bpy.types.Material) -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, radius=radius, location=location)
    bpy.context.object.name = name
    bpy.ops.object.shade_smooth()
    bpy.context.object.data.materials.append(made)


def block(
    name: str, size: Triple, location: Triple, made: bpy.types.Material, *, soft: float, lean: float = 0.0
) -> None:
    """A box with its edges rounded by `soft`, leaning back by `lean` degrees."""
    bpy.ops.mesh.primitive_cube_add(size=1.0, location=location, scale=size, rotation=(-math.radians(lean), 0.0, 0.0))
    object_ = bpy.context.object
    object_.name = name
    bpy.ops.object.transform_apply(location=False, rotation=False)
    bevel = object_.modifiers.new("Soft edges", "BEVEL")
    bevel.width, bevel.segments, bevel.harden_normals = soft, 4, True
    bpy.ops.object.shade_smooth()
    object_.data.materials.append(made)


def make() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    block("Base", (2.0, 1.1, 0.1), (0.0, 0.0, 0.05), material("Light plastic", "#d8d5cf", roughness=0.5), soft=0.03)
    ball("Grey ball", 0.25, (-0.66, -0.2, 0.35), material("Matt grey", "#7a7a79", roughness=1.0))
    ball("Mirror ball", 0.25, (-0.08, -0.2, 0.35), material("Mirror", "#f3f3f2", roughness=0.05, metallic=1.0))
    lacquer = material("Blue lacquer", "#1d4f91", roughness=0.15)
    block("Lacquer box", (0.5, 0.5, 0.5), (0.62, -0.15, 0.35), lacquer, soft=0.06)
    lean = 12.0
    board = material("Board", "#5a564f", roughness=0.8)
    block("Board", (1.7, 0.06, 1.1), (0.0, 0.36, 0.64), board, soft=0.02, lean=lean)
    for number, colour in enumerate(PATCHES):
        across, up = number % 3 - 1, 0.5 - number // 3
        away = up * 0.5 * math.sin(math.radians(lean))
        location = (across * 0.54, 0.32 + away, 0.65 + up * 0.5 * math.cos(math.radians(lean)))
        patch = material(f"Patch {colour}", colour, roughness=0.9)
        block(f"Patch {number + 1}", (0.48, 0.03, 0.44), location, patch, soft=0.01, lean=lean)
    bpy.ops.export_scene.gltf(filepath=str(HERE / "stand_in.glb"), export_apply=True, export_texcoords=False)


if __name__ == "__main__":
    make()
