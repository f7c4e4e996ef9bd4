"""The result of the check of a model, and the formats of models by their names."""

from dataclasses import dataclass
from typing import Literal

from farm.errors import InvalidFormat

ModelFormat = Literal["glb", "gltf"]


@dataclass(frozen=True)
class CheckedModel:
    """A file that Blender may open: its format, and the names of its animation clips, "" for an unnamed one.

    A `packed` file has compressed geometry or KTX2 textures: unpack it first, and check the result.
    """

    format: ModelFormat
    clips: list[str]
    packed: bool


def is_scan(name: str) -> bool:
    """Whether a file of this name is a zipped OBJ scan, which `farm.intake.scan` converts to GLB."""
    return name.lower().endswith(".zip")


def format_of(name: str) -> ModelFormat:
    """The format by the name's suffix. Raises InvalidFormat: it is neither .glb nor .gltf."""
    if name.lower().endswith(".glb"):
        return "glb"
    if name.lower().endswith(".gltf"):
        return "gltf"
    raise InvalidFormat(
        f"{name[:80]!a} is not accepted: send a .glb file, a .gltf file with everything embedded, or a .zip with an "
        "OBJ scan"
    )
