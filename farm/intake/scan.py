"""Converts a zipped OBJ scan to GLB. Runs in a child process: `sandbox.run("farm.intake.scan", ...)`."""

import io
from collections import defaultdict
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from farm.errors import InvalidFormat
from farm.intake import sandbox, wavefront
from farm.intake.archive import Archive

MAX_TEXTURE_SIDE_PIXELS = 16384


class Texture:
    """An image that is copied into the GLB unchanged: trimesh reads its `format` and calls its `save`."""

    def __init__(self, content: bytes, name: str) -> None:
        """Raises InvalidFormat: not a complete JPEG or PNG, or too large."""
        Image.MAX_IMAGE_PIXELS = None  # the limit below has a message for the client
        try:
            with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as image:
                if max(image.size) > MAX_TEXTURE_SIDE_PIXELS:
                    raise InvalidFormat(
                        f"The texture {name[:80]!a} has {image.width}x{image.height} pixels: "
                        f"the maximum is {MAX_TEXTURE_SIDE_PIXELS} per side"
                    )
                image.load()
                self.format = image.format
        except (OSError, SyntaxError, ValueError) as error:
            raise InvalidFormat(f"The texture {name[:80]!a} is not a readable JPG or PNG: export it again") from error
        self.content = content

    def save(self, file: IO[bytes], format: str) -> None:  # noqa: ARG002 - called as PIL's
        file.write(self.content)


class Materials:
    """The scan's materials for glTF: matte, with textures instead of colours."""

    def __init__(self, archive: Archive, obj_path: PurePosixPath, obj: bytes) -> None:
        """Raises InvalidFormat: the zip lacks an MTL that the OBJ names."""
        self._archive = archive
        self._found: dict[str, tuple[wavefront.Material, PurePosixPath]] = {}
        self._textures: dict[PurePosixPath, Texture] = {}
        for name in wavefront.libraries(obj):
            path = _named(archive, name, "material file", obj_path)
            self._found |= {found.name: (found, path) for found in wavefront.materials(archive.read(path))}

    @property
    def names(self) -> bytes:
        """The MTL that trimesh gets: only the names of the materials."""
        return "".join(f"newmtl {name}\n" for name in self._found).encode()

    @property
    def have_textures(self) -> bool:
        return any(material.texture for material, _ in self._found.values())

    def matte(self, name: str | None) -> PBRMaterial:
        """The material of this name, or a white one. Raises InvalidFormat: its texture is missing or broken."""
        material, path = self._found.get(name or "", (wavefront.Material("", color=(1.0, 1.0, 1.0)), None))
        texture = self._texture(material.texture, path) if material.texture and path else None
        return PBRMaterial(
            name=material.name or None,
            baseColorFactor=None if texture else [*material.color, 1.0],
            baseColorTexture=texture,
            roughnessFactor=1.0,
            metallicFactor=0.0,
        )

    def _texture(self, name: str, mtl_path: PurePosixPath) -> Texture:
        path = _named(self._archive, name, "texture", mtl_path)
        if path not in self._textures:
            self._textures[path] = Texture(self._archive.read(path), path.name)
        return self._textures[path]


def _named(archive: Archive, name: str, kind: str, by: PurePosixPath) -> PurePosixPath:
    path = archive.find(name, beside=by)
    if path is None:
        raise InvalidFormat(f"{by.name[:80]!a} references the {kind} {name[:80]!a}, which the zip lacks: add it")
    return path


def convert(source: BinaryIO, target: BinaryIO) -> dict[str, Any]:
    """Write the scan in the zip `source` to `target` as GLB: one mesh per material, roughness 1, metallic 0.

    Textures are copied unchanged. Normals are kept, and vertex colours if there are no textures. Raises InvalidFormat.
    """
    archive = Archive(source)
    path = _only_obj(archive)
    obj = archive.read(path)
    if not wavefront.has_faces(obj):
        raise InvalidFormat(f"{path.name[:80]!a} has no faces: export the scan as a mesh, not as points")
    materials = Materials(archive, path, obj)
    scene = _load(obj, path, materials)
    for mesh in scene.geometry.values():
        mesh.visual = _matte(mesh, materials)
    target.write(scene.export(file_type="glb"))
    return {"faces": sum(len(mesh.faces) for mesh in scene.geometry.values())}


def _only_obj(archive: Archive) -> PurePosixPath:
    found = archive.with_suffix(".obj")
    if not found:
        raise InvalidFormat("The zip has no .obj file: pack one OBJ with its MTL and textures")
    if len(found) > 1:
        names = " and ".join(f"{path.name[:80]!a}" for path in found[:2])
        raise InvalidFormat(f"The zip has {len(found)} .obj files, {names} among them: pack one scan per zip")
    return found[0]


def _load(obj: bytes, path: PurePosixPath, materials: Materials) -> trimesh.Scene:
    # trimesh drops the vertex colours of a mesh with a material; they say more than materials without textures.
    colored = wavefront.has_vertex_colors(obj) and not materials.have_textures
    library = b"" if colored else materials.names
    files: defaultdict[str, bytes] = defaultdict(lambda: library)  # for any file name in the OBJ
    try:
        scene = trimesh.load_scene(io.BytesIO(obj), file_type="obj", resolver=files, process=False)
    except MemoryError:
        raise
    except Exception as error:
        # trimesh raises many types of errors: for letters instead of numbers, faces with missing vertices, ...
        raise InvalidFormat(f"{path.name[:80]!a} is damaged and cannot be read: export the scan again") from error
    if not scene.geometry:
        raise InvalidFormat(f"{path.name[:80]!a} has no vertices or no faces: export the scan again")
    return scene


def _matte(mesh: trimesh.Trimesh, materials: Materials) -> TextureVisuals:
    if isinstance(mesh.visual, TextureVisuals):
        return TextureVisuals(uv=mesh.visual.uv, material=materials.matte(mesh.visual.material.name))
    visual = TextureVisuals(material=materials.matte(None))
    if isinstance(mesh.visual, ColorVisuals) and mesh.visual.defined:
        visual.vertex_attributes["color"] = _linear(mesh.visual.vertex_colors)
    return visual


def _linear(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert sRGB, which scanners write, to linear, which glTF requires; alpha is unchanged. Source: IEC 61966-2-1."""
    encoded = np.arange(256) / 255
    table = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = colors.copy()
    linear[:, :3] = np.rint(table[colors[:, :3]] * 255).astype(np.uint8)
    return linear


if __name__ == "__main__":
    sandbox.main(convert)
