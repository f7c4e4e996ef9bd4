"""Parameters in a query: those that all lists have, and the refusal of unknown and repeated ones."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, get_args, get_origin

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.datastructures import QueryParams

from api.envelope import ApiModel
from api.text import NO_CONTROL_CHARACTERS
from farm.db.lists import Listing
from farm.errors import InvalidRequest
from farm.ids import LENGTH

MAX_TEXT_LENGTH = 256
MAX_IDS = 100
# An offset of a time zone: the plus of "+02:00" arrives as a space, unless the client has escaped it.
_OFFSET = re.compile(r"(T\S*) (\d\d:?\d\d)$")


def _split(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_OFFSET.sub(r"\1+\2", text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("moment", "must be a time such as 2026-02-15T20:00:00Z") from error


SPLIT = BeforeValidator(_split)  # of a list: several values in one parameter, separated by commas
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64, "examples": ["2026-02-15T20:00:00Z"]}),
]
Id = Annotated[str, Field(max_length=LENGTH)]
SearchText = Annotated[str, Field(max_length=MAX_TEXT_LENGTH), NO_CONTROL_CHARACTERS]


class ListQuery(ApiModel):
    """Which objects of a list to return. A subclass has `sort`: a field, with a minus for the reverse order."""

    ids: Annotated[
        list[Id],
        SPLIT,
        Field(max_length=MAX_IDS, description=f"Only objects with these ids, up to {MAX_IDS}; separated by commas"),
    ] = []  # noqa: RUF012 - pydantic copies it
    created_after: Annotated[
        Moment | None, Field(description="Only objects created after this time: ISO 8601, UTC unless it has an offset")
    ] = None
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of objects to return, 1 to 100")] = 50
    offset: Annotated[int, Field(ge=0, le=2**31 - 1, description="Number of objects to skip")] = 0

    def listing(self, sort: str, text: str) -> Listing:
        """These parameters, for queries of the database."""
        return Listing(self.ids, text, self.created_after, sort, self.limit, self.offset)


def checker(dependant: Dependant) -> Callable[[QueryParams], None]:
    """A function that raises InvalidRequest for a parameter that a call does not have, or a repeated one."""
    known = {name: is_list for each in _flat(dependant) for name, is_list in _parameters(each)}

    def check(sent: QueryParams) -> None:
        names = [name for name, _ in sent.multi_items()]
        for name in names:
            if name not in known:
                allowed = f"Known: {', '.join(known)}" if known else "The call has none"
                raise InvalidRequest(f"{name[:80]!a} is not a known query parameter of this call. {allowed}")
            if names.count(name) > 1 and not known[name]:
                raise InvalidRequest(f"{name}: send this query parameter only once")

    return check


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _flat(part)


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The names of the parameters, and whether each may be repeated."""
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield field.alias or name, _is_list(field.annotation)
        else:
            yield parameter.alias, _is_list(kind)


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list or any(get_origin(part) is list for part in get_args(kind))
