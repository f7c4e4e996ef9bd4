"""Paths of values in a JSON document, and their errors."""

import json
from typing import Any

from farm.errors import InvalidFormat


def invalid(path: str, problem: str) -> InvalidFormat:
    """The error for the value at `path`."""
    return InvalidFormat(f"{path if len(path) <= 300 else f'{path[:140]}...{path[-140:]}'} {problem}")


def child_path(path: str, key: str | int) -> str:
    """The path of an entry: `images` and 2 give `images[2]`, which with `uri` gives `images[2].uri`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key.isidentifier() and len(key) <= 60:
        return f"{path}.{key}" if path else key
    return f"{path}[{quoted(key)}]"


def quoted(value: Any) -> str:
    """An untrusted value for a message, as JSON: one short line of ASCII."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def quoted_bytes(content: bytes) -> str:
    """Untrusted bytes for a message: as text if they are, else as hex digits; at most 80."""
    content = content[:80]
    if content.isascii() and content.decode().isprintable():
        return quoted(content.decode())
    return f"the bytes {content.hex(' ')}"
