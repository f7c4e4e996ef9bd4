"""Whatever is sent to an address that takes JSON: the canonical error and never a 500."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farm.db.session import Database
from farm.db.tables import Render
from tests.support.api import assert_error, count, credits_of, uploaded

PLACES = ["/v1/renders", "/v1/renders/batch", "/v1/quote"]
JSON = {"Content-Type": "application/json"}

everywhere = pytest.mark.parametrize("place", PLACES)

# JSON values as Python's decoder lets them in, NaN and huge numbers included, under keys that the API knows and others.
KEYS = st.sampled_from(["modelId", "renderSettings", "renders", "quality", "output", "datasetQuality", "length"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400) | st.just("\0"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def refused(answer: Any) -> None:
    """A canonical error of the client's making."""
    error = answer.json()["error"]
    assert error["status"] in {400, 404, 422}, error
    assert_error(answer, error["code"], error["status"])


class TestBodies:
    @everywhere
    @pytest.mark.parametrize(
        "body",
        [
            *[b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"\x00", b"NaN", b"9" * 5000, b"[" * 100_000],
            *[b'{"renders":' * 9000, b'{"renders": [{"quality": NaN}]}', b'{"renders": [{"quality": "\\ud800"}]}'],
            *[
                b'{"\\ud800": 1}',
                b'{"renders": [{"quality": 1e999}]}',
                b'{"modelId": "\\u0000"}',
                b'{"renders": "\xff"}',
            ],
        ],
        ids=lambda body: repr(body[:24]),
    )
    def test_that_make_no_sense_are_refused(self, api: TestClient, place: str, body: bytes) -> None:
        refused(api.post(place, content=body, headers=JSON))

    @everywhere
    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "", "json", "\x7f"])
    def test_of_another_content_type_are_refused(self, api: TestClient, place: str, kind: str) -> None:
        answer = api.post(place, content=b'{"renders": [{}]}', headers={"Content-Type": kind})
        assert_error(answer, "invalid_request", 422)

    @everywhere
    def test_that_are_a_form_are_refused(self, api: TestClient, place: str) -> None:
        assert_error(api.post(place, data={"renders": "[]"}), "invalid_request", 422)
        assert_error(api.post(place, files={"renders": b"[]"}), "invalid_request", 422)

    @everywhere
    def test_beyond_any_sense_are_cut_off(self, api: TestClient, place: str) -> None:
        assert_error(api.post(place, json={"renders": ["x" * 2_000_000]}), "body_too_large", 413)

    @everywhere
    def test_without_end_in_depth_are_refused(self, api: TestClient, place: str) -> None:
        deep = '{"renders": [' + '{"quality": ' * 900 + "1" + "}" * 900 + "]}"
        refused(api.post(place, content=deep, headers=JSON))

    def test_of_any_kind_are_taken_or_refused(self, api: TestClient, database: Database) -> None:
        model_id = uploaded(api)["modelId"]

        @given(st.sampled_from(PLACES), st.dictionaries(KEYS, VALUES | st.just(model_id), max_size=4))
        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        def send(place: str, body: Any) -> None:
            before = count(database, Render), credits_of(api)
            answer = api.post(place, content=json.dumps(body), headers=JSON)
            if answer.status_code not in (200, 201):
                refused(answer)
                assert (count(database, Render), credits_of(api)) == before

        send()


class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            *["limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=NaN", "limit=1e1", "limit=null", "limit=%00"],
            *["offset=-1", "offset=NaN", "offset=2147483648", "offset=" + "9" * 5000, "offset=%ff", "offset=true"],
            *["status=", "status=DONE", "status=%00", "status=done,error"],
        ],
    )
    def test_out_of_range_are_refused_by_name(self, api: TestClient, query: str) -> None:
        assert_error(api.get(f"/v1/renders?{query}"), "invalid_request", 422, query.split("=")[0])

    @pytest.mark.parametrize("query", ["model=%00", "model=%ff", "model=%ed%a0%80", "model=", "model=" + "a" * 5000])
    def test_for_no_models_id_find_nothing(self, api: TestClient, query: str) -> None:
        uploaded(api)
        assert api.get(f"/v1/renders?{query}").json()["meta"]["total"] == 0

    @pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&other=2", "LIMIT=0", "%00=1"])
    def test_that_repeat_or_add_something_are_answered(self, api: TestClient, query: str) -> None:
        assert api.get(f"/v1/renders?{query}").status_code == 200


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            *[("GET", "/v1/quote"), ("PUT", "/v1/account"), ("DELETE", "/v1/renders"), ("PUT", "/v1/renders/batch")],
            *[("POST", "/v1/renders/Xz7pQ4w8nR2k/dismiss"), ("GET", "/v1/renders/Xz7pQ4w8nR2k/dismiss")],
        ],
    )
    def test_that_an_address_does_not_take_are_told_so(self, api: TestClient, method: str, path: str) -> None:
        assert_error(api.request(method, path), "method_not_allowed", 405)
