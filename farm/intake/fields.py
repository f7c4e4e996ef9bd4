"""Finding one's way in a stranger's JSON: every step is checked and every complaint names its place."""

from collections.abc import Iterator
from typing import Any

from farm.errors import InvalidFormat


def wrong(place: str, problem: str) -> InvalidFormat:
    """The complaint about one place of the document."""
    return InvalidFormat(f"{place} {problem}")


def shown(value: object) -> str:
    """A stranger's value in a message: one line, short, printable."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, int) and abs(value) > 10**20:
        return "a number far too large"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def find(document: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Every value at a path such as `meshes[].primitives[].attributes{}`, each with its place.

    `[]` goes through an array, `{}` through an object's values; what is absent is passed over.
    Raises InvalidFormat: something on the way is not the array or object that glTF asks for.
    """
    found: list[tuple[str, Any]] = [("", document)]
    for step in path.split("."):
        found = list(_follow(found, step))
    yield from found


def parts(document: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """As find, for values that must be objects."""
    for place, value in find(document, path):
        if not isinstance(value, dict):
            raise wrong(place, f"must be an object, not {shown(value)}")
        yield place, value


def whole(part: dict[str, Any], place: str, key: str, *, default: int | None = None, least: int = 0) -> int:
    """A whole number. Raises InvalidFormat: absent without a default, of another type (a bool too), or too small."""
    value = part.get(key, default)
    if key not in part and default is None:
        raise wrong(place, f"lacks {key!r}")
    if type(value) is not int or value < least:
        raise wrong(f"{place}.{key}", f"must be a whole number of at least {least}, not {shown(value)}")
    return value


def _follow(found: list[tuple[str, Any]], step: str) -> Iterator[tuple[str, Any]]:
    many, within = step.endswith("[]"), step.endswith("{}")
    key = step[:-2] if many or within else step
    for place, part in found:
        if not isinstance(part, dict):
            raise wrong(place, f"must be an object, not {shown(part)}")
        if key not in part:
            continue
        here, value = f"{place}.{key}" if place else key, part[key]
        if not many and not within:
            yield here, value
        elif many and isinstance(value, list):
            yield from ((f"{here}[{index}]", entry) for index, entry in enumerate(value))
        elif within and isinstance(value, dict):
            yield from ((f"{here}[{shown(name)}]", entry) for name, entry in value.items())
        else:
            raise wrong(here, f"must be an {'array' if many else 'object'}, not {shown(value)}")
