"""Every call of the API reference: its response has at least the fields of the reference, with the same types."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from api.app import create_app
from farm.db.session import Database
from farm.db.tables import Render
from farm.scheduling import render_status
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.api import uploaded
from tests.support.assets import ASSETS
from tests.support.clients import Client, new_client
from tests.support.finished_renders import Finish
from tests.support.web_server import serving

WALKER = (ASSETS / "walker.glb").read_bytes()  # has the animation clip of the reference

# Responses of the reference. A type stands for any value of that type, anything else for exactly that value.
UPLOADED = {"modelId": str, "renderId": str}
MODEL = {
    **{"id": str, "originalName": "chair.glb", "title": "Ergonomic Chair", "sku": "EC-1001"},
    **{"tags": ["furniture", "office"], "fileSize": len(WALKER), "sha256": str, "createdAt": str},
}
QUEUED = {"id": str, "modelId": str, "status": "pending"}
MODELS_RENDER = {"id": str, "status": "pending", "renderSettings": dict, "createdAt": str, "updatedAt": str}
DONE = {
    **{"id": str, "modelId": str, "status": "done", "renderSettings": dict, "fileSize": int, "errorMessage": None},
    **{"hasWebVariant": True, "createdAt": str, "updatedAt": str},
}
META = {"total": int, "offset": 0, "limit": 50}


def assert_matches(actual: Any, expected: Any) -> None:
    """`actual` has all fields of `expected`, and perhaps more."""
    if isinstance(expected, type):
        assert isinstance(actual, expected), actual
    elif isinstance(expected, dict):
        assert isinstance(actual, dict)
        assert set(expected) <= set(actual), set(expected) - set(actual)
        for field, value in expected.items():
            assert_matches(actual[field], value)
    else:
        assert actual == expected


def data(answer: Response, status: int = 200) -> Any:
    """The `data` of a response with this status, which has no other fields but the `meta` of a list."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) - {"meta"} == {"data"}
    assert ("meta" in body) == (isinstance(body["data"], list) and answer.request.method == "GET")
    return body["data"]


@pytest.fixture
def api(settings: Settings, database: Database, client: Client) -> Iterator[TestClient]:  # noqa: ARG001 - migrated
    """The API, allowed to fetch from loopback."""
    with TestClient(create_app(settings.model_copy(update={"ingest_loopback": True})), headers=client.headers) as api:
        yield api


@pytest.fixture
def chair(api: TestClient) -> str:
    """The id of a model like that of the reference."""
    model_id: str = uploaded(api, WALKER)["modelId"]
    body = {"title": "Ergonomic Chair", "sku": "EC-1001", "tags": ["furniture", "office"]}
    data(api.patch(f"/v1/models/{model_id}", json=body))
    return model_id


@pytest.fixture
def done(api: TestClient, chair: str, finished: Finish) -> str:
    """The id of a finished render in HD."""
    body = {"modelId": chair, "renderSettings": {"quality": "standard"}}
    render_id: str = data(api.post("/v1/renders", json=body), 201)["id"]
    finished(render_id)
    return render_id


class TestModels:
    def test_match_upload_and_duplicate(self, api: TestClient) -> None:
        first = uploaded(api, WALKER)
        assert_matches(first, UPLOADED)
        assert "duplicate" not in first
        assert_matches(uploaded(api, WALKER), {"modelId": first["modelId"], "renderId": str, "duplicate": True})

    def test_match_ingest(self, api: TestClient) -> None:
        with serving() as elsewhere:
            body = {"url": f"{elsewhere}/chair.glb", "renderSettings": {"aspect": "16:9"}}
            assert_matches(data(api.post("/v1/models/ingest", json=body), 201), UPLOADED)

    def test_match_list(self, api: TestClient, chair: str) -> None:
        answer = api.get("/v1/models?limit=10&tags=furniture")
        [model] = data(answer)
        assert_matches(model, MODEL | {"id": chair})
        assert answer.json()["meta"] == {"total": 1, "offset": 0, "limit": 10}

    def test_match_get(self, api: TestClient, chair: str) -> None:
        model = data(api.get(f"/v1/models/{chair}"))
        assert_matches(model, MODEL | {"id": chair})
        for render in model["renders"]:
            assert_matches(render, MODELS_RENDER)
        assert [render["is_system_preview"] for render in model["renders"]] == [True, False]

    def test_match_update(self, api: TestClient, chair: str) -> None:
        body = {"title": "Ergonomic Chair Pro", "sku": "ECP-2001", "tags": ["furniture", "office"]}
        assert_matches(data(api.patch(f"/v1/models/{chair}", json=body)), MODEL | body)

    def test_match_archive_and_unarchive(self, api: TestClient, chair: str) -> None:
        assert_matches(data(api.patch(f"/v1/models/{chair}/archive")), MODEL)
        assert data(api.get("/v1/models")) == []
        assert_matches(data(api.patch(f"/v1/models/{chair}/unarchive")), MODEL)
        assert len(data(api.get("/v1/models"))) == 1

    def test_match_file(self, api: TestClient, chair: str) -> None:
        answer = api.get(f"/v1/models/{chair}/file")
        assert answer.content == WALKER
        assert answer.headers["content-type"] == "model/gltf-binary"
        assert answer.headers["content-disposition"].startswith("attachment")

    def test_match_check_hash(self, api: TestClient, chair: str) -> None:
        body = {"sha256": hashlib.sha256(WALKER).hexdigest()}
        assert data(api.post("/v1/models/check-hash", json=body)) == {"exists": True, "modelId": chair}

    def test_match_delete(self, api: TestClient, chair: str, done: str) -> None:
        data(api.delete(f"/v1/models/{chair}"))
        assert api.get(f"/v1/models/{chair}").status_code == 404
        assert_matches(data(api.get(f"/v1/renders/{done}")), DONE)


class TestRenders:
    def test_match_create(self, api: TestClient, chair: str) -> None:
        render_settings = {
            **{"quality": "share", "aspect": "16:9", "bgColor": "#ffffff", "length": 6, "animation": "Walk"},
            **{"animationSpeed": 1, "shadows": True, "reflector": False, "easing": True},
        }
        render = data(api.post("/v1/renders", json={"modelId": chair, "renderSettings": render_settings}), 201)
        assert_matches(render, QUEUED | {"modelId": chair, "renderSettings": render_settings})

    def test_match_list(self, api: TestClient, chair: str, done: str) -> None:
        answer = api.get(f"/v1/renders?model={chair}&status=done&limit=50&offset=0")
        [render] = data(answer)
        assert_matches(render, DONE | {"id": done, "modelId": chair})
        assert_matches(answer.json()["meta"], META)

    def test_match_get(self, api: TestClient, chair: str, done: str) -> None:
        assert_matches(data(api.get(f"/v1/renders/{done}")), DONE | {"id": done, "modelId": chair})

    def test_match_dismiss(self, api: TestClient, chair: str, database: Database) -> None:
        render_id = data(api.post("/v1/renders", json={"modelId": chair}), 201)["id"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="no mesh")
        assert data(api.patch(f"/v1/renders/{render_id}/dismiss"))["status"] == "failed"

    def test_match_delete(self, api: TestClient, done: str) -> None:
        data(api.delete(f"/v1/renders/{done}"))
        assert api.get(f"/v1/renders/{done}").status_code == 404

    def test_match_batch(self, api: TestClient, chair: str) -> None:
        other = uploaded(api)["modelId"]
        renders: list[dict[str, Any]] = [
            {"modelId": chair, "renderSettings": {"aspect": "16:9", "bgColor": "#ffffff"}},
            {"modelId": chair, "renderSettings": {"aspect": "1:1", "bgColor": "#000000"}},
            {"modelId": other, "renderSettings": {"aspect": "16:9"}},
        ]
        queued = data(api.post("/v1/renders/batch", json={"renders": renders}), 201)
        assert len(queued) == 3
        for render, render_settings in zip(queued, renders, strict=True):
            assert_matches(render, QUEUED | {"modelId": render_settings["modelId"]})


class TestAssets:
    @pytest.mark.parametrize(
        ("address", "content_type"),
        [
            ("video", "video/mp4"),
            ("video?quality=web", "video/mp4"),
            ("poster", "image/png"),
            ("poster?quality=full", "image/png"),
            ("thumb", "video/mp4"),
            ("bundle", "application/zip"),
        ],
    )
    def test_have_their_type(self, api: TestClient, done: str, address: str, content_type: str) -> None:
        answer = api.get(f"/v1/renders/{done}/{address}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert answer.content

    @pytest.mark.parametrize("address", ["video", "thumb"])
    def test_support_ranges(self, api: TestClient, done: str, address: str) -> None:
        answer = api.get(f"/v1/renders/{done}/{address}", headers={"Range": "bytes=0-9"})
        assert (answer.status_code, len(answer.content)) == (206, 10)

    def test_are_immutable_in_the_bundle(self, api: TestClient, done: str) -> None:
        assert "immutable" in api.get(f"/v1/renders/{done}/bundle").headers["cache-control"]


class TestOverlays:
    def test_match_upload_list_use_and_delete(self, api: TestClient, chair: str) -> None:
        form: dict[str, Any] = {"files": {"file": ("sky.png", picture("PNG"))}, "data": {"name": "My Gradient"}}
        overlay = data(api.post("/v1/overlays", **form))
        shown = {"id": str, "layer": "background", "alignment": "top-left", "name": "My Gradient"}
        assert_matches(overlay, shown)
        for address in ("/v1/overlays", "/v1/overlays?layer=background"):
            [listed] = data(api.get(address))
            assert_matches(listed, shown | {"id": overlay["id"]})
        render_settings = {"bgImageId": overlay["id"], "aspect": "16:9", "length": 6}
        render = data(api.post("/v1/renders", json={"modelId": chair, "renderSettings": render_settings}), 201)
        assert_matches(render, QUEUED | {"renderSettings": render_settings})
        data(api.delete(f"/v1/overlays/{overlay['id']}"))
        assert data(api.get("/v1/overlays")) == []


class TestAccount:
    def test_matches_get(self, api: TestClient, client: Client) -> None:
        account = {"id": client.account.id, "email": client.account.email, "credits": int}
        assert_matches(data(api.get("/v1/account")), account)

    def test_matches_quote(self, api: TestClient, database: Database) -> None:
        renders = [{"quality": "standard"}, {"quality": "4k"}, {"output": "dataset", "datasetQuality": "196x1024"}]
        headers = new_client(database, "grace@example.com", credits=47).headers
        assert data(api.post("/v1/quote", json={"renders": renders}, headers=headers)) == {
            "creditsRequired": 36,
            "creditsAvailable": 47,
            "sufficient": True,
            "breakdown": [
                {"quality": "standard", "credits": 4},
                {"quality": "4k", "credits": 16},
                {"datasetQuality": "196x1024", "credits": 16},
            ],
        }
        answer = data(api.post("/v1/quote", json={"renders": [{"quality": "4k"}] * 3}, headers=headers))
        assert (answer["creditsRequired"], answer["sufficient"]) == (48, False)

    def test_has_a_health_check_without_a_key(self, public_api: TestClient) -> None:
        assert_matches(data(public_api.get("/v1/health")), {"database": "ok"})


def test_matches_errors(api: TestClient) -> None:
    answer = api.get("/v1/models/Ab3kF9x2qL1m")
    error = {"code": "model_not_found", "message": "Model not found", "status": 404}
    assert (answer.status_code, answer.json()) == (404, {"error": error})
