"""Tags of models: validation and normalisation."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from api.text import CONTROL_CHARACTERS, ForbidCharacters
from api.validation_messages import complaint
from farm.errors import InvalidRequest

MAX_TAGS = 20
MAX_TAG_LENGTH = 64
_TAG = f"[^,{CONTROL_CHARACTERS}]{{0,{MAX_TAG_LENGTH}}}"


def _normalized(tag: str) -> str:
    return unicodedata.normalize("NFC", tag.lower())


def _distinct(tags: list[str]) -> list[str]:
    """Without duplicates and empty tags, in the given order."""
    return list(dict.fromkeys(tag for tag in tags if tag))


QUERY_PATTERN = f"^{_TAG}(,{_TAG}){{0,{MAX_TAGS - 1}}}$"  # of the argument of `from_query`
Tag = Annotated[
    str,
    Field(max_length=MAX_TAG_LENGTH),
    ForbidCharacters(f",{CONTROL_CHARACTERS}", "commas and control characters"),
    AfterValidator(_normalized),
]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_distinct)]
_adapter: TypeAdapter[list[str]] = TypeAdapter(Tags)


def split(text: str) -> list[str]:
    """The parts of comma-separated tags, unchecked. Raises InvalidRequest for a JSON list, sent by mistake."""
    if text.lstrip().startswith('["'):
        raise InvalidRequest("tags must be separated by commas, such as furniture,office, and not be a JSON list")
    return text.split(",")


def from_query(text: str) -> list[str]:
    """The tags of a comma-separated filter. Raises InvalidRequest."""
    try:
        return _adapter.validate_python(split(text))
    except ValidationError as error:
        raise InvalidRequest(f"tags {complaint(error.errors()[0])}") from error
