"""Errors of the framework and unexpected exceptions, all in the canonical form."""

import errno

import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError, ProgrammingError

from api.errors import MAX_MESSAGE_LENGTH, error_response
from farm.db import renders
from farm.errors import InvalidRequest
from tests.support.api import assert_error


class TestFrameworkErrors:
    @pytest.mark.parametrize(
        "path", ["/v1", "/v1/", "/v1/nothing", "/v1/renders/", "/v1/renders/a/b/c", "/v1/%00", "/v2/models"]
    )
    def test_report_an_unknown_path(self, api: TestClient, path: str) -> None:
        assert_error(api.get(path), "not_found", 404, "/docs lists all calls")

    def test_are_none_at_the_root_which_points_on(self, public_api: TestClient) -> None:
        answer = public_api.get("/")
        assert answer.status_code == 200
        for name in ("guides", "docs", "openapi", "health"):
            assert public_api.get(answer.json()["data"][name]).status_code == 200

    def test_report_an_unsupported_method(self, api: TestClient) -> None:
        answer = api.put("/v1/renders")
        assert_error(answer, "method_not_allowed", 405)
        assert answer.headers["allow"]
        assert_error(api.post("/v1/health"), "method_not_allowed", 405)

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/v1/renders/Xz7pQ4w8nR2k", "DELETE, GET"),
            ("/portal/keys", "GET, POST"),
            ("/portal/renders/Xz7pQ4w8nR2k", "GET"),
            ("/portal/nothing/at/all", "GET"),
            ("/operator/accounts/Xz7pQ4w8nR2k", "GET"),
            ("/guides/decisions/sets", "GET"),
            ("/guides/", "GET"),
            ("/v1/models%0A", "GET, POST"),
            ("/portal/keys%0A", "GET, POST"),
            ("/portal/nothing%0A", "GET"),
        ],
    )
    def test_name_the_methods_that_a_path_has(self, api: TestClient, path: str, allowed: str) -> None:
        answer = api.put(path)
        assert_error(answer, "method_not_allowed", 405)
        assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed

    def test_report_a_parameter_of_the_wrong_type(self, api: TestClient) -> None:
        assert_error(api.get("/v1/renders?limit=ten"), "invalid_request", 422, "limit")


class TestUnexpectedError:
    def test_shows_a_logged_request_id_but_no_internals(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ProgrammingError("SELECT secret", {}, Exception("no such column in /var/lib/plinth"))

        monkeypatch.setattr(renders, "detail", fail)
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            answer = api.get("/v1/renders/Xz7pQ4w8nR2k")
        assert_error(answer, "internal", 500, answer.headers["x-request-id"])
        assert "secret" not in answer.text
        assert "/var" not in answer.text
        (line,) = [line for line in lines if line["log_level"] == "error"]
        assert line["request"] == answer.headers["x-request-id"]
        assert (line["method"], line["path"]) == ("GET", "/v1/renders/Xz7pQ4w8nR2k")

    def test_has_a_request_id_in_every_response(self, api: TestClient) -> None:
        ids = {api.get("/v1/renders").headers["x-request-id"] for _ in range(3)}
        assert len(ids) == 3


class TestFarmUnavailable:
    """Temporary errors that are not caused by the request."""

    @pytest.mark.parametrize(
        ("error", "word"),
        [
            (OperationalError("SELECT secret", {}, Exception("server closed the connection")), "database"),
            (OSError(errno.ENOSPC, "No space left on device", "/var/lib/plinth"), "disk"),
            (OSError(errno.EMFILE, "Too many open files", "/var/lib/plinth"), "open files"),
        ],
    )
    def test_asks_for_a_retry_and_shows_no_internals(
        self, api: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, word: str
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(renders, "detail", fail)
        answer = api.get("/v1/renders/Xz7pQ4w8nR2k")
        assert_error(answer, "unavailable", 503, word, "try again")
        assert "secret" not in answer.text
        assert "/var" not in answer.text


class TestMessage:
    def test_escapes_unencodable_characters(self) -> None:
        assert b"\\\\ud800" in error_response(InvalidRequest("\ud800")).body

    def test_is_truncated(self) -> None:
        assert len(error_response(InvalidRequest("x" * 1_000_000)).body) < MAX_MESSAGE_LENGTH + 100
