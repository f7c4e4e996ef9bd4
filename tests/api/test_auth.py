"""API keys over HTTP: authentication and scopes, checked before the body is read."""

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from api.auth import KeyedRoute
from farm.accounts import accounts
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import now
from tests.api.calls import ADMIN_RENDER, CALLS, EFFECT, MODEL, OVERLAY, RENDER, SCENE
from tests.support.api import assert_error, upload
from tests.support.clients import Client, expired_key
from tests.support.glb import glb

every_call = pytest.mark.parametrize(("method", "path"), CALLS)


def test_covers_every_call_of_the_api(public_api: TestClient) -> None:
    ids = {"models": MODEL, "renders": RENDER, "overlays": OVERLAY, "scenes": SCENE, "effects": EFFECT}
    ids["admin/renders"] = ADMIN_RENDER
    documented = {
        (method.upper(), re.sub(r"/v1/([\w/]+)/{\w+}", lambda match: ids[match[1]], path))
        for path, operations in public_api.get("/openapi.json").json()["paths"].items()
        for method in operations
    }
    assert documented - {("GET", "/v1/health")} == set(CALLS) - {("GET", "/metrics")}


class TestKey:
    @every_call
    def test_is_required_by_every_call(self, public_api: TestClient, method: str, path: str) -> None:
        answer = public_api.request(method, path)
        assert_error(answer, "unauthorized", 401)
        assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize(
        "header",
        [
            b"",
            b"Bearer",
            b"Bearer ",
            b"Basic YTpi",
            b"dxgl_sk_abc",
            b"Bearer dxgl_sk_",
            b"Bearer dxgl_sk_tooshort",
            b"Bearer dxgl_sk_" + b"a" * 38,
            b"Bearer dxgl_sk_" + b"\xff" * 38,
            b"Bearer " + b"x" * 9000,
            "Bearer dxgl_sk_ß椅".encode(),
        ],
    )
    def test_is_refused_in_a_malformed_header(self, public_api: TestClient, header: bytes) -> None:
        assert_error(public_api.get("/v1/renders", headers=[(b"authorization", header)]), "unauthorized", 401)

    def test_is_accepted_with_any_case_of_the_scheme(self, public_api: TestClient, client: Client) -> None:
        answer = public_api.get("/v1/renders", headers={"Authorization": f"bearer {client.key}"})
        assert answer.status_code == 200

    def test_is_refused_if_unknown(self, public_api: TestClient) -> None:
        body = "a" * accounts.RANDOM_LENGTH
        headers = {"Authorization": f"Bearer {accounts.PREFIX}{body}{accounts._check(body)}"}
        assert_error(public_api.get("/v1/renders", headers=headers), "unauthorized", 401)

    def test_is_refused_once_revoked(self, api: TestClient, client: Client, database: Database) -> None:
        assert api.get("/v1/renders").status_code == 200
        with database.write() as db:
            accounts.revoke_key(db, client.key)
        assert_error(api.get("/v1/renders"), "unauthorized", 401)

    def test_is_refused_for_a_suspended_account(self, api: TestClient, client: Client, database: Database) -> None:
        with database.write() as db:
            db.merge(client.account).suspended_at = now()
        assert_error(upload(api), "forbidden", 403)

    def test_is_refused_once_expired(self, public_api: TestClient, client: Client, database: Database) -> None:
        with database.write() as db:
            headers = {"Authorization": f"Bearer {expired_key(db, client.account)}"}
        answer = public_api.get("/v1/renders", headers=headers)
        assert_error(answer, "token_expired", 401)
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_has_the_time_of_its_last_use(self, api: TestClient, client: Client, database: Database) -> None:
        api.get("/v1/renders")
        with database.read() as db:
            first = keys_of(db, client.account)[0].last_used_at
        assert first is not None
        assert now() - first < timedelta(seconds=10)
        api.get("/v1/renders")
        with database.read() as db:
            assert keys_of(db, client.account)[0].last_used_at == first, "recorded at most once a minute"

    def test_works_while_its_use_cannot_be_recorded(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OperationalError("UPDATE keys", {}, Exception("attempt to write a readonly database"))

        monkeypatch.setattr(accounts, "record_use", fail)
        assert api.get("/v1/renders").status_code == 200

    def test_is_checked_before_the_body(self, public_api: TestClient) -> None:
        json = {"Content-Type": "application/json"}
        assert_error(public_api.post("/v1/renders", content=b"{", headers=json), "unauthorized", 401)
        assert_error(public_api.post("/v1/models", files={"other": glb()}), "unauthorized", 401)


def limited_key(database: Database, client: Client, **limits: Any) -> dict[str, str]:
    """Headers with another key of the client's account."""
    with database.write() as db:
        return {"Authorization": f"Bearer {accounts.create_key(db, client.account, **limits)}"}


class TestScopes:
    @every_call
    def test_admit_a_key_with_the_scope_of_the_call(
        self, public_api: TestClient, client: Client, database: Database, method: str, path: str
    ) -> None:
        scope, code, status = CALLS[method, path]
        answer = public_api.request(method, path, headers=limited_key(database, client, scopes=[scope]))
        assert answer.status_code == status
        if code:
            assert_error(answer, code, status)

    @every_call
    def test_refuse_a_key_without_the_scope_of_the_call(
        self, public_api: TestClient, client: Client, database: Database, method: str, path: str
    ) -> None:
        scope, _, _ = CALLS[method, path]
        for scopes in ([], [other for other in accounts.SCOPES if other != scope]):
            answer = public_api.request(method, path, headers=limited_key(database, client, scopes=scopes))
            assert_error(answer, "insufficient_scope", 403, scope)

    def test_are_checked_before_the_body(self, public_api: TestClient, client: Client, database: Database) -> None:
        headers = limited_key(database, client, scopes=["renders:read"])
        answer = public_api.post("/v1/renders", content=b"{", headers=headers | {"Content-Type": "application/json"})
        assert_error(answer, "insufficient_scope", 403, "renders:write")
        assert_error(upload(public_api, headers=headers), "insufficient_scope", 403, "models:write")

    def test_are_mandatory_for_an_endpoint(self) -> None:
        router = APIRouter(route_class=KeyedRoute)
        with pytest.raises(TypeError, match="open_door"):

            @router.get("/")
            def open_door() -> None: ...
