"""The wording of errors about render settings: a field's value and the values that are allowed."""

import json
from typing import Any

from farm import templates
from farm.tiers import MAX_LENGTH_SECONDS

MAX_QUOTED_CHARACTERS = 60
# Fields for which the JSON schema's own pattern or range would not do as a description.
IN_WORDS = {
    "bgColor": 'a colour such as "#ff8800": # and six hex digits',
    "bgImageId": "the id of an overlay, 12 letters and digits",
    "cameras": "a list of 1 to 1000 matrices of 4 rows of 4 numbers, or the content of a transforms.json",
    "elevations": "a list of two numbers from -90 to 90",
    "fgImageId": "the id of an overlay, 12 letters and digits",
    "length": f"a number from 3 to {MAX_LENGTH_SECONDS} (to 600 for admins)",
}


def not_allowed(field: str, value: Any, allowed: str) -> str:
    """The error message for a field with a wrong value; `allowed` describes the right ones."""
    return f"renderSettings.{field} is {_quoted(value)}, but must be {allowed}"


def item_not_allowed(field: str, item: Any, allowed: str) -> str:
    """The error message for a list with a wrong item; `allowed` describes the right lists."""
    return f"renderSettings.{field} has {_quoted(item)}, but must be {allowed}"


def describe_allowed(field: str, schema: dict[str, Any]) -> str:
    """The values that a field accepts, in words, derived from the field's JSON schema."""
    if field in IN_WORDS:
        return IN_WORDS[field]
    if field == "scene":  # a studio's own templates may appear after the schema was built
        return "one of " + ", ".join(json.dumps(name) for name in templates.names())
    schema = schema.get("anyOf", [schema])[0]  # the other alternative of an optional field is null
    if schema.get("type") == "array":
        return f"a list of {_listed(schema['items']['enum'])}"
    if "enum" in schema:
        return "one of " + _listed(schema["enum"])
    if schema["type"] == "boolean":
        return "true or false"
    if "minLength" in schema:
        return f"a text of {schema['minLength']} to {schema['maxLength']} characters"
    article = "an" if schema["type"] == "integer" else "a"
    step = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{article} {schema['type']} from {schema['minimum']:g} to {schema['maximum']:g}{step}"


def _listed(values: list[Any]) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _quoted(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:  # json.loads had a shallower stack and could just read it
        return "nested too deeply"
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[: MAX_QUOTED_CHARACTERS - 3]}..."
