"""The log line of each request."""

from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from structlog.typing import EventDict

from farm.db import renders
from tests.support.api import uploaded
from tests.support.clients import Client
from tests.support.web_server import MODEL

FIELDS = {"event", "log_level", "method", "route", "status", "ms", "bytes", "key", "request"}


def logged(api: TestClient, method: str, path: str, **rest: Any) -> EventDict:
    """The one line of a request; its `request` is the id in the response."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = api.request(method, path, **rest)
    [line] = [line for line in lines if line["event"] == "request_ended"]
    assert set(line) == FIELDS
    assert (line["log_level"], line["request"]) == ("info", answer.headers["x-request-id"])
    assert line["status"] == answer.status_code
    assert line["ms"] > 0
    if method != "HEAD":
        assert line["bytes"] == len(answer.content)
    return line


class TestLine:
    def test_names_the_template_and_the_keys_id(self, api: TestClient, client: Client) -> None:
        model = uploaded(api, MODEL)["modelId"]
        line = logged(api, "GET", f"/v1/models/{model}/file")
        assert (line["method"], line["route"]) == ("GET", "/v1/models/{model_id}/file")
        assert line["bytes"] == len(MODEL)
        assert line["key"]
        assert line["key"] not in client.key
        assert client.key not in str(line)

    @pytest.mark.parametrize(
        ("path", "route"),
        [
            ("/v1/health", "/v1/health"),
            ("/v1/models", "/v1/models"),
            ("/v1/renders/Xz7pQ4w8nR2k", "/v1/renders/{render_id}"),
            ("/metrics", "/metrics"),
            ("/docs", "/docs"),
            ("/docs/start.js", "/docs/{name}"),
            ("/guides/decisions/sets", "/guides/{name:path}"),
            ("/portal/keys", "/portal/keys"),
            ("/portal/secret/a/b", "/portal/{path:path}"),
            ("/operator/accounts/Xz7pQ4w8nR2k", "/operator/accounts/{account_id}"),
            ("/v1/secret/path", None),
        ],
    )
    def test_has_the_whole_template_and_no_path(self, api: TestClient, path: str, route: str | None) -> None:
        headers = {"Accept-Encoding": "identity"}  # whose bytes can be counted
        assert logged(api, "GET", path, headers=headers, follow_redirects=False)["route"] == route

    def test_has_no_query(self, api: TestClient) -> None:
        assert "SECRET" not in str(logged(api, "GET", "/v1/models?tags=SECRET&key=SECRET"))

    def test_has_no_key_of_a_refused_request(self, public_api: TestClient) -> None:
        line = logged(public_api, "GET", "/v1/models", headers={"Authorization": "Bearer dxgl_sk_SECRET"})
        assert (line["status"], line["key"]) == (401, None)
        assert "SECRET" not in str(line)

    def test_is_written_for_an_unexpected_error(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(renders, "detail", fail)
        assert logged(api, "GET", "/v1/renders/Xz7pQ4w8nR2k")["status"] == 500

    def test_bounds_the_method(self, api: TestClient) -> None:
        assert logged(api, "X" * 5000, "/v1/models")["method"] == "X" * 16
