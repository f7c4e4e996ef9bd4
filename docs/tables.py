"""Writes the tables of the docs that are generated from the code. Run after a change: python -m docs.tables

A table is identified by its page and its column titles.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from pydantic.alias_generators import to_camel

from camera_paths import PATHS
from docs.log_events import log_events
from farm.accounts.accounts import SCOPES
from farm.db import counters
from farm.errors import FarmError, RenderFailed
from farm.metrics import GAUGES
from farm.orders.plan import ASPECT_RATIOS, frame_size
from farm.orders.price import DATASET_PRICES, PRICES
from farm.orders.render_settings import SCHEMA, allowed
from farm.settings import ModelLimits, Settings
from farm.templates import contract
from farm.tiers import DATASET_TIERS, TIERS

DOCS = Path(__file__).parent
Rows = list[list[str]]


def render_settings() -> Rows:
    """Every field of renderSettings."""
    return [
        [f"`{field}`", f"`{json.dumps(schema['default'])}`", allowed(field), schema["description"]]
        for field, schema in SCHEMA["properties"].items()
    ]


def tiers() -> Rows:
    """Every quality tier that a client can order, with the size of its video in each aspect."""
    return [
        [
            f"`{name}`",
            *("{}x{}".format(*frame_size(name, aspect)) for aspect in ASPECT_RATIOS),
            "ProRes 4444, `.mov`" if tier.has_alpha else "H.264, `.mp4`",
            "yes" if tier.has_alpha else "no",
            "yes" if tier.has_web else "no",
        ]
        for name, tier in TIERS.items()
        if name != "preview"
    ]


def effects() -> Rows:
    """Every camera path, described by the first line of its file."""
    return [
        [f"`{path.name}`", path.description, ", ".join(f"`{to_camel(option)}`" for option in path.options)]
        for path in PATHS.values()
    ]


def errors() -> Rows:
    """Every error of an API response; a worker's errors are in a render's errorMessage."""
    own = (kind for kind in _api_errors(FarmError) if "code" in vars(kind))
    kinds = sorted(own, key=lambda kind: (kind.status, kind.code))
    return [[f"`{kind.code}`", str(kind.status), kind.default] for kind in kinds]


def _api_errors(root: type[FarmError]) -> list[type[FarmError]]:
    children = [child for child in root.__subclasses__() if child is not RenderFailed]
    return [root, *(kind for child in children for kind in _api_errors(child))]


def scopes() -> Rows:
    """Every scope of a key."""
    return [[f"`{scope}`", meaning] for scope, meaning in SCOPES.items()]


def prices() -> Rows:
    """Credits for a video."""
    return [[f"`{quality}`", str(credits)] for quality, credits in PRICES.items()]


def dataset_prices() -> Rows:
    """Credits for a dataset."""
    return [[f"`{quality}`", str(credits)] for quality, credits in DATASET_PRICES.items()]


def dataset_sizes() -> Rows:
    """Every dataset tier."""
    return [
        [f"`{name}`", str(tier.views), f"{tier.side}x{tier.side}", str(DATASET_PRICES[name])]
        for name, tier in DATASET_TIERS.items()
    ]


def settings() -> Rows:
    """Every FARM_ variable, the limits of models last."""
    fields = sorted(Settings.model_fields.items(), key=lambda item: item[0] in ModelLimits.model_fields)
    return [
        [
            f"`FARM_{name.upper()}`",
            "" if field.default is None else f"`{_as_written(field.default)}`",
            field.description or "",
        ]
        for name, field in fields
    ]


def _as_written(default: object) -> str:
    """A default as one writes it in the environment."""
    return json.dumps(default) if isinstance(default, tuple) else str(default)


def metrics() -> Rows:
    """Every Prometheus metric."""
    gauges = [[f"`{name}`", "gauge", _codes(labels), meaning] for name, (meaning, labels) in GAUGES.items()]
    counted = [[f"`{each.name}_total`", "counter", _codes(each.labels), each.meaning] for each in counters.COUNTERS]
    histograms = [[f"`{each.name}`", "histogram", _codes(each.labels), each.meaning] for each in counters.HISTOGRAMS]
    return gauges + counted + histograms


def alerts() -> Rows:
    """Every alert for Prometheus, with the value as three dots."""
    rules = yaml.safe_load((DOCS.parent / "docker" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    return [
        [f"`{rule['alert']}`", rule["labels"]["severity"], re.sub(r"{{.*?}}", "...", rule["annotations"]["summary"])]
        for rule in rules
    ]


def events() -> Rows:
    """Every log event, with the meaning that the page has for it; empty for a new one."""
    meanings = {
        row[0]: row[3] for row in table((DOCS / "operate.md").read_text(), "Event", "Level", "Fields", "Meaning")
    }
    return [
        [f"`{key}`", ", ".join(sorted(event.levels)), _codes(event.fields), meanings.get(f"`{key}`", "")]
        for key, event in log_events().items()
    ]


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def template_collections() -> Rows:
    """Every collection that a template must or may have."""
    collections = contract.COLLECTIONS | contract.OPTIONAL_COLLECTIONS
    return [[f"`{name}`", meaning] for name, meaning in collections.items()]


def template_objects() -> Rows:
    """Every object that a template must have."""
    return [[f"`{part.name}`", part.type, f"`{part.collection}`", part.meaning] for part in contract.PARTS]


def template_properties() -> Rows:
    """Every custom property of a template's objects."""
    required = [(f"`{part.name}`", own) for part in contract.PARTS for own in part.properties]
    return [
        [owner, f"`{own.name}`", f"{own.minimum:g}", f"{own.maximum:g}", f"{own.usual:g}", own.meaning]
        for owner, own in [*required, (f"any in `{contract.SET}`", contract.FOOTPRINT)]
    ]


TABLES: dict[str, dict[tuple[str, ...], Callable[[], Rows]]] = {
    "client.md": {
        ("Field", "Default", "Allowed", "Meaning"): render_settings,
        ("Video", "Credits"): prices,
        ("Dataset", "Credits"): dataset_prices,
        ("Scope", "Opens"): scopes,
        ("Tier", *ASPECT_RATIOS, "Video", "Alpha", "Web variant"): tiers,
        ("Effect", "What it does", "Its own fields"): effects,
        ("Code", "Status", "Meaning"): errors,
    },
    "datasets.md": {("Tier", "Views", "Pixels", "Credits"): dataset_sizes},
    "settings.md": {("Variable", "Default", "Meaning"): settings},
    "operate.md": {
        ("Metric", "Type", "Labels", "Meaning"): metrics,
        ("Alert", "Severity", "Summary"): alerts,
        ("Event", "Level", "Fields", "Meaning"): events,
    },
    "../blender_scenes/README.md": {
        ("collection", "what is in it"): template_collections,
        ("object", "type", "collection", "what it is"): template_objects,
        ("object", "property", "from", "to", "usual", "what it is"): template_properties,
    },
}


def generated(page: str) -> str:
    """The page's text with its tables as the code has them now. Raises ValueError when the page lacks a table."""
    text = (DOCS / page).read_text()
    for titles, rows in TABLES[page].items():
        text = replaced(text, titles, rows())
    return text


def replaced(text: str, titles: tuple[str, ...], rows: Rows) -> str:
    """`text` with other rows in the table that has these column titles. Raises ValueError when there is none."""
    before, _, after = _split(text, _line(titles))
    return before + _line(titles) + _line(["---"] * len(titles)) + "".join(map(_line, rows)) + after


def table(text: str, *titles: str) -> Rows:
    """The cells of the table that has these column titles, without the titles. Raises ValueError when there is none."""
    _, lines, _ = _split(text, _line(titles))
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[1:]]


def _split(text: str, header: str) -> tuple[str, list[str], str]:
    """The text before a table's header, the table's lines below the header, and the text after the table."""
    before, found, rest = text.partition(header)
    if not found:
        raise ValueError(f"there is no table {header}")
    lines = rest.splitlines(keepends=True)
    end = next((number for number, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return before, lines[:end], "".join(lines[end:])


def _line(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells) + "\n"


if __name__ == "__main__":
    for page in TABLES:
        (DOCS / page).write_text(generated(page))
