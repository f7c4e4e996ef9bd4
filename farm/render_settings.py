"""The render settings of the API reference, as one model for API, CLI and workers."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from farm.errors import InvalidSettings

Quality = Literal["share", "standard", "4k"]
Aspect = Literal["16:9", "1:1", "9:16"]


class RenderSettings(BaseModel):
    """What a client may ask of one render. Unknown fields are refused, so that a typing error never passes silently."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False
    )

    quality: Annotated[Quality, Field(description="Quality tier: 540p, 1080p or 2160p H.264")] = "share"
    effect: Annotated[Literal["turntable"], Field(description="Camera path: one full turn")] = "turntable"
    aspect: Annotated[Aspect, Field(description="Width to height of the video")] = "16:9"
    bg_color: Annotated[
        str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="Background colour: # and six hex digits")
    ] = "#ffffff"
    length: Annotated[float, Field(ge=3, le=30, description="Duration of the video in seconds, 3 to 30")] = 6
    shadows: Annotated[bool, Field(description="Whether the model throws a shadow on the ground")] = True
    easing: Annotated[bool, Field(description="Whether the turn eases out of and into its start")] = True
    rotate_y: Annotated[int, Field(ge=-180, le=180, description="Starting angle of the camera in degrees")] = 0
    zoom: Annotated[float, Field(ge=0.5, le=2.0, description="Camera distance multiplier; below 1 is closer")] = 1.0

    def to_wire(self) -> dict[str, Any]:
        """The settings as the API shows them, every field spelled out."""
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


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _explain(problem: ErrorDetails) -> str:
    if not problem["loc"]:
        return "renderSettings must be a JSON object"
    field = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"renderSettings.{field} is not a known field. Known fields: {', '.join(FIELDS)}"
    return f"renderSettings.{field} is {_shown(problem['input'])}, but must be {allowed(field)}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:  # JSON that could just be read can be too deep to be written from further down the stack
        return "nested too deeply"
    return text if len(text) <= 60 else f"{text[:57]}..."


def allowed(field: str) -> str:
    """What a field accepts, in words: its type and range, as its JSON schema states them."""
    schema = SCHEMA["properties"][field]
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "pattern" in schema:
        return 'a colour such as "#ff8800": # and six hex digits'
    if schema["type"] == "boolean":
        return "true or false"
    article = "an" if schema["type"] == "integer" else "a"
    return f"{article} {schema['type']} from {schema['minimum']:g} to {schema['maximum']:g}"


SCHEMA = RenderSettings.model_json_schema(by_alias=True)
FIELDS = sorted(SCHEMA["properties"])
