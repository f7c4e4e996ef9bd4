"""A view as the Blender host returns it: plain data that crosses its socket."""

from dataclasses import dataclass
from typing import Any, Self

from farm.scene.shot import Layer


@dataclass(frozen=True)
class Opened:
    """Facts of a dataset, known once its model is on the stage.

    `source_to_dataset` is 4x4 and row-major: from the model file's own coordinates, y up as in any glTF loader,
    to the dataset's world. `blender` is Blender's version.
    """

    source_to_dataset: list[list[float]]
    blender: str


@dataclass(frozen=True)
class DrawnView:
    """One view: `subject` is its picture, `passes` an OpenEXR file with the channels of farm.blender.passes.

    Both are cropped to the same part of the frame.
    """

    number: int
    subject: Layer
    passes: Layer

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """From the JSON of a view's `asdict`."""
        return cls(wire["number"], Layer(**wire["subject"]), Layer(**wire["passes"]))
