"""Checks of the whole document: forbidden values, URIs that lead out of the file, version, extensions.

Blender's importer would open any path that a URI names: ../, %2e%2e/, /etc/passwd. Therefore every URI, anywhere in the
document, must be exactly `data:`, a plain media type, `;base64,` and base64.
"""

import math
import re
from typing import Any

from farm.errors import InvalidFormat
from farm.intake.json_paths import child_path, invalid, quoted
from farm.intake.text import Payloads

MAX_DEPTH = 100  # Python's parser supports more, but Blender's may not

# Source: `extensions_managed` in io_scene_gltf2/io/imp/gltf2_io_gltf.py of Blender 4.5 (the add-on inside bpy 4.5.15).
# tests/intake/test_gltf_document.py compares the two, so that a newer Blender makes the test fail.
SUPPORTED = frozenset(
    {
        "EXT_mesh_gpu_instancing",
        "EXT_texture_webp",
        "KHR_animation_pointer",
        "KHR_draco_mesh_compression",
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_pbrSpecularGlossiness",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_mesh_quantization",
        "KHR_texture_transform",
    }
)
HONOURED = frozenset({"KHR_node_visibility"})  # by farm.blender.drawn_nodes
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
BASISU = "KHR_texture_basisu"
UNPACKED = frozenset({*MESHOPT, BASISU})  # by farm.intake.unpack, before Blender
FIXES = {
    "MSFT_texture_dds": "export the textures as PNG or JPEG instead of DDS",
    "EXT_texture_avif": "export the textures as PNG or JPEG instead of AVIF",
    "KHR_gaussian_splatting": "export a mesh instead of splats",
}

# Blender searches for the first `;base64,` and otherwise treats the URI as a path: so the whole prefix is matched.
_WORD = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_DATA = re.compile(rf"data:(?:{_WORD}/{_WORD}(?:;{_WORD}={_WORD})*)?;base64,", re.ASCII)


def check_values(document: dict[str, Any], payloads: Payloads) -> dict[str, int]:
    """Check every value, also in extensions and extras. Returns the size of each embedded file by its URI's path.

    Raises InvalidFormat: nested too deeply, a number that overflows, a lone surrogate, a URI that is not data.
    """
    sizes: dict[str, int] = {}

    def visit(parent: Any, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise InvalidFormat("The model's JSON is nested too deeply: export the model again")
        for key, value in parent.items() if isinstance(parent, dict) else enumerate(parent):
            if isinstance(key, str) and _has_lone_surrogate(key):
                raise invalid(path or "The model", "has a key with half a character (a lone surrogate): rename it")
            if key == "uri":
                here = child_path(path, key)
                sizes[here] = _embedded_size(value, here, payloads)
            elif isinstance(value, dict | list):
                visit(value, child_path(path, key), depth + 1)
            elif isinstance(value, str) and _has_lone_surrogate(value):
                raise invalid(
                    child_path(path, key), "holds half a character (a lone surrogate): rename it and export again"
                )
            elif _overflows(value):
                raise invalid(child_path(path, key), "is too large a number: repair the model and export it again")

    visit(document, "", 1)
    return sizes


def check_version_and_extensions(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: not glTF, not version 2.0, or an extension is required that Blender lacks."""
    asset = document.get("asset")
    if not isinstance(asset, dict):
        raise InvalidFormat("The JSON has no object 'asset', so it is not glTF: export the model as glTF 2.0")
    version = asset.get("version")
    # Blender accepts only this version; no other version 2 has been published.
    if version != "2.0":
        raise invalid("asset.version", f'is {quoted(version)}, only "2.0" is supported: export the model as glTF 2.0')
    used = _names(document, "extensionsUsed")
    for number, name in enumerate(_names(document, "extensionsRequired")):
        if name not in SUPPORTED | HONOURED | UNPACKED:
            fix = FIXES.get(name, "export again without it")
            raise InvalidFormat(f"The model requires {quoted(name)}, which Blender cannot read: {fix}")
        if name not in used:
            path = f"extensionsRequired[{number}]"
            raise invalid(path, f"is {quoted(name)}, which extensionsUsed does not list: export the model again")


def is_packed(document: dict[str, Any]) -> bool:
    """Whether Blender could read the document only after farm.intake.unpack. Requires check_schema."""
    return (
        any(name in UNPACKED for name in document.get("extensionsRequired", []))
        or any(meshopt_of(view) for view in document.get("bufferViews", []))
        or any("source" not in texture and basisu_of(texture) for texture in document.get("textures", []))
    )


def meshopt_of(part: dict[str, Any]) -> dict[str, Any] | None:
    """The meshopt extension of a buffer view or a buffer."""
    extensions = part.get("extensions", {})
    return next((extensions[name] for name in MESHOPT if name in extensions), None)


def basisu_of(texture: dict[str, Any]) -> dict[str, Any] | None:
    """The KHR_texture_basisu extension of a texture."""
    extension: dict[str, Any] | None = texture.get("extensions", {}).get(BASISU)
    return extension


def _embedded_size(uri: object, path: str, payloads: Payloads) -> int:
    if not isinstance(uri, str):
        raise invalid(path, f"must be a data: URI, not {quoted(uri)}")
    if not uri.startswith("data:"):
        raise invalid(
            path, f"is {quoted(uri)}, which points outside the file: embed the file that it names, or export as GLB"
        )
    head = _DATA.match(uri)
    size = payloads.decoded_size(uri[head.end() :]) if head else None
    if size is None:
        raise invalid(path, "must read data:<media type>;base64,<base64 data>, and it does not: export as GLB")
    return size


def _names(document: dict[str, Any], key: str) -> list[str]:
    names = document.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(key, "must be an array of extension names: export the model again")
    return names


def _overflows(value: object) -> bool:
    """Whether a number is beyond a float: 1e999 is infinite in Python, an integer of 400 digits cannot be converted."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and value.bit_length() > 1000


def _has_lone_surrogate(text: str) -> bool:
    """Whether the text has half of a surrogate pair, which JSON allows, but no encoding and no name in Blender."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
