"""The wording of errors about fields, parameters and settings, by pydantic's types of errors."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

# {name} is a value of the error's context.
MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field here",
    "string_type": "must be a text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be text in UTF-8",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "path_not_directory": "must be a folder that exists",
}
KEY_MARK = "[key]"
PLAIN_NAME = re.compile(r"[\w.$-]+")
UNLISTED = "has a value that is not allowed"
# The types of errors that validators of ours raise.
OWN_TYPES = {"characters", "metadata", "moment", "json_list", "origin", "http_url"}


def explain(problem: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a sentence: the field, and what is wrong with it."""
    return f"{path(problem['loc'])} {complaint(problem)}".lstrip()


def complaint(problem: Mapping[str, Any]) -> str:
    """What is wrong with the field, without its name. Errors that our own validators raise have their own words."""
    if problem["type"] in OWN_TYPES:
        return str(problem["msg"])
    return MESSAGES.get(problem["type"], UNLISTED).format_map(problem.get("ctx", {}))


def fields_at(body: Any, parts: Sequence[str | int]) -> list[str]:
    """The names of the fields of the object at a path in a body, whose type is `body`."""
    for part in parts:
        [body] = get_args(body) if isinstance(part, int) else [_fields(body)[part]]
    return [*_fields(body)]


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """The types of a model's fields, by their names in JSON."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def path(parts: Sequence[str | int]) -> str:
    """A path in a body in JavaScript notation: renders[3].modelId. pydantic marks a key that is wrong itself."""
    text = "".join(_step(part) for part in parts if part != KEY_MARK)
    return text.removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if PLAIN_NAME.fullmatch(part) else f"[{json.dumps(part)}]"
