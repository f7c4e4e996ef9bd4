"""Prices, charges and refunds; the balance always equals the sum of the ledger."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from farm.accounts import accounts, credits
from farm.db.session import Database
from farm.db.tables import Account, LedgerEntry, Model, Render
from farm.errors import NoCredits
from farm.orders.price import price_of
from farm.orders.render_settings import RenderSettings
from farm.scheduling import render_status, submit
from farm.scheduling.doorbell import Doorbell
from farm.settings import Settings
from tests.support.clients import INITIAL_CREDITS, Client, new_client

pytestmark = pytest.mark.on_both_databases


def balance(database: Database, client: Client) -> int:
    """The account's credits, compared with the sum of its ledger."""
    with database.read() as db:
        left = db.get_one(Account, client.account.id).credits
        entries = select(func.sum(LedgerEntry.credits)).where(LedgerEntry.account_id == client.account.id)
        assert db.scalar(entries) == left
    return left


def fail_render(database: Database, render: Render) -> None:
    with database.write() as db:
        render_status.advance(db, db.get_one(Render, render.id), "error", message="why")


class TestPrice:
    @pytest.mark.parametrize(
        ("settings", "price"),
        [
            ({}, 1),
            ({"quality": "share"}, 1),
            ({"quality": "standard"}, 4),
            ({"quality": "4k"}, 16),
            ({"quality": "pro"}, 64),
            ({"output": "dataset"}, 4),
            ({"effect": "dataset"}, 4),
            ({"output": "dataset", "datasetQuality": "100x800"}, 4),
            ({"output": "dataset", "datasetQuality": "196x1024", "quality": "pro"}, 16),
            ({"output": "dataset", "datasetQuality": "400x2048"}, 64),
            ({"output": "video", "datasetQuality": "400x2048"}, 1),
            ({"datasetQuality": None, "length": 30, "bgColor": "#000000"}, 1),
        ],
    )
    def test_matches_the_documentation(self, settings: dict[str, Any], price: int) -> None:
        assert price_of(settings) == price

    def test_accepts_settings_as_they_are_stored(self) -> None:
        assert price_of(RenderSettings(quality="4k").to_wire()) == 16


class TestAccount:
    def test_starts_with_ten_credits_or_the_given_number(self, database: Database) -> None:
        with database.write() as db:
            new = accounts.create(db, "new@example.com")
        assert balance(database, Client(new, "")) == 10
        assert balance(database, new_client(database, "none@example.com", credits=0)) == 0

    def test_receives_granted_credits(self, database: Database, client: Client) -> None:
        with database.write() as db:
            credits.grant(db, client.account.id, 7)
        assert balance(database, client) == INITIAL_CREDITS + 7


class TestCharge:
    def test_subtracts_the_price_of_a_render(self, database: Database, client: Client, render: Render) -> None:
        assert balance(database, client) == INITIAL_CREDITS - 1
        with database.read() as db:
            entry = db.scalars(select(LedgerEntry).where(LedgerEntry.render_id == render.id)).one()
        assert (entry.kind, entry.credits) == ("charge", -1)

    def test_spends_the_last_credit_and_then_refuses(self, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=5)
        with database.write() as db:
            credits.charge(db, poor.account.id, {"a": 4, "b": 1})
        with pytest.raises(NoCredits, match="1 needed, 0 left"), database.write() as db:
            credits.charge(db, poor.account.id, {"c": 1})
        assert balance(database, poor) == 0

    def test_charges_nothing_if_the_sum_exceeds_the_balance(self, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=5)
        with pytest.raises(NoCredits, match="6 needed, 5 left"), database.write() as db:
            credits.charge(db, poor.account.id, {"a": 4, "b": 2})
        assert balance(database, poor) == 5

    def test_is_rolled_back_with_the_render(
        self, database: Database, client: Client, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            submit.render(db, model, RenderSettings(quality="4k"), settings, doorbell)
            db.rollback()
        assert balance(database, client) == INITIAL_CREDITS

    def test_never_overdraws_with_concurrent_charges(self, database: Database) -> None:
        poor = new_client(database, "poor@example.com", credits=10)

        def charge(number: int) -> bool:
            try:
                with database.write() as db:
                    credits.charge(db, poor.account.id, {f"r{number}": 3})
            except NoCredits:
                return False
            return True

        with ThreadPoolExecutor(12) as pool:
            assert list(pool.map(charge, range(24))).count(True) == 3
        assert balance(database, poor) == 1

    def test_is_free_for_a_preview(
        self, database: Database, client: Client, model: Model, settings: Settings, doorbell: Doorbell
    ) -> None:
        with database.write() as db:
            preview = submit.preview(db, model, settings, doorbell)
        fail_render(database, preview)
        assert balance(database, client) == INITIAL_CREDITS


class TestRefund:
    def test_follows_a_failed_render(self, database: Database, client: Client, render: Render) -> None:
        fail_render(database, render)
        assert balance(database, client) == INITIAL_CREDITS

    def test_happens_once(self, database: Database, client: Client, render: Render) -> None:
        fail_render(database, render)
        fail_render(database, render)
        for _ in range(2):
            with database.write() as db:
                credits.refund(db, render.id)
        assert balance(database, client) == INITIAL_CREDITS

    def test_happens_once_with_concurrent_refunds(self, database: Database, client: Client, render: Render) -> None:
        def refund(_: int) -> None:
            with database.write() as db:
                credits.refund(db, render.id)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(refund, range(16)))
        assert balance(database, client) == INITIAL_CREDITS

    def test_does_not_follow_a_finished_render(self, database: Database, client: Client, render: Render) -> None:
        with database.write() as db:
            for status in render_status.ORDER:
                render_status.advance(db, db.get_one(Render, render.id), status)
        assert balance(database, client) == INITIAL_CREDITS - 1
