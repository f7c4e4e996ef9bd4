"""The shape of a glTF document: every part of the right type, with what it cannot do without, no index into nothing.

The table below lists what Blender's importer reads; whatever else a part holds is left alone, as Blender leaves it.
"""

from collections.abc import Callable
from typing import Any

from farm.intake.places import below, shown, wrong

Counts = dict[str, int]  # how long each list is that an index may point into
Check = Callable[[Any, str, Counts], None]  # value, its place, counts; raises InvalidFormat

_LIGHTS = "extensions.KHR_lights_punctual.lights"


def check_shape(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: something in the document has the wrong type, is missing, or points at nothing."""
    counts: Counts = {}
    # First the lists themselves: an index into something that is no list would take the blame for it.
    for name in _LISTS:
        entries = document.get(name, [])
        if not isinstance(entries, list):
            raise wrong(name, f"must be an array, not {shown(entries)}")
        counts[name] = len(entries)
    lights: Any = document
    for step in _LIGHTS.split("."):
        lights = lights.get(step) if isinstance(lights, dict) else None
    counts[_LIGHTS] = len(lights) if isinstance(lights, list) else 0
    _DOCUMENT(document, "", counts)
    for number, animation in enumerate(document.get("animations", [])):
        place = f"animations[{number}]"
        samplers = {f"{place}.samplers": len(animation["samplers"])}
        for channel_number, channel in enumerate(animation["channels"]):
            index(f"{place}.samplers")(channel["sampler"], f"{place}.channels[{channel_number}].sampler", samplers)


def check_forest(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: a node has two parents (Blender would build what is under it twice) or a cycle.

    The document has passed check_shape.
    """
    nodes = document.get("nodes", [])
    parent: dict[int, int] = {}
    for number, node in enumerate(nodes):
        for position, child in enumerate(node.get("children", [])):
            if child in parent:
                place = f"nodes[{number}].children[{position}]"
                raise wrong(place, f"is node {child}, already a child of node {parent[child]}: export the model again")
            parent[child] = number
    cleared: set[int] = set()
    for number in range(len(nodes)):
        climbed: set[int] = set()
        here: int | None = number
        while here is not None and here not in cleared:
            if here in climbed:
                raise wrong(f"nodes[{here}]", "is its own ancestor: export the model again")
            climbed.add(here)
            here = parent.get(here)
        cleared |= climbed


def obj(*required: str, **fields: Check) -> Check:
    """An object with at least the required fields, all of which are listed. Any object may have extensions."""
    known = {"extensions": extensions(), **fields}

    def check(value: Any, place: str, counts: Counts) -> None:
        if not isinstance(value, dict):
            raise wrong(place, f"must be an object, not {shown(value)}")
        for key in required:
            if key not in value:
                raise wrong(place, f"lacks {key!r}: export the model again")
        for key, field in known.items():
            if key in value:
                field(value[key], below(place, key), counts)

    return check


def extensions(**known: Check) -> Check:
    """An object of objects; of those that are known the inside too."""

    def check(value: Any, place: str, counts: Counts) -> None:
        each(_any_object)(value, place, counts)
        for key, extension in known.items():
            if key in value:
                extension(value[key], below(place, key), counts)

    return check


def each(of: Check) -> Check:
    """An object used as a map."""

    def check(value: Any, place: str, counts: Counts) -> None:
        _any_object(value, place, counts)
        for key, entry in value.items():
            of(entry, below(place, key), counts)

    return check


def array(of: Check, length: int | None = None) -> Check:
    """A list, of exactly this length if one is given."""

    def check(value: Any, place: str, counts: Counts) -> None:
        if not isinstance(value, list):
            raise wrong(place, f"must be an array, not {shown(value)}")
        if length is not None and len(value) != length:
            raise wrong(place, f"must have {length} entries, not {len(value)}: export the model again")
        for number, entry in enumerate(value):
            of(entry, f"{place}[{number}]", counts)

    return check


def index(target: str) -> Check:
    """A position in one of the document's lists."""

    def check(value: Any, place: str, counts: Counts) -> None:
        if type(value) is not int:  # a bool is an int to isinstance
            raise wrong(place, f"must be an index into {target}, not {shown(value)}")
        if not 0 <= value < counts.get(target, 0):
            count = counts.get(target, 0)
            raise wrong(place, f"is {shown(value)}, but {target} has {count} entries: export the model again")

    return check


def whole(least: int, most: int | None = None) -> Check:
    """A whole number in a range."""

    def check(value: Any, place: str, _counts: Counts) -> None:
        if type(value) is not int or value < least or (most is not None and value > most):
            allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise wrong(place, f"must be a whole number {allowed}, not {shown(value)}")

    return check


def one_of(*allowed: str | int) -> Check:
    """One of the values that glTF knows."""

    def check(value: Any, place: str, _counts: Counts) -> None:
        if type(value) not in (str, int) or value not in allowed:
            raise wrong(place, f"is {shown(value)}, but must be one of {', '.join(map(shown, allowed))}")

    return check


def text(value: Any, place: str, _counts: Counts) -> None:
    """Any text."""
    if not isinstance(value, str):
        raise wrong(place, f"must be text, not {shown(value)}")


def boolean(value: Any, place: str, _counts: Counts) -> None:
    """true or false, and no number that stands for it."""
    if not isinstance(value, bool):
        raise wrong(place, f"must be true or false, not {shown(value)}")


def number(value: Any, place: str, _counts: Counts) -> None:
    """A number; true and false are none."""
    if type(value) not in (int, float):
        raise wrong(place, f"must be a number, not {shown(value)}")


def _any_object(value: Any, place: str, _counts: Counts) -> None:
    if not isinstance(value, dict):
        raise wrong(place, f"must be an object, not {shown(value)}")


_anything_whole = whole(-(2**63), 2**63 - 1)
_numbers = array(number)
_texture = obj("index", index=index("textures"), texCoord=whole(0), scale=number, strength=number)


def _textures(*names: str) -> Check:
    """A material's extension: only its textures point anywhere."""
    return obj(**dict.fromkeys(names, _texture))


_ACCESSOR = obj(
    *("componentType", "count", "type"),
    bufferView=index("bufferViews"),
    byteOffset=whole(0),
    componentType=one_of(5120, 5121, 5122, 5123, 5125, 5126),
    count=whole(1),
    max=_numbers,
    min=_numbers,
    name=text,
    normalized=boolean,
    sparse=obj(
        *("count", "indices", "values"),
        count=whole(1),
        indices=obj(
            *("bufferView", "componentType"),
            bufferView=index("bufferViews"),
            byteOffset=whole(0),
            componentType=one_of(5121, 5123, 5125),
        ),
        values=obj("bufferView", bufferView=index("bufferViews"), byteOffset=whole(0)),
    ),
    type=one_of("SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"),
)
_ANIMATION = obj(
    *("channels", "samplers"),
    channels=array(
        obj(
            *("sampler", "target"),
            sampler=whole(0),  # an index into this animation's own samplers, checked by check_shape
            target=obj("path", node=index("nodes"), path=text),
        )
    ),
    name=text,
    samplers=array(
        obj("input", "output", input=index("accessors"), interpolation=text, output=index("accessors")),
    ),
)
_BUFFER_VIEW = obj(
    *("buffer", "byteLength"),
    buffer=index("buffers"),
    byteLength=whole(1),
    byteOffset=whole(0),
    byteStride=whole(1, 252),
    name=text,
    target=_anything_whole,
)
_CAMERA = obj(
    "type",
    name=text,
    orthographic=obj("xmag", "ymag", "zfar", "znear", xmag=number, ymag=number, zfar=number, znear=number),
    perspective=obj("yfov", "znear", aspectRatio=number, yfov=number, zfar=number, znear=number),
    type=text,
)
_MATERIAL = obj(
    alphaCutoff=number,
    alphaMode=text,
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
    name=text,
    normalTexture=_texture,
    occlusionTexture=_texture,
    pbrMetallicRoughness=obj(
        baseColorFactor=array(number, 4),
        baseColorTexture=_texture,
        metallicFactor=number,
        metallicRoughnessTexture=_texture,
        roughnessFactor=number,
    ),
)
_PRIMITIVE = obj(
    "attributes",
    attributes=each(index("accessors")),
    extensions=extensions(
        KHR_draco_mesh_compression=obj(
            "attributes", "bufferView", attributes=each(whole(0)), bufferView=index("bufferViews")
        ),
        KHR_materials_variants=obj(
            "mappings",
            mappings=array(obj("material", "variants", material=index("materials"), variants=array(whole(0)))),
        ),
    ),
    indices=index("accessors"),
    material=index("materials"),
    mode=whole(0, 6),
    targets=array(each(index("accessors"))),
)
_NODE = obj(
    camera=index("cameras"),
    children=array(index("nodes")),
    extensions=extensions(
        EXT_mesh_gpu_instancing=obj("attributes", attributes=each(index("accessors"))),
        KHR_lights_punctual=obj("light", light=index(_LIGHTS)),
    ),
    matrix=array(number, 16),
    mesh=index("meshes"),
    name=text,
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
    "buffers": obj("byteLength", byteLength=whole(1), name=text),
    "cameras": _CAMERA,
    "images": obj(bufferView=index("bufferViews"), mimeType=text, name=text),
    "materials": _MATERIAL,
    "meshes": obj("primitives", name=text, primitives=array(_PRIMITIVE), weights=_numbers),
    "nodes": _NODE,
    "samplers": obj(
        **dict.fromkeys(("magFilter", "minFilter", "wrapS", "wrapT"), _anything_whole),
        name=text,
    ),
    "scenes": obj(name=text, nodes=array(index("nodes"))),
    "skins": obj(
        "joints",
        inverseBindMatrices=index("accessors"),
        joints=array(index("nodes")),
        name=text,
        skeleton=index("nodes"),
    ),
    "textures": obj(
        extensions=extensions(EXT_texture_webp=obj("source", source=index("images"))),
        name=text,
        sampler=index("samplers"),
        source=index("images"),
    ),
}
_DOCUMENT = obj(
    asset=obj(copyright=text, generator=text, minVersion=text),
    scene=index("scenes"),
    **{name: array(part) for name, part in _LISTS.items()},
)
