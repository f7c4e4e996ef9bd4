"""Make the sample models of this folder: `python -m tests.assets.make`. Needs bpy; every run gives the same models."""

import base64
import json
import math
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import bpy

from tests.assets.shapes import arch, lathe, rounded_profile, rounded_slab, tube
from tests.assets.textures import dial, stone, woven_cloth
from tests.assets.walker import build_walker

HERE = Path(__file__).parent
CORAL, CREAM, RUBBER, STEEL = (0.72, 0.085, 0.045), (0.83, 0.78, 0.68), (0.02, 0.02, 0.022), (0.72, 0.72, 0.74)


def material(
    name: str,
    colour: tuple[float, float, float],
    *,
    roughness: float,
    metallic: float = 0.0,
    texture: Path | None = None,
    repeat: float = 1.0,
    centre: tuple[float, float] = (0.0, 0.0),
    transmission: float = 0.0,
) -> bpy.types.Material:
    """A glTF material. A texture repeats `repeat` times per metre of UV, centred at `centre`."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Transmission Weight"].default_value = transmission
    if texture is not None:
        picture = nodes.new("ShaderNodeTexImage")
        picture.image = bpy.data.images.load(str(texture))
        picture.image.pack()
        links.new(picture.outputs["Color"], shader.inputs["Base Color"])
    made["repeat"], made["centre"] = repeat, centre
    return made


def apply_material(object_: bpy.types.Object, made: bpy.types.Material) -> bpy.types.Object:
    """Assign a material to a part and scale the texture coordinates for it."""
    object_.data.materials.append(made)
    repeat, (centre_x, centre_z) = made["repeat"], made["centre"]
    for corner in object_.data.uv_layers["UVMap"].data:
        corner.uv = ((corner.uv[0] - centre_x) * repeat + 0.5, (corner.uv[1] - centre_z) * repeat + 0.5)
    return object_


def facing_front(object_: bpy.types.Object, x: float, y: float, z: float) -> bpy.types.Object:
    """Rotate a part made around z so that its top faces the viewer (Blender's -y, glTF's +z), and position it."""
    object_.rotation_euler = (math.pi / 2, 0.0, 0.0)
    object_.location = (x, y, z)
    return object_


def build_product(scratch: Path) -> None:
    """A table radio: coral plastic body, woven front, steel dial ring, knobs and handle, rubber feet."""
    plastic = material("Coral plastic", CORAL, roughness=0.38)
    cloth = material("Woven cloth", (1, 1, 1), roughness=0.9, texture=woven_cloth(scratch / "cloth.jpg"), repeat=28)
    steel = material("Brushed steel", STEEL, roughness=0.25, metallic=1.0)
    rubber = material("Rubber", RUBBER, roughness=0.7)
    face = material("Dial", CREAM, roughness=0.45, texture=dial(scratch / "dial.jpg"), repeat=1 / 0.086)

    middle = 0.1015
    body = apply_material(rounded_slab("Body", (0.30, 0.115, 0.18), corner=0.042, fillet=0.012), plastic)
    body.location.z = middle
    front = apply_material(rounded_slab("Front", (0.274, 0.012, 0.154), corner=0.03, fillet=0.003), cloth)
    front.location = (0.0, -0.0545, middle)

    at_x, at_y = 0.072, -0.0605
    ring = lathe(
        "Dial ring",
        [
            (0.043, 0),
            (0.052, 0),
            (0.052, 0.005),
            (0.0505, 0.0075),
            (0.0475, 0.0085),
            (0.0445, 0.0075),
            (0.043, 0.005),
            (0.043, 0),
        ],
        steps=64,
    )
    facing_front(apply_material(ring, steel), at_x, at_y, middle)
    plate = apply_material(lathe("Dial plate", [(0.0, 0.003), (0.0435, 0.003)], steps=64), face)
    _flat_texture(plate, 0.086)
    facing_front(plate, at_x, at_y, middle)
    facing_front(
        apply_material(lathe("Tuning knob", rounded_profile(0.019, 0.02, 0.0035), steps=48), steel), at_x, at_y, middle
    )

    top = middle + 0.09
    for index, x in enumerate((0.052, 0.092)):
        base = apply_material(lathe(f"Knob base {index}", rounded_profile(0.0135, 0.003, 0.001), steps=32), rubber)
        base.location = (x, 0.0, top - 0.0005)
        knob = apply_material(lathe(f"Knob {index}", rounded_profile(0.0115, 0.015, 0.0025), steps=32), steel)
        knob.location = (x, 0.0, top + 0.002)
    handle = apply_material(tube("Handle", arch(0.128, 0.062, 0.03), 0.0048), steel)
    handle.location.z = top - 0.012
    grip = apply_material(
        lathe(
            "Grip", [(0, -0.05), (0.007, -0.05), (0.0085, -0.048), (0.0085, 0.048), (0.007, 0.05), (0, 0.05)], steps=24
        ),
        plastic,
    )
    grip.rotation_euler, grip.location = (0, math.pi / 2, 0), (0, 0, top + 0.05)
    for index, (x, y) in enumerate([(-0.1, -0.035), (0.1, -0.035), (-0.1, 0.035), (0.1, 0.035)]):
        foot = apply_material(
            lathe(f"Foot {index}", [(0, 0), (0.011, 0), (0.013, 0.002), (0.015, 0.014)], steps=24), rubber
        )
        foot.location = (x, y, 0.0)
    _wordmark(steel, -0.125, -0.0605, middle - 0.062)


def _flat_texture(object_: bpy.types.Object, across: float) -> None:
    """Lay the texture flat over a turned part's top, once over `across` metres."""
    layer = object_.data.uv_layers["UVMap"].data
    for loop in object_.data.loops:
        position = object_.data.vertices[loop.vertex_index].co
        layer[loop.index].uv = (position.x / across + 0.5, position.y / across + 0.5)


def _wordmark(made: bpy.types.Material, x: float, y: float, z: float) -> None:
    """Raised steel letters in Blender's own font."""
    curve = bpy.data.curves.new("Wordmark", "FONT")
    curve.body, curve.size, curve.extrude, curve.resolution_u = "plinth", 0.024, 0.0012, 3
    text = bpy.data.objects.new("Wordmark", curve)
    bpy.context.scene.collection.objects.link(text)
    mesh = bpy.data.meshes.new_from_object(text.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    bpy.data.objects.remove(text)
    letters = bpy.data.objects.new("Wordmark", mesh)
    bpy.context.scene.collection.objects.link(letters)
    mesh.materials.clear()
    mesh.materials.append(made)
    facing_front(letters, x, y, z)


def build_vase(scratch: Path) -> None:
    """A turned stone vase: one mesh, one texture."""
    profile = [
        (0.0, 0.0),
        (0.035, 0.0),
        (0.05, 0.02),
        (0.058, 0.05),
        (0.05, 0.085),
        (0.03, 0.115),
        (0.026, 0.13),
        (0.034, 0.145),
        (0.029, 0.145),
        (0.021, 0.13),
        (0.0, 0.12),
    ]
    made = material("Stone", (1, 1, 1), roughness=0.8, texture=stone(scratch / "stone.jpg", size=64), repeat=6)
    apply_material(lathe("Vase", profile, steps=24), made)


def build_spheres(scratch: Path) -> None:
    """Balls of the materials that are hardest to render, in two rows."""
    weave = woven_cloth(scratch / "weave.jpg", size=128, threads=8)
    balls = [
        material("Chrome", (0.9, 0.9, 0.9), roughness=0.04, metallic=1.0),
        material("Brass", (0.78, 0.57, 0.24), roughness=0.3, metallic=1.0),
        material("Glass", (1, 1, 1), roughness=0.0, transmission=1.0),
        material("Cloth", (1, 1, 1), roughness=0.9, texture=weave, repeat=100),
        material("Skin", (0.78, 0.49, 0.37), roughness=0.5),
    ]
    turn = [step * math.pi / 20 for step in range(21)]
    outline = [(0.05 * math.sin(angle), 0.05 - 0.05 * math.cos(angle)) for angle in turn]
    for index, made in enumerate(balls):
        ball = apply_material(lathe(made.name, outline), made)
        ball.location = (0.11 * (index - 1), 0.05, 0.0) if index < 3 else (0.11 * (index - 3.5), -0.045, 0.0)


def build_empty(_scratch: Path) -> None:
    """Only an empty, without any visible surface."""
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Nothing", None))


def export(build: Callable[[Path], None], name: str, **options: object) -> None:
    """Build a scene from an empty file and write it as GLB, or as .gltf with embedded buffers and images."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        build(scratch)
        if name.endswith(".glb"):
            bpy.ops.export_scene.gltf(filepath=str(HERE / name), export_format="GLB", **options)
            return
        bpy.ops.export_scene.gltf(filepath=str(scratch / name), export_format="GLTF_SEPARATE", **options)
        document = json.loads((scratch / name).read_text())
        for part, default in [("buffers", "application/octet-stream"), ("images", "")]:
            for entry in document.get(part, []):
                payload = base64.b64encode((scratch / entry["uri"]).read_bytes()).decode()
                entry["uri"] = f"data:{entry.get('mimeType', default)};base64,{payload}"
        (HERE / name).write_text(json.dumps(document, separators=(",", ":")) + "\n")


def make_scan(name: str) -> None:
    """A lumpy stone as a scanner's ZIP with OBJ, MTL and JPEG."""
    rows, columns = 24, 36
    lines = ["mtllib stone.mtl", "o Stone", "usemtl Stone"]
    for row in range(rows + 1):
        for column in range(columns + 1):
            lift, turn = math.pi * row / rows, math.tau * column / columns
            x, y, z = math.sin(lift) * math.cos(turn), -math.cos(lift), math.sin(lift) * math.sin(turn)
            lump = (
                1
                + 0.10 * math.sin(3 * x + 1) * math.cos(4 * z)
                + 0.06 * math.sin(7 * y + 5 * x)
                + 0.03 * math.sin(11 * z + 6 * y)
            )
            lines.append(f"v {0.09 * x * lump:.5f} {0.055 * y * lump + 0.06:.5f} {0.07 * z * lump:.5f}")
            lines.append(f"vt {column / columns:.4f} {row / rows:.4f}")
    for row in range(rows):
        for column in range(columns):
            a = row * (columns + 1) + column + 1
            b = a + columns + 1
            lines.append(f"f {a}/{a} {b}/{b} {b + 1}/{b + 1} {a + 1}/{a + 1}")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(HERE / name, "w") as archive:
        picture = stone(Path(folder) / "stone.jpg")
        for inside, content in [
            ("stone.obj", "\n".join(lines).encode() + b"\n"),
            ("stone.mtl", b"newmtl Stone\nKd 1 1 1\nKs 0 0 0\nmap_Kd stone.jpg\n"),
            ("stone.jpg", picture.read_bytes()),
        ]:
            # A fixed date, so that the same content gives the same bytes.
            archive.writestr(zipfile.ZipInfo(inside, (2024, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    export(build_product, "product.glb", export_apply=True)
    export(build_walker, "walker.glb", export_animation_mode="ACTIONS", export_optimize_animation_size=True)
    export(build_vase, "draco.glb", export_draco_mesh_compression_enable=True)
    export(build_vase, "embedded.gltf")
    export(build_spheres, "spheres.glb")
    export(build_empty, "no_mesh.glb")
    make_scan("scan.zip")
    for path in sorted(HERE.iterdir()):
        if path.suffix in {".glb", ".gltf", ".zip"}:
            print(f"{path.name:16} {path.stat().st_size:8} bytes")


if __name__ == "__main__":
    main()
