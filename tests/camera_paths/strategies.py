"""Hypothesis strategies for the options of effects, from the ranges of the render settings."""

from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from camera_paths import CameraPath
from farm.orders.render_settings import SCHEMA

Options = dict[str, float | bool]


def numbers(field: str) -> st.SearchStrategy[float]:
    """Any valid value of the setting."""
    schema = SCHEMA["properties"][to_camel(field)]
    schema = schema.get("anyOf", [schema])[0]
    low, high = schema["minimum"], schema["maximum"]
    return st.integers(low, high).map(float) if schema["type"] == "integer" else st.floats(low, high)


def options(path: CameraPath) -> st.SearchStrategy[Options]:
    """The options of a path: all common ones, and any of its own."""
    common = {"easing": st.booleans(), "rotate_y": numbers("rotate_y"), "zoom": numbers("zoom")}
    return st.fixed_dictionaries(common, optional={name: numbers(name) for name in path.options})
