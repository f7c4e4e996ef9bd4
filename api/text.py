"""Validation of short texts: titles, names, tags."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

CONTROL_CHARACTERS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # all but tab and line feed; PostgreSQL refuses NUL, and the rest is never intended
)


@dataclass(frozen=True)
class ForbidCharacters:
    """Refuses text with any of `characters` (the inside of a regex class), described by `name`; strips outer space.

    Unlike a bare pattern, the error is worded for people, while OpenAPI still shows the pattern.
    """

    characters: str
    name: str

    @property
    def pattern(self) -> str:
        return f"^[^{self.characters}]*$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._trimmed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}

    def _trimmed(self, text: str) -> str:
        # JSON can contain a lone surrogate, which no database can store.
        if re.search(f"[{self.characters}\\ud800-\\udfff]", text):
            raise PydanticCustomError("characters", "must be text without {name}", {"name": self.name})
        return text.strip()


NO_CONTROL_CHARACTERS = ForbidCharacters(CONTROL_CHARACTERS, "control characters")
