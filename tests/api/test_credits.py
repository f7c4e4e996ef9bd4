"""Credits over HTTP: charges and refunds, also for concurrent requests."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import event

from farm.db.session import Database
from farm.db.tables import Render
from farm.scheduling import leases, render_status
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from tests.support.api import assert_error, assert_nothing_left, count, credits_of, upload, uploaded
from tests.support.clients import new_client
from tests.support.finished_renders import Finish
from tests.support.glb import glb


@pytest.fixture
def api(public_api: TestClient, database: Database) -> TestClient:
    """The API, called by an account with 11 credits: one for an upload, and ten."""
    public_api.headers.update(new_client(database, "poor@example.com", credits=11).headers)
    return public_api


def order(api: TestClient, model_id: str, quality: str = "share") -> Any:
    return api.post("/v1/renders", json={"modelId": model_id, "renderSettings": {"quality": quality}})


class TestOrders:
    @pytest.mark.on_both_databases
    def test_never_exceed_the_credits_when_concurrent(self, api: TestClient, database: Database) -> None:
        model_id = uploaded(api)["modelId"]
        before = count(database, Render)
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: order(api, model_id), range(50)))
        assert Counter(answer.status_code for answer in answers) == {201: 10, 402: 40}
        for answer in answers:
            if answer.status_code == 402:
                assert_error(answer, "no_credits", 402, "1 needed", "0 left")
        assert (count(database, Render), credits_of(api)) == (before + 10, 0)

    def test_cost_by_quality(self, api: TestClient) -> None:
        model_id = uploaded(api)["modelId"]
        assert_error(order(api, model_id, "4k"), "no_credits", 402, "16 needed", "10 left")
        assert order(api, model_id, "standard").status_code == 201
        assert credits_of(api) == 6

    def test_cost_nothing_if_refused(self, api: TestClient) -> None:
        uploaded(api)
        assert order(api, "Ab3kF9x2qL1m").status_code == 404
        assert credits_of(api) == 10

    def test_cost_nothing_if_the_commit_fails(self, api: TestClient) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk is full")

        model_id = uploaded(api)["modelId"]
        engine = api.app.state.farm.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "commit", fail)
        assert_error(order(api, model_id), "internal", 500)
        event.remove(engine, "commit", fail)
        assert credits_of(api) == 10


class TestUploads:
    def test_cost_their_render_but_not_the_preview(self, api: TestClient) -> None:
        uploaded(api)
        assert credits_of(api) == 10
        assert uploaded(api, settings='{"quality": "standard"}')["duplicate"]
        assert credits_of(api) == 6

    def test_leave_nothing_behind_without_credits(
        self, api: TestClient, settings: Settings, database: Database, redis: Redis
    ) -> None:
        assert_error(upload(api, settings='{"quality": "4k"}'), "no_credits", 402, "16 needed", "11 left")
        assert_nothing_left(settings, database, redis)
        assert credits_of(api) == 11


class TestRefunds:
    def test_happen_once_for_a_failed_render(self, api: TestClient, database: Database) -> None:
        render_id = uploaded(api)["renderId"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="why")
        assert credits_of(api) == 11
        assert api.patch(f"/v1/renders/{render_id}/dismiss").status_code == 200
        assert api.delete(f"/v1/renders/{render_id}").status_code == 200
        assert credits_of(api) == 11

    def test_happen_if_a_pending_render_is_deleted(self, api: TestClient) -> None:
        render_id = uploaded(api)["renderId"]
        api.delete(f"/v1/renders/{render_id}")
        assert credits_of(api) == 11

    @pytest.mark.on_both_databases
    def test_happen_once_for_concurrent_deletions(self, api: TestClient) -> None:
        render_id = uploaded(api)["renderId"]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: api.delete(f"/v1/renders/{render_id}"), range(8)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 7}
        assert credits_of(api) == 11

    def test_do_not_happen_for_a_started_or_finished_render(
        self, api: TestClient, database: Database, finished: Finish
    ) -> None:
        begun = uploaded(api)["renderId"]
        with database.write() as db:
            while leases.claim_next(db, Claimant("one", "cycles"), seconds=30):
                pass
        done = uploaded(api, glb(b"other"))["renderId"]
        finished(done)
        for render_id in (begun, done):
            assert api.delete(f"/v1/renders/{render_id}").status_code == 200
        assert credits_of(api) == 9
