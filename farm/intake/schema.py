"""The schema of a glTF document: types, required fields, and indices that point at existing entries.

The table below lists the fields that Blender's importer reads; other fields are ignored, as Blender ignores them.
"""

from collections.abc import Callable
from typing import Any

from farm.intake.json_paths import child_path, invalid, quoted

Counts = dict[str, int]  # length of each list that an index may point into
Check = Callable[[Any, str, Counts], None]  # value, its path, counts; raises InvalidFormat

MAX_TEXT_LENGTH = 256  # characters of names and other texts; the API stores and returns those of clips
MAX_FLOAT32 = 3.4028234663852886e38  # Blender converts all numbers to 32-bit floats
_LIGHTS = "extensions.KHR_lights_punctual.lights"


def check_schema(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: a value has the wrong type, is missing, or is an index out of range."""
    counts: Counts = {}
    # First the lists themselves: otherwise an index into a value that is not a list would be reported instead.
    for name in _LISTS:
        entries = document.get(name, [])
        if not isinstance(entries, list):
            raise invalid(name, f"must be an array, not {quoted(entries)}")
        counts[name] = len(entries)
    lights: Any = document
    for step in _LIGHTS.split("."):
        lights = lights.get(step) if isinstance(lights, dict) else None
    counts[_LIGHTS] = len(lights) if isinstance(lights, list) else 0
    _DOCUMENT(document, "", counts)
    for number, animation in enumerate(document.get("animations", [])):
        path = f"animations[{number}]"
        samplers = {f"{path}.samplers": len(animation["samplers"])}
        for channel_number, channel in enumerate(animation["channels"]):
            index(f"{path}.samplers")(channel["sampler"], f"{path}.channels[{channel_number}].sampler", samplers)


def check_node_tree(document: dict[str, Any], max_depth: int) -> None:
    """Raises InvalidFormat: a node has two parents (Blender would build its subtree twice), is in a cycle, or too deep.

    A scene's nodes must be different roots, since Blender visits the subtree of each. Requires a document that has
    passed check_schema.
    """
    nodes = document.get("nodes", [])
    parent: dict[int, int] = {}
    for number, node in enumerate(nodes):
        for position, child in enumerate(node.get("children", [])):
            if child in parent:
                path = f"nodes[{number}].children[{position}]"
                raise invalid(path, f"is node {child}, already a child of node {parent[child]}: export the model again")
            parent[child] = number
    depths: dict[int, int] = {}  # 1 for a root
    for number in range(len(nodes)):
        visited: dict[int, None] = {}  # from the node upwards
        here: int | None = number
        while here is not None and here not in depths:
            if here in visited:
                raise invalid(f"nodes[{here}]", "is its own ancestor: export the model again")
            visited[here] = None
            here = parent.get(here)
        depth = 0 if here is None else depths[here]
        for node in reversed(visited):
            depths[node] = depth = depth + 1
        if depth > max_depth:
            raise invalid(f"nodes[{number}]", f"is {depth} levels deep: {max_depth} are allowed, so flatten the model")
    for number, scene in enumerate(document.get("scenes", [])):
        roots: set[int] = set()
        for position, node in enumerate(scene.get("nodes", [])):
            if node in parent or node in roots:
                reason = f"a child of node {parent[node]}" if node in parent else "in the scene twice"
                raise invalid(
                    f"scenes[{number}].nodes[{position}]", f"is node {node}, {reason}: export the model again"
                )
            roots.add(node)


def record(*required: str, **fields: Check) -> Check:
    """An object that has all `required` fields; `fields` are the checks of known fields. Extensions are allowed."""
    known = {"extensions": extensions(), **fields}

    def check(value: Any, path: str, counts: Counts) -> None:
        if not isinstance(value, dict):
            raise invalid(path, f"must be an object, not {quoted(value)}")
        for key in required:
            if key not in value:
                raise invalid(path, f"lacks {key!r}: export the model again")
        for key, field in known.items():
            if key in value:
                field(value[key], child_path(path, key), counts)

    return check


def extensions(**known: Check) -> Check:
    """An object of objects; the contents of `known` ones are checked."""

    def check(value: Any, path: str, counts: Counts) -> None:
        mapping_of(_any_object)(value, path, counts)
        for key, extension in known.items():
            if key in value:
                extension(value[key], child_path(path, key), counts)

    return check


def mapping_of(of: Check) -> Check:
    """An object with arbitrary keys, whose values pass `of`."""

    def check(value: Any, path: str, counts: Counts) -> None:
        _any_object(value, path, counts)
        for key, entry in value.items():
            if len(key) > MAX_TEXT_LENGTH:
                raise invalid(path, f"has a key of {len(key)} characters: {MAX_TEXT_LENGTH} are allowed, so shorten it")
            of(entry, child_path(path, key), counts)

    return check


def array(of: Check, length: int | None = None) -> Check:
    """A list whose entries pass `of`, with exactly `length` entries if given."""

    def check(value: Any, path: str, counts: Counts) -> None:
        if not isinstance(value, list):
            raise invalid(path, f"must be an array, not {quoted(value)}")
        if length is not None and len(value) != length:
            raise invalid(path, f"must have {length} entries, not {len(value)}: export the model again")
        for number, entry in enumerate(value):
            of(entry, f"{path}[{number}]", counts)

    return check


def index(target: str) -> Check:
    """An index into the document's list `target`."""

    def check(value: Any, path: str, counts: Counts) -> None:
        if type(value) is not int:  # a bool is an int to isinstance
            raise invalid(path, f"must be an index into {target}, not {quoted(value)}")
        if not 0 <= value < counts.get(target, 0):
            count = counts.get(target, 0)
            raise invalid(path, f"is {quoted(value)}, but {target} has {count} entries: export the model again")

    return check


def integer(minimum: int, maximum: int | None = None) -> Check:
    """An integer in a range."""

    def check(value: Any, path: str, _counts: Counts) -> None:
        if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
            allowed = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise invalid(path, f"must be a whole number {allowed}, not {quoted(value)}")

    return check


def one_of(*allowed: str | int) -> Check:
    """One of the allowed values."""

    def check(value: Any, path: str, _counts: Counts) -> None:
        if type(value) not in (str, int) or value not in allowed:
            raise invalid(path, f"is {quoted(value)}, but must be one of {', '.join(map(quoted, allowed))}")

    return check


def string(value: Any, path: str, _counts: Counts) -> None:
    """A text of at most MAX_TEXT_LENGTH characters. A longer one is refused and not cut: clips are chosen by name."""
    if not isinstance(value, str):
        raise invalid(path, f"must be text, not {quoted(value)}")
    if len(value) > MAX_TEXT_LENGTH:
        raise invalid(path, f"has {len(value)} characters: {MAX_TEXT_LENGTH} are allowed, so shorten it")
    if "\0" in value:  # PostgreSQL stores none
        raise invalid(path, f"is {quoted(value)}, with a NUL character: rename it")


def free_text(value: Any, path: str, _counts: Counts) -> None:
    """A text of any length, which nothing stores."""
    if not isinstance(value, str):
        raise invalid(path, f"must be text, not {quoted(value)}")


def boolean(value: Any, path: str, _counts: Counts) -> None:
    """true or false, but not a number."""
    if not isinstance(value, bool):
        raise invalid(path, f"must be true or false, not {quoted(value)}")


def number(value: Any, path: str, _counts: Counts) -> None:
    """A number that a 32-bit float can hold, but not true or false."""
    if type(value) not in (int, float):
        raise invalid(path, f"must be a number, not {quoted(value)}")
    if abs(value) > MAX_FLOAT32:
        raise invalid(path, f"is {quoted(value)}, too large a number: repair the model and export it again")


def _any_object(value: Any, path: str, _counts: Counts) -> None:
    if not isinstance(value, dict):
        raise invalid(path, f"must be an object, not {quoted(value)}")


_any_integer = integer(-(2**63), 2**63 - 1)
_numbers = array(number)
_texture = record("index", index=index("textures"), texCoord=integer(0), scale=number, strength=number)


def _textures(*names: str) -> Check:
    """A material extension, of which only the textures contain indices."""
    return record(**dict.fromkeys(names, _texture))


_ACCESSOR = record(
    *("componentType", "count", "type"),
    bufferView=index("bufferViews"),
    byteOffset=integer(0),
    componentType=one_of(5120, 5121, 5122, 5123, 5125, 5126),
    count=integer(1),
    max=_numbers,
    min=_numbers,
    name=string,
    normalized=boolean,
    sparse=record(
        *("count", "indices", "values"),
        count=integer(1),
        indices=record(
            *("bufferView", "componentType"),
            bufferView=index("bufferViews"),
            byteOffset=integer(0),
            componentType=one_of(5121, 5123, 5125),
        ),
        values=record("bufferView", bufferView=index("bufferViews"), byteOffset=integer(0)),
    ),
    type=one_of("SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"),
)
_ANIMATION = record(
    *("channels", "samplers"),
    channels=array(
        record(
            *("sampler", "target"),
            sampler=integer(0),  # an index into this animation's own samplers, checked by check_schema
            target=record("path", node=index("nodes"), path=string),
        )
    ),
    name=string,
    samplers=array(
        record("input", "output", input=index("accessors"), interpolation=string, output=index("accessors")),
    ),
)
_MESHOPT = record(
    *("buffer", "byteLength", "byteStride", "count", "mode"),
    buffer=index("buffers"),
    byteLength=integer(1),
    byteOffset=integer(0),
    byteStride=integer(1, 256),
    count=integer(1),
    filter=one_of("NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR"),
    mode=one_of("ATTRIBUTES", "TRIANGLES", "INDICES"),
)
_BUFFER_VIEW = record(
    *("buffer", "byteLength"),
    buffer=index("buffers"),
    byteLength=integer(1),
    byteOffset=integer(0),
    byteStride=integer(1, 252),
    extensions=extensions(EXT_meshopt_compression=_MESHOPT, KHR_meshopt_compression=_MESHOPT),
    name=string,
    target=_any_integer,
)
_CAMERA = record(
    "type",
    name=string,
    orthographic=record("xmag", "ymag", "zfar", "znear", xmag=number, ymag=number, zfar=number, znear=number),
    perspective=record("yfov", "znear", aspectRatio=number, yfov=number, zfar=number, znear=number),
    type=string,
)
_MATERIAL = record(
    alphaCutoff=number,
    alphaMode=string,
    doubleSided=boolean,
    emissiveFactor=array(number, 3),
    emissiveTexture=_texture,
    extensions=extensions(
        KHR_materials_anisotropy=_textures("anisotropyTexture"),
        KHR_materials_clearcoat=_textures("clearcoatTexture", "clearcoatRoughnessTexture", "clearcoatNormalTexture"),
        KHR_materials_pbrSpecularGlossiness=_textures("diffuseTexture", "specularGlossinessTexture"),
        KHR_materials_sheen=_textures("sheenColorTexture", "sheenRoughnessTexture"),
        KHR_materials_specular=_textures("specularTexture", "specularColorTexture"),
        KHR_materials_transmission=_textures("transmissionTexture"),
        KHR_materials_volume=_textures("thicknessTexture"),
    ),
    name=string,
    normalTexture=_texture,
    occlusionTexture=_texture,
    pbrMetallicRoughness=record(
        baseColorFactor=array(number, 4),
        baseColorTexture=_texture,
        metallicFactor=number,
        metallicRoughnessTexture=_texture,
        roughnessFactor=number,
    ),
)
_PRIMITIVE = record(
    "attributes",
    attributes=mapping_of(index("accessors")),
    extensions=extensions(
        KHR_draco_mesh_compression=record(
            "attributes", "bufferView", attributes=mapping_of(integer(0)), bufferView=index("bufferViews")
        ),
        KHR_materials_variants=record(
            "mappings",
            mappings=array(record("material", "variants", material=index("materials"), variants=array(integer(0)))),
        ),
    ),
    indices=index("accessors"),
    material=index("materials"),
    mode=integer(0, 6),
    targets=array(mapping_of(index("accessors"))),
)
_NODE = record(
    camera=index("cameras"),
    children=array(index("nodes")),
    extensions=extensions(
        EXT_mesh_gpu_instancing=record("attributes", attributes=mapping_of(index("accessors"))),
        KHR_lights_punctual=record("light", light=index(_LIGHTS)),
        KHR_node_visibility=record(visible=boolean),
    ),
    matrix=array(number, 16),
    mesh=index("meshes"),
    name=string,
    rotation=array(number, 4),
    scale=array(number, 3),
    skin=index("skins"),
    translation=array(number, 3),
    weights=_numbers,
)
_LISTS = {
    "accessors": _ACCESSOR,
    "animations": _ANIMATION,
    "bufferViews": _BUFFER_VIEW,
    "buffers": record("byteLength", byteLength=integer(1), name=string),
    "cameras": _CAMERA,
    "images": record(bufferView=index("bufferViews"), mimeType=string, name=string),
    "materials": _MATERIAL,
    "meshes": record("primitives", name=string, primitives=array(_PRIMITIVE), weights=_numbers),
    "nodes": _NODE,
    "samplers": record(
        **dict.fromkeys(("magFilter", "minFilter", "wrapS", "wrapT"), _any_integer),
        name=string,
    ),
    "scenes": record(name=string, nodes=array(index("nodes"))),
    "skins": record(
        "joints",
        inverseBindMatrices=index("accessors"),
        joints=array(index("nodes")),
        name=string,
        skeleton=index("nodes"),
    ),
    "textures": record(
        extensions=extensions(
            EXT_texture_webp=record("source", source=index("images")),
            KHR_texture_basisu=record("source", source=index("images")),
        ),
        name=string,
        sampler=index("samplers"),
        source=index("images"),
    ),
}
_DOCUMENT = record(
    asset=record(copyright=free_text, generator=free_text, minVersion=string),
    scene=index("scenes"),
    **{name: array(part) for name, part in _LISTS.items()},
)
