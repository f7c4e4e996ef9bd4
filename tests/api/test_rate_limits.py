"""Rate limits of writes, by API key and by account."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from redis import Redis
from structlog.testing import capture_logs

from api import rate_limits
from api.app import create_app
from api.dependencies import ACCOUNTS_AT_ONCE
from farm.accounts import accounts
from farm.db.session import Database
from farm.db.tables import Account
from farm.settings import Settings
from tests.api.calls import CALLS
from tests.support import redis_server
from tests.support.api import assert_error, assert_nothing_left, upload
from tests.support.clients import Client

PER_KEY, PER_ACCOUNT = 3, 5
HEADERS = list(rate_limits.HEADERS)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    limits = {"key_writes_per_minute": PER_KEY, "account_writes_per_minute": PER_ACCOUNT}
    return settings.model_copy(update=limits)


@pytest.fixture
def second_key(database: Database, client: Client) -> dict[str, str]:
    """The headers with another key of the same account."""
    with database.write() as db:
        return {"Authorization": f"Bearer {accounts.create_key(db, client.account)}"}


def write(api: TestClient, **rest: Any) -> Response:
    answer: Response = api.post("/v1/quote", json={"renders": [{}]}, **rest)
    return answer


def forward(redis: Redis, seconds: float) -> None:
    """Let time pass for all buckets."""
    for bucket in redis.scan_iter(f"{rate_limits.PREFIX}*"):
        redis.set(bucket, float(redis.get(bucket)) - seconds, keepttl=True)  # type: ignore[arg-type]


class TestWrites:
    def test_are_limited_for_a_key(self, api: TestClient, redis: Redis) -> None:
        left = [write(api).headers["RateLimit-Remaining"] for _ in range(PER_KEY)]
        assert left == ["2", "1", "0"]
        refused = write(api)
        assert_error(refused, "rate_limited", 429, "at most 3 a minute")
        wait = refused.headers["Retry-After"]
        assert 18 <= int(wait) <= 20, "a third of a minute"
        assert [refused.headers[name] for name in HEADERS] == ["3", "0", wait]
        forward(redis, 20)
        assert write(api).status_code == 200
        assert write(api).status_code == 429

    def test_are_limited_for_all_keys_of_an_account(self, api: TestClient, second_key: dict[str, str]) -> None:
        for _ in range(PER_KEY):
            assert write(api).status_code == 200
        answers = [write(api, headers=second_key) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["5", "5", "5"], "the tighter limit"

    def test_at_a_time_are_limited_for_an_account(self, api: TestClient, client: Client, stranger: Client) -> None:
        farm = api.app.state.farm  # type: ignore[attr-defined]
        with ExitStack() as busy:
            for _ in range(farm.settings.max_requests // ACCOUNTS_AT_ONCE):
                busy.enter_context(farm.counted_request(client.account.id))
            refused = write(api)
            assert_error(refused, "rate_limited", 429, "100 requests of this account are being processed")
            assert not {name for name in refused.headers if name.startswith("ratelimit")}, "a limit of another kind"
            assert write(api, headers=stranger.headers).status_code == 200
        assert write(api).status_code == 200

    def test_are_not_limited_for_others(self, api: TestClient, stranger: Client) -> None:
        for _ in range(PER_KEY + 1):
            last = write(api)
        assert last.status_code == 429
        assert write(api, headers=stranger.headers).status_code == 200

    def test_are_limited_exactly_when_concurrent(self, api: TestClient) -> None:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: write(api), range(16)))
        assert sorted(answer.status_code for answer in answers) == [200] * PER_KEY + [429] * (16 - PER_KEY)

    def test_have_no_effect_beyond_the_limit(
        self, api: TestClient, settings: Settings, database: Database, redis: Redis
    ) -> None:
        for _ in range(PER_KEY):
            write(api)
        assert_error(upload(api), "rate_limited", 429)
        assert_nothing_left(settings, database, redis)

    def test_count_if_they_are_refused_for_another_reason(self, api: TestClient) -> None:
        answer = api.post("/v1/renders", json={"modelId": "x"})
        assert_error(answer, "model_not_found", 404)
        assert answer.headers["RateLimit-Remaining"] == "2"

    def test_leave_nothing_in_redis_after_a_minute(self, api: TestClient, redis: Redis) -> None:
        for _ in range(PER_KEY + 1):
            write(api)
        buckets = list(redis.scan_iter(f"{rate_limits.PREFIX}*"))
        assert len(buckets) == 2
        assert all(0 < redis.pttl(bucket) <= 60_000 for bucket in buckets)

    @pytest.mark.parametrize(("method", "path"), CALLS)
    def test_are_all_calls_that_may_change_something(
        self, api: TestClient, database: Database, client: Client, method: str, path: str
    ) -> None:
        with database.write() as db:
            db.get_one(Account, client.account.id).is_admin = True
        answer = api.request(method, path)
        assert [name in answer.headers for name in HEADERS] == [method != "GET"] * 3


class TestReads:
    def test_are_not_limited(self, api: TestClient) -> None:
        for _ in range(PER_KEY + 1):
            write(api)
        assert api.get("/v1/renders").status_code == 200


class TestOutage:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """The address of a Redis server that a test starts and stops."""
        return f"unix://{tmp_path}/redis.sock"

    @pytest.fixture
    def api(self, url: str, settings: Settings, database: Database, client: Client) -> Iterator[TestClient]:  # noqa: ARG002
        app = create_app(settings.model_copy(update={"redis_url": url}))
        with TestClient(app, headers=client.headers) as api:
            yield api

    def test_of_redis_stops_no_write_and_is_logged_once(
        self, api: TestClient, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rate_limits, "OUTAGE_SECONDS", 0)  # ask again at once
        options = ("--port", "0", "--unixsocket", f"{tmp_path}/redis.sock")
        for _ in range(2):
            with capture_logs() as logs:
                answers = [write(api) for _ in range(PER_KEY + 1)]
            assert {answer.status_code for answer in answers} == {200}
            assert "RateLimit-Limit" not in answers[0].headers
            assert [line["event"] for line in logs if line["event"] != "request_ended"] == ["rate_limits_off"]
            with redis_server.serving(url, tmp_path, *options):
                assert [write(api).status_code for _ in range(PER_KEY + 1)] == [200] * PER_KEY + [429]

    def test_does_not_let_each_write_wait_for_redis(self, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        write(api)
        limiter = api.app.state.farm.rate_limiter  # type: ignore[attr-defined]
        monkeypatch.setattr(limiter, "_script", None)  # calling it would raise
        assert write(api).status_code == 200
