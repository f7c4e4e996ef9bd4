"""Checks a camera path against its contract over the ranges of the render settings."""

import itertools
from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from camera_paths.contract import find_problem
from farm.errors import InvalidSettings
from farm.orders.effects import BROKEN, PATHS
from farm.orders.render_settings import EFFECT_FIELDS, SCHEMA, allowed
from farm.orders.settings_messages import not_allowed


def violations(name: str) -> Iterator[str]:
    """What is wrong with the camera path called `name`, at every corner of its settings' ranges.

    Raises InvalidSettings when there is no such path.
    """
    if broken := BROKEN.get(name):
        yield str(broken)
    elif name not in PATHS:
        raise InvalidSettings(not_allowed("effect", name, allowed("effect")))
    if name not in PATHS:
        return
    path = PATHS[name]
    for option in path.options:
        if option not in EFFECT_FIELDS:
            yield f"its parameter {option} is no render setting, so clients cannot set it: see docs/camera-paths.md"
    settable = [option for option in path.options if option in EFFECT_FIELDS]
    fields = [*settable, "rotate_y", "zoom"]
    for easing, *values in itertools.product((True, False), *map(_ends, fields)):
        options = {"easing": bool(easing), **dict(zip(fields, values, strict=True))}
        if problem := find_problem(path, **options):
            shown = ", ".join(f"{to_camel(option)} {value:g}" for option, value in options.items())
            yield f"{problem} (with {shown})"
            return


def _ends(field: str) -> tuple[float, float]:
    """The lowest and highest value of a render setting."""
    schema = SCHEMA["properties"][to_camel(field)]
    schema = schema.get("anyOf", [schema])[0]
    return float(schema["minimum"]), float(schema["maximum"])
