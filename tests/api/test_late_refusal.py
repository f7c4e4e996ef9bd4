"""A key or an account that becomes invalid while the body of a request is on its way."""

import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from redis import Redis

from farm.accounts import accounts, credits, erasure
from farm.db.accounts import keys_of
from farm.db.session import Database
from farm.db.tables import Account, Answer, Model, Overlay, Render, now
from farm.scheduling import validation
from farm.scheduling.render_status import OVER
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.api import assert_error, assert_nothing_left, count, credits_of, upload, uploaded
from tests.support.clients import Client
from tests.support.glb import glb
from tests.support.web_server import MODEL, PATHS, serving

pytestmark = pytest.mark.on_both_databases

Ending = Callable[[Database, Client], None]


def revoke(database: Database, client: Client) -> None:
    with database.write() as db:
        accounts.revoke_key(db, client.key)


def expire(database: Database, client: Client) -> None:
    with database.write() as db:
        keys_of(db, client.account)[0].expires_at = now()


def suspend(database: Database, client: Client) -> None:
    with database.write() as db:
        db.get_one(Account, client.account.id).suspended_at = now()


ENDINGS = {
    "revoked": (revoke, ("unauthorized", 401)),
    "expired": (expire, ("token_expired", 401)),
    "suspended": (suspend, ("forbidden", 403)),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"ingest_loopback": True})


@pytest.fixture(params=ENDINGS)
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def end(database: Database, client: Client, ending: str) -> Callable[[], None]:
    """Make the key invalid."""
    return lambda: ENDINGS[ending][0](database, client)


def post(api: TestClient, path: str, content_type: str, body: bytes, end: Callable[[], None]) -> Response:
    """POST `body`; the key becomes invalid when a part of it has been sent."""

    def parts() -> Iterator[bytes]:
        yield body[:10]
        end()
        yield body[10:]

    answer: Response = api.post(path, content=parts(), headers={"Content-Type": content_type})
    return answer


def form(name: str, content: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


FORM = "multipart/form-data; boundary=x"


class TestUpload:
    def test_stores_and_charges_nothing(
        self,
        api: TestClient,
        settings: Settings,
        database: Database,
        redis: Redis,
        client: Client,
        ending: str,
        end: Callable[[], None],
    ) -> None:
        before = credits_of(api)
        assert_error(post(api, "/v1/models", FORM, form("chair.glb", glb()), end), *ENDINGS[ending][1])
        assert_nothing_left(settings, database, redis)
        with database.read() as db:
            assert db.get_one(Account, client.account.id).credits == before

    def test_of_a_known_file_orders_no_render(
        self, api: TestClient, database: Database, ending: str, end: Callable[[], None]
    ) -> None:
        uploaded(api)
        assert_error(post(api, "/v1/models", FORM, form("chair.glb", glb()), end), *ENDINGS[ending][1])
        assert count(database, Render) == 2

    def test_of_an_overlay_stores_nothing(
        self,
        api: TestClient,
        settings: Settings,
        database: Database,
        redis: Redis,
        ending: str,
        end: Callable[[], None],
    ) -> None:
        assert_error(post(api, "/v1/overlays", FORM, form("a.png", picture("PNG")), end), *ENDINGS[ending][1])
        assert count(database, Overlay) == 0
        assert_nothing_left(settings, database, redis)


class TestIngest:
    def test_stores_and_charges_nothing(
        self,
        api: TestClient,
        settings: Settings,
        database: Database,
        redis: Redis,
        ending: str,
        end: Callable[[], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def respond(handler: Any) -> None:
            end()
            handler.send(MODEL)

        monkeypatch.setitem(PATHS, "/late.glb", respond)
        with serving() as address:
            headers = {"Idempotency-Key": "one"}
            answer = api.post("/v1/models/ingest", json={"url": f"{address}/late.glb"}, headers=headers)
        assert_error(answer, *ENDINGS[ending][1])
        assert_nothing_left(settings, database, redis)
        assert count(database, Answer) == 0


class TestErasedAccount:
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
    def test_is_unauthorized(
        self, api: TestClient, database: Database, client: Client, headers: dict[str, str]
    ) -> None:
        def parts() -> Iterator[bytes]:
            with database.write() as db:
                erasure.erase(db, client.account.id, OVER)
            yield b'{"modelId": "Xz7pQ4w8nR2k"}'

        headers = {"Content-Type": "application/json", **headers}
        assert_error(api.post("/v1/renders", content=parts(), headers=headers), "unauthorized", 401)

    @pytest.mark.parametrize("step", [(credits, "check"), (validation, "check_without_model"), (validation, "check")])
    def test_is_unauthorized_at_every_step_of_an_upload(
        self,
        api: TestClient,
        database: Database,
        client: Client,
        step: tuple[ModuleType, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        original = getattr(*step)

        def erase_first(*arguments: Any, **named: Any) -> Any:
            with database.write() as db:
                erasure.erase(db, client.account.id, OVER)
            return original(*arguments, **named)

        monkeypatch.setattr(*step, erase_first)
        assert_error(upload(api), "unauthorized", 401)


class TestJson:
    @pytest.mark.parametrize("path", ["/v1/renders", "/v1/renders/batch"])
    def test_orders_nothing(
        self, api: TestClient, database: Database, ending: str, end: Callable[[], None], path: str
    ) -> None:
        order = {"modelId": uploaded(api)["modelId"]}
        body = order if path == "/v1/renders" else {"renders": [order]}
        answer = post(api, path, "application/json", json.dumps(body).encode(), end)
        assert_error(answer, *ENDINGS[ending][1])
        assert count(database, Render) == 2

    def test_changes_nothing(self, api: TestClient, database: Database, ending: str, end: Callable[[], None]) -> None:
        model_id = uploaded(api)["modelId"]

        def parts() -> Iterator[bytes]:
            end()
            yield b'{"title": "Mine"}'

        headers = {"Content-Type": "application/json"}
        assert_error(api.patch(f"/v1/models/{model_id}", content=parts(), headers=headers), *ENDINGS[ending][1])
        with database.read() as db:
            assert db.get_one(Model, model_id).title is None
