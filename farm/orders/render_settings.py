"""The render settings of the API reference: one model for API, CLI and workers, and its parsing."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from farm import templates
from farm.errors import InvalidSettings
from farm.ids import ID
from farm.orders import dataset_settings, field_rules
from farm.orders.dataset_settings import DatasetSettings
from farm.orders.effects import BROKEN, PATHS
from farm.orders.field_rules import DATASET_FIELDS, VIDEO_FIELDS
from farm.orders.fields import RULE_VIOLATION, Whole, optional, violation, whole
from farm.orders.settings_messages import describe_allowed, item_not_allowed, not_allowed
from farm.tiers import MAX_LENGTH_SECONDS, Quality

Aspect = Literal["16:9", "1:1", "9:16"]
Anchor = Literal[
    "top-left", "top-center", "top-right",
    "center-left", "center", "center-right",
    "bottom-left", "bottom-center", "bottom-right",
]  # fmt: skip
if TYPE_CHECKING:
    Effect = str
else:
    Effect = Literal[(*PATHS, "dataset")]  # every usable file of both folders

MAX_CLIPS_SHOWN = 20  # in an error message


def _known_scene(scene: str) -> str:
    if scene not in templates.names():
        raise PydanticCustomError("unknown_scene", "no such template")
    return scene


class RenderSettings(DatasetSettings):
    """The settings of one render. Unknown fields are refused, so that a misspelled field is never ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
        json_schema_extra=lambda schema: field_rules.add_rules(schema, _effects_by_field()),
    )

    quality: Annotated[Quality, Field(description="Quality tier of a video, see the tiers")] = "share"
    effect: Annotated[
        Effect,
        # The default is validated, too: its file may be broken.
        Field(description='Camera path of a video; "dataset" is the same as in `output`', validate_default=True),
    ] = "turntable"
    sweep_angle: Annotated[
        float | None,
        optional(ge=10, le=1080, description="Degrees that hero-spin or reveal turn. Default: 540 or 180"),
    ] = None
    ease_out_ratio: Annotated[
        float | None,
        optional(ge=0, le=1, description="Fraction of hero-spin in which it decelerates. Default: 0.6"),
    ] = None
    amplitude: Annotated[
        float | None,
        optional(ge=5, le=180, description="Full swing of showcase in degrees. Default: 60"),
    ] = None
    zoom_start: Annotated[
        float | None,
        optional(ge=0.1, le=3, description="Distance multiplier at the start of zoom-orbit. Default: 1"),
    ] = None
    zoom_end: Annotated[
        float | None,
        optional(ge=0.1, le=3, description="Distance multiplier at the end of zoom-orbit. Default: 0.7"),
    ] = None
    scale_from: Annotated[
        float | None,
        optional(
            ge=0,
            le=1,
            description="Size of the model at the start of reveal; 1 is its full size. Default: 0, shown as 0.02",
        ),
    ] = None
    scene: Annotated[
        str,
        AfterValidator(_known_scene),
        Field(
            description="Scene template: light, surroundings and look",
            json_schema_extra={"maxLength": 255},  # that of a file's name
        ),
    ] = "studio"
    vignette: Annotated[
        float | None,
        optional(ge=0, le=1, description="Darkening of the corners, from 0 (none) to 1 (black). Default: 0"),
    ] = None
    aspect: Annotated[Aspect, Field(description="Aspect ratio of the video, width to height")] = "16:9"
    bg_color: Annotated[
        str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="Background colour: # and six hex digits")
    ] = "#ffffff"
    bg_image_id: Annotated[
        str | None,
        optional(
            pattern=f"^{ID.pattern}$",
            description="Overlay behind the model; `bgColor` then shows only where the overlay is transparent",
        ),
    ] = None
    fg_image_id: Annotated[
        str | None,
        optional(
            pattern=f"^{ID.pattern}$",
            description="Overlay in front of the model, over the finished picture, with its transparency",
        ),
    ] = None
    bg_align: Annotated[
        Anchor,
        Field(
            description="Side or corner of the background overlay that stays visible when it has to be cropped. "
            "With `bgImageId`, the default is the overlay's own `alignment`"
        ),
    ] = "top-left"
    length: Annotated[
        float, Field(ge=3, le=600, description="Duration of the video in seconds, 3 to 30; admin accounts up to 600")
    ] = 6
    animation: Annotated[
        str | None,
        optional(
            min_length=1,
            max_length=256,
            description='Animation clip to play in a loop: its name, or "*" for the first',
        ),
    ] = None
    animation_speed: Annotated[float, Field(ge=0.1, le=10, description="Playback speed of the animation clip")] = 1.0
    shadows: Annotated[bool, Field(description="Whether the model casts a shadow on the ground")] = True
    reflector: Annotated[bool, Field(description="Whether the floor is glossy and reflects the model")] = False
    easing: Annotated[bool, Field(description="Whether the camera movement eases in and out")] = True
    rotate_y: Annotated[int, Field(ge=-180, le=180, description="Starting angle of the camera in degrees"), Whole] = 0
    tilt_x: Annotated[
        int,
        Field(ge=-90, le=90, description="Tilt of the model in degrees, positive forwards"),
        Whole,
    ] = 0
    pan_x: Annotated[
        int,
        Field(ge=-180, le=180, description="Yaw of the model in degrees, counter-clockwise from above, after tilt"),
        Whole,
    ] = 0
    roll_z: Annotated[
        int,
        Field(ge=-180, le=180, description="Roll of the model in degrees, counter-clockwise seen from the front"),
        Whole,
    ] = 0
    zoom: Annotated[float, Field(ge=0.5, le=2.0, description="Camera distance multiplier; below 1 is closer")] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _complete_dataset(cls, raw: Any) -> Any:
        """Fill in the fields of a dataset, which may be requested by `output` or by `effect` alone."""
        if not isinstance(raw, dict) or "dataset" not in (raw.get("output"), raw.get("effect")):
            return raw
        complete = {"output": "dataset", "effect": "dataset"} | raw
        if complete["effect"] == "turntable":  # a client that sends every default explicitly
            complete["effect"] = "dataset"
        for field, default in dataset_settings.defaults(complete).items():
            if complete.get(field) is None and complete.get(to_camel(field)) is None:
                complete[to_camel(field)] = default
        return complete

    @model_validator(mode="after")
    def _fields_fit_the_output(self) -> Self:
        for field, value in (("output", self.output), ("effect", self.effect)):
            if self.is_dataset and value != "dataset":
                raise violation(f'{field} is "{value}", but must be "dataset" or left out: a dataset is requested')
        for field in VIDEO_FIELDS if self.is_dataset else DATASET_FIELDS:
            if getattr(self, field) is not None:
                fix = "videos: leave it out" if self.is_dataset else 'datasets: send "output": "dataset" as well'
                raise violation(f"{to_camel(field)} belongs to {fix}")
        return self

    @model_validator(mode="after")
    def _fields_fit_the_effect(self) -> Self:
        for field, effects in EFFECT_FIELDS.items():
            if getattr(self, field) is not None and self.effect not in effects:
                names = ", ".join(f'"{effect}"' for effect in effects)
                raise violation(f'{to_camel(field)} does not belong to effect "{self.effect}", but to {names}')
        return self

    @property
    def is_dataset(self) -> bool:
        """Whether the render is a dataset; otherwise it is a video."""
        return "dataset" in (self.output, self.effect)

    @property
    def path_options(self) -> dict[str, float]:
        """The effect's own options that have a value, by the camera path's parameter names."""
        values = {field: getattr(self, field) for field in EFFECT_FIELDS}
        return {field: value for field, value in values.items() if value is not None}

    @property
    def background(self) -> tuple[int, int, int]:
        """The background colour as 8-bit sRGB."""
        red, green, blue = bytes.fromhex(self.bg_color[1:])
        return red, green, blue

    def check_against(self, clips: Sequence[str], *, admin: bool) -> None:
        """Refuse settings that this model or this account cannot have.

        `clips` are the names of the model's animation clips in order, "" for an unnamed one.
        Raises InvalidSettings, which names the field, its value and the allowed values.
        """
        self.check_length(admin=admin)
        if self.animation is None or self.animation in clips or (self.animation == "*" and clips):
            return
        named = [json.dumps(clip, ensure_ascii=False) for clip in clips if clip]
        names = ", ".join(named[:MAX_CLIPS_SHOWN])
        if len(named) > MAX_CLIPS_SHOWN:
            names += f" and {len(named) - MAX_CLIPS_SHOWN} more"
        choice = f'one of the model\'s clips: {names or "none has a name"}; or "*" for the first'
        if not clips:
            choice = "left out: the model has no animation clips"
        raise InvalidSettings(not_allowed("animation", self.animation, choice))

    def check_length(self, *, admin: bool) -> None:
        """Raises InvalidSettings: the video is longer than this account may order."""
        if self.length > MAX_LENGTH_SECONDS and not admin:
            raise InvalidSettings(not_allowed("length", whole(self.length), allowed("length")))

    def to_wire(self) -> dict[str, Any]:
        """The settings as JSON of the API: defaults included, optional fields only where they have a value."""
        return self.model_dump(by_alias=True)


def _effects_by_field() -> dict[str, list[str]]:
    """The fields that belong to single effects, each with the names of those effects."""
    effects = {
        field: [path.name for path in PATHS.values() if field in path.options] for field in RenderSettings.model_fields
    }
    return {field: names for field, names in effects.items() if names}


EFFECT_FIELDS = _effects_by_field()
SCHEMA = RenderSettings.model_json_schema(by_alias=True)
FIELDS = sorted(SCHEMA["properties"])


def allowed(field: str) -> str:
    """The values that a field accepts, in words."""
    return describe_allowed(field, SCHEMA["properties"][field])


def unknown_field(name: str) -> str:
    """The message about a field that render settings do not have."""
    return f"{name} is not a known field. Known fields: {', '.join(FIELDS)}"


def parse(raw: Any) -> RenderSettings:
    """Settings from a decoded JSON value; None is all defaults.

    Raises InvalidSettings, which names the first wrong field, its value and the allowed values.
    """
    try:
        # By alias only: otherwise `bg_color` would pass beside the documented `bgColor`.
        return RenderSettings.model_validate({} if raw is None else raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSettings(_message(error.errors()[0])) from error


def _message(problem: ErrorDetails) -> str:
    if problem["type"] == RULE_VIOLATION:
        return problem["msg"]
    if not problem["loc"]:
        return "renderSettings must be a JSON object"
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"renderSettings.{unknown_field(field)}"
    if field == "effect" and (broken := BROKEN.get(str(problem["input"]))):
        return (
            f'renderSettings.effect is "{broken.name}", a camera path that this farm cannot use: its file is broken, as'
            " `farm camera-paths list` shows"
        )
    says = item_not_allowed if len(problem["loc"]) > 1 else not_allowed
    return says(field, problem["input"], allowed(field))


def parse_json(text: str) -> RenderSettings:
    """Settings from JSON text, as in a form field. Raises InvalidSettings."""
    try:
        return parse(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"renderSettings is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def parse_pairs(pairs: Iterable[str]) -> RenderSettings:
    """Settings from `key=value` texts, as on a command line. Raises InvalidSettings."""
    return parse(read_pairs(pairs))


def read_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """Unchecked settings from `key=value` texts; a value that is not JSON is text. Raises InvalidSettings."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidSettings(f"A setting must have the form key=value, not {pair!r}")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings
