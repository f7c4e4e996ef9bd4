"""The contract of a template, as data: read by the stage, by `farm templates check` and by the artists' table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Property:
    """A custom property of an object: a number from `minimum` to `maximum`; `usual` is the value of a plain scene."""

    name: str
    minimum: float
    maximum: float
    usual: float
    meaning: str


@dataclass(frozen=True)
class Part:
    """An object that a template must have, by name: Blender's object type, its collection, its properties."""

    name: str
    type: str
    collection: str
    meaning: str
    properties: tuple[Property, ...] = ()


STAGE, LIGHTS, SET = "Stage", "Lights", "Set"

COLLECTIONS = {
    STAGE: "what the farm uses: the model's parent, the camera, the ground",
    LIGHTS: "every light, at least one",
}
OPTIONAL_COLLECTIONS = {
    SET: "optional: meshes that are drawn with the model, such as a pedestal, a backdrop, a textured floor or a gobo",
}

PARTS = (
    Part(
        "Subject",
        "EMPTY",
        STAGE,
        "an empty at the origin, neither turned nor scaled; the model becomes its child, "
        "scaled to a bounding sphere of radius 1, standing on z = 0",
    ),
    Part(
        "Camera",
        "CAMERA",
        STAGE,
        "a perspective camera; its focal length is used, its position is not: the farm moves it",
        (
            Property("elevation", -80.0, 80.0, 12.0, "Degrees that the camera stands above the horizon"),
            Property(
                "fit_margin", 1.0, 3.0, 1.19, "The frame's size divided by the model's; 1 touches the frame's edge"
            ),
        ),
    ),
    Part(
        "Ground",
        "MESH",
        STAGE,
        "a flat mesh on z = 0; the shadow and the mirror image are computed from it, the mesh itself is never drawn",
        (
            Property("shadow_strength", 0.0, 1.0, 1.0, "How dark the shadow is; 0 is none"),
            Property(
                "shadow_extent", 1.0, 8.0, 1.8, "Half the side of the square that may be in shadow, in scene units"
            ),
            Property("reflector_strength", 0.0, 1.0, 0.4, "How bright the floor's mirror image is; 0 is none"),
            Property("reflector_roughness", 0.0, 1.0, 0.15, "How blurred the mirror image is; 0 is a mirror"),
            Property(
                "reflector_fade", 0.1, 4.0, 1.0, "Height above the floor where the mirror image is gone, in scene units"
            ),
        ),
    ),
)

FOOTPRINT = Property(
    "footprint",
    0.5,
    3.0,
    1.15,
    "Optional, of an object of the set: it is scaled about the origin so that 1 unit of it becomes this many radii of "
    "the circle on the floor that the model needs",
)
MIN_FOOTPRINT_RADIUS = 0.25  # scene units; of a narrower model the set is scaled as if it needed this much floor

DISPLAY = "sRGB"
VIEW_TRANSFORMS = ("Khronos PBR Neutral", "Standard", "AgX", "Filmic")


@dataclass(frozen=True)
class Violation:
    """One violation of the contract: the object (or data-block or file) it is in, the problem, the fix."""

    object: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.object}: {self.problem}. {self.fix}"
