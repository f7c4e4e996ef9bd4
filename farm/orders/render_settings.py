"""The render settings of the API reference, as one model for API, CLI and workers."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from camera_paths import PATHS
from farm import templates
from farm.errors import InvalidSettings
from farm.ids import ID
from farm.tiers import Coverage, DatasetQuality, Quality

Aspect = Literal["16:9", "1:1", "9:16"]
Anchor = Literal[
    "top-left", "top-center", "top-right",
    "center-left", "center", "center-right",
    "bottom-left", "bottom-center", "bottom-right",
]  # fmt: skip
if TYPE_CHECKING:
    Effect = str
else:
    Effect = Literal[(*PATHS, "dataset")]  # every file in camera_paths/

MOST_SECONDS = 30  # for accounts that are no admin's
# What fields accept, where the schema's own words would not do.
IN_WORDS = {
    "bgColor": 'a colour such as "#ff8800": # and six hex digits',
    "bgImageId": "the id of an overlay, 12 letters and digits",
    "length": f"a number from 3 to {MOST_SECONDS} (to 600 for admins)",
}


DATASET_FIELDS = {
    "dataset_quality": "100x800",
    "coverage": "hemisphere",
}  # with what a dataset has unless told otherwise
VIDEO_FIELDS = ("animation", "bg_image_id", "vignette")  # what is only there when it is asked for, and no dataset has


def _not_given(value: object) -> bool:
    return value is None


def _is_there(scene: str) -> str:
    if scene not in templates.names():
        raise PydanticCustomError("unknown_scene", "no such template")
    return scene


def _foreign(problem: str) -> PydanticCustomError:
    """The refusal of a field that does not go with the others."""
    return PydanticCustomError("foreign_field", "renderSettings.{problem}", {"problem": problem})


def _tell_what_goes_together(schema: dict[str, Any]) -> None:
    """Put into the JSON schema which fields go with which; null is as good as left out."""
    a_dataset = [{"required": [name], **_one_of(name, "dataset")} for name in ("output", "effect")]
    no_dataset = {"properties": {"output": {"enum": ["video"]}, "effect": {"enum": list(PATHS)}}}
    schema["allOf"] = [
        {"anyOf": alternatives}
        for alternatives in (
            *(
                [_left_out(field), {"required": ["effect"], **_one_of("effect", *of)}]
                for field, of in _owners().items()
            ),
            *([_left_out(field), *a_dataset] for field in DATASET_FIELDS),
            *([_left_out(field), no_dataset] for field in VIDEO_FIELDS),
            [_one_of("output", "video"), _one_of("effect", "dataset", "turntable")],
            [_one_of("output", "dataset"), _one_of("effect", *PATHS)],
        )
    ]


def _left_out(field: str) -> dict[str, Any]:
    return {"properties": {to_camel(field): {"type": "null"}}}


def _one_of(field: str, *values: str) -> dict[str, Any]:
    """One of these, or left out."""
    return {"properties": {field: {"enum": list(values)}}}


def _owners() -> dict[str, list[str]]:
    """The fields that belong to an effect, each with the effects that have it."""
    owners = {
        field: [path.name for path in PATHS.values() if field in path.options] for field in RenderSettings.model_fields
    }
    return {field: names for field, names in owners.items() if names}


class RenderSettings(BaseModel):
    """What a client may ask of one render. Unknown fields are refused, so that a typing error never passes silently."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
        json_schema_extra=_tell_what_goes_together,
    )

    output: Annotated[
        Literal["video", "dataset"],
        Field(description="What is made: a video, or a dataset that trains NeRF and splats"),
    ] = "video"
    quality: Annotated[Quality, Field(description="Quality tier of a video: what comes out, see the tiers")] = "share"
    dataset_quality: Annotated[
        DatasetQuality | None,
        Field(
            exclude_if=_not_given, description="Tier of a dataset: views x pixels a side; 100x800 unless told otherwise"
        ),
    ] = None
    coverage: Annotated[
        Coverage | None,
        Field(
            exclude_if=_not_given,
            description="From where a dataset's views look; hemisphere, from above, unless told otherwise",
        ),
    ] = None
    effect: Annotated[Effect, Field(description='Camera path of a video; "dataset" says the same as `output`')] = (
        "turntable"
    )
    sweep_angle: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=10,
            le=1080,
            description="Degrees that a hero-spin or a reveal turns; 540 or 180 unless told otherwise",
        ),
    ] = None
    ease_out_ratio: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=0,
            le=1,
            description="Part of a hero-spin in which it slows down; 0.6 unless told otherwise",
        ),
    ] = None
    amplitude: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=5,
            le=180,
            description="Whole swing of a showcase in degrees; 60 unless told otherwise",
        ),
    ] = None
    zoom_start: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=0.1,
            le=3,
            description="Distance multiplier at a zoom-orbit's start; 1 unless told otherwise",
        ),
    ] = None
    zoom_end: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=0.1,
            le=3,
            description="Distance multiplier at a zoom-orbit's end; 0.7 unless told otherwise",
        ),
    ] = None
    scale_from: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=0,
            le=1,
            description="Size of the model at a reveal's start, 1 being its full size; 0 unless told otherwise",
        ),
    ] = None
    scene: Annotated[
        str, AfterValidator(_is_there), Field(description="Scene template: the light, the surroundings, the look")
    ] = "studio"
    vignette: Annotated[
        float | None,
        Field(
            exclude_if=_not_given,
            ge=0,
            le=1,
            description="How much the corners darken: 0, as when it is left out, not at all; 1 to black",
        ),
    ] = None
    aspect: Annotated[Aspect, Field(description="Width to height of the video")] = "16:9"
    bg_color: Annotated[
        str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="Background colour: # and six hex digits")
    ] = "#ffffff"
    bg_image_id: Annotated[
        str | None,
        Field(
            exclude_if=_not_given,
            pattern=f"^{ID.pattern}$",
            description="Overlay behind the model; `bgColor` then shows only where the overlay is transparent",
        ),
    ] = None
    bg_align: Annotated[
        Anchor, Field(description="Side or corner of the overlay that stays in view when it has to be cropped")
    ] = "top-left"
    length: Annotated[
        float, Field(ge=3, le=600, description="Duration of the video in seconds, 3 to 30; admin accounts up to 600")
    ] = 6
    animation: Annotated[
        str | None,
        Field(
            exclude_if=_not_given,
            min_length=1,
            max_length=200,
            description='The animation clip that plays, again and again: its name, or "*" for the first',
        ),
    ] = None
    animation_speed: Annotated[
        float, Field(ge=0.1, le=10, description="How many times as fast as it was made the clip plays")
    ] = 1.0
    shadows: Annotated[bool, Field(description="Whether the model throws a shadow on the ground")] = True
    reflector: Annotated[bool, Field(description="Whether the floor is glossy and mirrors the model")] = False
    easing: Annotated[bool, Field(description="Whether the turn eases out of and into its start")] = True
    rotate_y: Annotated[int, Field(ge=-180, le=180, description="Starting angle of the camera in degrees")] = 0
    tilt_x: Annotated[int, Field(ge=-90, le=90, description="Tilt of the model in degrees, positive forwards")] = 0
    pan_x: Annotated[
        int, Field(ge=-180, le=180, description="Yaw of the model in degrees, counter-clockwise from above, after tilt")
    ] = 0
    roll_z: Annotated[
        int,
        Field(ge=-180, le=180, description="Roll of the model in degrees, counter-clockwise seen from the front"),
    ] = 0
    zoom: Annotated[float, Field(ge=0.5, le=2.0, description="Camera distance multiplier; below 1 is closer")] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _a_dataset_is_spelled_out(cls, request: Any) -> Any:
        """A dataset may be asked for by `output` or by `effect`; it then has both, and a tier and a coverage."""
        if not isinstance(request, dict) or "dataset" not in (
            request.get("output"),
            request.get("effect"),
        ):
            return request
        whole = {"output": "dataset", "effect": "dataset"} | request
        if whole["effect"] == "turntable":  # the default, spelled out
            whole["effect"] = "dataset"
        for field, usual in DATASET_FIELDS.items():
            if whole.get(field) is None and whole.get(to_camel(field)) is None:
                whole[to_camel(field)] = usual
        return whole

    @model_validator(mode="after")
    def _fields_fit_the_output(self) -> Self:
        for field, value in (("output", self.output), ("effect", self.effect)):
            if self.is_dataset and value != "dataset":
                raise _foreign(f'{field} is "{value}", but must be "dataset" or left out: a dataset is asked for')
        for field in VIDEO_FIELDS if self.is_dataset else DATASET_FIELDS:
            if getattr(self, field) is not None:
                mend = "videos: leave it out" if self.is_dataset else 'datasets: send "output": "dataset" as well'
                raise _foreign(f"{to_camel(field)} belongs to {mend}")
        return self

    @model_validator(mode="after")
    def _fields_fit_the_effect(self) -> Self:
        for field, owners in EFFECT_FIELDS.items():
            if getattr(self, field) is not None and self.effect not in owners:
                named = ", ".join(f'"{owner}"' for owner in owners)
                raise _foreign(f'{to_camel(field)} does not belong to effect "{self.effect}", but to {named}')
        return self

    @property
    def is_dataset(self) -> bool:
        """Whether a dataset is asked for; all else are videos."""
        return "dataset" in (self.output, self.effect)

    @property
    def path_options(self) -> dict[str, float]:
        """The effect's own fields, those that were given, by the camera path's parameter names."""
        given = {field: getattr(self, field) for field in EFFECT_FIELDS}
        return {field: value for field, value in given.items() if value is not None}

    def check_against(self, clips: Sequence[str], *, admin: bool) -> None:
        """Refuse what this model or this account cannot have. `clips` are the model's, in order, "" an unnamed one.

        Raises InvalidSettings, naming the field, its value and what is allowed.
        """
        if self.length > MOST_SECONDS and not admin:
            raise InvalidSettings(refused("length", self.length, allowed("length")))
        if self.animation is None or self.animation in clips or (self.animation == "*" and clips):
            return
        named = ", ".join(json.dumps(clip, ensure_ascii=False) for clip in clips if clip)
        choice = f'one of the model\'s clips: {named or "none has a name"}; or "*" for the first'
        if not clips:
            choice = "left out: the model has no animation clips"
        raise InvalidSettings(refused("animation", self.animation, choice))

    def to_wire(self) -> dict[str, Any]:
        """The settings as the API shows them: every field spelled out, an effect's own ones where they were given."""
        return self.model_dump(by_alias=True)

    @property
    def background(self) -> tuple[int, int, int]:
        """The background colour as 8-bit sRGB."""
        red, green, blue = bytes.fromhex(self.bg_color[1:])
        return red, green, blue


def parse(raw: Any) -> RenderSettings:
    """Settings from a decoded JSON value, None meaning all defaults.

    Raises InvalidSettings, naming the first wrong field, its value and what is allowed.
    """
    try:
        # By alias alone: `bg_color` would otherwise pass beside the documented `bgColor`.
        return RenderSettings.model_validate({} if raw is None else raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSettings(_explain(error.errors()[0])) from error


def parse_json(text: str) -> RenderSettings:
    """Settings from JSON text, as they come in a form field. Raises InvalidSettings."""
    try:
        return parse(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"renderSettings is not valid JSON: {error}") from error


def parse_pairs(pairs: Iterable[str]) -> RenderSettings:
    """Settings from `key=value` texts, as a command line takes them. Raises InvalidSettings."""
    return parse(read_pairs(pairs))


def read_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """What `key=value` texts say, unchecked: a value that is not JSON is text. Raises InvalidSettings."""
    request: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidSettings(f"A setting is given as key=value, not {pair!r}")
        try:
            request[key] = json.loads(value)
        except ValueError:
            request[key] = value
    return request


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _explain(problem: ErrorDetails) -> str:
    if problem["type"] == "foreign_field":
        return problem["msg"]
    if not problem["loc"]:
        return "renderSettings must be a JSON object"
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"renderSettings.{field} is not a known field. Known fields: {', '.join(FIELDS)}"
    return refused(field, problem["input"], allowed(field))


def refused(field: str, value: Any, allowed: str) -> str:
    """The message about a field's value: what it is, and what it must be."""
    return f"renderSettings.{field} is {_shown(value)}, but must be {allowed}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:  # JSON that could just be read can be too deep to be written from further down the stack
        return "nested too deeply"
    return text if len(text) <= 60 else f"{text[:57]}..."


def allowed(field: str) -> str:
    """What a field accepts, in words: its type and range, as its JSON schema states them."""
    if field in IN_WORDS:
        return IN_WORDS[field]
    schema = SCHEMA["properties"][field]
    schema = schema.get("anyOf", [schema])[0]  # an optional field's other form is null
    if field == "scene":  # a studio's own templates are not known when the schema is made
        return "one of " + ", ".join(json.dumps(name) for name in templates.names())
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(value) for value in schema["enum"])
    if schema["type"] == "boolean":
        return "true or false"
    if "minLength" in schema:
        return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
    article = "an" if schema["type"] == "integer" else "a"
    return f"{article} {schema['type']} from {schema['minimum']:g} to {schema['maximum']:g}"


EFFECT_FIELDS = _owners()
SCHEMA = RenderSettings.model_json_schema(by_alias=True)
FIELDS = sorted(SCHEMA["properties"])
