"""Converts an OBJ to GLB in Blender, in a process of `confined_process.run("farm.blender.obj_to_glb", ...)`."""

import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from farm.errors import InvalidFormat
from farm.intake import confined_process


def convert(source: BinaryIO, target: BinaryIO) -> dict[str, Any]:
    """Write the OBJ to `target` as GLB, coordinates unchanged, without lines and points. Raises InvalidFormat.

    Normals are written only if the OBJ has normals or smoothing groups: they triple the size of a flat mesh.
    """
    import bpy  # here, because it starts threads

    bpy.ops.wm.read_factory_settings(use_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        glb = Path(folder, "scan.glb")
        axes = {"forward_axis": "Y", "up_axis": "Z"}  # Blender's own, and the exporter does not turn them either
        bpy.ops.wm.obj_import(filepath=f"/dev/fd/{source.fileno()}", use_split_objects=False, **axes)
        meshes = [object_.data for object_ in bpy.data.objects if object_.type == "MESH"]
        if not any(mesh.polygons for mesh in meshes):
            raise InvalidFormat("The scan has no face that is a surface: export it again as a mesh")
        bpy.ops.export_scene.gltf(
            filepath=str(glb),
            export_format="GLB",
            export_yup=False,
            export_normals=any(_is_smooth(mesh) for mesh in meshes),
            export_vertex_color="ACTIVE",
            export_animations=False,
        )
        with glb.open("rb") as file:
            shutil.copyfileobj(file, target)
    return {}


def _is_smooth(mesh: Any) -> bool:
    flat = mesh.attributes.get("sharp_face")
    return mesh.has_custom_normals or flat is None or not all(value.value for value in flat.data)


if __name__ == "__main__":
    confined_process.main(convert, starts="threads")
