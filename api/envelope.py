"""The shapes that every answer comes in: {data}, {data, meta} and {error}."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class ApiModel(BaseModel):
    """Anything that crosses HTTP: snake_case in Python, camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Data(BaseModel, Generic[T]):
    """One thing."""

    model_config = ConfigDict(json_schema_extra={"description": "One thing, or one list of them."})

    data: Annotated[T, Field(description="What was asked for, or what became of it")]


class Meta(BaseModel):
    """Where a page lies in the whole list."""

    total: Annotated[int, Field(ge=0, description="Items in the whole list", examples=[142])]
    offset: Annotated[int, Field(ge=0, description="Items of the list that come before this page", examples=[0])]
    limit: Annotated[int, Field(ge=1, le=100, description="Most items that the page may have, 1 to 100", examples=[50])]


class Page(BaseModel, Generic[T]):
    """Some of many things."""

    model_config = ConfigDict(json_schema_extra={"description": "Some of many things, and how many there are."})

    data: Annotated[list[T], Field(description="The page's items, newest first")]
    meta: Annotated[Meta, Field(description="Where the page lies in the whole list")]


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, a message for people."""

    code: Annotated[str, Field(description="What programs decide by; it never changes", examples=["model_not_found"])]
    message: Annotated[
        str,
        Field(
            description="What people read, at most 1000 characters; the words may change", examples=["Model not found"]
        ),
    ]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status, 400 to 599", examples=[404])]


class Error(BaseModel):
    """Every answer that is not a success."""

    error: Annotated[ErrorDetail, Field(description="What went wrong")]


def _to_milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_to_milliseconds, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-15T20:00:00.000Z"]}),
]
