"""Which render settings go together: fields of datasets only, of videos only, and of single effects."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from farm.orders.effects import PATHS

# Fields that only datasets have.
DATASET_FIELDS = (
    "dataset_quality", "coverage", "formats", "views", "size", "elevations", "radius", "split", "cameras",
)  # fmt: skip
VIDEO_FIELDS = ("animation", "bg_image_id", "fg_image_id", "vignette")  # optional fields that only videos have

JsonSchema = dict[str, Any]


def add_rules(schema: JsonSchema, effect_fields: Mapping[str, Sequence[str]]) -> None:
    """Add the rules to the JSON schema of render settings, by the field that each is about. A null counts as left out.

    They are dependentSchemas, which validators check and code generators ignore: in generated clients the settings are
    one type. `effect_fields` maps the fields of single effects to the names of those effects.
    """
    is_dataset = [{"required": [name], **_omitted_or_in(name, "dataset")} for name in ("output", "effect")]
    is_video = {"properties": {"output": {"enum": ["video"]}, "effect": {"enum": list(PATHS)}}}
    rules: dict[str, list[JsonSchema]] = {
        **{
            field: [{"required": ["effect"], **_omitted_or_in("effect", *effects)}]
            for field, effects in effect_fields.items()
        },
        **dict.fromkeys(DATASET_FIELDS, is_dataset),
        **{field: [is_video] for field in VIDEO_FIELDS},
    }
    schema["dependentSchemas"] = {
        **{to_camel(field): {"anyOf": [_omitted(field), *alternatives]} for field, alternatives in rules.items()},
        "output": {
            "anyOf": [
                {"properties": {"output": {"const": "video"}, "effect": {"enum": list(PATHS)}}},
                {"properties": {"output": {"const": "dataset"}, "effect": {"enum": ["dataset", "turntable"]}}},
            ]
        },
    }


def _omitted(field: str) -> JsonSchema:
    return {"properties": {to_camel(field): {"type": "null"}}}


def _omitted_or_in(field: str, *values: str) -> JsonSchema:
    return {"properties": {field: {"enum": list(values)}}}
