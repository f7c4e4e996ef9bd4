"""What a template must hold, as data: read by the stage, by `farm templates check` and by the artist's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Property:
    """A custom property of an object: a number from `minimum` to `maximum`, `usual` in a scene that has no reason."""

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


STAGE, LIGHTS = "Stage", "Lights"

COLLECTIONS = {
    STAGE: "what the farm uses: the subject's place, the camera, the ground",
    LIGHTS: "every light, at least one",
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
        "a perspective camera; its focal length counts, its place does not: the farm moves it",
        (
            Property("elevation", -80.0, 80.0, 12.0, "Degrees that the camera stands above the horizon"),
            Property("fit_margin", 1.0, 3.0, 1.12, "Room around the model; 1 touches the frame's edge"),
        ),
    ),
    Part(
        "Ground",
        "MESH",
        STAGE,
        "a flat mesh on z = 0; the shadow and the mirror image are drawn from it, itself it is never seen",
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

DISPLAY = "sRGB"
VIEW_TRANSFORMS = ("Khronos PBR Neutral", "Standard", "AgX", "Filmic")


@dataclass(frozen=True)
class BrokenPromise:
    """One thing that is wrong with a template: the object (or whatever else it is in), the problem, the mend."""

    thing: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.thing}: {self.problem}. {self.mend}"
