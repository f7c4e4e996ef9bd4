"""Both clients against OpenAPI: a method for each operation, a parameter for each field, and what responses have."""

import contextlib
import inspect
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from pydantic.alias_generators import to_camel

import plinth_client
from api.app import create_app
from farm.settings import Settings
from plinth_client import AsyncPlinth, Plinth, PlinthError, RenderSettings
from plinth_client.render_settings import BatchItem
from tests.client.driven import Connect
from tests.client.flaky import serving

DOCUMENT = create_app(Settings()).openapi()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "Administration" not in operation["tags"]  # for operators, who have the `farm` command
}
# The method for each operation, and a call of it.
METHODS: dict[str, tuple[str, Callable[[Any, Path], object]]] = {
    "uploadModel": ("models.upload", lambda method, file: method(file)),
    "ingestModel": ("models.ingest", lambda method, _: method("https://example.com/a.glb")),
    "checkHash": ("models.check_hash", lambda method, _: method("0" * 64)),
    "listModels": ("models.list", lambda method, _: method()),
    "getModel": ("models.get", lambda method, _: method("ID")),
    "updateModel": ("models.update", lambda method, _: method("ID", title="a")),
    "archiveModel": ("models.archive", lambda method, _: method("ID")),
    "unarchiveModel": ("models.unarchive", lambda method, _: method("ID")),
    "deleteModel": ("models.delete", lambda method, _: method("ID")),
    "getModelFile": ("models.download", lambda method, file: method("ID", file)),
    "createRender": ("renders.create", lambda method, _: method("ID")),
    "createBatch": ("renders.batch", lambda method, _: method([{"modelId": "ID"}])),
    "listRenders": ("renders.list", lambda method, _: method()),
    "getRender": ("renders.get", lambda method, _: method("ID")),
    "dismissRender": ("renders.dismiss", lambda method, _: method("ID")),
    "deleteRender": ("renders.delete", lambda method, _: method("ID")),
    "getVideo": ("renders.download_video", lambda method, file: method("ID", file)),
    "getPoster": ("renders.download_poster", lambda method, file: method("ID", file)),
    "getThumb": ("renders.download_thumb", lambda method, file: method("ID", file)),
    "getThumbStill": ("renders.download_thumb_still", lambda method, file: method("ID", file)),
    "getBundle": ("renders.download_bundle", lambda method, file: method("ID", file)),
    "uploadOverlay": ("overlays.upload", lambda method, file: method(file)),
    "listOverlays": ("overlays.list", lambda method, _: method()),
    "publishOverlay": ("overlays.publish", lambda method, _: method("ID")),
    "unpublishOverlay": ("overlays.unpublish", lambda method, _: method("ID")),
    "deleteOverlay": ("overlays.delete", lambda method, _: method("ID")),
    "listScenes": ("scenes.list", lambda method, _: method()),
    "getSceneStill": ("scenes.download_still", lambda method, file: method("ID", file)),
    "listEffects": ("effects.list", lambda method, _: method()),
    "getEffectStill": ("effects.download_still", lambda method, file: method("ID", file)),
    "getAccount": ("account", lambda method, _: method()),
    "getQuote": ("quote", lambda method, _: method([{}])),
    "getHealth": ("health", lambda method, _: method()),
}
# Where a parameter has another name in the client: `model` and `modelId` are one.
NAMES = {"model": "modelId"}
WIRE_NAMES = {"is_system_preview": "is_system_preview"}
ADDED = {"Idempotency-Key"}  # by the client itself


def method_of(plinth: object, operation_id: str) -> Any:
    found = plinth
    for name in METHODS[operation_id][0].split("."):
        found = getattr(found, name)
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def inputs(operation: dict[str, Any]) -> set[str]:
    """The parameters of an operation that are not part of its path, and the fields of its body."""
    names = {each["name"] for each in operation.get("parameters", []) if each["in"] != "path"} - ADDED
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names |= set(resolved(content["schema"])["properties"])
    return {NAMES.get(name, name) for name in names}


def data_schema(operation: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of `data` in a successful response; None if it is a file."""
    [response] = [operation["responses"][status] for status in ("200", "201") if status in operation["responses"]]
    content = response["content"].get("application/json")
    return resolved(resolved(content["schema"])["properties"]["data"]) if content else None


DATA = {name: data for name, (_, _, operation) in OPERATIONS.items() if (data := data_schema(operation))}


def test_clients_have_a_method_for_each_operation() -> None:
    assert METHODS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation_id", METHODS)
def test_methods_send_the_request_of_their_operation(
    operation_id: str, tmp_path: Path, connect: Connect, sent: list[httpx.Request]
) -> None:
    (tmp_path / "file.glb").write_bytes(b"glTF")
    method, path, _ = OPERATIONS[operation_id]
    # The server sends no data.
    with serving(b"{}") as server, connect(server.url) as plinth, contextlib.suppress(PlinthError):
        METHODS[operation_id][1](method_of(plinth, operation_id), tmp_path / "file.glb")
    assert [(request.method, request.url.path) for request in sent] == [(method, re.sub(r"{\w+}", "ID", path))]


@pytest.mark.parametrize("operation_id", METHODS)
def test_methods_have_a_parameter_for_each_input(operation_id: str) -> None:
    for kind in (Plinth, AsyncPlinth):
        parameters = inspect.signature(method_of(kind("http://127.0.0.1"), operation_id)).parameters
        missing = inputs(OPERATIONS[operation_id][2]) - {to_camel(name) for name in parameters}
        assert not missing, kind


@pytest.mark.parametrize("operation_id", DATA)
def test_results_have_every_field_of_the_response(operation_id: str) -> None:
    result = get_type_hints(method_of(Plinth("http://127.0.0.1"), operation_id))["return"]
    if result is type(None):
        assert set(DATA[operation_id]["properties"]) == {"id", "deleted"}
    else:
        assert missing_fields(result, DATA[operation_id]) == []


def missing_fields(hint: Any, schema: dict[str, Any]) -> list[str]:
    """The fields of a schema that a type lacks, and those that the types of its fields lack."""
    schema = resolved(schema)
    forms = [resolved(form) for form in (schema, schema.get("items", {}), *schema.get("anyOf", []))]
    field_sets = [form["properties"] for form in forms if "properties" in form]
    # The innermost dataclass: Model in Page[Model], Progress in `Progress | None`.
    kinds = [kind for kind in (*get_args(hint), hint) if is_dataclass(kind)]
    if not field_sets or not kinds:
        return []
    hints = get_type_hints(kinds[0])
    names = {WIRE_NAMES.get(name, to_camel(name)): name for name in hints}
    found = [f"{kinds[0]}.{name}" for name in field_sets[0] if name not in names]
    for name, content in field_sets[0].items():
        found += missing_fields(hints[names[name]], content) if name in names else []
    return found


@pytest.mark.parametrize(("kind", "schema"), [(RenderSettings, "RenderSettings"), (BatchItem, "CreateRender")])
def test_bodies_have_every_field_of_the_schema(kind: type, schema: str) -> None:
    assert set(kind.__annotations__) == set(DOCUMENT["components"]["schemas"][schema]["properties"])


def test_every_type_in_signatures_can_be_imported_from_the_package() -> None:
    for operation_id in METHODS:
        result = get_type_hints(method_of(Plinth("http://127.0.0.1"), operation_id))["return"]
        for kind in (result, *get_args(result)):
            if isinstance(kind, type) and is_dataclass(kind):
                assert getattr(plinth_client, kind.__name__) is kind
