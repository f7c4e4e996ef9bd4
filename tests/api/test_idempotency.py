"""Idempotency-Key: a repeated POST has its effect once, whatever happens between the two."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from redis import Redis
from sqlalchemy import select, update

from api.app import create_app
from farm.accounts import credits
from farm.db import answers
from farm.db.session import Database
from farm.db.tables import Answer, Model, Overlay, Render, now
from farm.settings import Settings
from tests.intake.scans import picture
from tests.support.api import assert_error, assert_nothing_left, count, credits_of, upload, uploaded
from tests.support.clients import Client, new_client
from tests.support.glb import glb
from tests.support.polling import until
from tests.support.web_server import serving

KEY = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
Post = Callable[..., Response]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"ingest_loopback": True})


@pytest.fixture(scope="module")
def web_server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def model_id(api: TestClient) -> str:
    return str(uploaded(api)["modelId"])


def post(api: TestClient | httpx.Client, path: str, body: Any, **rest: Any) -> Response:
    answer: Response = api.post(path, json=body, **{"headers": KEY, **rest})
    return answer


def effects(database: Database, api: TestClient) -> list[int]:
    """What a repeated effect would change."""
    return [*(count(database, table) for table in (Model, Render, Overlay)), credits_of(api)]


# Each POST of the API with two bodies: the first, and another one.
POSTS: dict[str, Callable[[TestClient, str, str, int], Response]] = {
    "/v1/models": lambda api, _, __, number: upload(api, glb(bytes([number])), headers=KEY),
    "/v1/models/ingest": lambda api, _, address, number: post(
        api, "/v1/models/ingest", {"url": f"{address}/{['chair.glb', 'noname'][number]}"}
    ),
    "/v1/models/check-hash": lambda api, _, __, number: post(
        api, "/v1/models/check-hash", {"sha256": f"{number}" * 64}
    ),
    "/v1/renders": lambda api, model_id, _, number: post(
        api, "/v1/renders", {"modelId": model_id, "renderSettings": {"rotateY": number}}
    ),
    "/v1/renders/batch": lambda api, model_id, _, number: post(
        api, "/v1/renders/batch", {"renders": [{"modelId": model_id}] * (2 + number)}
    ),
    "/v1/overlays": lambda api, _, __, number: api.post(
        "/v1/overlays", files={"file": ("a.png", picture("PNG"))}, data={"name": f"{number}"}, headers=KEY
    ),
    "/v1/quote": lambda api, _, __, number: post(api, "/v1/quote", {"renders": [{}] * (1 + number)}),
}


class TestEveryPost:
    def test_is_covered(self, api: TestClient) -> None:
        methods = api.app.state.methods  # type: ignore[attr-defined]
        assert {path for path, names in methods.items() if path.startswith("/v1/") and "POST" in names} == set(POSTS)

    @pytest.mark.on_both_databases
    @pytest.mark.parametrize("path", POSTS)
    def test_is_answered_again_without_another_effect(
        self, api: TestClient, database: Database, model_id: str, web_server: str, path: str
    ) -> None:
        first = POSTS[path](api, model_id, web_server, 0)
        assert first.is_success, first.text
        before = effects(database, api)
        again = POSTS[path](api, model_id, web_server, 0)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert effects(database, api) == before

    @pytest.mark.parametrize("path", POSTS)
    def test_is_refused_with_another_body(
        self, api: TestClient, database: Database, model_id: str, web_server: str, path: str
    ) -> None:
        POSTS[path](api, model_id, web_server, 0)
        before = effects(database, api)
        assert_error(POSTS[path](api, model_id, web_server, 1), "idempotency_mismatch", 422, "another request")
        assert effects(database, api) == before

    @pytest.mark.parametrize("path", POSTS)
    def test_is_repeated_with_another_key(
        self, api: TestClient, model_id: str, web_server: str, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert POSTS[path](api, model_id, web_server, 0).is_success
        monkeypatch.setitem(KEY, "Idempotency-Key", "another")
        assert POSTS[path](api, model_id, web_server, 1).is_success


class TestKey:
    def test_may_be_sent_with_or_without_quotes(self, api: TestClient, model_id: str) -> None:
        answers = [
            post(api, "/v1/renders", {"modelId": model_id}, headers={"Idempotency-Key": key}).json()
            for key in ("one", '"one"')
        ]
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("key", ["", '""', "a b", 'a"b', '"a', "x" * 256, '"' + "x" * 256 + '"', "ä"])
    def test_is_refused_if_malformed(self, api: TestClient, database: Database, model_id: str, key: str) -> None:
        before = effects(database, api)
        answer = post(api, "/v1/renders", {"modelId": model_id}, headers={"Idempotency-Key": key.encode()})
        assert_error(answer, "invalid_request", 422, "Idempotency-Key", "255")
        assert effects(database, api) == before

    def test_is_refused_if_sent_twice(self, api: TestClient, database: Database, model_id: str) -> None:
        before = effects(database, api)
        twice = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
        answer = api.post("/v1/renders", json={"modelId": model_id}, headers=twice)
        assert_error(answer, "invalid_request", 422, "Send the header Idempotency-Key only once")
        assert effects(database, api) == before

    def test_may_have_255_characters(self, api: TestClient, model_id: str) -> None:
        for key in ("x" * 255, '"' + "y" * 255 + '"'):
            assert post(api, "/v1/renders", {"modelId": model_id}, headers={"Idempotency-Key": key}).status_code == 201

    def test_belongs_to_one_account(self, api: TestClient, stranger: Client, database: Database) -> None:
        first = upload(api, headers=KEY)
        second = upload(api, headers=KEY | stranger.headers)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() != second.json()
        assert count(database, Model) == 2

    def test_belongs_to_one_route(self, api: TestClient, model_id: str) -> None:
        assert post(api, "/v1/renders", {"modelId": model_id}).status_code == 201
        assert post(api, "/v1/renders/batch", {"renders": [{"modelId": model_id}]}).status_code == 201

    def test_is_free_again_after_a_day(self, api: TestClient, database: Database, model_id: str) -> None:
        first = post(api, "/v1/renders", {"modelId": model_id})
        with database.write() as db:
            db.execute(update(Answer).values(created_at=now() - timedelta(hours=24, seconds=1)))
        second = post(api, "/v1/renders", {"modelId": model_id})
        assert second.status_code == 201
        assert second.json() != first.json()

    def test_is_free_again_after_an_error(self, api: TestClient, database: Database, model_id: str) -> None:
        """An error has no effect, so the corrected request may have the same key."""
        wrong = {"modelId": model_id, "renderSettings": {"zoom": 9}}
        assert_error(post(api, "/v1/renders", wrong), "invalid_settings", 400)
        assert_error(upload(api, b"no model", headers=KEY), "invalid_format", 400)
        assert count(database, Answer) == 0
        assert post(api, "/v1/renders", {"modelId": model_id}).status_code == 201
        assert upload(api, glb(b"a model"), headers=KEY).status_code == 201

    def test_is_free_again_once_there_are_credits(self, public_api: TestClient, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=0)
        assert_error(upload(public_api, headers=KEY | poor.headers), "no_credits", 402)
        with database.write() as db:
            credits.grant(db, poor.account.id, 1)
        assert upload(public_api, headers=KEY | poor.headers).status_code == 201

    def test_identifies_a_form_by_file_and_fields(self, api: TestClient) -> None:
        first = upload(api, headers=KEY)
        assert upload(api, headers=KEY).json() == first.json(), "with another boundary"
        for other in ({"name": "stool.glb"}, {"settings": '{"length": 4}'}):
            assert_error(upload(api, headers=KEY, **other), "idempotency_mismatch", 422)  # type: ignore[arg-type]

    def test_has_no_meaning_for_other_methods(self, api: TestClient, model_id: str) -> None:
        for title in ("Chair", "Stool"):
            answer = api.patch(f"/v1/models/{model_id}", json={"title": title}, headers=KEY)
            assert answer.json()["data"]["title"] == title


@pytest.mark.on_both_databases
class TestEffect:
    def test_happens_once_for_concurrent_requests(self, api: TestClient, database: Database, model_id: str) -> None:
        before = count(database, Render)
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(lambda _: post(api, "/v1/renders", {"modelId": model_id}), range(8)))
        assert {response.status_code for response in responses} <= {201, 409}
        assert len({response.text for response in responses if response.status_code == 201}) == 1
        assert count(database, Render) == before + 1

    def test_and_answer_are_stored_together(
        self, api: TestClient, database: Database, model_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = effects(database, api)
        with monkeypatch.context() as patch:
            patch.setattr(answers, "complete", failing)
            assert_error(post(api, "/v1/renders", {"modelId": model_id}), "internal", 500)
        assert effects(database, api) == before
        assert post(api, "/v1/renders", {"modelId": model_id}).status_code == 201

    def test_is_undone_if_another_request_took_over_the_claim(
        self, api: TestClient, database: Database, model_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a process was frozen for longer than its lease."""
        before = effects(database, api)

        def lose_claim(db: Any, answer_id: str, *answer: Any) -> None:
            db.execute(update(Answer).where(Answer.id == answer_id).values(id="another"))
            complete(db, answer_id, *answer)

        complete = answers.complete
        monkeypatch.setattr(answers, "complete", lose_claim)
        assert_error(post(api, "/v1/renders", {"modelId": model_id}), "idempotency_in_flight", 409)
        assert effects(database, api) == before


def failing(*_: object) -> None:
    raise RuntimeError("between effect and answer")


SERVE = """
import sys, uvicorn
from api.app import create_app
from farm.settings import Settings
uvicorn.run(create_app(Settings()), fd=int(sys.argv[1]), log_config=None)
"""


@contextmanager
def api_process(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An API in a process of its own, to be killed, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        variables = {
            "FARM_DATA": str(settings.data),
            "FARM_REDIS_URL": settings.redis_url,
            "FARM_INGEST_LOOPBACK": "1",
        }
        command = [sys.executable, "-c", SERVE, str(listener.fileno())]
        process = subprocess.Popen(command, env=os.environ | variables, pass_fds=[listener.fileno()])
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            # Waits in the listener's queue until the server accepts it.
            assert httpx.get(f"{address}/v1/health", timeout=60).status_code == 200
            yield address, process
        finally:
            process.kill()
            process.wait()


class TestInFlight:
    def test_refuses_a_repetition(
        self, api: TestClient, database: Database, web_server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.models.service.INGEST_TIMEOUT_SECONDS", 2)
        body = {"url": f"{web_server}/slow"}
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(post, api, "/v1/models/ingest", body)
            until(lambda: count(database, Answer) == 1)
            second = post(api, "/v1/models/ingest", body)
            assert_error(first.result(), "timeout", 408)
        assert_error(second, "idempotency_in_flight", 409, "repeat it")
        assert int(second.headers["Retry-After"]) < answers.LEASE_SECONDS
        assert count(database, Answer) == 0

    def test_lasts_as_long_as_the_request(
        self, api: TestClient, database: Database, web_server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.models.service.INGEST_TIMEOUT_SECONDS", 2)
        monkeypatch.setattr("api.effects.RENEWAL_SECONDS", 0.02)

        def lease() -> Any:
            with database.read() as db:
                return db.scalar(select(Answer.lease_until))

        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(post, api, "/v1/models/ingest", {"url": f"{web_server}/slow"})
            begun = until(lease)
            until(lambda: (renewed := lease()) is not None and renewed > begun, timeout_seconds=10)
            first.result()

    def test_ends_with_the_lease_of_a_killed_process(
        self, settings: Settings, database: Database, client: Client, web_server: str, redis: Redis
    ) -> None:
        body = {"url": f"{web_server}/slow"}
        with (
            api_process(settings) as (address, process),
            httpx.Client(base_url=address, headers=client.headers, timeout=60) as remote,
            ThreadPoolExecutor(1) as pool,
        ):
            lost = pool.submit(post, remote, "/v1/models/ingest", body)
            until(lambda: count(database, Answer) == 1)
            process.send_signal(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                lost.result()
        assert_nothing_left(settings, database, redis)
        with TestClient(create_app(settings), headers=client.headers) as api:
            assert_error(post(api, "/v1/models/ingest", body), "idempotency_in_flight", 409)
            with database.write() as db:
                db.execute(update(Answer).values(lease_until=now()))
            assert post(api, "/v1/models/ingest", {"url": f"{web_server}/chair.glb"}).status_code == 201

    def test_does_not_lose_an_answer_that_was_not_received(
        self, settings: Settings, database: Database, client: Client
    ) -> None:
        content = glb()
        form = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="chair.glb"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )
        headers = client.headers | KEY | {"Content-Type": "multipart/form-data; boundary=x"}
        with api_process(settings) as (address, process):
            host, port = address.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as connection:
                lines = [f"{name}: {value}" for name, value in (headers | {"Content-Length": str(len(form))}).items()]
                head = "\r\n".join(["POST /v1/models HTTP/1.1", "Host: x", *lines, "", ""])
                connection.sendall(head.encode() + form)
                until(lambda: count(database, Render) == 2)
                process.send_signal(signal.SIGKILL)
        with database.read() as db:
            [(status, body)] = db.execute(select(Answer.status, Answer.body))
        with TestClient(create_app(settings), headers=client.headers) as api:
            again = upload(api, content, headers=KEY)
        assert (again.status_code, again.json()) == (status, json.loads(body or ""))
        assert (count(database, Model), count(database, Render)) == (1, 2)
