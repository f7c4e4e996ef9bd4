"""Check that a file is a glTF model that Blender can open safely."""

import mmap
from pathlib import Path
from typing import Any

from farm.errors import InvalidFormat
from farm.intake import binary, document, draco, geometry, glb, schema
from farm.intake.buffers import Buffers
from farm.intake.checked_model import CheckedModel, ModelFormat, format_of
from farm.intake.content import check_content
from farm.intake.limits import check_demand, check_structure
from farm.intake.model_pictures import check_pictures
from farm.intake.text import Payloads, read_json
from farm.settings import DEFAULT_LIMITS, ModelLimits


def check_model(path: Path, name: str, limits: ModelLimits = DEFAULT_LIMITS) -> CheckedModel:
    """Check the file at `path`, which its sender named `name`.

    Reads the file through a memory map: only the JSON and the decoded buffers of a .gltf are held in memory (`text.py`
    has the limits). A model without a mesh passes; the render then fails with that reason.
    Pictures and Draco's geometry are decoded: check a client's file with `farm.intake.check_upload`, which does so in a
    process of its own.

    Raises InvalidFormat: the suffix of the name is not accepted, or the content is malformed, demands more than
    `limits`, references anything outside the file, or requires an extension that Blender lacks. The message names the
    problem, its location and the fix.
    """
    model_format = format_of(name)
    if path.stat().st_size == 0:
        raise InvalidFormat("The file is empty: upload it again")
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # unmapped when the last array over it is gone
    if model_format == "gltf":
        _refuse_binary(content)
    model, payloads, stored = read_document(content, model_format)
    # Each step relies on the checks before it; decoding comes last.
    embedded = document.check_values(model, payloads)
    document.check_version_and_extensions(model)
    schema.check_schema(model)
    schema.check_node_tree(model, limits.max_node_depth)
    check_structure(model, limits)
    binary.check_buffers(model, embedded, None if stored is None else len(stored))
    binary.check_buffer_views(model, limits.max_decoded_bytes)
    binary.check_images(model)
    buffers = Buffers(model, payloads, stored)
    check_demand(model, draco.stated_counts(model, buffers), limits)
    packed = document.is_packed(model)
    if not packed:
        binary.check_accessors(model)
        geometry.check_geometry(model)
        check_content(model, buffers)
    check_pictures(model, buffers, limits)
    check_demand(model, draco.decoded_counts(model, buffers), limits)
    clips = [str(clip.get("name") or "") for clip in model.get("animations", [])]
    return CheckedModel(model_format, clips, packed)


def read_document(content: mmap.mmap, model_format: ModelFormat) -> tuple[dict[str, Any], Payloads, memoryview | None]:
    """The JSON of a GLB or glTF, the base64 left out of it, and a GLB's BIN chunk. Raises InvalidFormat."""
    if model_format == "gltf":
        return *read_json(content, 0, len(content)), None
    chunks = glb.read_chunks(content)
    stored = memoryview(content)[slice(*chunks.binary)] if chunks.binary else None
    return *read_json(content, chunks.json_start, chunks.json_end), stored


def _refuse_binary(content: mmap.mmap) -> None:
    """Blender recognises GLB by content, so a GLB named .gltf would bypass the checks of a GLB."""
    if content[:4] == glb.MAGIC:
        raise InvalidFormat("The file is called .gltf but its content is GLB: rename it to .glb")
