"""The door of the farm: is this file a glTF model that Blender may safely open?"""

import mmap
from pathlib import Path, PurePath
from typing import Literal

from farm.errors import InvalidFormat
from farm.intake import binary, glb, references, tree, uris, words
from farm.intake.text import read_json

ModelFormat = Literal["glb", "gltf"]


def check_model(path: Path, name: str) -> ModelFormat:
    """Check the file at `path` that its sender called `name`, and say what it is.

    Reads the file through a memory map: whatever its size, only the JSON is held in memory (`text.py` states the caps).
    A model without a mesh passes; that nothing can be seen is for the render to say.

    Raises InvalidFormat: the name's extension is not accepted, or the content is broken, names anything outside
    itself, or needs an extension that Blender lacks. The message says what, where and what to do.
    """
    model_format = _format_of(name)
    if path.stat().st_size == 0:
        raise InvalidFormat("The file is empty: upload it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if model_format == "glb":
            chunks = glb.read_chunks(content)
            start, end, stored = chunks.json_start, chunks.json_end, chunks.binary_size
        else:
            _refuse_binary(content)
            start, end, stored = 0, len(content), None
        document, payloads = read_json(content, start, end)
    # First what no later rule may trip over, then the rules of glTF from the outside in.
    words.check_words(document)
    uris.check_uris(document, payloads)
    words.check_head(document)
    references.check_references(document)
    binary.check_buffers(document, payloads, stored)
    binary.check_buffer_views(document)
    binary.check_accessors(document)
    binary.check_images(document)
    tree.check_nodes(document)
    return model_format


def _format_of(name: str) -> ModelFormat:
    match PurePath(name).suffix.lower():
        case ".glb":
            return "glb"
        case ".gltf":
            return "gltf"
    raise InvalidFormat(f"{name[:80]!r} is not accepted: send a .glb file, or a .gltf file with everything embedded")


def _refuse_binary(content: mmap.mmap) -> None:
    """Blender tells the two apart by content, so a GLB under the name .gltf would pass by the checks of a GLB."""
    if content[:4] == glb.MAGIC:
        raise InvalidFormat("The file is called .gltf but its content is GLB: rename it to .glb")
