"""Everything that points somewhere by index points at something, and everything has what it cannot do without."""

from typing import Any

from farm.intake.fields import find, parts, shown, wrong

REQUIRED = {
    "accessors[]": ("componentType", "count", "type"),
    "accessors[].sparse": ("count", "indices", "values"),
    "accessors[].sparse.indices": ("bufferView", "componentType"),
    "accessors[].sparse.values": ("bufferView",),
    "animations[]": ("channels", "samplers"),
    "animations[].channels[]": ("sampler", "target"),
    "animations[].channels[].target": ("path",),
    "animations[].samplers[]": ("input", "output"),
    "bufferViews[]": ("buffer", "byteLength"),
    "buffers[]": ("byteLength",),
    "cameras[]": ("type",),
    "images[]": (),
    "materials[]": (),
    "meshes[]": ("primitives",),
    "meshes[].primitives[]": ("attributes",),
    "meshes[].primitives[].extensions.KHR_draco_mesh_compression": ("attributes", "bufferView"),
    "nodes[]": (),
    "samplers[]": (),
    "scenes[]": (),
    "skins[]": ("joints",),
    "textures[]": (),
}

_TEXTURES = (
    "pbrMetallicRoughness.baseColorTexture",
    "pbrMetallicRoughness.metallicRoughnessTexture",
    "normalTexture",
    "occlusionTexture",
    "emissiveTexture",
)

# Where an index stands, and the list that it points into.
REFERENCES = {
    "scene": "scenes",
    "scenes[].nodes[]": "nodes",
    "nodes[].children[]": "nodes",
    "nodes[].mesh": "meshes",
    "nodes[].skin": "skins",
    "nodes[].camera": "cameras",
    "nodes[].extensions.EXT_mesh_gpu_instancing.attributes{}": "accessors",
    "nodes[].extensions.KHR_lights_punctual.light": "extensions.KHR_lights_punctual.lights",
    "skins[].joints[]": "nodes",
    "skins[].skeleton": "nodes",
    "skins[].inverseBindMatrices": "accessors",
    "meshes[].primitives[].attributes{}": "accessors",
    "meshes[].primitives[].targets[]{}": "accessors",
    "meshes[].primitives[].indices": "accessors",
    "meshes[].primitives[].material": "materials",
    "meshes[].primitives[].extensions.KHR_draco_mesh_compression.bufferView": "bufferViews",
    "animations[].samplers[].input": "accessors",
    "animations[].samplers[].output": "accessors",
    "animations[].channels[].target.node": "nodes",
    **{f"materials[].{texture}.index": "textures" for texture in _TEXTURES},
    "textures[].source": "images",
    "textures[].sampler": "samplers",
    "textures[].extensions.EXT_texture_webp.source": "images",
    "images[].bufferView": "bufferViews",
    "accessors[].bufferView": "bufferViews",
    "accessors[].sparse.indices.bufferView": "bufferViews",
    "accessors[].sparse.values.bufferView": "bufferViews",
    "bufferViews[].buffer": "buffers",
}


def check_references(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: a part is not an object or lacks a field, an index is no index or points at nothing."""
    for path, fields in REQUIRED.items():
        for place, part in parts(document, path):
            for field in fields:
                if field not in part:
                    raise wrong(place, f"lacks {field!r}: export the model again")
    for path, target in REFERENCES.items():
        count = sum(1 for _ in find(document, f"{target}[]"))
        for place, index in find(document, path):
            _check_index(place, index, count, target)
    for place, animation in parts(document, "animations[]"):
        count = sum(1 for _ in find(animation, "samplers[]"))
        for inside, index in find(animation, "channels[].sampler"):
            _check_index(f"{place}.{inside}", index, count, f"{place}.samplers")


def _check_index(place: str, index: object, count: int, target: str) -> None:
    if type(index) is not int:
        raise wrong(place, f"must be an index into {target}, not {shown(index)}")
    if not 0 <= index < count:
        raise wrong(place, f"is {shown(index)}, but {target} has {count} entries: export the model again")
