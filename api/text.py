"""Short texts that people type: titles, names, tags."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

CONTROL_CHARACTERS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # all but tab and line feed; PostgreSQL refuses NUL, and nobody means the rest
)


@dataclass(frozen=True)
class ForbidCharacters:
    """Marks text as free of `characters` (the inside of a regex class), which `called` names; space around it goes.

    Unlike a bare pattern it tells people in words what is wrong, and OpenAPI still shows the pattern.
    """

    characters: str
    called: str

    @property
    def pattern(self) -> str:
        return f"^[^{self.characters}]*$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._trimmed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}

    def _trimmed(self, text: str) -> str:
        # JSON can spell half of a surrogate pair, which no database can hold.
        if re.search(f"[{self.characters}\\ud800-\\udfff]", text):
            raise PydanticCustomError("characters", "Input should be text without {called}", {"called": self.called})
        return text.strip()


NO_CONTROL_CHARACTERS = ForbidCharacters(CONTROL_CHARACTERS, "control characters")
