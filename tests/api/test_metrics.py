"""The metrics for the operator's Prometheus, and who may read them."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from farm.accounts import accounts
from farm.db import clock, counters, nodes
from farm.db.chunks import DRAWING, PREVIEW
from farm.db.session import Database
from farm.db.tables import Account, Chunk, Model, Render, now
from farm.errors import BlenderCrashed
from farm.nodes import registry
from farm.orders.price import PRICES
from farm.scheduling import leases, render_status
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from tests.support.api import assert_error, uploaded
from tests.support.chunks import claimed
from tests.support.clients import Client
from tests.support.finished_renders import Finish
from tests.support.nodes import CPU
from tests.support.prometheus import scraped, total, value

pytestmark = pytest.mark.on_both_databases


@pytest.fixture
def admin_key(database: Database) -> str:
    with database.write() as db:
        account = accounts.create(db, "root@example.com", admin=True, credits_=0)
        return accounts.create_key(db, account, scopes=["account:read"])


@pytest.fixture
def prometheus(settings: Settings, database: Database, admin_key: str) -> Iterator[TestClient]:  # noqa: ARG001
    """A second API process of the same farm, which has served no other client."""
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {admin_key}"}) as client:
        yield client


class TestAccess:
    def test_requires_a_key(self, public_api: TestClient) -> None:
        assert_error(public_api.get("/metrics"), "unauthorized", 401)

    def test_refuses_the_key_of_a_client(self, api: TestClient) -> None:
        assert_error(api.get("/metrics"), "forbidden", 403, "admin")

    def test_refuses_an_admin_key_without_the_scope(self, public_api: TestClient, database: Database) -> None:
        with database.write() as db:
            account = accounts.create(db, "root@example.com", admin=True)
            key = accounts.create_key(db, account, scopes=["renders:read"])
        response = public_api.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        assert_error(response, "insufficient_scope", 403, "account:read")

    def test_is_served_outside_the_documented_api(self, prometheus: TestClient, public_api: TestClient) -> None:
        assert prometheus.get("/metrics").headers["content-type"].startswith("text/plain; version=")
        assert prometheus.get("/v1/metrics").status_code == 404
        assert not [path for path in public_api.get("/openapi.json").json()["paths"] if "metrics" in path]


class TestQueue:
    def test_reports_waiting_chunks_and_their_age(
        self, api: TestClient, prometheus: TestClient, database: Database
    ) -> None:
        empty = scraped(prometheus)
        groups = [("finish", "finishing"), ("draw", "previews"), ("draw", "drawing")]
        for kind, queue in groups:
            for name in ("plinth_chunks_waiting", "plinth_chunks_running", "plinth_oldest_waiting_seconds"):
                assert value(empty, name, kind=kind, queue=queue) == 0
        uploaded(api, settings="{}")
        with database.write() as db:
            chunks = db.query(Chunk).order_by(Chunk.priority).all()
            preview, *of_render = chunks
            claimed(db, preview)
            of_render[0].created_at = now() - timedelta(minutes=5)
        seen = scraped(prometheus)
        assert value(seen, "plinth_chunks_running", kind="draw", queue="previews") == 1
        assert value(seen, "plinth_chunks_waiting", kind="draw", queue="drawing") == len(of_render)
        age = value(seen, "plinth_oldest_waiting_seconds", kind="draw", queue="drawing")
        assert age == pytest.approx(300, abs=20)
        assert value(seen, "plinth_wake_ups", queue="drawing") == len(of_render)

    def test_ignores_chunks_that_wait_for_a_suspended_account(
        self, api: TestClient, prometheus: TestClient, database: Database, client: Client
    ) -> None:
        uploaded(api)
        assert value(scraped(prometheus), "plinth_chunks_waiting", kind="draw", queue="previews") == 1
        with database.write() as db:
            claimed(db, db.query(Chunk).where(Chunk.priority == DRAWING).limit(1).one())
            db.get_one(Account, client.account.id).suspended_at = now()
        seen = scraped(prometheus)
        assert value(seen, "plinth_chunks_waiting", kind="draw", queue="previews") == 0
        assert value(seen, "plinth_oldest_waiting_seconds", kind="draw", queue="previews") == 0
        assert value(seen, "plinth_chunks_running", kind="draw", queue="drawing") == 1

    def test_reports_the_rest_without_redis(self, settings: Settings, admin_key: str, api: TestClient) -> None:
        uploaded(api)
        without_redis = settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
        with TestClient(create_app(without_redis), headers={"Authorization": f"Bearer {admin_key}"}) as prometheus:
            seen = scraped(prometheus)
        assert value(seen, "plinth_redis_up") == 0
        assert value(seen, "plinth_chunks_waiting", kind="draw", queue="previews") == 1


class TestNodes:
    def test_are_counted_by_state(self, prometheus: TestClient, database: Database) -> None:
        assert value(scraped(prometheus), "plinth_nodes", state="idle") == 0
        registry.join(database, CPU)
        for name in ("draining", "checking"):
            registry.join(database, replace(CPU, name=name))
        with database.write() as db:
            registry.drain(db, "draining")
            nodes.named(db, "checking").check_due_at = clock.now(db)
        seen, states = scraped(prometheus), ("idle", "checking", "draining", "gone")
        assert [value(seen, "plinth_nodes", state=state) for state in states] == [1, 1, 1, 0]

    def test_reports_chunks_that_no_reaper_has_released(
        self, api: TestClient, prometheus: TestClient, database: Database
    ) -> None:
        uploaded(api)
        with database.write() as db:
            held, expired, *_ = db.query(Chunk).all()
            claimed(db, held)
            claimed(db, expired, seconds=-70)
        assert value(scraped(prometheus), "plinth_chunks_overdue") == 1


class TestCounters:
    def test_agree_with_the_ledger(self, api: TestClient, prometheus: TestClient, database: Database) -> None:
        before = scraped(prometheus)
        render_id = uploaded(api, settings='{"quality": "standard"}')["renderId"]
        with database.write() as db:
            render_status.advance(db, db.get_one(Render, render_id), "error", message="no")
        seen = scraped(prometheus)
        price = PRICES["standard"]
        assert value(seen, "plinth_credits_total", kind="charge") == price
        assert value(seen, "plinth_credits_total", kind="refund") == price
        assert value(seen, "plinth_credits_left") == value(before, "plinth_credits_left")
        assert value(seen, "plinth_render_seconds_count", tier="standard", status="error") == 1

    def test_keep_their_value_when_a_render_is_deleted(
        self, api: TestClient, prometheus: TestClient, finished: Finish
    ) -> None:
        render_id = uploaded(api, settings="{}")["renderId"]
        finished(render_id)
        before = scraped(prometheus)
        assert value(before, "plinth_render_seconds_count", tier="share", status="done") == 1
        assert api.delete(f"/v1/renders/{render_id}").status_code == 200
        after = scraped(prometheus)
        counted = [key for key in before if key[0].endswith(("_total", "_count", "_sum"))]
        assert counted
        assert {key: after[key] for key in counted} == {key: before[key] for key in counted}

    def test_do_not_count_what_was_rolled_back(self, database: Database, prometheus: TestClient) -> None:
        with contextlib.suppress(ZeroDivisionError), database.write() as db:
            counters.FRAMES.add(db, 5, tier="share", engine="cycles", source="drawn", node="box")
            raise ZeroDivisionError
        assert total(scraped(prometheus), "plinth_frames_total") == 0

    def test_count_failed_attempts_by_reason_and_node(
        self, api: TestClient, prometheus: TestClient, database: Database, doorbell: Doorbell
    ) -> None:
        uploaded(api)
        with database.write() as db:
            chunk = db.query(Chunk).filter_by(priority=PREVIEW).one()
            claimed(db, chunk, worker="box")
            leases.postpone(db, chunk.id, 1, "The storage does not respond")
            for attempt, worker in ((2, "box"), (3, "other")):
                claimed(db, chunk, worker=worker)
                leases.fail(db, doorbell, chunk.id, attempt, BlenderCrashed(), max_attempts=2)
        seen = scraped(prometheus)
        labels = {"kind": "draw", "reason": "BlenderCrashed"}
        assert value(seen, "plinth_attempts_failed_total", then="retried", node="box", **labels) == 1
        assert value(seen, "plinth_attempts_failed_total", then="ended", node="other", **labels) == 1
        assert total(seen, "plinth_attempts_failed_total", reason="Outage", node="box") == 1

    def test_sort_durations_into_buckets(self, database: Database, prometheus: TestClient) -> None:
        with database.write() as db:
            for seconds in (4, 10, 11, 1e9):
                counters.RENDER_SECONDS.observe(db, seconds, tier="pro", status="done")
        seen = scraped(prometheus)
        labels = {"tier": "pro", "status": "done"}
        at_most = {
            bound: value(seen, "plinth_render_seconds_bucket", le=bound, **labels)
            for bound in ("5", "10", "20", "+Inf")
        }
        assert at_most == {"5": 1, "10": 2, "20": 3, "+Inf": 4}
        assert value(seen, "plinth_render_seconds_sum", **labels) == 1e9 + 25


class TestStorage:
    def test_reports_bytes_of_files_cached_for_a_minute(
        self, api: TestClient, prometheus: TestClient, finished: Finish, database: Database
    ) -> None:
        model = uploaded(api, settings="{}")
        written = finished(model["renderId"])
        seen = scraped(prometheus)
        assert value(seen, "plinth_stored_bytes", what="assets") == sum(map(len, written.values()))
        with database.read() as db:
            size = db.query(Model).one().file_size
        assert value(seen, "plinth_stored_bytes", what="models") == size
        uploaded(api, name="b.glb", content=None)
        assert value(scraped(prometheus), "plinth_stored_bytes", what="models") == size


def test_reports_the_free_bytes_of_the_data_folder(settings: Settings, prometheus: TestClient) -> None:
    free = value(scraped(prometheus), "plinth_data_free_bytes")
    assert free is not None
    assert free == pytest.approx(shutil.disk_usage(settings.data).free, rel=0.1)
