"""Checks that accessors fit their use: the types and counts of attributes, indices, joints and animations.

Blender's importer reads past an array, or stops with an error about its own code, where they do not. All functions
require a document that has passed check_schema.
"""

from collections.abc import Collection, Iterator, Mapping

from farm.intake.binary import JsonObject
from farm.intake.json_paths import invalid

UNSIGNED = (5121, 5123, 5125)
FLOAT = 5126
TRIANGLES = 4
MIN_COUNTS = {2: 2, 3: 2, 5: 3, 6: 3}  # of vertices, by primitive mode: line loop and strip, triangle strip and fan
MULTIPLES = {1: 2, TRIANGLES: 3}  # of vertices, by primitive mode: lines, triangles
ATTRIBUTE_TYPES = {
    "POSITION": ("VEC3",),
    "NORMAL": ("VEC3",),
    "TANGENT": ("VEC4",),
    "TEXCOORD": ("VEC2",),
    "COLOR": ("VEC3", "VEC4"),
    "JOINTS": ("VEC4",),
    "WEIGHTS": ("VEC4",),
}
TARGET_TYPES = {"POSITION": ("VEC3",), "NORMAL": ("VEC3",), "TANGENT": ("VEC3",)}
CHANNEL_TYPES = {"translation": "VEC3", "rotation": "VEC4", "scale": "VEC3", "weights": "SCALAR"}
INSTANCE_TYPES = {"TRANSLATION": ("VEC3",), "ROTATION": ("VEC4",), "SCALE": ("VEC3",)}
_FIX = "export the model again"


def check_geometry(document: JsonObject) -> None:
    """Raises InvalidFormat: an accessor's type or count does not fit its use."""
    for path, primitive in primitives(document):
        _check_primitive(document, path, primitive)
    for number, mesh in enumerate(document.get("meshes", [])):
        counts = {len(primitive.get("targets", [])) for primitive in mesh["primitives"]}
        if len(counts) > 1:
            raise invalid(f"meshes[{number}]", f"has primitives with different numbers of morph targets: {_FIX}")
    for number, skin in enumerate(document.get("skins", [])):
        if "inverseBindMatrices" in skin:
            path, joints = f"skins[{number}].inverseBindMatrices", len(skin["joints"])
            accessor = document["accessors"][skin["inverseBindMatrices"]]
            _check_type(accessor, path, ("MAT4",), (FLOAT,))
            if accessor["count"] < joints:
                raise invalid(path, f"has {accessor['count']} matrices for {joints} joints: {_FIX}")
    for number, node in enumerate(document.get("nodes", [])):
        if instancing := node.get("extensions", {}).get("EXT_mesh_gpu_instancing"):
            path = f"nodes[{number}].extensions.EXT_mesh_gpu_instancing.attributes"
            _check_attributes(document, path, instancing["attributes"], INSTANCE_TYPES, None)
    for number, animation in enumerate(document.get("animations", [])):
        for channel_number, channel in enumerate(animation["channels"]):
            _check_channel(document, f"animations[{number}].channels[{channel_number}]", animation, channel)


def primitives(document: JsonObject, meshes: Collection[int] | None = None) -> Iterator[tuple[str, JsonObject]]:
    """The path of each primitive with a position, of these meshes or of all. Blender ignores the other primitives."""
    for number, mesh in enumerate(document.get("meshes", [])):
        if meshes is not None and number not in meshes:
            continue
        for primitive_number, primitive in enumerate(mesh["primitives"]):
            if "POSITION" in primitive["attributes"]:
                yield f"meshes[{number}].primitives[{primitive_number}]", primitive


def _check_primitive(document: JsonObject, path: str, primitive: JsonObject) -> None:
    accessors = document["accessors"]
    count = accessors[primitive["attributes"]["POSITION"]]["count"]
    _check_attributes(document, f"{path}.attributes", primitive["attributes"], ATTRIBUTE_TYPES, count)
    for number, target in enumerate(primitive.get("targets", [])):
        _check_attributes(document, f"{path}.targets[{number}]", target, TARGET_TYPES, count)
    if "indices" in primitive:
        indices = accessors[primitive["indices"]]
        _check_type(indices, f"{path}.indices", ("SCALAR",), UNSIGNED)
        count = indices["count"]
    mode = primitive.get("mode", TRIANGLES)
    if count < MIN_COUNTS.get(mode, 1) or count % MULTIPLES.get(mode, 1):
        needed = f"at least {MIN_COUNTS[mode]}" if mode in MIN_COUNTS else f"a multiple of {MULTIPLES[mode]}"
        raise invalid(path, f"has {count} vertices, but its mode {mode} needs {needed}: {_FIX}")


def _check_attributes(
    document: JsonObject,
    path: str,
    attributes: dict[str, int],
    types: Mapping[str, tuple[str, ...]],
    count: int | None,
) -> None:
    """Check attributes against each other: all have `count` elements, None for as many as the first."""
    for name, number in attributes.items():
        accessor = document["accessors"][number]
        base = name.rstrip("0123456789").rstrip("_")
        components = UNSIGNED if base == "JOINTS" else None
        if base in types:
            _check_type(accessor, f"{path}.{name}", types[base], components)
        if base in types or name.startswith("_"):
            if count is not None and accessor["count"] != count:
                raise invalid(
                    f"{path}.{name}", f"has {accessor['count']} elements, the other attributes have {count}: {_FIX}"
                )
            count = accessor["count"]


def _check_channel(document: JsonObject, path: str, animation: JsonObject, channel: JsonObject) -> None:
    target, sampler = channel["target"], animation["samplers"][channel["sampler"]]
    times, values = document["accessors"][sampler["input"]], document["accessors"][sampler["output"]]
    if target["path"] not in CHANNEL_TYPES or "node" not in target:
        return
    _check_type(times, f"{path}.sampler.input", ("SCALAR",), (FLOAT,))
    _check_type(values, f"{path}.sampler.output", (CHANNEL_TYPES[target["path"]],), None)
    needed = times["count"] * (3 if sampler.get("interpolation") == "CUBICSPLINE" else 1)
    if target["path"] == "weights":
        node = document["nodes"][target["node"]]
        meshes = document["meshes"][node["mesh"]]["primitives"] if "mesh" in node else []
        needed *= len(meshes[0].get("targets", [])) if meshes else 0
        fits = values["count"] >= needed
    else:
        fits = values["count"] == needed
    if not fits:
        raise invalid(path, f"has {values['count']} values, but its {times['count']} times need {needed}: {_FIX}")


def _check_type(accessor: JsonObject, path: str, types: tuple[str, ...], components: tuple[int, ...] | None) -> None:
    if accessor["type"] not in types:
        raise invalid(path, f"is of type {accessor['type']}, but must be {' or '.join(types)}: {_FIX}")
    if components is not None and accessor["componentType"] not in components:
        allowed = ", ".join(map(str, components))
        raise invalid(path, f"has componentType {accessor['componentType']}, but must have one of {allowed}: {_FIX}")
