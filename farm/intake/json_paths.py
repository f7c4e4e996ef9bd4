"""How a complaint names a place of the document, and shows what a stranger put there."""

import json
from typing import Any

from farm.errors import InvalidFormat


def invalid(path: str, problem: str) -> InvalidFormat:
    """The complaint about one place of the document."""
    return InvalidFormat(f"{path if len(path) <= 300 else f'{path[:140]}...{path[-140:]}'} {problem}")


def child_path(path: str, key: str | int) -> str:
    """The place of an entry: `images` and 2 make `images[2]`, which with `uri` makes `images[2].uri`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key.isidentifier() and len(key) <= 60:
        return f"{path}.{key}" if path else key
    return f"{path}[{quoted(key)}]"


def quoted(value: Any) -> str:
    """A stranger's value in a message, as JSON: one line, short, ASCII."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
