"""Pages of other hosts may call the API if the operator names their origin, and no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.app import create_app
from farm.db.session import Database
from farm.settings import Settings
from tests.support.clients import Client

INSTALL = Path(__file__).parents[2] / "docs" / "install.md"
SHOP = "https://shop.example"
ALLOWED = "access-control-allow-origin"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
}


@pytest.fixture
def shops_api(settings: Settings, database: Database) -> Iterator[TestClient]:  # noqa: ARG001 - migrated
    """The API of a farm that pages of SHOP may call."""
    with TestClient(create_app(settings.model_copy(update={"cors_origins": (SHOP,)}))) as api:
        yield api


class TestNamedOrigin:
    def test_may_send_every_call_with_a_key(self, shops_api: TestClient) -> None:
        answer = shops_api.options("/v1/renders", headers={"Origin": SHOP, **PREFLIGHT})
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, SHOP)
        assert "access-control-allow-credentials" not in answer.headers

    def test_may_read_answers_and_errors(self, shops_api: TestClient, client: Client) -> None:
        for headers, status in ((client.headers, 200), ({}, 401)):
            answer = shops_api.get("/v1/account", headers={"Origin": SHOP, **headers})
            assert (answer.status_code, answer.headers[ALLOWED]) == (status, SHOP)
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


class TestOtherOrigin:
    def test_may_read_nothing(self, shops_api: TestClient, client: Client) -> None:
        origin = {"Origin": "https://evil.example"}
        assert ALLOWED not in shops_api.get("/v1/account", headers=origin | client.headers).headers
        assert ALLOWED not in shops_api.options("/v1/renders", headers=origin | PREFLIGHT).headers

    def test_is_every_one_by_default(self, api: TestClient) -> None:
        assert ALLOWED not in api.get("/v1/account", headers={"Origin": SHOP}).headers


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "ftp://shop.example", ""])
def test_an_origin_has_a_scheme_and_no_path(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=(origin,))


def test_origins_are_read_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    line = next(line for line in INSTALL.read_text().splitlines() if line.startswith("FARM_CORS_ORIGINS="))
    monkeypatch.setenv("FARM_CORS_ORIGINS", line.partition("=")[2].strip("'"))
    assert Settings().cors_origins == (SHOP, "https://staging.shop.example:8443")
