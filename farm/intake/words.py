"""The document as a whole: values that JSON allows and Blender cannot bear, the version, the extensions."""

import math
from collections.abc import Iterator
from typing import Any

from farm.errors import InvalidFormat
from farm.intake.extensions import SUPPORTED, mend
from farm.intake.fields import find, parts, shown, wrong

MAX_DEPTH = 100  # Python's parser copes with more, but whoever reads the document after us need not

# How one got to a value: the way to what holds it, and the key or index there. Spelled out only in a complaint.
Way = tuple["Way", str | int] | None


def everything(document: dict[str, Any]) -> Iterator[tuple[Way, str | int, Any, int]]:
    """Every value of the document with the way to what holds it, its key or index, and its depth."""
    waiting: list[tuple[Way, dict[str, Any] | list[Any], int]] = [(None, document, 1)]
    while waiting:
        way, holder, depth = waiting.pop()
        entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in entries:
            yield way, key, value, depth
            if isinstance(value, dict | list):
                waiting.append(((way, key), value, depth + 1))


def spelled(way: Way, key: str | int) -> str:
    """A place for a message: `images[2].uri`."""
    keys: list[str | int] = [key]
    while way is not None:
        way, above = way
        keys.append(above)
    place = ""
    for step in reversed(keys):
        if isinstance(step, int):
            place += f"[{step}]"
        elif step.isidentifier() and len(step) <= 60:
            place += f".{step}" if place else step
        else:
            place += f"[{shown(step)}]"
    return place if len(place) <= 300 else f"{place[:140]}...{place[-140:]}"


def check_words(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: nested too deeply, a number that overflows, text that is no text."""
    for way, key, value, depth in everything(document):
        if depth > MAX_DEPTH:
            raise InvalidFormat("The model's JSON is nested too deeply: export the model again")
        if isinstance(value, float) and not math.isfinite(value):
            raise wrong(spelled(way, key), "is too large a number: repair the model and export it again")
        if (isinstance(value, str) and _broken(value)) or (isinstance(key, str) and _broken(key)):
            raise wrong(spelled(way, key), "holds half a character (a lone surrogate): rename it and export again")


def check_head(document: dict[str, Any]) -> None:
    """Raises InvalidFormat: no glTF, not version 2.0, or it requires an extension that Blender lacks."""
    asset = next(parts(document, "asset"), None)
    if asset is None:
        raise InvalidFormat("The JSON has no 'asset', so it is not glTF: export the model as glTF 2.0")
    version = asset[1].get("version")
    # Blender takes this one alone; no other version 2 has ever been published.
    if version != "2.0":
        raise wrong("asset.version", f"is {shown(version)}, only '2.0' is supported: export the model as glTF 2.0")
    used = {_name(place, name) for place, name in find(document, "extensionsUsed[]")}
    for place, entry in find(document, "extensionsRequired[]"):
        name = _name(place, entry)
        if name not in SUPPORTED:
            raise InvalidFormat(f"The model requires {shown(name)}, which Blender cannot read: {mend(name)}")
        if name not in used:
            raise wrong(place, f"is {shown(name)}, which 'extensionsUsed' does not list: export the model again")


def _name(place: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong(place, f"must be an extension's name, not {shown(value)}")
    return value


def _broken(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
