"""The shapes that every answer comes in: {data}, {data, meta} and {error}."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Wire(BaseModel):
    """Anything that crosses HTTP: snake_case in Python, camelCase in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Data(BaseModel, Generic[T]):
    """One thing."""

    data: T


class Meta(BaseModel):
    """Where a page lies in the whole list."""

    total: int
    offset: int
    limit: int


class Page(BaseModel, Generic[T]):
    """Some of many things."""

    data: list[T]
    meta: Meta


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str
    status: int


class Error(BaseModel):
    """Every answer that is not a success."""

    error: ErrorDetail


def _to_milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(_to_milliseconds, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-15T20:00:00.000Z"]}),
]
