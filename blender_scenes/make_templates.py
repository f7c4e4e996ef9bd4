"""Make the initial versions of the built-in templates. For reference only: artists edit the .blend files.

Run with the project's Python: python -m blender_scenes.make_templates [NAME ...]
"""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
from mathutils import Vector

from farm.templates import contract

HERE = Path(__file__).parent
LIGHT_TARGET = Vector((0.0, 0.0, 0.8))  # the approximate centre of a subject
Colour = tuple[float, float, float]  # linear RGB
Stop = tuple[float, Colour]
SOFTBOX_GROWTH = 1.15  # of a softbox that is dim towards its edge: shadows stay as soft as an even one's
MIDDLE_STRENGTH = 4.57  # of such a softbox, at which it has the power of an even one
BLACK_LIFT = 0.008  # linear light, added before the view transform
RIM, RIM_STEPS = 0.03, 6  # the column's rounding, in its radii
COLUMN_HEIGHT, COLUMN_SIDES = 30.0, 160  # in its radii: it ends below every frame, also of the camera farthest away
WHITE: Colour = (1.0, 1.0, 1.0)


def grey(brightness: float) -> Colour:
    return brightness, brightness, brightness


def light(kind: str, name: str, *, azimuth: float, elevation: float, distance: float = 5.0) -> bpy.types.Light:
    """A light that points at the subject. Angles in degrees as for the camera, distance in scene units."""
    lamp = bpy.data.lights.new(name, kind)
    object_ = bpy.data.objects.new(name, lamp)
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    back = Vector((math.sin(turn) * math.cos(tilt), -math.cos(turn) * math.cos(tilt), math.sin(tilt)))
    object_.location = LIGHT_TARGET + back * distance
    object_.rotation_euler = back.to_track_quat("Z", "Y").to_euler()
    bpy.data.collections[contract.LIGHTS].objects.link(object_)
    return lamp


def soft_box(
    name: str,
    *,
    azimuth: float,
    elevation: float,
    distance: float,
    size: tuple[float, float],
    power: float,
    colour: Colour = WHITE,
) -> None:
    """An area light as a rectangular softbox of `size` horizontally and vertically in scene units, power in watts."""
    lamp = light("AREA", name, azimuth=azimuth, elevation=elevation, distance=distance)
    lamp.shape, lamp.size, lamp.size_y = "ELLIPSE", SOFTBOX_GROWTH * size[0], SOFTBOX_GROWTH * size[1]
    lamp.energy, lamp.color = power, colour
    fall_off(lamp)


def fall_off(lamp: bpy.types.Light) -> None:
    """Let an area light grow dimmer from its middle to its edge, as the cloth of a softbox does. Cycles only.

    Otherwise chrome mirrors it as a hard white square. The whole light keeps its power.
    """
    lamp.use_nodes = True
    tree = lamp.node_tree
    position, centred = tree.nodes.new("ShaderNodeNewGeometry"), tree.nodes.new("ShaderNodeVectorMath")
    distance, dimmed = tree.nodes.new("ShaderNodeVectorMath"), tree.nodes.new("ShaderNodeMapRange")
    steep, strength = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMath")
    centred.operation, distance.operation = "SUBTRACT", "LENGTH"
    centred.inputs[1].default_value = (0.5, 0.5, 0.0)
    dimmed.interpolation_type = "SMOOTHSTEP"
    dimmed.inputs["From Min"].default_value, dimmed.inputs["From Max"].default_value = 0.0, 0.5
    dimmed.inputs["To Min"].default_value, dimmed.inputs["To Max"].default_value = 1.0, 0.0
    # The light is brighter than white: only a steep decline shows as a soft edge.
    steep.operation, strength.operation = "POWER", "MULTIPLY"
    steep.inputs[1].default_value, strength.inputs[1].default_value = 1.5, MIDDLE_STRENGTH
    tree.links.new(position.outputs["Parametric"], centred.inputs[0])
    tree.links.new(centred.outputs["Vector"], distance.inputs[0])
    tree.links.new(distance.outputs["Value"], dimmed.inputs["Value"])
    tree.links.new(dimmed.outputs["Result"], steep.inputs[0])
    tree.links.new(steep.outputs["Value"], strength.inputs[0])
    tree.links.new(strength.outputs["Value"], tree.nodes["Emission"].inputs["Strength"])


def sun(name: str, *, azimuth: float, elevation: float, spread: float, strength: float, colour: Colour) -> None:
    """A sun light, `spread` its angular diameter in degrees (the real sun: 0.5), strength in watts per square metre."""
    lamp = light("SUN", name, azimuth=azimuth, elevation=elevation)
    lamp.angle, lamp.energy, lamp.color = math.radians(spread), strength, colour


def surround(stops: Sequence[Stop], *, strength: float, axis: float = 0.0, front: float = 0.0) -> None:
    """A world whose colour depends on elevation: `stops` go from 0 at the nadir to 1 at the zenith.

    At the horizon it is 1 + `axis` times as bright in front and behind and 1 - `axis` times on the sides; `front` is
    added to the front and taken from the back.
    """
    world = bpy.data.worlds.new("World")
    world.use_nodes = True
    tree = world.node_tree
    direction = tree.nodes.new("ShaderNodeTexCoord")
    separate = tree.nodes.new("ShaderNodeSeparateXYZ")
    ramp = tree.nodes.new("ShaderNodeMapRange")
    curve = tree.nodes.new("ShaderNodeValToRGB")
    ramp.inputs["From Min"].default_value = -1.0
    curve.color_ramp.interpolation = "EASE"
    elements = curve.color_ramp.elements
    while len(elements) < len(stops):
        elements.new(0.5)
    for element, (position, colour) in zip(elements, stops, strict=True):
        element.position, element.color = position, (*colour, 1.0)
    tree.links.new(direction.outputs["Generated"], separate.inputs["Vector"])
    tree.links.new(separate.outputs["Z"], ramp.inputs["Value"])
    tree.links.new(ramp.outputs["Result"], curve.inputs["Fac"])
    background = tree.nodes["Background"]
    tree.links.new(curve.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = strength
    if axis or front:
        x, y = separate.outputs["X"], separate.outputs["Y"]
        along_axis = calculate(tree, "SUBTRACT", calculate(tree, "MULTIPLY", y, y), calculate(tree, "MULTIPLY", x, x))
        even = calculate(tree, "MULTIPLY_ADD", y, -front * strength, strength)  # the front is at -Y
        uneven = calculate(tree, "MULTIPLY_ADD", along_axis, axis * strength, even)
        tree.links.new(uneven, background.inputs["Strength"])
    # A smooth world needs no larger importance map; Cycles' automatic size takes a second to build.
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 64
    world.probe_resolution, world.use_sun_shadow = "128", False
    bpy.context.scene.world = world


def calculate(
    tree: bpy.types.NodeTree, operation: str, *operands: bpy.types.NodeSocket | float
) -> bpy.types.NodeSocket:
    """Add a Math node; returns its result."""
    node = tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    for socket, operand in zip(node.inputs, operands, strict=False):
        if isinstance(operand, float):
            socket.default_value = operand
        else:
            tree.links.new(operand, socket)
    return node.outputs[0]


# What chrome and glass mirror on white: a bright floor that fades away, a dark horizon, a sky that grows brighter.
ROOM = [
    (0.0, grey(1.0)),
    (0.25, grey(0.85)),
    (0.4, grey(0.5)),
    (0.5, grey(0.1)),
    (0.6, grey(0.22)),
    (0.8, grey(0.65)),
    (1.0, grey(0.8)),
]


def studio() -> dict[str, float]:
    """A white room: a large soft key, a fill from the right, a rim light, and something to mirror all around."""
    soft_box("Key", azimuth=-48, elevation=48, distance=5.0, size=(3.5, 3.5), power=156)
    soft_box("Fill", azimuth=68, elevation=14, distance=6.0, size=(3.5, 3.5), power=85)
    soft_box("Rim", azimuth=165, elevation=45, distance=5.0, size=(2.5, 2.5), power=36)
    surround(ROOM, strength=0.7, axis=0.35, front=0.1)
    return {}


def daylight() -> dict[str, float]:
    """A bright day outdoors: a warm sun through thin cloud, a blue sky, a pale floor that reflects light upwards."""
    sun("Sun", azimuth=-35, elevation=50, spread=8, strength=4.2, colour=(1.0, 0.92, 0.80))
    soft_box("Cloud", azimuth=150, elevation=50, distance=6.0, size=(5.0, 5.0), power=330, colour=(0.9, 0.95, 1.0))
    surround(
        [
            (0.0, (0.66, 0.63, 0.58)),
            (0.46, (0.34, 0.33, 0.32)),
            (0.53, (0.66, 0.73, 0.82)),
            (0.75, (0.60, 0.74, 0.96)),
            (1.0, (0.46, 0.64, 1.0)),
        ],
        strength=0.75,
    )
    return {"shadow_extent": 1.9, "reflector_strength": 0.25, "reflector_roughness": 0.3, "reflector_fade": 0.7}


def dark() -> dict[str, float]:
    """Dark surroundings, two strip lights from behind that outline the subject, and a soft key light."""
    soft_box("Key", azimuth=-35, elevation=40, distance=5.0, size=(2.4, 2.4), power=165)
    soft_box("Left rim", azimuth=-115, elevation=26, distance=4.5, size=(1.5, 4.0), power=235, colour=(0.85, 0.93, 1.0))
    soft_box("Right rim", azimuth=112, elevation=22, distance=4.5, size=(1.5, 4.0), power=235, colour=(1.0, 0.92, 0.84))
    soft_box("Top", azimuth=180, elevation=62, distance=4.0, size=(3.0, 1.0), power=110)
    surround([(0.0, grey(0.10)), (0.46, grey(0.05)), (0.54, grey(0.05)), (0.9, grey(0.3))], strength=0.4)
    return {"reflector_strength": 0.6, "reflector_roughness": 0.08, "reflector_fade": 1.4}


def pedestal() -> dict[str, float]:
    """A round column of plaster, as wide as the subject needs, that leaves the frame below; soft light from one side.

    The column is the floor: it receives the subject's shadow itself.
    """
    soft_box("Key", azimuth=-40, elevation=50, distance=5.0, size=(2.8, 2.8), power=380)
    soft_box("Fill", azimuth=60, elevation=20, distance=6.0, size=(4.0, 4.0), power=50)
    soft_box("Rim", azimuth=165, elevation=50, distance=5.0, size=(2.5, 2.5), power=190)
    surround(ROOM, strength=0.5, axis=0.35)
    column()
    return {"fit_margin": 1.4, "shadow_strength": 0.0, "reflector_strength": 0.0}


def column() -> None:
    """A column with rounded rim in the collection Set: its top at z = 0, its radius the subject's footprint."""
    rounding = [math.radians(90 * step / RIM_STEPS) for step in range(RIM_STEPS + 1)]
    rim = [(1 - RIM * (1 - math.sin(turn)), -RIM * (1 - math.cos(turn))) for turn in rounding]
    # Edges beside the rim keep its smooth normals from spreading over the flat top and the straight side.
    profile = [(1 - 1.5 * RIM, 0.0), *rim, (1.0, -1.5 * RIM), (1.0, -COLUMN_HEIGHT)]
    turns = [2 * math.pi * side / COLUMN_SIDES for side in range(COLUMN_SIDES)]
    points = [(radius * math.cos(turn), radius * math.sin(turn), z) for radius, z in profile for turn in turns]
    sides = [(side, (side + 1) % COLUMN_SIDES) for side in range(COLUMN_SIDES)]
    rows = [row * COLUMN_SIDES for row in range(len(profile) - 1)]
    faces = [(row + a, row + COLUMN_SIDES + a, row + COLUMN_SIDES + b, row + b) for row in rows for a, b in sides]
    mesh = bpy.data.meshes.new("Column")
    mesh.from_pydata(points, [], [*faces, tuple(range(COLUMN_SIDES))])
    mesh.shade_smooth()
    plaster = bpy.data.materials.new("Plaster")
    plaster.use_nodes = True
    surface = plaster.node_tree.nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (0.50, 0.48, 0.455, 1.0)
    surface.inputs["Roughness"].default_value = 0.6
    mesh.materials.append(plaster)
    object_ = bpy.data.objects.new("Column", mesh)
    describe(object_, contract.FOOTPRINT, 1.25)
    made = bpy.data.collections.new(contract.SET)
    bpy.context.scene.collection.children.link(made)
    made.objects.link(object_)


TEMPLATES: dict[str, Callable[[], dict[str, float]]] = {
    "studio": studio,
    "daylight": daylight,
    "dark": dark,
    "pedestal": pedestal,
}


def make(name: str) -> None:
    """Build a template from an empty file and save it beside this module."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    for collection in contract.COLLECTIONS:
        scene.collection.children.link(bpy.data.collections.new(collection))
    properties = TEMPLATES[name]()
    for part in contract.PARTS:
        object_ = bpy.data.objects.new(part.name, CONTENTS[part.type]())
        bpy.data.collections[part.collection].objects.link(object_)
        for property_ in part.properties:
            describe(object_, property_, properties.get(property_.name, property_.usual))
    scene.camera = bpy.data.objects["Camera"]

    view = scene.view_settings
    scene.display_settings.display_device = contract.DISPLAY
    view.view_transform, view.look, view.exposure, view.gamma = "Khronos PBR Neutral", "None", 0.0, 1.0
    # The transform subtracts the 4 % that a smooth dielectric reflects; a rough one reflects less: tyres turned black.
    view.use_curve_mapping = True
    view.curve_mapping.black_level = (-BLACK_LIFT,) * 3
    view.curve_mapping.update()
    scene.render.film_transparent = True
    scene.eevee.use_raytracing = False
    scene.eevee.shadow_ray_count = 4  # Blender's default of one ray leaves noise in soft shadows at 8 samples
    # A .blend records the path it was saved to: use a neutral folder, not a home directory.
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / f"{name}.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(saved), compress=True)
        shutil.move(saved, HERE / saved.name)


def describe(object_: bpy.types.Object, property_: contract.Property, value: float) -> None:
    """Add a custom property, as Blender's panel is to show it."""
    object_[property_.name] = value
    object_.id_properties_ui(property_.name).update(
        min=property_.minimum, max=property_.maximum, default=property_.usual, description=property_.meaning
    )


def camera() -> bpy.types.Camera:
    made = bpy.data.cameras.new("Camera")
    made.lens = 85.0
    return made


def ground() -> bpy.types.Mesh:
    made = bpy.data.meshes.new("Ground")
    made.from_pydata([(-10, -10, 0), (10, -10, 0), (10, 10, 0), (-10, 10, 0)], [], [(0, 1, 2, 3)])
    return made


CONTENTS: dict[str, Callable[[], bpy.types.ID | None]] = {"EMPTY": lambda: None, "CAMERA": camera, "MESH": ground}

if __name__ == "__main__":
    for chosen_name in sys.argv[1:] or TEMPLATES:
        make(chosen_name)
