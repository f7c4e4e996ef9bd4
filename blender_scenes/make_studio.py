"""How studio.blend was first made. For reference: artists change the .blend, nothing is rebuilt from here.

Run with the project's Python: python blender_scenes/make_studio.py
"""

import math
import shutil
import tempfile
from pathlib import Path

import bpy
from mathutils import Vector

HERE = Path(__file__).parent
CENTRE = Vector((0.0, 0.0, 0.8))  # about where a subject's middle is, above the ground


def area_light(name: str, *, azimuth: float, elevation: float, distance: float, size: float, power: float) -> None:
    """A square soft box looking at the subject. Angles in degrees as the camera's, size in units, power in watts."""
    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.energy = "SQUARE", size, power
    thing = bpy.data.objects.new(name, light)
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    back = Vector((math.sin(turn) * math.cos(tilt), -math.cos(turn) * math.cos(tilt), math.sin(tilt)))
    thing.location = CENTRE + back * distance
    thing.rotation_euler = back.to_track_quat("Z", "Y").to_euler()
    bpy.data.collections["Lights"].objects.link(thing)


def surround(world: bpy.types.World) -> None:
    """A white room with a darker band around the horizon: it gives metal and gloss something to mirror."""
    world.use_nodes = True
    tree = world.node_tree
    direction = tree.nodes.new("ShaderNodeTexCoord")
    height = tree.nodes.new("ShaderNodeSeparateXYZ")
    ramp = tree.nodes.new("ShaderNodeMapRange")
    curve = tree.nodes.new("ShaderNodeValToRGB")
    ramp.inputs["From Min"].default_value = -1.0
    curve.color_ramp.interpolation = "EASE"
    stops = [(0.0, 0.75), (0.46, 0.35), (0.54, 0.35), (0.8, 1.0)]  # share of the way from nadir to zenith, brightness
    elements = curve.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, brightness) in zip(elements, stops, strict=True):
        element.position, element.color = position, (brightness, brightness, brightness, 1.0)
    tree.links.new(direction.outputs["Generated"], height.inputs["Vector"])
    tree.links.new(height.outputs["Z"], ramp.inputs["Value"])
    tree.links.new(ramp.outputs["Result"], curve.inputs["Fac"])
    background = tree.nodes["Background"]
    tree.links.new(curve.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 0.6
    # So smooth a world needs no finer map of where its light comes from; Cycles' own choice takes a second to build.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 64


def make() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    for name in ("Lights", "Stage"):
        scene.collection.children.link(bpy.data.collections.new(name))
    stage = bpy.data.collections["Stage"]

    stage.objects.link(bpy.data.objects.new("Subject", None))

    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 85.0
    camera["elevation"], camera["fit_margin"] = 12.0, 1.12
    stage.objects.link(camera)
    scene.camera = camera

    bpy.ops.mesh.primitive_plane_add(size=20.0)
    ground = bpy.context.object
    ground.name = ground.data.name = "Ground"
    ground["shadow_strength"], ground["shadow_extent"] = 1.0, 2.0
    scene.collection.objects.unlink(ground)
    stage.objects.link(ground)

    area_light("Key", azimuth=-40, elevation=45, distance=5.0, size=3.5, power=340)
    area_light("Fill", azimuth=55, elevation=20, distance=6.0, size=4.0, power=90)
    area_light("Rim", azimuth=165, elevation=50, distance=5.0, size=2.5, power=260)

    world = bpy.data.worlds.new("World")
    surround(world)
    world.probe_resolution, world.use_sun_shadow = "128", False
    scene.world = world

    view = scene.view_settings
    scene.display_settings.display_device = "sRGB"
    view.view_transform, view.look, view.exposure, view.gamma = "Khronos PBR Neutral", "None", 0.0, 1.0
    scene.render.film_transparent = True
    scene.eevee.use_raytracing = False
    # A .blend remembers where it was saved: a folder of no meaning, rather than somebody's home.
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "studio.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(saved), compress=True)
        shutil.move(saved, HERE / "studio.blend")


if __name__ == "__main__":
    make()
