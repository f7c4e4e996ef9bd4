"""/v1/admin: operators see, cancel, retry and put first the renders of all accounts, and see the queue."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import select
from typer.testing import CliRunner

from farm.accounts import accounts
from farm.cli import app
from farm.db import clock
from farm.db.session import Database
from farm.db.tables import Account, AuditEntry, Chunk, Model, Render
from farm.errors import DiskFull
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from tests.support.api import assert_error
from tests.support.chunks import claimed
from tests.support.clients import Client, new_client
from tests.support.consistency import assert_books_balance

pytestmark = pytest.mark.on_both_databases

UNKNOWN = "0" * 12
CHANGES = ("cancel", "retry", "priority")


@dataclass(frozen=True)
class Operator:
    """An admin account's key, and the API called with it."""

    api: TestClient
    client: Client

    def get(self, path: str) -> Response:
        response: Response = self.api.get(f"/v1/admin/{path}", headers=self.client.headers)
        return response

    def data(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def ids(self, query: str = "") -> list[str]:
        return [row["id"] for row in self.data(f"renders?{query}")]

    def change(self, render_id: str, action: str) -> Response:
        response: Response = self.api.patch(f"/v1/admin/renders/{render_id}/{action}", headers=self.client.headers)
        return response


@pytest.fixture
def operator(public_api: TestClient, database: Database) -> Operator:
    client = new_client(database, "operator@example.com")
    with database.write() as db:
        db.get_one(Account, client.account.id).is_admin = True
    return Operator(public_api, client)


@pytest.fixture
def second(database: Database, settings: Settings, doorbell: Doorbell, render: Render, stranger: Client) -> Render:
    """A render of another account, ordered after `render`."""
    assert render.id
    with database.write() as db:
        model = Model(account_id=stranger.account.id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
        db.add(model)
        db.flush()
        return submit.render(db, model, RenderSettings(quality="4k"), settings, doorbell)


@pytest.fixture
def failed(database: Database, doorbell: Doorbell, render: Render) -> Render:
    """A render that has ended as an error on the node `box`."""
    with database.write() as db:
        first = db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id).order_by(Chunk.first_frame)).first()
        assert first
        held = claimed(db, first, worker="box")
        leases.fail(db, doorbell, held.id, held.attempt, DiskFull(), max_attempts=1)
    return render


def credits_of(database: Database, account_id: str) -> int:
    with database.read() as db:
        return db.get_one(Account, account_id).credits


class TestList:
    def test_has_the_renders_of_all_accounts_newest_first(
        self, operator: Operator, failed: Render, second: Render
    ) -> None:
        newest, oldest = operator.data("renders")
        assert (newest["id"], newest["account"]["email"]) == (second.id, "eve@example.com")
        assert (oldest["id"], oldest["account"]["email"]) == (failed.id, "ada@example.com")
        assert (oldest["status"], oldest["nodes"]) == ("error", ["box"])
        assert oldest["errorMessage"].startswith(DiskFull.default)
        assert newest["renderSettings"]["quality"] == "4k"

    def test_filters(self, operator: Operator, failed: Render, second: Render) -> None:
        assert operator.ids("status=error") == operator.ids("node=box") == [failed.id]
        assert operator.ids("status=error,pending") == [second.id, failed.id]
        assert operator.ids("node=elsewhere") == operator.ids("account=none@example.com") == []
        assert operator.ids("account=eve@example.com") == [second.id]
        assert operator.ids(f"account={second.account_id}") == [second.id]
        assert operator.ids("error=DISK") == [failed.id]
        assert operator.ids(f"ids={failed.id}") == [failed.id]
        assert operator.ids("sort=createdAt") == [failed.id, second.id]

    def test_filters_by_age(self, operator: Operator, failed: Render, second: Render, database: Database) -> None:
        with database.write() as db:
            hour_ago = clock.now(db) - timedelta(hours=1)
            db.get_one(Render, failed.id).created_at = hour_ago
        limit = f"{hour_ago + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
        assert operator.ids(f"createdBefore={limit}") == [failed.id]
        assert operator.ids(f"createdAfter={limit}") == [second.id]

    def test_has_pages(self, operator: Operator, failed: Render, second: Render) -> None:
        body = operator.get("renders?limit=1&offset=1").json()
        assert ([row["id"] for row in body["data"]], body["meta"]["total"]) == ([failed.id], 2)
        assert second.id

    @pytest.mark.parametrize(
        ("query", "word"),
        [
            ("status=lost", "status"),
            ("createdBefore=yesterday", "createdBefore"),
            ("limit=101", "limit"),
            ("account=" + "a" * 321, "account"),
            ("node=%00", "node"),
            ("modelId=abc", "modelId"),
        ],
    )
    def test_refuses_wrong_filters(self, operator: Operator, query: str, word: str) -> None:
        assert_error(operator.get(f"renders?{query}"), "invalid_request", 422, word)


class TestShow:
    def test_has_every_attempt_with_its_node(self, operator: Operator, failed: Render) -> None:
        shown = operator.data(f"renders/{failed.id}")
        assert (shown["id"], shown["credits"], shown["account"]["id"]) == (failed.id, 0, failed.account_id)
        first, *others = shown["chunks"]
        [attempt] = first["attempts"]
        assert (attempt["node"], attempt["outcome"], attempt["noticedBy"]) == ("box", "failed", "worker")
        assert attempt["reason"] == DiskFull.default
        assert attempt["endedAt"]
        assert {chunk["state"] for chunk in others} == {"failed"}
        assert all(chunk["attempts"] == [] for chunk in others)


class TestCancel:
    def test_ends_a_render_of_any_account_and_refunds_it(
        self, operator: Operator, render: Render, database: Database
    ) -> None:
        before = credits_of(database, render.account_id)
        answer = operator.change(render.id, "cancel")
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert (data["status"], data["errorMessage"]) == ("error", "Cancelled by the farm's operator")
        assert credits_of(database, render.account_id) > before
        with database.read() as db:
            assert_books_balance(db)
        assert_error(operator.change(render.id, "cancel"), "conflict", 409, "error")


class TestRetry:
    def test_queues_a_failed_render_again_and_charges_its_account(
        self, operator: Operator, failed: Render, database: Database
    ) -> None:
        mine, before = credits_of(database, operator.client.account.id), credits_of(database, failed.account_id)
        answer = operator.change(failed.id, "retry")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["data"]["status"], answer.json()["data"]["retries"]) == ("pending", 1)
        assert credits_of(database, failed.account_id) < before
        assert credits_of(database, operator.client.account.id) == mine
        assert_error(operator.change(failed.id, "retry"), "conflict", 409, "pending")

    def test_changes_nothing_if_the_account_cannot_pay(
        self, operator: Operator, failed: Render, database: Database
    ) -> None:
        with database.write() as db:
            db.get_one(Account, failed.account_id).credits = 0
        assert_error(operator.change(failed.id, "retry"), "no_credits", 402)
        assert operator.data(f"renders/{failed.id}")["status"] == "error"


class TestPriority:
    def test_gives_a_render_the_next_turns(
        self, operator: Operator, render: Render, second: Render, database: Database
    ) -> None:
        assert operator.change(second.id, "priority").status_code == 200
        with database.write() as db:
            chunk = leases.claim_next(db, leases.Claimant("box", "cycles"), seconds=30)
            assert chunk
            assert chunk.shot_id == second.shot_id != render.shot_id

    def test_is_refused_where_nothing_waits(self, operator: Operator, failed: Render) -> None:
        assert_error(operator.change(failed.id, "priority"), "conflict", 409, "its status is error")

    def test_is_refused_while_the_account_is_suspended(
        self, operator: Operator, render: Render, database: Database
    ) -> None:
        with database.write() as db:
            db.get_one(Account, render.account_id).suspended_at = clock.now(db)
        assert_error(operator.change(render.id, "priority"), "conflict", 409, "ada@example.com", "resumed")


class TestQueue:
    def test_counts_by_queue_and_account(self, operator: Operator, render: Render, second: Render) -> None:
        queue = operator.data("queue")
        assert [row["queue"] for row in queue["queues"]] == ["finishing", "previews", "drawing"]
        waiting = {row["account"]["email"]: row["waiting"] for row in queue["accounts"]}
        assert waiting.keys() == {"ada@example.com", "eve@example.com"}
        assert sum(waiting.values()) == queue["queues"][2]["waiting"] > 0
        assert queue["queues"][0] == {"queue": "finishing", "waiting": 0, "running": 0, "oldest": None}
        assert {render.account_id, second.account_id} == {row["account"]["id"] for row in queue["accounts"]}

    def test_is_what_the_command_shows(
        self,
        operator: Operator,
        second: Render,
        settings: Settings,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("FARM_DATA", str(settings.data))
        monkeypatch.setenv("FARM_DATABASE_URL", database.url)
        printed = json.loads(CliRunner().invoke(app, ["queue", "--json"]).stdout)
        shown = operator.data("queue")
        assert second.id
        assert [(row["queue"], row["waiting"], row["running"]) for row in printed["queues"]] == [
            (row["queue"], row["waiting"], row["running"]) for row in shown["queues"]
        ]
        assert [row["account"] for row in printed["accounts"]] == [row["account"]["email"] for row in shown["accounts"]]


class TestAudit:
    def test_names_the_admin_account(self, operator: Operator, render: Render, database: Database) -> None:
        for action in ("priority", "cancel", "retry"):
            assert operator.change(render.id, action).status_code == 200
        with database.read() as db:
            entries = db.scalars(select(AuditEntry).order_by(AuditEntry.created_at)).all()
        assert [entry.action for entry in entries] == ["renders priority", "renders cancel", "renders retry"]
        assert {(entry.actor, entry.target) for entry in entries} == {(operator.client.account.id, render.id)}


class TestRefusal:
    @pytest.mark.parametrize("action", CHANGES)
    def test_of_normal_keys_changes_nothing(
        self, operator: Operator, api: TestClient, render: Render, action: str
    ) -> None:
        assert_error(api.patch(f"/v1/admin/renders/{render.id}/{action}"), "forbidden", 403, "Only admin accounts")
        assert operator.data(f"renders/{render.id}")["status"] == "pending"

    @pytest.mark.parametrize("path", ["renders", "queue", f"renders/{UNKNOWN}"])
    def test_of_normal_keys_shows_nothing(self, api: TestClient, path: str) -> None:
        assert_error(api.get(f"/v1/admin/{path}"), "forbidden", 403, "Only admin accounts")

    def test_of_admin_keys_that_only_read(self, operator: Operator, render: Render, database: Database) -> None:
        with database.write() as db:
            key = accounts.create_key(db, operator.client.account, scopes=["admin:read", "renders:write"])
        reader = Operator(operator.api, Client(operator.client.account, key))
        assert reader.ids() == [render.id]
        for action in CHANGES:
            assert_error(reader.change(render.id, action), "insufficient_scope", 403, "admin:write")

    def test_of_admin_keys_without_the_scopes(self, operator: Operator, render: Render, database: Database) -> None:
        with database.write() as db:
            others = [scope for scope in accounts.SCOPES if not scope.startswith("admin:")]
            key = accounts.create_key(db, operator.client.account, scopes=others)
        narrow = Operator(operator.api, Client(operator.client.account, key))
        for path in ("renders", "queue", f"renders/{render.id}"):
            assert_error(narrow.get(path), "insufficient_scope", 403, "admin:read")

    @pytest.mark.parametrize("render_id", [UNKNOWN, "short", "a'b", "%00", "x" * 300])
    def test_of_unknown_ids(self, operator: Operator, render_id: str) -> None:
        assert_error(operator.get(f"renders/{render_id}"), "render_not_found", 404)
        for action in CHANGES:
            assert_error(operator.change(render_id, action), "render_not_found", 404)
