"""Reads materials from OBJ and MTL files: names, colours, textures."""

import re
from dataclasses import dataclass

# map_Kd -s 1 1 1 -clamp on my stone.jpg
_OPTIONS = re.compile(r"(?:-[a-z]+(?:\s+(?:on|off|[rgbmlz]|[-+]?[\d.]+(?:e[-+]?\d+)?)(?=\s))*\s+)*", re.IGNORECASE)
_LIBRARY = re.compile(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t]*\r?$", re.MULTILINE)
_VERTEX = re.compile(rb"^v (.*)$", re.MULTILINE)
_FACE = re.compile(rb"^f ", re.MULTILINE)


@dataclass
class Material:
    """`color` is RGB from 0 to 1, linear; `texture` is the image's name in the MTL, and replaces the colour."""

    name: str
    color: tuple[float, ...] = (0.8, 0.8, 0.8)
    texture: str | None = None


def has_faces(obj: bytes) -> bool:
    return _FACE.search(obj) is not None


def has_vertex_colors(obj: bytes) -> bool:
    """Whether the first vertex has a colour after its position, as scanners without textures write it."""
    vertex = _VERTEX.search(obj)
    return vertex is not None and len(vertex[1].split()) >= 6


def libraries(obj: bytes) -> list[str]:
    """The MTL files that an OBJ references, without duplicates."""
    return list(dict.fromkeys(decoded(name) for name in _LIBRARY.findall(obj)))


def materials(mtl: bytes) -> list[Material]:
    """The materials of an MTL, in order. Other statements are ignored."""
    found: list[Material] = []
    for line in decoded(mtl).splitlines():
        keyword, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match keyword.lower():
            case "newmtl":
                found.append(Material(" ".join(rest.split())))
            case "kd" if found and (color := _color(rest)):
                found[-1].color = color
            case "map_kd" if found and rest:
                found[-1].texture = _OPTIONS.sub("", rest, count=1)
    return found


def decoded(text: bytes) -> str:
    """The text as UTF-8, or as Latin-1, which old exporters write and which any bytes can be decoded as."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _color(text: str) -> tuple[float, ...] | None:
    try:
        color = tuple(min(max(float(number), 0.0), 1.0) for number in text.split()[:3])
    except ValueError:
        return None
    return color if len(color) == 3 else None
