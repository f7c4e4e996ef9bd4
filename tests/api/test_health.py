"""The health check."""

import socket
from contextlib import ExitStack

import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy import text

from api import health
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
            assert_error(api.get("/v1/health"), "unavailable", 503, "Down: database", ", redis")


class TestHangingParts:
    def test_count_as_down_within_the_time_limit(
        self,
        settings: Settings,
        database: Database,  # noqa: ARG002 - migrated
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(health, "CHECK_SECONDS", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            with (
                asked(settings.model_copy(update={"redis_url": url})) as api,
                structlog.testing.capture_logs() as lines,
            ):
                assert_error(api.get("/v1/health"), "unavailable", 503, "Down: redis")
        [line] = [line for line in lines if line["event"] == "health_check_failed"]
        assert line["error"] == "no response within 0.3 seconds"

    def test_are_asked_once_at_a_time(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(5)
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            with asked(settings.model_copy(update={"redis_url": url})) as api:
                for _ in range(10):
                    assert api.get("/v1/health").status_code == 503
            with silent.accept()[0]:
                silent.setblocking(False)
                with pytest.raises(BlockingIOError):
                    silent.accept()

    @pytest.mark.postgresql
    @pytest.mark.parametrize("database_kind", ["postgresql"])
    def test_is_noticed_when_the_database_hangs_and_when_it_is_back(
        self, public_api: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "CHECK_SECONDS", 0.5)
        with database.engine.connect() as blocking:
            blocking.execute(text("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE"))
            assert_error(public_api.get("/v1/health"), "unavailable", 503, "Down: database")
        monkeypatch.setattr(health, "CHECK_SECONDS", 30.0)
        assert public_api.get("/v1/health").status_code == 200


class TestBusyPool:
    @pytest.mark.on_both_databases
    def test_delays_no_health_check_and_is_a_503_for_others(
        self, api: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        monkeypatch.setattr(engine.pool, "_timeout", 0.2)
        with ExitStack() as all_connections:
            for _ in range(engine.pool.size() + engine.pool._max_overflow):
                all_connections.enter_context(engine.connect())
            assert api.get("/v1/health").status_code == 200
            assert_error(api.get("/v1/account"), "unavailable", 503, "busy", "try again")
        assert api.get("/v1/account").status_code == 200
