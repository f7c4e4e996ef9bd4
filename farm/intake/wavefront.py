"""Reads materials from MTL files, and the file names that OBJ and MTL reference."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

Find = Callable[[bytes], PurePosixPath | None]

# Options of a texture and their arguments, as in: map_Kd -s 1 1 1 -clamp on my stone.jpg
_NUMBER = rb"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:e[-+]?\d++)?"
_OPTION = re.compile(
    rb"-(?:(?:o|s|t)(?P<numbers>(?:\s+%(n)b){1,3})|mm(?:\s+%(n)b){1,2}|(?:blendu|blendv|cc|clamp)(?:\s+(?:on|off))?"
    rb"|(?:bm|boost|texres)\s+%(n)b|imfchan\s+[rgbmlz]|type\s+\w+|colorspace\s+\w+)\s+" % {b"n": _NUMBER},
    re.IGNORECASE,
)
_AFTER_MTL = re.compile(rb"(?<=\.mtl)\s+", re.IGNORECASE)
TEXTURE_KEYWORDS = {b"map_kd", b"map_pr", b"map_pm", b"norm"}


@dataclass
class Material:
    """A material of an MTL. `color` is RGB from 0 to 1, linear; a texture replaces the number of its kind.

    `textures` maps a keyword of TEXTURE_KEYWORDS to the rest of its line. Names are bytes of unknown encoding.
    """

    name: bytes
    color: tuple[float, ...] = (0.8, 0.8, 0.8)
    roughness: float | None = None
    metallic: float | None = None
    textures: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class TextureReference:
    """A texture's file, and where the texture coordinates (u, v) lie in it: at `scale` times (u, v) plus `offset`."""

    path: PurePosixPath
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


def plain_text(content: bytes) -> bytes:
    """The OBJ or MTL with \\n at the end of every line: without byte order mark, UTF-16 and continued lines."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.decode("utf-16", "replace").encode()
    elif content[1:2] == b"\0" or content[:1] == b"\0":
        content = content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace").encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\\\n" in content:
        # A name in CP932 may end in a backslash's byte, so only one after a number or a space continues the line.
        content = re.sub(rb"(?<=[\d\s])\\\n", b" ", content)
    return content if content.endswith(b"\n") else content + b"\n"


def materials(mtl: bytes) -> list[Material]:
    """The materials of an MTL in `plain_text`, in order. Other statements are ignored."""
    found: list[Material] = []
    for line in mtl.split(b"\n"):
        keyword, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
        rest = rest.strip()
        match keyword.lower():
            case b"newmtl":
                found.append(Material(material_name(rest)))
            case b"kd" if found and (color := _color(rest)):
                found[-1].color = color
            case b"pr" if found and (number := _fractions(rest, 1)):
                found[-1].roughness = number[0]
            case b"pm" if found and (number := _fractions(rest, 1)):
                found[-1].metallic = number[0]
            case texture if found and rest and texture in TEXTURE_KEYWORDS:
                found[-1].textures[texture] = rest
    return found


def material_name(text: bytes) -> bytes:
    """The name without extra spaces, as `newmtl` and `usemtl` are compared."""
    return b" ".join(text.split())


def libraries(line: bytes, find: Find) -> tuple[list[PurePosixPath], list[bytes]]:
    """The files that the rest of an `mtllib` line references, and the references that `find` does not find.

    Names may have spaces and also be separated by spaces: the whole line is tried first, then its parts.
    """
    parts = [part for part in _AFTER_MTL.split(line.strip()) if part]
    if len(parts) > 1 and (whole := find(line)) and whole.name.lower().count(".mtl") > 1:
        return [whole], []
    found, missing = [], []
    for part in parts:
        if path := find(part):
            found.append(path)
        elif words := [path for word in part.split() if (path := find(word))]:
            found += words
        else:
            missing.append(part)
    return found, missing


def texture_reference(line: bytes, find: Find) -> TextureReference | None:
    """Resolve the rest of a line such as `map_Kd -o 0.1 0.2 my stone.jpg`; None if `find` finds no such file.

    A name may begin with a number, which looks like an option's: then fewer numbers are read as the option's.
    """
    for start in _name_starts(line):
        if path := find(line[start:]):
            scale, offset = [1.0, 1.0], [0.0, 0.0]
            for option in _OPTION.finditer(line[:start]):
                numbers = [float(number) for number in (option["numbers"] or b"").split()[:2]]
                target = {b"-s": scale, b"-o": offset}.get(option[0][:2].lower())
                if target and numbers:
                    target[: len(numbers)] = numbers
            return TextureReference(path, (scale[0], scale[1]), (offset[0], offset[1]))
    return None


def texture_name(line: bytes) -> bytes:
    """The name after the options of a texture, for messages."""
    return line[next(iter(_name_starts(line))) :]


def _name_starts(line: bytes) -> list[int]:
    """Where the texture's name may start: after all options, then after fewer and fewer of their words."""
    at = 0
    while option := _OPTION.match(line, at):
        at = option.end()
    return [word.start() for word in reversed(list(re.finditer(rb"\S+", line))) if word.start() <= at]


def _color(text: bytes) -> tuple[float, ...] | None:
    return _fractions(text, 3) or (_fractions(text, 1) or ()) * 3 or None


def _fractions(text: bytes, count: int) -> tuple[float, ...] | None:
    """So many numbers at the start of the text, limited to 0 to 1."""
    try:
        numbers = tuple(min(max(float(number), 0.0), 1.0) for number in text.split()[:count])
    except ValueError:
        return None
    return numbers if len(numbers) == count else None
