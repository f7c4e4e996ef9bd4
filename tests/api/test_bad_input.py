"""Malformed input to calls with a JSON body: always the canonical error, never a 500."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import validation_messages
from farm.db.session import Database
from farm.db.tables import Render
from tests.support.api import assert_error, count, credits_of, uploaded

SUCCESS = {"/v1/renders": 201, "/v1/renders/batch": 201, "/v1/quote": 200}
PATHS = list(SUCCESS)
JSON = {"Content-Type": "application/json"}

every_path = pytest.mark.parametrize("path", PATHS)

# JSON values as accepted by Python's decoder, including NaN and huge numbers, under known and unknown keys.
KEYS = st.sampled_from(["modelId", "renderSettings", "renders", "quality", "output", "datasetQuality", "length"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400) | st.just("\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


# The errors of a call by its path, as (code, status).
INVALID_REQUEST = dict.fromkeys(PATHS, ("invalid_request", 422))
INCOMPLETE_ITEM = {  # one item with a wrong quality and without modelId
    "/v1/renders": ("model_id_required", 400),
    "/v1/renders/batch": ("model_id_required", 400),
    "/v1/quote": ("invalid_settings", 400),
}
UNKNOWN_MODEL = {
    "/v1/renders": ("model_not_found", 404),
    "/v1/renders/batch": ("renders_required", 400),
    "/v1/quote": ("renders_required", 400),
}
NO_MODEL_ID = UNKNOWN_MODEL | {"/v1/renders": ("model_id_required", 400)}
BODIES = [
    *((body, INVALID_REQUEST) for body in (b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"\x00", b"NaN")),
    *((body, INVALID_REQUEST) for body in (b"9" * 5000, b"[" * 100_000, b'{"renders": "\xff"}')),
    *((body, INVALID_REQUEST) for body in (b'{"renders":' * 9000, b'{"modelId":' * 9000)),
    (b'{"renders": [{"quality": NaN}]}', INCOMPLETE_ITEM),
    (b'{"renders": [{"quality": "\\ud800"}]}', INCOMPLETE_ITEM),
    (b'{"renders": [{"quality": 1e999}]}', INCOMPLETE_ITEM),
    (b'{"renders": [' + b'{"quality": ' * 900 + b"1" + b"}" * 900 + b"]}", INCOMPLETE_ITEM),
    (b'{"\\ud800": 1}', INVALID_REQUEST),
    (b'{"modelId": "\\u0000"}', UNKNOWN_MODEL),
    (b'{"modelId": "\\ud800"}', UNKNOWN_MODEL),
    (b'{"modelId": NaN}', NO_MODEL_ID),
]


def documented_errors(api: TestClient, path: str) -> set[tuple[str, int]]:
    """The (code, status) pairs of the errors that OpenAPI documents for POST `path`."""
    responses = api.get("/openapi.json").json()["paths"][path]["post"]["responses"]
    return {
        (code, int(status))
        for status, response in responses.items()
        if status >= "4"
        for code in response["content"]["application/json"]["examples"]
    }


class TestBodies:
    @every_path
    @pytest.mark.parametrize(("body", "errors"), BODIES, ids=[repr(body[:24]) for body, _ in BODIES])
    def test_are_refused_if_malformed(
        self, api: TestClient, path: str, body: bytes, errors: dict[str, tuple[str, int]]
    ) -> None:
        assert_error(api.post(path, content=body, headers=JSON), *errors[path])

    @every_path
    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "", "json", "\x7f"])
    def test_are_refused_with_another_content_type(self, api: TestClient, path: str, kind: str) -> None:
        answer = api.post(path, content=b'{"renders": [{}]}', headers={"Content-Type": kind})
        assert_error(answer, "invalid_request", 422)

    @every_path
    def test_are_refused_if_they_are_a_form(self, api: TestClient, path: str) -> None:
        assert_error(api.post(path, data={"renders": "[]"}), "invalid_request", 422)
        assert_error(api.post(path, files={"renders": b"[]"}), "invalid_request", 422)

    @every_path
    def test_are_refused_above_the_size_limit(self, api: TestClient, path: str) -> None:
        assert_error(api.post(path, json={"renders": ["x" * 2_000_000]}), "body_too_large", 413)

    def test_are_accepted_or_refused_with_a_documented_error(self, api: TestClient, database: Database) -> None:
        model_id = uploaded(api)["modelId"]
        client_errors = {
            path: {error for error in documented_errors(api, path) if error[1] in (400, 402, 404, 422)}
            for path in PATHS
        }

        @given(st.sampled_from(PATHS), st.dictionaries(KEYS, VALUES | st.just(model_id), max_size=4))
        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        def send(path: str, body: Any) -> None:
            renders, credits_left = count(database, Render), credits_of(api)
            answer = api.post(path, content=json.dumps(body), headers=JSON)
            if answer.status_code == SUCCESS[path]:
                created = {"/v1/renders": 1, "/v1/quote": 0}.get(path, len(body.get("renders", [])))
                assert count(database, Render) == renders + created
            else:
                error = answer.json()["error"]
                assert (error["code"], answer.status_code) in client_errors[path]
                assert_error(answer, error["code"], answer.status_code)  # the canonical form
                assert (count(database, Render), credits_of(api)) == (renders, credits_left)

        send()


class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            *["limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=NaN", "limit=1e1", "limit=null", "limit=%00"],
            *["offset=-1", "offset=NaN", "offset=2147483648", "offset=" + "9" * 5000, "offset=%ff", "offset=true"],
            *["status=", "status=DONE", "status=%00", "status=done,asleep"],
            *["model=" + "a" * 13, "model=" + "a" * 5000],
        ],
    )
    def test_are_refused_out_of_range_by_name(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/renders?{query}"), "invalid_request", 422, query.split("=")[0])

    @pytest.mark.parametrize("query", ["model=%00", "model=%ff", "model=%ed%a0%80", "model=", "model=x"])
    def test_find_nothing_for_an_unknown_model(self, api: TestClient, query: str) -> None:
        uploaded(api)
        assert api.get(f"/v1/renders?{query}").json()["meta"]["total"] == 0

    @pytest.mark.parametrize(
        ("query", "name"),
        [("limit=1&limit=2", "limit"), ("limit=1&other=2", "other"), ("LIMIT=0", "LIMIT"), ("%00=1", "x00")],
    )
    def test_are_refused_with_repeated_and_unknown_parameters(self, api: TestClient, query: str, name: str) -> None:
        assert_error(api.get(f"/v1/renders?{query}"), "invalid_request", 422, name)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *[("GET", "models/{model}"), ("GET", "models/{model}/file"), ("HEAD", "models/{model}/file")],
            *[("POST", "quote"), ("PATCH", "models/{model}/archive"), ("DELETE", "models/{model}"), ("GET", "account")],
        ],
    )
    def test_are_refused_with_an_unknown_parameter_by_every_call(self, api: TestClient, method: str, path: str) -> None:
        answer = api.request(method, f"/v1/{path.format(model=uploaded(api)['modelId'])}?colour=red")
        assert answer.status_code == 422
        if method != "HEAD":
            assert_error(answer, "invalid_request", 422, "'colour' is not a known query parameter")


class TestWording:
    @pytest.mark.parametrize(
        ("call", "body", "message"),
        [
            ("GET /v1/renders?limit=x", None, "limit must be a whole number"),
            ("GET /v1/renders?limit=101", None, "limit must be at most 100"),
            ("GET /v1/renders?limit=0", None, "limit must be at least 1"),
            ("GET /v1/renders?status=asleep", None, "status must be 'pending', 'poster-processing'"),
            ("GET /v1/renders?status=done,asleep", None, "'error' or 'failed', not 'asleep'"),
            ("GET /v1/renders?createdAfter=now", None, "createdAfter must be a time such as 2026-02-15T20:00:00Z"),
            ("GET /v1/renders?metadata=x", None, "metadata must have the form key:value"),
            ("GET /v1/models?archived=perhaps", None, "archived must be true or false"),
            ("GET /v1/models?q=" + "x" * 257, None, "q must have at most 256 characters"),
            ("GET /v1/models?sort=size", None, "sort must be 'createdAt', '-createdAt', 'title' or '-title'"),
            ("POST /v1/renders", [], "The body must be a JSON object"),
            (
                "POST /v1/renders",
                {"modelId": "x", "colour": 1},
                "colour is not a known field here. Known fields: modelId, render",
            ),
            ("POST /v1/renders", {"modelId": "x", "metadata": 5}, "metadata must be a JSON object"),
            ("POST /v1/renders", {"modelId": "x", "metadata": {"a": 5}}, "metadata.a must be a text"),
            ("POST /v1/renders", {"modelId": "x", "metadata": {"a": "x" * 257}}, "metadata.a must have at most 256"),
            ("POST /v1/renders", {"modelId": "x", "metadata": {"a b": ""}}, 'metadata["a b"] must be a key of 1 to 64'),
            ("POST /v1/renders/batch", {"renders": 5}, "Send a list of at least one item as 'renders'"),
            ("POST /v1/quote", {"renders": [{"quality": "hd"}]}, "renders[0].quality must be 'share', 'standard'"),
            ("POST /v1/quote", {"renders": [{"qualty": "4k"}]}, "renders[0].qualty is not a known field. Known fields"),
            ("POST /v1/quote", {"renders": [{}], "x": 1}, "x is not a known field here. Known fields: renders"),
            (
                "POST /v1/renders/batch",
                {"renders": [{"modelId": "x", "setings": {}}]},
                "renders[0].setings is not a known field here. Known fields: modelId, renderSettings, metadata",
            ),
            ("POST /v1/quote", {"renders": [{"modelId": "x"}]}, "renders[0].modelId does not belong to a quote: each"),
            ("POST /v1/quote", {"renders": [{"renderSettings": {}}]}, 'themselves, such as {"quality": "4k"}'),
            (
                "POST /v1/models/check-hash",
                {"sha256": "0" * 64, "x": 1},
                "x is not a known field here. Known fields: s",
            ),
            (
                "POST /v1/models/ingest",
                {"url": "https://example.com/a.glb", "titel": "x"},
                "titel is not a known field here. Known fields: title, sku",
            ),
            ("POST /v1/models/ingest", {"url": "https://example.com/a.glb", "title": ["x"]}, "title must be a text"),
            ("POST /v1/models/ingest", {"url": "https://example.com/a.glb", "tags": "x"}, "tags must be a list"),
        ],
    )
    def test_is_ours(self, api: TestClient, call: str, body: Any, message: str) -> None:
        method, path = call.split()
        error = api.request(method, path, json=body).json()["error"]
        assert message in error["message"]
        for word in ("Input", "should", "pydantic", "Extra inputs", "Field required", "Value error"):
            assert word not in error["message"]

    @pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/x-www-form-urlencoded"}])
    def test_of_a_body_without_its_content_type_names_the_header(
        self, api: TestClient, headers: dict[str, str]
    ) -> None:
        answer = api.post("/v1/renders", content='{"modelId": "Ab3kF9x2qL1m"}', headers=headers)
        assert_error(answer, "invalid_request", 422, "with the header Content-Type: application/json")

    def test_covers_every_kind_of_error_that_requests_can_have(self) -> None:
        """Each type of pydantic's errors that a field of a request can raise has a sentence with its own values."""
        contexts = {
            "min_length": 1,
            "max_length": 2,
            "ge": 3,
            "gt": 5,
            "le": 4,
            "pattern": "x",
            "expected": "'a' or 'b'",
        }
        for kind in validation_messages.MESSAGES:
            problem = {"type": kind, "loc": ("field",), "msg": "Input should be", "ctx": contexts}
            assert "{" not in validation_messages.explain(problem)
        unlisted = {"type": "frozen_field", "loc": ("field",), "msg": "Input should be", "ctx": {}}
        assert validation_messages.explain(unlisted) == "field has a value that is not allowed"


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *[("GET", "/v1/quote"), ("PUT", "/v1/account"), ("DELETE", "/v1/renders"), ("PUT", "/v1/renders/batch")],
            *[("POST", "/v1/renders/Xz7pQ4w8nR2k/dismiss"), ("GET", "/v1/renders/Xz7pQ4w8nR2k/dismiss")],
        ],
    )
    def test_are_refused_if_a_path_lacks_them(self, api: TestClient, method: str, path: str) -> None:
        assert_error(api.request(method, path), "method_not_allowed", 405)
