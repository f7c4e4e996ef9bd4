"""Models that the farm downloads from a URL."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from redis import Redis

from api.app import create_app
from api.models import service
from farm.db.session import Database
from farm.settings import Settings
from tests.support.api import assert_error, assert_nothing_left, uploaded
from tests.support.clients import Client
from tests.support.web_server import MODEL, serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def api(settings: Settings, database: Database, client: Client) -> Iterator[TestClient]:  # noqa: ARG001 - migrated
    """The API, allowed to fetch from loopback."""
    with TestClient(create_app(settings.model_copy(update={"ingest_loopback": True})), headers=client.headers) as api:
        yield api


class TestIngest:
    @pytest.mark.parametrize(
        ("path", "name"),
        [("chair.glb", "chair.glb"), ("chair.gltf", "chair.gltf"), ("download", "bench.glb"), ("noname", "noname.glb")],
    )
    def test_works_like_an_upload(self, api: TestClient, server: str, path: str, name: str) -> None:
        answer = api.post("/v1/models/ingest", json={"url": f"{server}/{path}", "renderSettings": {"aspect": "1:1"}})
        assert answer.status_code == 201
        assert set(answer.json()["data"]) == {"modelId", "renderId"}
        model = api.get(f"/v1/models/{answer.json()['data']['modelId']}").json()["data"]
        assert model["originalName"] == name
        assert model["renders"][1]["renderSettings"]["aspect"] == "1:1"

    def test_reports_a_duplicate(self, api: TestClient, server: str) -> None:
        first = uploaded(api, MODEL)
        answer = api.post("/v1/models/ingest", json={"url": f"{server}/chair.glb"}).json()["data"]
        assert answer == {"modelId": first["modelId"], "renderId": answer["renderId"], "duplicate": True}


class TestConcurrentIngests:
    def test_are_limited_per_account(
        self, api: TestClient, server: str, stranger: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "MAX_CONCURRENT_INGESTS", 2)
        monkeypatch.setattr(service, "INGEST_TIMEOUT_SECONDS", 1.5)
        ingests = api.app.state.farm.ingests  # type: ignore[attr-defined]

        def ingest(path: str, **rest: Any) -> Response:
            answer: Response = api.post("/v1/models/ingest", json={"url": f"{server}/{path}"}, **rest)
            return answer

        with ThreadPoolExecutor(2) as pool:
            slow = [pool.submit(ingest, "slow") for _ in range(2)]
            while ingests.total() < 2:
                time.sleep(0.01)
            assert_error(ingest("chair.glb"), "upload_limit", 429, "2 models", "wait")
            assert ingest("chair.glb", headers=stranger.headers).status_code == 201
        for answer in slow:
            assert_error(answer.result(), "timeout", 408)
        assert ingest("chair.glb").status_code == 201
        assert not ingests


class TestRefusedIngest:
    @pytest.fixture(autouse=True)
    def _nothing_left(self, settings: Settings, database: Database, redis: Redis) -> object:
        yield
        assert_nothing_left(settings, database, redis)

    @pytest.mark.parametrize("body", [{}, {"url": None}, {"url": 7}, {"url": ["x"]}])
    def test_refuses_a_missing_url(self, api: TestClient, body: object) -> None:
        assert_error(api.post("/v1/models/ingest", json=body), "url_required", 400)

    @pytest.mark.parametrize("url", ["", "chair.glb", "ftp://example.com/x", "http://u:p@example.com/", "\u0000"])
    def test_refuses_a_malformed_url(self, api: TestClient, url: str) -> None:
        assert_error(api.post("/v1/models/ingest", json={"url": url}), "invalid_url", 400)

    def test_refuses_loopback_by_default(self, settings: Settings, client: Client, server: str) -> None:
        ports = (int(server.rpartition(":")[2]),)
        with TestClient(create_app(settings.model_copy(update={"ingest_ports": ports})), headers=client.headers) as api:
            answer = api.post("/v1/models/ingest", json={"url": f"{server}/chair.glb"})
        assert_error(answer, "invalid_url", 400, "not public")

    def test_refuses_a_port_that_is_not_the_webs(self, settings: Settings, client: Client, server: str) -> None:
        with TestClient(create_app(settings), headers=client.headers) as api:
            answer = api.post("/v1/models/ingest", json={"url": f"{server}/chair.glb"})
        assert_error(answer, "invalid_url", 400, "port", "80, 443")

    def test_quotes_nothing_of_the_response(self, api: TestClient, server: str) -> None:
        answer = api.post("/v1/models/ingest", json={"url": f"{server}/page.glb"})
        assert_error(answer, "invalid_format", 400)
        assert "doctype" not in answer.text

    @pytest.mark.parametrize(
        ("path", "code", "words"),
        [
            ("metadata", "invalid_url", "not public"),
            ("loop", "download_failed", "redirects"),
            ("missing", "download_failed", "404"),
            ("page.glb", "invalid_format", "neither GLB nor glTF"),
        ],
    )
    def test_refuses_a_wrong_response(self, api: TestClient, server: str, path: str, code: str, words: str) -> None:
        assert_error(api.post("/v1/models/ingest", json={"url": f"{server}/{path}"}), code, 400, words)

    def test_refuses_a_file_above_the_limit(self, settings: Settings, client: Client, server: str) -> None:
        tight = settings.model_copy(update={"ingest_loopback": True, "max_upload_bytes": 1024**2})
        with TestClient(create_app(tight), headers=client.headers) as api:
            answer = api.post("/v1/models/ingest", json={"url": f"{server}/endless"})
        assert_error(answer, "file_too_large", 400)

    def test_refuses_a_slow_host(self, api: TestClient, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "INGEST_TIMEOUT_SECONDS", 0.3)
        assert_error(api.post("/v1/models/ingest", json={"url": f"{server}/slow"}), "timeout", 408)

    def test_refuses_wrong_settings_before_the_download(self, api: TestClient) -> None:
        body = {"url": "http://127.0.0.1:1/", "renderSettings": {"length": 99_999}}
        assert_error(api.post("/v1/models/ingest", json=body), "invalid_settings", 400)
