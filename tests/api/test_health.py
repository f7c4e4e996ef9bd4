"""The health check."""

from fastapi.testclient import TestClient

from api.app import create_app
from farm.db.session import Database
from farm.settings import Settings
from tests.support.api import assert_error


def asked(settings: Settings) -> TestClient:
    return TestClient(create_app(settings))


class TestHealth:
    def test_needs_no_key(self, public_api: TestClient) -> None:
        answer = public_api.get("/v1/health")
        assert (answer.status_code, answer.json()) == (200, {"data": {"status": "ok", "database": "ok", "redis": "ok"}})

    def test_reports_that_redis_is_down(self, settings: Settings, database: Database) -> None:  # noqa: ARG002
        with asked(settings.model_copy(update={"redis_url": f"unix://{settings.data}/no.sock"})) as api:
            assert_error(api.get("/v1/health"), "unavailable", 503, "redis")

    def test_reports_a_database_that_was_never_migrated(self, settings: Settings) -> None:
        with asked(settings) as api:
            assert_error(api.get("/v1/health"), "unavailable", 503, "database")

    def test_names_all_parts_that_are_down(self, settings: Settings) -> None:
        with asked(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as api:
            assert_error(api.get("/v1/health"), "unavailable", 503, "database, redis")
