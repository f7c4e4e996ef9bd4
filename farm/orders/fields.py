"""Kinds of fields of render settings, and the error of those that do not fit."""

from typing import Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

RULE_VIOLATION = "rule_violation"  # pydantic's error type for fields that do not go together


def optional(**constraints: Any) -> Any:
    """A field that appears in JSON only when it has a value."""
    return Field(exclude_if=lambda value: value is None, **constraints)


def whole(value: Any) -> Any:
    """45.0 as 45: to JSON, and to a client without integers such as JavaScript, they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(whole)  # after the Field of an int, whose bounds then stay in the JSON schema


def violation(problem: str) -> PydanticCustomError:
    """The error of a field, whose name `problem` begins with, that does not fit the others or itself."""
    return PydanticCustomError(RULE_VIOLATION, "renderSettings.{problem}", {"problem": problem})
