"""The OpenAPI document: schemathesis finds no deviating response, and all schemas have descriptions and examples."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Client as HttpClient
from jsonschema_rs import Draft202012Validator

from api.app import create_app
from farm.accounts import credits
from farm.db.session import Database
from farm.db.tables import Account
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.api import uploaded
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.web_server import serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")

DOCUMENT = create_app(Settings()).openapi()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FORMS = {
    call: operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    for call, operation in OPERATIONS.items()
    if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An ingest may fetch from the test's own server, and the number of calls is not limited."""
    unlimited = {"key_writes_per_minute": 1_000_000, "account_writes_per_minute": 1_000_000, "upload_limit": 1_000_000}
    return settings.model_copy(update={"ingest_loopback": True, **unlimited})


@pytest.fixture
def existing(url: str, database: Database, client: Client, finished: Finish) -> Iterator[dict[str, str]]:
    """The environment of the hooks: ids of a model, a finished render and two overlays, and the URL of a model.

    They belong to an admin account with enough credits.
    """
    with database.write() as db:
        db.get_one(Account, client.account.id).is_admin = True
        credits.grant(db, client.account.id, 1_000_000)
    with HttpClient(base_url=url, headers=client.headers) as api:
        model = uploaded(api)
        finished(model["renderId"])
        overlay, foreground = (
            api.post("/v1/overlays", files={"file": ("a.png", picture("PNG"))}, data={"layer": layer}).json()["data"]
            for layer in ("background", "foreground")
        )
    with serving() as address:
        ids = {"MODEL_ID": model["modelId"], "RENDER_ID": model["renderId"], "OVERLAY_ID": overlay["id"]}
        ids["FOREGROUND_ID"] = foreground["id"]
        yield ids | {"FETCHABLE": f"{address}/chair.glb"}


@pytest.mark.slow
class TestSchemathesis:
    def test_finds_no_failure(self, url: str, client: Client, existing: dict[str, str], tmp_path: Path) -> None:
        program = Path(sys.executable).with_name("schemathesis")
        command = [
            *(str(program), "--config-file", str(CONFIGURATION)),
            *("run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {client.key}", "--no-color"),
        ]
        environment = os.environ | existing | {"PYTHONPATH": str(CONFIGURATION.parents[2])}
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        assert f"Tested: {len(OPERATIONS)}" in run.stdout


class TestSchemas:
    @pytest.mark.parametrize("name", SCHEMAS)
    def test_have_a_valid_example(self, name: str) -> None:
        validator = Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}, validate_formats=True
        )
        assert SCHEMAS[name]["examples"]
        for example in SCHEMAS[name]["examples"]:
            validator.validate(example)

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_describe_themselves_and_every_field(self, name: str) -> None:
        schema = SCHEMAS[name]
        assert schema["description"]
        assert [field for field, content in schema["properties"].items() if not content.get("description")] == []

    @pytest.mark.parametrize("call", FORMS)
    def test_describe_every_field_of_forms(self, call: str) -> None:
        fields = FORMS[call]["properties"].items()
        assert [field for field, content in fields if not content.get("description")] == []

    @pytest.mark.parametrize("call", OPERATIONS)
    def test_bound_every_text_and_list_of_a_request(self, call: str) -> None:
        operation = OPERATIONS[call]
        contents = operation.get("requestBody", {}).get("content", {}).values()
        sent = [(each["name"], each["schema"]) for each in operation.get("parameters", [])]
        sent += [("body", content["schema"]) for content in contents]
        assert [path for name, schema in sent for path in unbounded(schema, name)] == []

    def test_bound_every_number(self) -> None:
        unbounded = [
            f"{name}.{field}"
            for name, schema in SCHEMAS.items()
            for field, content in schema["properties"].items()
            for form in content.get("anyOf", [content])
            if form.get("type") in ("integer", "number") and "minimum" not in form
        ]
        assert unbounded == []


def unbounded(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Paths of the texts and lists in a schema whose length has no limit."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    for form in schema.get("anyOf", [schema]):
        if "$ref" in form:
            yield from unbounded(form, path)
        elif form.get("type") == "string":
            bounded = {"maxLength", "enum", "const"} & set(form) or form.get("format") == "binary"
            bounded = bounded or "12 letters and digits" in form.get("description", "")  # a longer id is an unknown one
            pattern = form.get("pattern", "*")
            if not bounded and ("*" in pattern or "+" in pattern or not pattern.endswith("$")):
                yield path
        elif form.get("type") == "array":
            if "maxItems" not in form:
                yield path
            yield from unbounded(form["items"], f"{path}[]")
        for name, field in form.get("properties", {}).items():
            yield from unbounded(field, f"{path}.{name}")


class TestGeneratedTypes:
    """What makes code generators give each schema one type, named as in the document."""

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_are_objects_of_one_form(self, name: str) -> None:
        assert SCHEMAS[name]["type"] == "object"
        assert not {"allOf", "anyOf", "oneOf", "not", "if"} & SCHEMAS[name].keys()

    @pytest.mark.parametrize("name", SCHEMAS)
    def test_have_no_name_of_a_type_of_a_field(self, name: str) -> None:
        """A field that has values of its own becomes a type with its name: Effect, for `effect`."""
        fields = {
            field[0].upper() + field[1:]
            for schema in SCHEMAS.values()
            for field, content in schema["properties"].items()
            if "enum" in content
        }
        assert name not in fields

    def test_have_the_settings_of_requests_and_responses_by_name(self) -> None:
        found = {name: schema["properties"].get("renderSettings") for name, schema in SCHEMAS.items()}
        assert {content["$ref"] for content in found.values() if content} == {"#/components/schemas/RenderSettings"}
        assert len([content for content in found.values() if content]) >= 5


class TestOperations:
    @pytest.mark.parametrize("call", OPERATIONS)
    def test_document_their_responses(self, call: str) -> None:
        operation = OPERATIONS[call]
        expected = {"500"}
        if operation.get("security"):
            expected |= {"401", "403"}
        if "{" in call:
            expected |= {"404"}
        if "requestBody" in operation:
            expected |= {"422", "413" if call not in FORMS else "400"}
        assert expected <= set(operation["responses"])
        assert any(status.startswith("2") for status in operation["responses"])
        assert "Successful Response" not in [each["description"] for each in operation["responses"].values()]

    @pytest.mark.parametrize("call", OPERATIONS)
    def test_describe_themselves_and_every_parameter(self, call: str) -> None:
        operation = OPERATIONS[call]
        assert operation["description"]
        assert [each["name"] for each in operation.get("parameters", []) if not each.get("description")] == []


class TestMethodNotAllowed:
    def test_names_all_methods_of_the_path(self, url: str) -> None:
        with HttpClient(base_url=url) as api:
            answer = api.put("/v1/models/Ab3kF9x2qL1m")
            assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PATCH, DELETE")
            assert api.post("/v1/models/Ab3kF9x2qL1m/file").headers["Allow"] == "GET, HEAD"
