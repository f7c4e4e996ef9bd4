"""Converts a zipped OBJ scan to GLB. Runs in a child process: `confined_process.run("farm.intake.scan", ...)`.

Names, materials and textures are resolved here; another child process, `farm.blender.obj_to_glb`, makes the meshes. It
gets a clean OBJ without any names of files, and no textures: Blender decodes no image of a client here.
"""

import asyncio
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from farm.errors import InvalidFormat
from farm.intake import confined_process, obj, scan_glb, wavefront
from farm.intake.archive import Archive, spellings
from farm.intake.scan_glb import Surface, TextureUse
from farm.intake.texture import Texture, pixels, roughness_and_metal, texture
from farm.settings import DEFAULT_LIMITS

MAX_LIBRARIES = 100  # `mtllib` lines of an OBJ; each is looked for among all files of the zip
BLENDER_MODULE = "farm.blender.obj_to_glb"


class Materials:
    """The scan's materials for glTF: matte unless the MTL says otherwise, with textures instead of colours."""

    def __init__(
        self, archive: Archive, obj_path: PurePosixPath, references: list[bytes], max_texture_pixels: int
    ) -> None:
        """`references` are the rests of the `mtllib` lines; without one, the MTL with the OBJ's name counts."""
        self._archive = archive
        self._remaining_pixels = self._max_pixels = max_texture_pixels
        self._obj_path = obj_path
        self._found: dict[str, tuple[wavefront.Material, PurePosixPath]] = {}
        self._missing: list[bytes] = []
        self._textures: dict[PurePosixPath, Texture] = {}
        paths: list[PurePosixPath] = []
        for line in references:
            found, missing = wavefront.libraries(line, lambda name: archive.find(name, beside=obj_path))
            paths += found
            self._missing += missing
        if not references and (path := archive.find(obj_path.with_suffix(".mtl").name.encode(), beside=obj_path)):
            paths.append(path)
        self._all: list[wavefront.Material] = []
        for path in dict.fromkeys(paths):
            for material in wavefront.materials(wavefront.plain_text(archive.read_text(path))):
                self._all.append(material)
                for name in spellings(material.name):
                    self._found.setdefault(name, (material, path))

    def of(self, name: bytes | None) -> wavefront.Material | None:
        """The material of this name, None if there is none; without a name, the only one.

        Raises InvalidFormat: the MTL that may have the material is missing.
        """
        if name is None:
            return self._all[0] if len(self._all) == 1 else None
        found = next((self._found[spelled] for spelled in spellings(name) if spelled in self._found), None)
        if found is None and self._missing:
            raise self._lacking(self._obj_path, "material file", self._missing[0])
        return found[0] if found else None

    def surface(self, material: wavefront.Material | None, is_colored: bool) -> Surface:
        """The material for glTF; white for vertex colours. Raises InvalidFormat: a texture is missing or broken."""
        if material is None:
            return Surface("", (1.0, 1.0, 1.0))
        roughness, metal = (self._use(material, keyword) for keyword in (b"map_pr", b"map_pm"))
        both = None
        if roughness or metal:
            first = roughness or metal
            assert first
            images = [use.texture.content if use else None for use in (roughness, metal)]
            both = TextureUse(roughness_and_metal(images[0], images[1]), first.scale, first.offset)
        return Surface(
            name=spellings(material.name)[0],
            color=(1.0, 1.0, 1.0) if is_colored else material.color,
            roughness=1.0 if roughness or material.roughness is None else material.roughness,
            metallic=1.0 if metal else material.metallic or 0.0,
            color_texture=self._use(material, b"map_kd"),
            roughness_and_metal=both,
            normal_texture=self._use(material, b"norm"),
        )

    def _use(self, material: wavefront.Material, keyword: bytes) -> TextureUse | None:
        line = material.textures.get(keyword)
        if line is None:
            return None
        _, mtl = self._found[spellings(material.name)[0]]
        found = wavefront.texture_reference(line, lambda name: self._archive.find(name, beside=mtl))
        if found is None:
            raise self._lacking(mtl, "texture", wavefront.texture_name(line))
        if found.path not in self._textures:
            self._textures[found.path] = self._texture(self._archive.read(found.path), found.path.name)
        return TextureUse(self._textures[found.path], found.scale, found.offset)

    def _texture(self, content: bytes, name: str) -> Texture:
        self._remaining_pixels -= pixels(content, name)  # before any is decoded
        if self._remaining_pixels < 0:
            raise InvalidFormat(
                f"The scan's textures have more than {self._max_pixels:,} pixels together: make them smaller"
            )
        return texture(content, name)

    def _lacking(self, by: PurePosixPath, kind: str, reference: bytes) -> InvalidFormat:
        name = spellings(reference)[0]
        return InvalidFormat(f"{by.name[:80]!a} references the {kind} {name[:80]!a}, which the zip lacks: add it")


def convert(source: BinaryIO, target: BinaryIO, **limits: int) -> dict[str, Any]:
    """Write the scan in the zip `source` to `target` as GLB: roughness 1 and metallic 0 unless its MTL has them.

    Textures are copied unchanged where glTF allows their format. Normals are kept, and vertex colours if there are no
    textures. `limits` are those of `prepare`. Raises InvalidFormat.
    """
    archive = Archive(source)
    path = _only_obj(archive)
    surfaces: dict[str, Surface] = {}
    with tempfile.TemporaryDirectory() as folder:
        clean, glb = Path(folder, "scan.obj"), Path(folder, "scan.glb")
        try:
            surfaces = prepare(archive, path, clean, **limits)
        except obj.BadObj as error:
            raise InvalidFormat(f"{path.name[:80]!a} {error}") from error
        with glb.open("wb") as file:
            asyncio.run(
                confined_process.run(
                    BLENDER_MODULE,
                    clean,
                    file,
                    timeout_seconds=None,  # this process has one, and its child ends with it
                    memory_mb=confined_process.memory_limit_mb(),
                )
            )
        clean.unlink()
        scan_glb.finish(glb, surfaces, path.stem, target)
    return {}


def prepare(
    archive: Archive,
    path: PurePosixPath,
    clean: Path,
    *,
    max_materials: int = DEFAULT_LIMITS.max_materials,
    max_texture_pixels: int = DEFAULT_LIMITS.max_texture_pixels,
) -> dict[str, Surface]:
    """Write the OBJ for Blender to `clean`. Returns the materials by the names that they have there."""
    content = wavefront.plain_text(archive.read_text(path))
    summary = obj.summarize(content)
    if len(summary.used) > max_materials:
        raise obj.BadObj(f"uses {len(summary.used):,} materials: {max_materials:,} are allowed")
    libraries = list(dict.fromkeys(summary.libraries))
    if len(libraries) > MAX_LIBRARIES:
        raise obj.BadObj(f"has {len(libraries):,} mtllib lines: {MAX_LIBRARIES} are allowed")
    materials = Materials(archive, path, libraries, max_texture_pixels)
    used = {name: materials.of(name) for name in summary.used}
    # Vertex colours say more than materials without textures, and a texture more than both.
    textured = any(material and b"map_kd" in material.textures for material in used.values())
    is_colored = summary.has_colors and not textured
    distinct = list({id(material): material for material in used.values()}.values())
    names = {id(material): f"m{number}" for number, material in enumerate(distinct)}
    with clean.open("wb") as file:
        renamed = {name: names[id(material)].encode() for name, material in used.items()}
        obj.write_surface(content, summary, renamed, is_colored, file)
    return {names[id(material)]: materials.surface(material, is_colored) for material in distinct}


def _only_obj(archive: Archive) -> PurePosixPath:
    found = archive.with_suffix(".obj")
    if not found and (archive.with_suffix(".glb") or archive.with_suffix(".gltf")):
        raise InvalidFormat("The zip has no .obj file but a glTF: send that itself, as .glb or self-contained .gltf")
    if not found:
        raise InvalidFormat("The zip has no .obj file: pack one OBJ with its MTL and textures")
    if len(found) > 1:
        names = " and ".join(f"{path.name[:80]!a}" for path in found[:2])
        raise InvalidFormat(f"The zip has {len(found)} .obj files, {names} among them: pack one scan per zip")
    return found[0]


if __name__ == "__main__":
    confined_process.main(convert, starts="processes")
