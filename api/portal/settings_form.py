"""The form of render settings, built from the model of the settings itself: each of its fields has a control."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.portal.labels import QUALITIES
from farm.orders.field_rules import DATASET_FIELDS, VIDEO_FIELDS
from farm.orders.plan import frame_size
from farm.orders.price import DATASET_PRICES, PRICES
from farm.orders.render_settings import EFFECT_FIELDS, SCHEMA, RenderSettings
from farm.tiers import DATASET_TIERS

# Fields with a control of their own on the page; all others are made of their schemas.
PICKERS = ("output", "quality", "datasetQuality", "effect", "scene")
WORDS = {"bg": "background", "fg": "foreground"}
SECTIONS = {"bg": "Background and overlays", "fg": "Background and overlays", "animation": "Animation"}
TYPES = {"integer": "number", "number": "number", "boolean": "checkbox"}


@dataclass(frozen=True)
class Control:
    """The control of one field. `effects` and `output` say for which choices the field exists, "" for all.

    `choices` maps values to labels; `value` is what the form shows at first, of a list its items, joined by commas.
    """

    name: str
    label: str
    help: str
    kind: str
    section: str
    value: str
    choices: Mapping[str, str]
    minimum: float | None
    maximum: float | None
    is_whole: bool
    effects: str
    output: str


@dataclass(frozen=True)
class Tier:
    """A quality of videos or datasets with its label, size and price."""

    value: str
    label: str
    size: str
    credits: int


def controls(values: Mapping[str, Any]) -> dict[str, list[Control]]:
    """The controls of all fields but PICKERS and those without a control, by section. `values` are the first ones."""
    found: dict[str, list[Control]] = {}
    for field, info in RenderSettings.model_fields.items():
        name = info.alias or field
        if name not in PICKERS and has_control(SCHEMA["properties"][name]):
            control = _control(field, name, values)
            found.setdefault(control.section, []).append(control)
    return found


def has_control(schema: Mapping[str, Any]) -> bool:
    """Whether a field can be set in the form, by its JSON schema: it has one value, or a list of such."""
    inner = _schema_of(schema)
    return "enum" in inner or inner.get("items", inner).get("type") in (*TYPES, "string")


def tiers() -> list[Tier]:
    """The qualities of videos."""
    return [
        Tier(value, QUALITIES[value], "{} x {}".format(*frame_size(value, "16:9")), credits)
        for value, credits in PRICES.items()
    ]


def dataset_tiers() -> list[Tier]:
    """The tiers of datasets."""
    return [
        Tier(value, f"{tier.views} views", f"{tier.side} x {tier.side}", DATASET_PRICES[value])
        for value, tier in DATASET_TIERS.items()
    ]


def read(sent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Settings from the texts of the form by field, without those that are left at their defaults, and not checked yet.

    Browsers do not send an unticked box: each boolean that is missing is false.
    """
    settings: dict[str, Any] = {}
    is_dataset = "dataset" in sent.get("output", ())
    for name, schema in SCHEMA["properties"].items():
        if not has_control(schema):
            continue
        kind, text = _schema_of(schema).get("type"), ",".join(sent.get(name, ())).strip()
        if kind == "boolean":
            value: Any = name in sent
        elif text == "":
            continue
        else:
            value = _value(text, _schema_of(schema))
        if is_dataset and name == "effect":
            continue
        if value != schema["default"] or _has_blank(schema):
            settings[name] = value
    return settings


def curl(url: str, model_ids: list[str], settings: Mapping[str, Any]) -> str:
    """A shell command that orders the same."""
    path, body = _request(model_ids, settings)
    text = json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''")
    return (
        f'curl {url}/v1/{path} \\\n  -H "Authorization: Bearer $PLINTH_KEY" \\\n'
        f"  -H \"Content-Type: application/json\" \\\n  -d '{text}'"
    )


def python(url: str, model_ids: list[str], settings: Mapping[str, Any]) -> str:
    """A program for the Python client that orders the same, waits, and downloads it."""
    literal = _python_literal(settings)
    is_dataset = settings.get("output") == "dataset"
    suffix = "zip" if is_dataset else "mov" if settings.get("quality") == "pro" else "mp4"
    download = f'download_{"bundle" if is_dataset else "video"}(render.id, f"{{render.id}}.{suffix}")'
    start = (
        "import os\n\nfrom plinth_client import Plinth\n\n"
        f'with Plinth("{url}", key=os.environ["PLINTH_KEY"]) as plinth:\n'
    )
    if len(model_ids) <= 1:
        order = f'    render = plinth.renders.create("{model_ids[0] if model_ids else "MODEL_ID"}", {literal})\n'
        return f"{start}{order}    plinth.renders.wait(render.id)\n    plinth.renders.{download}\n"
    order = (
        f"    models = {json.dumps(model_ids)}\n"
        f'    orders = plinth.renders.batch([{{"modelId": model, "renderSettings": {literal}}} for model in models])\n'
        "    for render in orders:\n        plinth.renders.wait(render.id)\n"
    )
    return f"{start}{order}        plinth.renders.{download}\n"


def _control(field: str, name: str, values: Mapping[str, Any]) -> Control:
    schema = SCHEMA["properties"][name]
    inner = _schema_of(schema)
    values_schema = inner.get("items", inner)
    kind = "select" if "enum" in inner else TYPES.get(inner.get("type", ""), "text")
    if "items" in inner and "enum" in values_schema:
        kind = "checkboxes"
    if inner.get("pattern", "").startswith("^#"):
        kind = "color"
    choices = {str(value): str(value).replace("-", " ") for value in values_schema.get("enum", ())}
    if kind == "select" and _has_blank(schema):
        choices = {"": "Default", **choices}
    value = values.get(name, "" if _has_blank(schema) else schema["default"])
    is_of_dataset, is_of_video = field in DATASET_FIELDS, field in VIDEO_FIELDS or field in EFFECT_FIELDS
    return Control(
        name=name,
        label=_label(name),
        help=schema["description"].replace("`", ""),
        kind=kind,
        section=_section(field, name),
        value=_text(value),
        choices=choices,
        minimum=inner.get("minimum"),
        maximum=inner.get("maximum"),
        is_whole=inner.get("type") == "integer",
        effects=" ".join(EFFECT_FIELDS.get(field, ())),
        output="dataset" if is_of_dataset else "video" if is_of_video else "",
    )


def _text(value: Any) -> str:
    """A value as the form has it."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _section(field: str, name: str) -> str:
    if field in EFFECT_FIELDS:
        return "Effect"
    if field in DATASET_FIELDS:
        return "Dataset"
    if section := SECTIONS.get(re.split("(?=[A-Z])", name)[0]):
        return section
    return "Camera and model" if name == "zoom" or SCHEMA["properties"][name].get("type") == "integer" else "Picture"


def _schema_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a field's value, of an optional field without null."""
    found: dict[str, Any] = schema.get("anyOf", [schema])[0]
    return found


def _has_blank(schema: Mapping[str, Any]) -> bool:
    """Whether leaving a field out differs from sending its default."""
    return "Default:" in schema["description"] or schema["default"] is None


def _label(name: str) -> str:
    """bgImageId as "Background image"."""
    words = [word if len(word) == 1 else word.lower() for word in re.split("(?=[A-Z])", name)]
    text = " ".join(WORDS.get(word, word) for word in words if word != "id")
    return text[:1].upper() + text[1:]


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """The value of a field from its text, which for a list has commas."""
    if schema.get("type") == "array":
        return [_value(part.strip(), schema["items"]) for part in text.split(",")]
    return _number(text) if schema.get("type") in ("integer", "number") else text


def _number(text: str) -> float | int | str:
    """The number that a text is; the text itself if it is none, so that the error message can quote it."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _request(model_ids: list[str], settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    orders = [{"modelId": id_, "renderSettings": dict(settings)} for id_ in model_ids or ["MODEL_ID"]]
    return ("renders", orders[0]) if len(orders) == 1 else ("renders/batch", {"renders": orders})


def _python_literal(settings: Mapping[str, Any]) -> str:
    if not settings:
        return "{}"
    lines = "".join(f'        "{name}": {value!r},\n' for name, value in settings.items())
    return f"{{\n{lines}    }}"
