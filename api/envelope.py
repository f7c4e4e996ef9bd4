"""The envelopes of all responses: {data}, {data, meta} and {error}."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class ApiModel(BaseModel):
    """Base of request and response bodies: snake_case in Python, camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Data(BaseModel, Generic[T]):
    """A single object or a complete list."""

    model_config = ConfigDict(json_schema_extra={"description": "A single object or a complete list."})

    data: Annotated[T, Field(description="The requested or changed object")]


class Meta(BaseModel):
    """Position of a page in the whole list."""

    total: Annotated[int, Field(ge=0, description="Number of items in the whole list", examples=[142])]
    offset: Annotated[int, Field(ge=0, description="Number of items before this page", examples=[0])]
    limit: Annotated[
        int, Field(ge=1, le=100, description="Maximum number of items in the page, 1 to 100", examples=[50])
    ]


class Page(BaseModel, Generic[T]):
    """A page of a list."""

    model_config = ConfigDict(json_schema_extra={"description": "A page of a list, and its position in the list."})

    data: Annotated[list[T], Field(description="The page's items, in the order of `sort`")]
    meta: Annotated[Meta, Field(description="Position of the page in the whole list")]


class ErrorDetail(BaseModel):
    """An error: a code for programs, a message for people."""

    code: Annotated[str, Field(description="Stable identifier for programs", examples=["model_not_found"])]
    message: Annotated[
        str,
        Field(
            description="Explanation for people, at most 1000 characters; the wording may change",
            examples=["Model not found"],
        ),
    ]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status, 400 to 599", examples=[404])]


class Error(BaseModel):
    """Body of every error response."""

    error: Annotated[ErrorDetail, Field(description="The error")]


def _to_milliseconds(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_to_milliseconds, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-15T20:00:00.000Z"]}),
]
