"""What operators do to accounts, the queue and nodes, on the command line."""

import json
import threading
from dataclasses import replace

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from farm.cli import app
from farm.db import nodes
from farm.db.session import Database
from farm.db.tables import Account, Chunk, LedgerEntry, Model, Node, Render, now
from farm.nodes import registry
from farm.nodes.facts import Facts
from farm.orders.render_settings import RenderSettings
from farm.scheduling import leases, submit
from farm.scheduling.doorbell import Doorbell
from farm.scheduling.leases import Claimant
from farm.settings import Settings
from tests.support.clients import Client, new_client
from tests.support.consistency import assert_books_balance
from tests.support.polling import until

pytestmark = pytest.mark.on_both_databases


@pytest.fixture(autouse=True)
def farm_of_this_test(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_DATA", str(settings.data))
    monkeypatch.setenv("FARM_DATABASE_URL", database.url)
    monkeypatch.setenv("FARM_REDIS_URL", settings.redis_url)


def done(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), "otherwise a traceback"
    [line] = result.stderr.strip().splitlines()
    return line


@pytest.fixture
def later(database: Database, settings: Settings, doorbell: Doorbell, render: Render) -> Render:
    """A render of another account, ordered after `render`."""
    assert render.id
    other = new_client(database, "eve@example.com")
    with database.write() as db:
        model = Model(account_id=other.account.id, original_name="b.glb", format="glb", file_size=1, sha256="1" * 64)
        db.add(model)
        db.flush()
        return submit.render(db, model, RenderSettings(), settings, doorbell)


def next_render(database: Database, *tags: str) -> str | None:
    """The render whose chunk a node with these tags would claim; the claim is undone."""
    with database.read() as db:
        chunk = leases.claim_next(db, Claimant("box", "cycles", tags=tags), seconds=30)
        return chunk.renders[0].id if chunk else None


class TestAccounts:
    @pytest.mark.parametrize("email", ["notanemail", "@", "a@", "@b", "a b@c", "a@b@c", "", "a" * 320 + "@b"])
    def test_need_an_email_address(self, email: str) -> None:
        assert "is not an email address" in refused("accounts", "create", email)

    def test_give_credits_back(self, client: Client, database: Database) -> None:
        done("accounts", "take", "ada@example.com", "999990")
        assert "ada@example.com has only 10 credits left" in refused("accounts", "take", "ada@example.com", "11")
        with database.read() as db:
            assert db.get_one(Account, client.account.id).credits == 10
            assert [row.credits for row in db.scalars(select(LedgerEntry).where(LedgerEntry.kind == "take"))] == [
                -999990
            ]
        with database.read() as db:
            assert_books_balance(db)

    def test_show_their_ledger(self, render: Render) -> None:
        done("accounts", "take", "ada@example.com", "5")
        rows = json.loads(done("accounts", "ledger", "ada@example.com", "--json"))
        assert [row["kind"] for row in rows] == ["take", "charge", "grant"]
        assert [row["render"] for row in rows] == [None, render.id, None]
        assert len(json.loads(done("accounts", "ledger", "ada@example.com", "--limit", "1", "--json"))) == 1
        shown = done("accounts", "ledger", "ada@example.com")
        for words in ("take", "-5", "+1000000", render.id):
            assert words in shown


@pytest.mark.usefixtures("client")
class TestKeys:
    def test_have_names(self) -> None:
        done("keys", "create", "ada@example.com", "--name", "web [shop]")
        names = [row["name"] for row in json.loads(done("keys", "list", "ada@example.com", "--json"))]
        assert names == [None, "web [shop]"]
        assert "web [shop]" in done("keys", "list", "ada@example.com")

    def test_refuse_a_name_that_is_too_long(self) -> None:
        assert "1 to 100 characters" in refused("keys", "create", "ada@example.com", "--name", "x" * 101)


class TestBoundAccounts:
    def test_are_served_only_by_nodes_with_the_tag(self, render: Render, later: Render, database: Database) -> None:
        assert "none has joined yet" in done("accounts", "bind", "ada@example.com", "studio")
        assert next_render(database) == later.id
        assert next_render(database, "big") == later.id
        assert next_render(database, "big", "studio") == render.id
        assert "bound to studio" in done("accounts", "list")
        done("accounts", "bind", "ada@example.com")
        assert next_render(database) == render.id

    @pytest.mark.parametrize("tag", ["", " ", "studio,big", "a" * 101])
    @pytest.mark.usefixtures("client")
    def test_refuse_what_is_no_tag(self, tag: str) -> None:
        assert "1 to 100 characters and no comma" in refused("accounts", "bind", "ada@example.com", tag)

    @pytest.mark.usefixtures("client")
    def test_show_brackets_as_they_are(self, database: Database, gpu: Facts) -> None:
        registry.join(database, replace(gpu, name="[red]box", tags=["[big]"]))
        assert "[big] work for ada@example.com: [red]box" in done("accounts", "bind", "ada@example.com", "[big]")
        assert "bound to [big]" in done("accounts", "list")
        shown = done("nodes", "list")
        assert "[red]box" in shown
        assert "[big]" in shown

    def test_are_served_although_another_node_got_the_wake_up(
        self, render: Render, database: Database, gpu: Facts
    ) -> None:
        assert render.id
        box = replace(gpu, name="box", tags=["studio"])
        registry.join(database, box)
        for tag, waits in (("big", False), ("studio", True)):
            done("accounts", "bind", "ada@example.com", tag)
            with database.write() as db:
                assert registry.heartbeat(db, box).is_bound_work_waiting is waits

    def test_are_claimed_for_by_a_node_with_its_tags(self, database: Database, gpu: Facts) -> None:
        registry.join(database, replace(gpu, name="box", tags=["studio"]))
        with database.read() as db:
            claimant = registry.claimant(db, "box")
        assert claimant
        assert claimant.tags == ("studio",)


class TestQueue:
    def test_shows_queues_and_accounts(self, render: Render, later: Render, database: Database) -> None:
        done("accounts", "suspend", "eve@example.com")
        found = json.loads(done("queue", "--json"))
        with database.read() as db:
            chunks = len(db.scalars(select(Chunk).where(Chunk.shot_id == render.shot_id)).all())
        assert {row["queue"]: row["waiting"] for row in found["queues"]} == {
            "finishing": 0,
            "previews": 0,
            "drawing": chunks,
        }
        assert [(row["account"], row["waiting"], row["suspended"]) for row in found["accounts"]] == [
            ("ada@example.com", chunks, False),
            ("eve@example.com", chunks, True),
        ]
        shown = done("queue")
        for words in ("drawing", "ada@example.com", "suspended", "s ago"):
            assert words in shown
        assert later.id

    def test_puts_a_render_first(self, render: Render, later: Render, database: Database) -> None:
        assert next_render(database) == render.id
        done("renders", "priority", later.id)
        assert next_render(database) == later.id

    def test_does_not_put_first_what_waits_for_its_account(self, render: Render) -> None:
        done("accounts", "suspend", "ada@example.com")
        assert "ada@example.com, is resumed" in refused("renders", "priority", render.id)

    def test_names_the_render_that_cannot_be_paid_again(self, render: Render, database: Database) -> None:
        done("renders", "cancel", render.id)
        with database.write() as db:
            db.get_one(Account, render.account_id).credits = 0
        assert refused("renders", "retry", render.id).startswith(f"{render.id}: Not enough render credits")

    @pytest.mark.usefixtures("database")
    def test_names_a_render_that_does_not_exist(self) -> None:
        for action in ("show", "cancel", "retry", "priority"):
            assert "There is no render abc: it was deleted or never existed" in refused("renders", action, "abc")

    def test_does_not_put_first_what_is_over(self, render: Render) -> None:
        done("renders", "cancel", render.id)
        assert "its status is error" in refused("renders", "priority", render.id)


class TestDrain:
    @pytest.fixture
    def box(self, database: Database, gpu: Facts) -> Facts:
        box = replace(gpu, name="box")
        registry.join(database, box)
        return box

    def test_drains_all_and_waits_until_they_have_stopped(self, box: Facts, database: Database) -> None:
        def leave_once_drained() -> None:
            def is_drained() -> bool:
                with database.read() as db:
                    return nodes.named(db, "box").drain_at is not None

            until(is_drained)
            with database.write() as db:
                registry.leave(db, box)

        worker = threading.Thread(target=leave_once_drained)
        worker.start()
        shown = done("nodes", "drain", "--all", "--wait")
        worker.join()
        assert "All of them have stopped" in shown
        with database.read() as db:
            assert nodes.alive(db) == []

    def test_says_so_of_a_node_that_is_gone(self, box: Facts, database: Database) -> None:
        with database.write() as db:
            node = nodes.named(db, box.name)
            node.seen_at = now().replace(year=2020)
        shown = done("nodes", "drain", "box")
        assert "box is not running, and does not start again until it is resumed" in shown
        assert "after its current chunk" not in shown

    @pytest.mark.usefixtures("database")
    def test_says_so_if_there_is_no_node(self) -> None:
        assert "No node has joined yet" in done("nodes", "drain", "--all", "--wait")
        assert "There is no node box" in refused("nodes", "drain", "box")

    def test_needs_names_or_all(self, database: Database) -> None:
        for words in ([], ["box", "--all"]):
            assert "Name the nodes to drain, or use --all" in refused("nodes", "drain", *words)
        with database.read() as db:
            assert db.scalars(select(Node)).all() == []
