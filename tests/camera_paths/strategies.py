"""What a client may set of an effect, drawn from the ranges that the render settings state."""

from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from camera_paths import CameraPath
from farm.orders.render_settings import SCHEMA

Options = dict[str, float | bool]


def numbers(field: str) -> st.SearchStrategy[float]:
    """Any value that the setting takes."""
    schema = SCHEMA["properties"][to_camel(field)]
    schema = schema.get("anyOf", [schema])[0]
    low, high = schema["minimum"], schema["maximum"]
    return st.integers(low, high).map(float) if schema["type"] == "integer" else st.floats(low, high)


def options(path: CameraPath) -> st.SearchStrategy[Options]:
    """All options of a path, its own ones given or left out."""
    common = {"easing": st.booleans(), "rotate_y": numbers("rotate_y"), "zoom": numbers("zoom")}
    return st.fixed_dictionaries(common, optional={name: numbers(name) for name in path.options})
