"""Tags: what clients send, made the same for the same word."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from api.text import CONTROLS, Without
from farm.errors import InvalidRequest

MOST = 20
LONGEST = 64
_ONE = f"[^,{CONTROLS}]{{0,{LONGEST}}}"


def _same(tag: str) -> str:
    return unicodedata.normalize("NFC", tag.lower())


def _distinct(tags: list[str]) -> list[str]:
    """Each once, in the order they came; empty ones are dropped."""
    return list(dict.fromkeys(tag for tag in tags if tag))


QUERY_PATTERN = f"^{_ONE}(,{_ONE}){{0,{MOST - 1}}}$"  # what `from_query` takes
Tag = Annotated[
    str,
    Field(max_length=LONGEST),
    Without(f",{CONTROLS}", "commas and control characters"),
    AfterValidator(_same),
]
Tags = Annotated[list[Tag], Field(max_length=MOST), AfterValidator(_distinct)]
_adapter: TypeAdapter[list[str]] = TypeAdapter(Tags)


def from_query(text: str) -> list[str]:
    """The tags of a comma-separated filter. Raises InvalidRequest."""
    try:
        return _adapter.validate_python(text.split(","))
    except ValidationError as error:
        raise InvalidRequest(f"tags: {error.errors()[0]['msg']}") from error
