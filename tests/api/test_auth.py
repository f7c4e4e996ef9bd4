"""Keys over HTTP: who gets in, and that nobody else gets as far as the body."""

import pytest
from fastapi.testclient import TestClient

from farm import accounts
from farm.db.session import Database
from farm.db.tables import now
from tests.api.helpers import assert_error, glb, upload
from tests.conftest import Client

PLACES = [
    ("POST", "/v1/models"),
    ("GET", "/v1/models/Ab3kF9x2qL1m"),
    ("GET", "/v1/models/Ab3kF9x2qL1m/file"),
    ("POST", "/v1/renders"),
    ("GET", "/v1/renders"),
    ("GET", "/v1/renders/Xz7pQ4w8nR2k"),
    ("GET", "/v1/renders/Xz7pQ4w8nR2k/video"),
    ("GET", "/v1/renders/Xz7pQ4w8nR2k/poster"),
    ("GET", "/v1/renders/Xz7pQ4w8nR2k/thumb"),
    ("DELETE", "/v1/renders/Xz7pQ4w8nR2k"),
]


class TestKey:
    @pytest.mark.parametrize(("method", "path"), PLACES)
    def test_is_wanted_everywhere(self, public_api: TestClient, method: str, path: str) -> None:
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
    def test_malformed_headers_are_refused(self, public_api: TestClient, header: bytes) -> None:
        assert_error(public_api.get("/v1/renders", headers=[(b"authorization", header)]), "unauthorized", 401)

    def test_the_scheme_is_read_in_any_case(self, public_api: TestClient, client: Client) -> None:
        answer = public_api.get("/v1/renders", headers={"Authorization": f"bearer {client.key}"})
        assert answer.status_code == 200

    def test_a_key_of_the_right_shape_that_nobody_has_is_refused(self, public_api: TestClient) -> None:
        body = "a" * accounts.RANDOM_LENGTH
        headers = {"Authorization": f"Bearer {accounts.PREFIX}{body}{accounts._check(body)}"}
        assert_error(public_api.get("/v1/renders", headers=headers), "unauthorized", 401)

    def test_a_revoked_key_is_refused(self, api: TestClient, client: Client, database: Database) -> None:
        assert api.get("/v1/renders").status_code == 200
        with database.write() as db:
            accounts.revoke_key(db, client.key)
        assert_error(api.get("/v1/renders"), "unauthorized", 401)

    def test_a_suspended_account_is_told_so(self, api: TestClient, client: Client, database: Database) -> None:
        with database.write() as db:
            db.merge(client.account).suspended_at = now()
        assert_error(upload(api), "forbidden", 403)

    def test_is_checked_before_the_body_is_looked_at(self, public_api: TestClient) -> None:
        json = {"Content-Type": "application/json"}
        assert_error(public_api.post("/v1/renders", content=b"{", headers=json), "unauthorized", 401)
        assert_error(public_api.post("/v1/models", files={"other": glb()}), "unauthorized", 401)
