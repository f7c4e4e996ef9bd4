"""The application as a whole: its imports and its OpenAPI document."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.openapi import SUMMARIES
from farm import __version__
from farm.orders.render_settings import FIELDS
from tests.api.calls import ADMIN_RENDER, CALLS, EFFECT, MODEL, OVERLAY, RENDER, SCENE


@pytest.fixture
def openapi(public_api: TestClient) -> Any:
    return public_api.get("/openapi.json").json()


def operations(openapi: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    }


def template_of(path: str) -> str:
    """A path in OpenAPI's notation."""
    ids = {
        ADMIN_RENDER: "render_id",
        MODEL: "model_id",
        RENDER: "render_id",
        OVERLAY: "overlay_id",
        SCENE: "name",
        EFFECT: "name",
    }
    for example, template in ids.items():
        path = path.replace(example, f"{example.rpartition('/')[0]}/{{{template}}}")
    return path


def test_imports_neither_blender_nor_ffmpeg() -> None:
    heavy = "{'bpy', 'imageio_ffmpeg', 'ffmpeg', 'PIL'}"
    code = f"import sys, api.app; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 0, result.stderr


class TestOpenApi:
    def test_has_a_page(self, public_api: TestClient) -> None:
        assert "Plinth" in public_api.get("/docs").text

    def test_states_the_name_and_version(self, openapi: Any) -> None:
        assert (openapi["info"]["title"], openapi["info"]["version"]) == ("Plinth", __version__)

    def test_lists_every_path(self, openapi: Any) -> None:
        assert set(operations(openapi)) == {
            "POST /v1/models",
            "GET /v1/models",
            "POST /v1/models/ingest",
            "POST /v1/models/check-hash",
            "GET /v1/models/{model_id}",
            "PATCH /v1/models/{model_id}",
            "PATCH /v1/models/{model_id}/archive",
            "PATCH /v1/models/{model_id}/unarchive",
            "DELETE /v1/models/{model_id}",
            "GET /v1/models/{model_id}/file",
            "POST /v1/renders",
            "GET /v1/renders",
            "POST /v1/renders/batch",
            "GET /v1/renders/{render_id}",
            "PATCH /v1/renders/{render_id}/dismiss",
            "DELETE /v1/renders/{render_id}",
            "GET /v1/renders/{render_id}/video",
            "GET /v1/renders/{render_id}/poster",
            "GET /v1/renders/{render_id}/thumb",
            "GET /v1/renders/{render_id}/thumb.jpg",
            "GET /v1/renders/{render_id}/bundle",
            "POST /v1/overlays",
            "GET /v1/overlays",
            "DELETE /v1/overlays/{overlay_id}",
            "PATCH /v1/overlays/{overlay_id}/publish",
            "PATCH /v1/overlays/{overlay_id}/unpublish",
            "GET /v1/scenes",
            "GET /v1/scenes/{name}/still",
            "GET /v1/effects",
            "GET /v1/effects/{name}/still",
            "GET /v1/account",
            "POST /v1/quote",
            "GET /v1/admin/renders",
            "GET /v1/admin/renders/{render_id}",
            "PATCH /v1/admin/renders/{render_id}/cancel",
            "PATCH /v1/admin/renders/{render_id}/retry",
            "PATCH /v1/admin/renders/{render_id}/priority",
            "GET /v1/admin/queue",
            "GET /v1/health",
        }

    def test_requires_a_key_for_all_but_health(self, openapi: Any) -> None:
        open_doors = [name for name, operation in operations(openapi).items() if not operation.get("security")]
        assert open_doors == ["GET /v1/health"]

    def test_names_the_scope_of_each_call(self, openapi: Any) -> None:
        for (method, path), (scope, _, _) in CALLS.items():
            if path == "/metrics":  # not in OpenAPI
                continue
            operation = openapi["paths"][template_of(path)][method.lower()]
            assert operation["security"] == [{"apiKey": [scope]}], path
            assert "insufficient_scope" in operation["responses"]["403"]["content"]["application/json"]["examples"]

    def test_shows_the_scope_of_each_call_to_people(self, openapi: Any) -> None:
        for name, operation in operations(openapi).items():
            for security in operation.get("security", []):
                assert f"Requires the scope `{security['apiKey'][0]}`" in operation["description"], name

    def test_has_names_for_generated_clients(self, openapi: Any) -> None:
        ids = {name: operation["operationId"] for name, operation in operations(openapi).items()}
        assert (ids["POST /v1/renders"], ids["GET /v1/health"]) == ("createRender", "getHealth")
        assert len(set(ids.values())) == len(ids)
        assert set(ids.values()) == set(SUMMARIES), "each has a summary, and there are no others"
        for name in [*ids.values(), *openapi["components"]["schemas"]]:
            assert re.fullmatch("[A-Za-z][A-Za-z0-9]*", name)
        for name, schema in openapi["components"]["schemas"].items():
            assert schema["title"] == name
            assert [field for field, content in schema["properties"].items() if "title" in content] == []
        text = json.dumps(openapi)
        for name in re.findall('#/components/schemas/([^"]+)', text):
            assert name in openapi["components"]["schemas"]

    def test_summarises_calls_in_phrases_and_explains_tags(self, openapi: Any) -> None:
        for operation in operations(openapi).values():
            assert re.fullmatch("[A-Z][^.]{5,60}", operation["summary"])
        used = {tag for operation in operations(openapi).values() for tag in operation["tags"]}
        assert used == {tag["name"] for tag in openapi["tags"]}
        assert all(tag["description"].endswith(".") for tag in openapi["tags"])

    def test_uses_the_canonical_shape_for_all_errors(self, openapi: Any) -> None:
        for name, operation in operations(openapi).items():
            refusals = {status: answer for status, answer in operation["responses"].items() if status >= "4"}
            nothing_is_sent = name.endswith("/v1/health")
            assert {"500"} | (set() if nothing_is_sent else {"422"}) <= set(refusals), name
            for answer in refusals.values():
                content = answer["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}
                assert content["examples"]

    def test_documents_the_content_types_of_files(self, openapi: Any) -> None:
        types = {"video": ["video/mp4", "video/quicktime"], "thumb": ["video/mp4"], "poster": ["image/png"]}
        for file, expected in types.items():
            sent = openapi["paths"][f"/v1/renders/{{render_id}}/{file}"]["get"]["responses"]
            assert [list(sent[status]["content"]) for status in ("200", "206")] == [expected, expected]

    def test_describes_render_settings_in_all_requests(self, openapi: Any) -> None:
        schemas = openapi["components"]["schemas"]
        form = operations(openapi)["POST /v1/models"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        references = [
            form["properties"]["renderSettings"]["$ref"],
            schemas["CreateRender"]["properties"]["renderSettings"]["$ref"],
        ]
        for reference in references:
            assert sorted(schemas[reference.rpartition("/")[2]]["properties"]) == FIELDS

    def test_has_no_dangling_references(self, openapi: Any) -> None:
        text = str(openapi)
        names = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
        assert names <= set(openapi["components"]["schemas"])
