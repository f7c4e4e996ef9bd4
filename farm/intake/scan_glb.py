"""Finishes a scan's GLB from Blender: puts the MTL's materials and the original bytes of its textures into it."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from farm.intake.glb import write
from farm.intake.schema import MAX_TEXT_LENGTH  # a longer name is cut: nothing refers to it
from farm.intake.texture import Texture

Json = dict[str, Any]


@dataclass(frozen=True)
class TextureUse:
    """A texture, at `scale` times the texture coordinates plus `offset`, both as in OBJ, where v points up."""

    texture: Texture
    scale: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """A material of glTF; a texture replaces `color`, and multiplies the numbers."""

    name: str
    color: tuple[float, ...]
    roughness: float = 1.0
    metallic: float = 0.0
    color_texture: TextureUse | None = None
    roughness_and_metal: TextureUse | None = None
    normal_texture: TextureUse | None = None


class _Textures:
    """The images of the GLB, each once, appended to its binary chunk of `size` bytes."""

    def __init__(self, document: Json, size: int) -> None:
        self._document = document
        self.size = size
        self.pieces: list[bytes] = []
        self._numbers: dict[Texture, int] = {}
        self.has_transforms = False

    def info(self, use: TextureUse) -> Json:
        """The textureInfo of glTF for this use."""
        if use.texture not in self._numbers:
            self._numbers[use.texture] = self._append(use.texture)
        info: Json = {"index": self._numbers[use.texture]}
        if use.scale != (1, 1) or use.offset != (0, 0):
            self.has_transforms = True
            # glTF's v points down, and so is 1 - v of OBJ.
            offset = [use.offset[0], 1 - use.scale[1] - use.offset[1]]
            info["extensions"] = {"KHR_texture_transform": {"offset": offset, "scale": list(use.scale)}}
        return info

    def _append(self, texture: Texture) -> int:
        document = self._document
        views, images, textures = (document.setdefault(key, []) for key in ("bufferViews", "images", "textures"))
        views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(texture.content)})
        images.append({"bufferView": len(views) - 1, "mimeType": texture.mime_type})
        textures.append({"source": len(images) - 1})
        padding = bytes(-len(texture.content) % 4)
        self.pieces += [texture.content, padding]
        self.size += len(texture.content) + len(padding)
        return len(textures) - 1


def finish(glb: Path, surfaces: dict[str, Surface], name: str, target: BinaryIO) -> None:
    """Write the GLB with its materials replaced by those `surfaces`, by name, and its nodes called `name`."""
    content = glb.read_bytes()
    (json_size,) = struct.unpack_from("<I", content, 12)
    document: Json = json.loads(content[20 : 20 + json_size])
    binary = memoryview(content)[28 + json_size :]
    textures = _Textures(document, len(binary))
    document["materials"] = [_material(surfaces[material["name"]], textures) for material in document["materials"]]
    for named in [*document["nodes"], *document["meshes"]]:
        named["name"] = name[:MAX_TEXT_LENGTH]
    document.pop("extensionsUsed", None)  # of the materials that were replaced
    if textures.has_transforms:
        document["extensionsUsed"] = ["KHR_texture_transform"]
    document["buffers"][0]["byteLength"] = textures.size
    write(target, document, [binary, *textures.pieces], textures.size)


def _material(surface: Surface, textures: _Textures) -> Json:
    shading: Json = {"roughnessFactor": surface.roughness, "metallicFactor": surface.metallic}
    material: Json = {
        "name": surface.name[:MAX_TEXT_LENGTH],
        "doubleSided": True,  # as OBJ has no sides
        "pbrMetallicRoughness": shading,
    }
    if surface.color_texture:
        shading["baseColorTexture"] = textures.info(surface.color_texture)
    else:
        shading["baseColorFactor"] = [*surface.color, 1.0]
    if surface.roughness_and_metal:
        shading["metallicRoughnessTexture"] = textures.info(surface.roughness_and_metal)
    if surface.normal_texture:
        material["normalTexture"] = textures.info(surface.normal_texture)
    return material
